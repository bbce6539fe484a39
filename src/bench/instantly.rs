//! Steps that cost nothing, for whoever measures the engine around them.

use std::time::Duration;

use tokio::sync::watch;

use crate::{
    machine::{Event, RetryPolicy, Status},
    podcast::{Artefacts, Attempt, ChunkPlan, Outcome, Podcast},
    worker::Work,
};

/// Characters of the script that every podcast carries.
pub(super) const SCRIPT_CHARACTERS: usize = 4096;

/// Seconds that script, speech and upload take, before the scale.
pub(super) const LATENCIES: [f64; 3] = [15.0, 20.0, 3.0];

/// Steps whose outside calls answer at once. Counts what is finished, so that nobody has to ask
/// the database under test.
pub(super) struct Instantly {
    script: String,
    latency: f64,
    finished: watch::Sender<u32>,
}

impl Instantly {
    /// Steps that make scripts of so many characters. With a `latency` they are not instant.
    pub(super) fn new(characters: usize, latency: f64) -> Self {
        Self { script: script(characters), latency, finished: watch::Sender::new(0) }
    }

    /// Steps that answer at once.
    pub(super) fn at_once() -> Self {
        Self::new(SCRIPT_CHARACTERS, 0.0)
    }

    /// Tells how many podcasts are finished.
    pub(super) fn finished(&self) -> watch::Receiver<u32> {
        self.finished.subscribe()
    }

    async fn wait(&self, status: Status) {
        let [script, speech, upload] = LATENCIES;
        let seconds = match status {
            Status::Pending => script,
            Status::AudioGenerating => speech,
            Status::PendingUpload => upload,
            _ => 0.0,
        };
        if self.latency > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(seconds * self.latency)).await;
        }
    }
}

impl Work for Instantly {
    async fn advance(&self, podcast: &Podcast, _: &Attempt<'_>) -> Outcome {
        self.wait(podcast.status).await;
        let text = |text: &str| Some(text.to_owned());
        let (event, made) = match podcast.status {
            Status::Pending => (
                Event::ScriptReady,
                Artefacts {
                    script_text: Some(self.script.clone()),
                    language: text("en"),
                    title: text("A title"),
                    topic: text("A topic"),
                    ai_model_used: text("template"),
                    is_fallback: Some(false),
                    ..Artefacts::default()
                },
            ),
            Status::ScriptGenerated => (
                Event::SpeechStarted,
                Artefacts {
                    tts_provider: text("local"),
                    tts_voice: text("voice"),
                    tts_voice_gender: text("female"),
                    chunk_plan: Some(ChunkPlan { ends: vec![SCRIPT_CHARACTERS], round: 1, ..ChunkPlan::default() }),
                    ..Artefacts::default()
                },
            ),
            Status::AudioGenerating => (
                Event::AudioReady,
                Artefacts {
                    spool_ref: text("memory"),
                    audio_sha256: Some("0".repeat(64)),
                    audio_bytes: Some(1_000_000),
                    duration_seconds: Some(240),
                    ..Artefacts::default()
                },
            ),
            _ => (
                Event::Uploaded(podcast.script()),
                Artefacts {
                    audio_url: Some(format!("s3://bucket/podcasts/{}", podcast.id)),
                    object_key: Some(format!("podcasts/{}", podcast.id)),
                    object_etag: Some("0".repeat(32)),
                    ..Artefacts::default()
                },
            ),
        };
        Outcome::done(event, made)
    }

    fn retry_policy(&self, _: Status) -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            first_delay: Duration::from_secs(1),
            factor: 2.0,
            max_delay: Duration::from_secs(10),
            jitter: 0.0,
        }
    }

    fn time_limit(&self, _: Status) -> Duration {
        Duration::from_secs(60)
    }

    async fn clean_up(&self, _: i64) {
        self.finished.send_modify(|finished| *finished += 1);
    }
}

/// A text of plain words, as compressible as prose.
pub(super) fn script(characters: usize) -> String {
    let words =
        ["review", "the", "past", "tense", "of", "seven", "verbs", "and", "answer", "ten", "questions", "today"];
    let mut text = String::with_capacity(characters + 16);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < characters {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(words[usize::try_from(state % words.len() as u64).unwrap_or_default()]);
        text.push(' ');
    }
    text.truncate(characters);
    text
}
