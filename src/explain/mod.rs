//! Where a podcast stands, why, since when, when it goes on by itself, and what the button does: in
//! words. One pure function, [`explain`], for pages, command line and alerts alike.
//!
//! The words state what was observed and never guess. Grey is what waits, amber what is stuck, red
//! what failed. A scheduled retry is not stuck: [`Tone::Stuck`] means what `dailycast.is_stuck` means
//! in the database, that nothing will move it, and a test compares the two.

pub mod advice;

mod ends;
mod facts;
mod held;
mod remedies;
mod waits;
mod words;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

pub use facts::{Facts, Holder, Pace, Pause, Provider};

/// How much a state of affairs asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// It is made, or is being made.
    Well,
    /// It waits for a stated time, for its turn, or on purpose.
    Waiting,
    /// Nothing will move it.
    Stuck,
    /// It was given up.
    Failed,
}

/// The state of affairs in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The word for programs, like `worker_lost`.
    pub cause: &'static str,
    /// How much it asks for.
    pub tone: Tone,
    /// What was observed, one to three sentences.
    pub sentence: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How long the step usually takes, in seconds; null when it is not under way, or not known.
    pub usual_seconds: Option<u64>,
    /// When it goes on by itself, if that is known.
    pub mends_at: Option<DateTime<Utc>>,
    /// How it goes on by itself, in a sentence, if it does.
    pub mends: Option<String>,
    /// What is to be done, if anything: what the button does and costs.
    pub remedy: Option<Remedy>,
}

/// What an operator may do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// `requeue`, `regenerate`, `resume`, `close_provider`, `start_worker`, `raise_budget`.
    pub verb: &'static str,
    /// What the button says.
    pub label: String,
    /// What it does and costs, in a sentence or two.
    pub effect: String,
}

impl Explanation {
    /// What was observed, and nothing beside.
    fn new(cause: &'static str, tone: Tone, since: DateTime<Utc>, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { cause, tone, sentence, since, usual_seconds: None, mends_at: None, mends: None, remedy: None }
    }

    fn mending(mut self, at: Option<DateTime<Utc>>, how: impl Into<String>) -> Self {
        (self.mends_at, self.mends) = (at, Some(how.into()));
        self
    }

    fn with(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

/// The explanation whose cause most of these share; `None` of none.
pub fn most_frequent(explanations: impl IntoIterator<Item = Explanation>) -> Option<Explanation> {
    let mut causes: Vec<(usize, Explanation)> = Vec::new();
    for explanation in explanations {
        match causes.iter_mut().find(|(_, known)| known.cause == explanation.cause) {
            Some((count, _)) => *count += 1,
            None => causes.push((1, explanation)),
        }
    }
    causes.into_iter().max_by_key(|(count, _)| *count).map(|(_, explanation)| explanation)
}

/// What was to move a due podcast has this long before it counts as missing, and the sweep needs no
/// longer to mend it where it can.
const GRACE: TimeDelta = TimeDelta::minutes(1);

/// Says where a podcast stands at `now`, by the database's clock.
pub fn explain(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    if facts.status.is_final() {
        return ends::explain(facts, now);
    }
    match (&facts.pause, &facts.holder) {
        (Some(pause), Some(holder)) if !holder.is_lost(now) => held::before_the_pause(facts, pause, holder, now),
        (Some(pause), _) => waits::paused(facts, pause, now),
        (None, Some(holder)) => held::explain(facts, holder, now),
        (None, None) if facts.next_attempt_at > now => waits::for_its_time(facts, now),
        (None, None) => waits::overdue(facts, now),
    }
}
