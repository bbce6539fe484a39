//! An episode as the API shows it, wherever it does.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use poem::{
    Request, Response, ResponseBuilder,
    http::{StatusCode, header},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::audio;
use crate::{
    http::{App, auth, conditional, error::Refusal, signing::Window},
    machine::Status,
    store::{listeners::Episode, listening::Own},
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
    download_url: String,
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

/// A length in seconds as players show it: `4:02`.
pub(in crate::http) fn display(seconds: i32) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// An episode with addresses that end with the window.
pub(in crate::http) async fn shown(app: &App, episode: Episode, now: DateTime<Utc>, window: Window) -> Shown {
    let prefix = &app.settings.public_url;
    Shown {
        audio_url: audio::address(app, episode.id, episode.object_key.as_deref(), now, window).await,
        audio_url_expires_at: window.expires,
        download_url: audio::download_address(app, episode.id, window),
        duration: episode.duration_seconds,
        duration_display: episode.duration_seconds.map(display),
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

/// Bytes of an episode in JSON beside its script; most is the signed address, and a guess will do.
const BESIDE_THE_SCRIPT: usize = 1536;

/// A body with these episodes in it.
///
/// # Errors
/// None that happens.
pub(in crate::http) fn json<'s>(
    body: &impl Serialize,
    episodes: impl IntoIterator<Item = &'s Shown>,
) -> Result<Vec<u8>, Refusal> {
    // Room for the scripts at once: growing step by step would copy them several times.
    let scripts = episodes.into_iter().filter_map(|shown| shown.script.as_ref());
    let mut bytes = Vec::with_capacity(scripts.map(|script| script.len() + BESIDE_THE_SCRIPT).sum());
    serde_json::to_writer(&mut bytes, body).map_err(|_| Refusal::Defect)?;
    Ok(bytes)
}

/// The tag of an answer with these episodes, signed in a window. Weak, because it stands for the plain
/// and the compressed form.
pub(in crate::http) fn tag<'e>(
    what: fmt::Arguments<'_>,
    window: Window,
    episodes: impl IntoIterator<Item = Option<&'e Episode>>,
) -> String {
    let mut hash = Sha256::new();
    let window = format_args!("{} {}", window.number, window.expires.timestamp());
    hash.update(format!("{} {what} {window}", env!("CARGO_PKG_VERSION")));
    for episode in episodes {
        hash.update(format!(" {:?}", episode.map(version)));
    }
    conditional::weak(hash.finalize())
}

/// The head of an answer with this tag; the whole answer when the caller knows it.
#[expect(clippy::result_large_err, reason = "it is no error, and goes no further than its caller")]
pub(in crate::http) fn tagged(request: &Request, tag: &str) -> Result<ResponseBuilder, Response> {
    let response = Response::builder()
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::VARY, "Authorization, Cookie, Accept-Encoding");
    match conditional::is_known(request, tag) {
        true => Err(response.status(StatusCode::NOT_MODIFIED).finish()),
        false => Ok(response),
    }
}

/// The episode in the address, as one of the learner who asks; whether it is, nobody has looked yet.
///
/// # Errors
/// [`Refusal::NotFound`] for what is no number, and as [`auth::learner`].
pub(in crate::http) async fn own(app: &App, request: &Request) -> Result<Own, Refusal> {
    let user_id = auth::learner(app, request).await?;
    let id = request.raw_path_param("id").and_then(|id| id.parse().ok()).ok_or(Refusal::NotFound)?;
    Ok(Own { id, user_id, expired: app.expired(app.clock.now()) })
}

/// What changes with what is shown of an episode, its addresses aside.
pub(in crate::http) fn version(episode: &Episode) -> (i64, Status, DateTime<Utc>, i32, bool, bool) {
    (episode.id, episode.status, episode.updated_at, episode.position_ms, episode.is_liked, episode.is_shared)
}
