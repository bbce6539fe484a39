//! Where a podcast stands, why, since when, when it goes on by itself, and what the button does: in
//! words. One pure function, [`explain`], for pages, command line and alerts alike.
//!
//! The words state what was observed and never guess. Waiting is no trouble; a scheduled retry is
//! not stuck.

pub mod advice;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::machine::{FailureKind, Status};

/// How much a state of affairs asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// It is made, or is being made.
    Well,
    /// It waits for a stated time, or on purpose.
    Waiting,
    /// Nothing will move it, or what should is overdue.
    Stuck,
    /// It was given up.
    Failed,
}

/// What is known of one podcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its status.
    pub status: Status,
    /// Failed attempts in this status.
    pub attempt: i32,
    /// Class of its last failure.
    pub error_kind: Option<FailureKind>,
    /// That failure in words.
    pub error_message: Option<String>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it is due.
    pub next_attempt_at: DateTime<Utc>,
    /// After this it is given up.
    pub deadline_at: DateTime<Utc>,
    /// The worker that holds it, if any.
    pub holder: Option<Holder>,
    /// A job names it and can be delivered.
    pub has_job: bool,
    /// Workers that are alive.
    pub living_workers: i64,
    /// Who paused everything, since when, and why.
    pub pause: Option<Pause>,
}

/// The worker that holds a podcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its last heartbeat.
    pub heartbeat_at: DateTime<Utc>,
    /// When its lease runs out.
    pub lease_until: DateTime<Utc>,
    /// It was declared dead, or stopped.
    pub is_gone: bool,
}

/// Everything is on hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since when.
    pub paused_at: DateTime<Utc>,
    /// By whom.
    pub paused_by: String,
    /// Why; may be empty.
    pub reason: String,
}

/// The state of affairs in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The word for programs, like `worker_lost`.
    pub cause: &'static str,
    /// How much it asks for.
    pub tone: Tone,
    /// What was observed, one or two sentences.
    pub sentence: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it goes on by itself, if it does.
    pub mends_at: Option<DateTime<Utc>>,
    /// What is to be done, if anything: what the button does and costs.
    pub remedy: Option<Remedy>,
}

/// What an operator may do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// `requeue`, `regenerate`, `resume`, `close_provider`, `start_worker`, …
    pub verb: &'static str,
    /// What the button says.
    pub label: String,
    /// What it does and costs, in a sentence.
    pub effect: String,
}

/// Says where a podcast stands at `now`.
pub fn explain(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let (cause, tone, sentence) = match facts.status {
        Status::Completed => ("completed", Tone::Well, "It is made and can be heard.".to_owned()),
        Status::CompletedWithFallback => {
            ("completed_with_fallback", Tone::Well, "It is made; the template wrote its script.".to_owned())
        }
        Status::Failed => {
            let why = facts.error_kind.map_or("an unknown reason", FailureKind::words);
            ("given_up", Tone::Failed, format!("It was given up: {why}."))
        }
        _ if facts.holder.is_some() => ("working", Tone::Well, "A worker is at it.".to_owned()),
        _ if facts.next_attempt_at > now => ("waiting", Tone::Waiting, "It waits for its next attempt.".to_owned()),
        _ => ("due", Tone::Waiting, "It is due and waits for a free worker.".to_owned()),
    };
    Explanation { cause, tone, sentence, since: facts.updated_at, mends_at: None, remedy: None }
}
