//! One podcast as the engine sees it: the claimed row, and what a step adds to it. Plain data,
//! shared by the store that reads and writes it and by the steps that work on it.

mod attempt;
mod span;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use attempt::{Attempt, Begun, Bill, Intent, Ledger};

use crate::machine::{Event, FailureKind, Lease, Script, Status};

/// A claimed row of `dailycast.daily_podcast`, with all that any step needs.
#[derive(Debug, Clone)]
pub struct Podcast {
    /// The right to advance it.
    pub lease: Lease,
    /// The row's key.
    pub id: i64,
    /// The learner in the academy.
    pub user_id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Where it stands.
    pub status: Status,
    /// Failed attempts at the work of this status so far.
    pub attempt: u32,
    /// Moves the row has had under any lease.
    pub moves: i32,
    /// After this the work is given up.
    pub deadline_at: DateTime<Utc>,
    /// The database's clock when the row was read.
    pub now: DateTime<Utc>,
    /// The learner's subscription.
    pub plan: String,
    /// What the steps have made so far.
    pub made: Artefacts,
}

/// What the steps make of a podcast. As the result of a step, `None` leaves the column as it is.
/// Field names are column names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artefacts {
    /// The words that are spoken; plain text, paragraphs parted by blank lines.
    #[serde(skip)]
    pub script_text: Option<String>,
    /// BCP 47 primary tag of the script: `en`, `ja`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Title of the episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the episode is about, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Model id, or `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_model_used: Option<String>,
    /// Tokens billed for the script: `{"input": n, "output": n}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_usage: Option<serde_json::Value>,
    /// True when the template filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_fallback: Option<bool>,
    /// The provider that speaks: `polly`, `google`, `azure`, `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts_provider: Option<String>,
    /// The provider's name of the voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts_voice: Option<String>,
    /// `female` or `male`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts_voice_gender: Option<String>,
    /// Where the script is split for this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_plan: Option<ChunkPlan>,
    /// Where the finished MP3 waits for its upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_ref: Option<String>,
    /// SHA-256 of the finished MP3, lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_sha256: Option<String>,
    /// Size of the finished MP3 in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_bytes: Option<i64>,
    /// Length of the finished MP3 in whole seconds, counted from its frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
    /// Integrated loudness in LUFS (EBU R 128), when it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<f64>,
    /// Address of the object: `s3://bucket/key`. Never a signed URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_url: Option<String>,
    /// Key of the object in its bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_key: Option<String>,
    /// ETag of the object as the store gave it, without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_etag: Option<String>,
    /// What else is worth keeping about how it was made; replaces the column as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}

/// How the script is cut for a provider, so that a crash repeats at most the chunks in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPlan {
    /// Byte offset in `script_text` behind each chunk; the last is the length of the text.
    pub ends: Vec<usize>,
    /// The round of the chain this plan belongs to, from 1; a new plan never meets old chunks.
    pub round: u32,
    /// How often the audio of this podcast was lost, so that a broken spool is not paid for again
    /// and again.
    #[serde(default)]
    pub losses: u32,
    /// Why the providers before this one do not speak, since the chain was last at its beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

/// A provider that was to speak and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its name.
    pub provider: String,
    /// The class of its failure, or of the refusal to let a call to it begin.
    pub kind: FailureKind,
    /// The failure in words, cut to a bounded length.
    pub why: String,
    /// The wait that was asked for, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// What came of one execution of a step: what happened and what was made. What it cost is in the
/// [`Ledger`].
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What happened.
    pub result: StepResult,
    /// Columns to set in the same commit.
    pub made: Artefacts,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepResult {
    /// The work of the status is done, or its audio is lost: a move of the machine.
    Done(Event),
    /// It did not work.
    Failed(Failure),
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Its class.
    pub kind: FailureKind,
    /// What exactly happened, for the operator. No secrets, no learner data.
    pub message: String,
    /// The provider it happened at.
    pub provider: Option<String>,
    /// The wait that the other side asked for.
    pub retry_after: Option<std::time::Duration>,
    /// The next attempt starts at once (at another provider), not after the usual delay.
    pub at_once: bool,
    /// What the provider's answer said of the call, where there was an answer: a refused or cut off
    /// script is paid for, too.
    pub billed: Option<Box<Billed>>,
}

/// What a provider tells of a call that failed all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Billed {
    /// The model that answered; `None` when none did, as of a refused key.
    pub model: Option<String>,
    /// Billed input tokens.
    pub input_tokens: u64,
    /// Billed output tokens.
    pub output_tokens: u64,
    /// The provider's name of the request.
    pub request_id: Option<String>,
}

/// One paid or payable request to a provider; a line of `dailycast.provider_call`.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `openai`, `polly`, `local`, `s3`, …
    pub provider: String,
    /// Model or voice engine.
    pub model: String,
    /// `script`, `speech` or `upload`.
    pub operation: &'static str,
    /// What the provider bills: `{"characters": n}`, `{"input_tokens": n, "output_tokens": n}`.
    pub units: serde_json::Value,
    /// Price of the units, in millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// From request to the last byte of the answer, in milliseconds.
    pub latency_ms: i32,
    /// `ok`, or the failure kind.
    pub outcome: &'static str,
    /// The provider's name of the request, if it gave one.
    pub request_id: Option<String>,
}

impl Failure {
    /// A failure of `kind` that is retried after the usual delay.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), provider: None, retry_after: None, at_once: false, billed: None }
    }

    /// Names the provider it happened at.
    #[must_use]
    pub fn at(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Adds what the provider told of the call.
    #[must_use]
    pub fn with_billed(mut self, billed: Billed) -> Self {
        self.billed = Some(Box::new(billed));
        self
    }
}

impl Outcome {
    /// The work is done and made this.
    pub fn done(event: Event, made: Artefacts) -> Self {
        Self { result: StepResult::Done(event), made }
    }

    /// The attempt failed and changes no artefact.
    pub fn failed(failure: Failure) -> Self {
        Self { result: StepResult::Failed(failure), made: Artefacts::default() }
    }
}

impl Podcast {
    /// Whose words the script is.
    pub fn script(&self) -> Script {
        if self.made.is_fallback == Some(true) { Script::Template } else { Script::Written }
    }
}
