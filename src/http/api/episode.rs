//! An episode as the API shows it, wherever it does.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::audio;
use crate::{
    http::{App, signing::Window},
    machine::Status,
    store::listeners::Episode,
};

/// An episode of the learner who asks.
#[derive(Serialize)]
pub(in crate::http) struct Shown {
    id: i64,
    date: NaiveDate,
    status: &'static str,
    title: Option<String>,
    topic: Option<String>,
    pub script: Option<String>,
    audio_url: String,
    audio_url_expires_at: DateTime<Utc>,
    duration: Option<i32>,
    duration_display: Option<String>,
    language: Option<String>,
    ai_model_used: Option<String>,
    tts_provider: Option<String>,
    tts_voice_gender: Option<String>,
    is_fallback: bool,
    liked: bool,
    shared: bool,
    position: f64,
    transcript_url: Option<String>,
}

/// An episode with addresses that end with the window.
pub(in crate::http) async fn shown(app: &App, episode: Episode, now: DateTime<Utc>, window: Window) -> Shown {
    let prefix = &app.settings.public_url;
    Shown {
        audio_url: audio::address(app, episode.id, episode.object_key.as_deref(), now, window).await,
        audio_url_expires_at: window.expires,
        duration: episode.duration_seconds,
        duration_display: episode.duration_seconds.map(|seconds| format!("{}:{:02}", seconds / 60, seconds % 60)),
        transcript_url: Some(format!("{prefix}/api/dailycast/episodes/{}/transcript.vtt", episode.id)),
        id: episode.id,
        date: episode.date,
        status: episode.status.as_str(),
        title: episode.title,
        topic: episode.topic,
        script: episode.script,
        language: episode.language,
        ai_model_used: episode.ai_model_used,
        tts_provider: episode.tts_provider,
        tts_voice_gender: episode.tts_voice_gender,
        is_fallback: episode.is_fallback,
        liked: episode.is_liked,
        shared: episode.is_shared,
        position: f64::from(episode.position_ms) / 1000.0,
    }
}

/// What changes with what is shown of an episode, its addresses aside.
pub(in crate::http) fn version(episode: &Episode) -> (i64, Status, DateTime<Utc>, i32, bool, bool) {
    (episode.id, episode.status, episode.updated_at, episode.position_ms, episode.is_liked, episode.is_shared)
}
