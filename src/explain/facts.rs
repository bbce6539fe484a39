//! What is known of a podcast, as plain data.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::machine::{FailureKind, Status};

/// What is known of one podcast, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its status.
    pub status: Status,
    /// Failed attempts in this status; those in all when it was given up.
    pub attempt: i32,
    /// How often its worker died since it last moved.
    pub crashes: i32,
    /// Class of its last failure.
    pub error_kind: Option<FailureKind>,
    /// That failure in words.
    pub error_message: Option<String>,
    /// Who did its last move, or failed to.
    pub provider: Option<String>,
    /// When it last changed; for one that is held, when this step began.
    pub updated_at: DateTime<Utc>,
    /// When it is due.
    pub next_attempt_at: DateTime<Utc>,
    /// After this it is given up.
    pub deadline_at: DateTime<Utc>,
    /// Its script is written.
    pub has_script: bool,
    /// Its audio lies in the spool.
    pub has_audio: bool,
    /// Calls to writers that failed: whom, and how. Known where the template wrote the script.
    pub refusals: Vec<(String, String)>,
    /// The worker that holds it, if any.
    pub holder: Option<Holder>,
    /// A job names it and can be delivered.
    pub has_job: bool,
    /// It was in flight at so many crashes that it runs alone.
    pub is_suspect: bool,
    /// Workers that are alive.
    pub living_workers: i64,
    /// Who paused everything, since when, and why.
    pub pause: Option<Pause>,
    /// How long the work of its status takes, where the workflow is known.
    pub pace: Option<Pace>,
    /// The providers' breakers, as far as they are known.
    pub providers: Arc<[Provider]>,
    /// What a night may cost, in micro-dollars, if anything is set.
    pub budget_micro_usd: Option<i64>,
}

/// The worker that holds a podcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its last heartbeat.
    pub heartbeat_at: DateTime<Utc>,
    /// The time between two heartbeats.
    pub beat: Duration,
    /// When its lease runs out unless it is heard again.
    pub lease_until: DateTime<Utc>,
    /// It was declared dead, or stopped.
    pub is_gone: bool,
}

impl Holder {
    /// Its claims are worth nothing any more.
    pub fn is_lost(&self, now: DateTime<Utc>) -> bool {
        self.is_gone || self.lease_until <= now
    }
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

/// How long the work of a status takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// On a usual night.
    pub usual: Duration,
    /// At most; then the attempt has failed.
    pub limit: Duration,
    /// Attempts in all.
    pub max_attempts: u32,
}

/// The breaker of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// `openai`, `polly`, …
    pub name: String,
    /// It gets no calls at the moment, but for a probe.
    pub is_open: bool,
    /// Until when; `None` while it is open: until it is closed by hand.
    pub until: Option<DateTime<Utc>>,
    /// Why it is open: `failures`, `out_of_credit`, `key_refused`, `operator`.
    pub cause: Option<String>,
    /// Failures since the last call that ended well.
    pub failures_in_a_row: i32,
}
