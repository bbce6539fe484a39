//! Whether a failed attempt is tried again, when, and why.

use std::time::Duration;

use super::failure::{FailureKind, Remedy};

/// How patiently the work of a status is retried. Read from `workflows/daily_podcast.toml`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, from 1. Snoozing uses none.
    pub max_attempts: u32,
    /// The delay after the first failed attempt.
    pub first_delay: Duration,
    /// What each further delay is multiplied by; at least 1.
    pub factor: f64,
    /// The longest delay, before jitter.
    pub max_delay: Duration,
    /// The random share of a delay, 0 to 1: a delay `d` becomes `d - jitter·d` to `d`.
    pub jitter: f64,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this delay.
    Retry {
        /// From now.
        after: Duration,
        /// Why it may be tried again.
        reason: Reason,
    },
    /// Do not try again.
    GiveUp {
        /// Why not.
        reason: Reason,
    },
}

/// The ground of a [`Decision`], kept in the event line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Attempts are left and there is time.
    Backoff,
    /// The other side named a time.
    AskedToWait,
    /// Nothing is wrong with this podcast; it waits for something shared.
    Snoozed,
    /// All attempts were used.
    AttemptsExhausted,
    /// The next try would come after the deadline.
    DeadlineTooClose,
    /// Time would not mend it.
    Hopeless,
}

impl Reason {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Backoff => "tried again after a growing delay",
            Self::AskedToWait => "tried again when the provider asked for it",
            Self::Snoozed => "waits without using an attempt",
            Self::AttemptsExhausted => "all attempts were used",
            Self::DeadlineTooClose => "the next try would come after the deadline",
            Self::Hopeless => "trying again would not help",
        }
    }
}

impl RetryPolicy {
    /// The delay after the failure of `attempt` (from 1). `chance` is a random number from 0
    /// (inclusive) to 1 (exclusive).
    pub fn delay(&self, attempt: u32, chance: f64) -> Duration {
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.first_delay.as_secs_f64() * self.factor.max(1.0).powi(steps);
        let capped = grown.min(self.max_delay.as_secs_f64());
        Duration::from_secs_f64(capped * (1.0 - self.jitter.clamp(0.0, 1.0) * chance))
    }
}

/// Decides what follows the failure of `attempt` (from 1).
///
/// `asked` is the wait that the other side asked for; a longer one than our own wins.
/// `time_left` is the time until the deadline, zero when it has passed. `chance` as in
/// [`RetryPolicy::delay`].
pub fn decide(
    kind: FailureKind,
    attempt: u32,
    policy: &RetryPolicy,
    asked: Option<Duration>,
    time_left: Duration,
    chance: f64,
) -> Decision {
    let snoozes = match kind.remedy() {
        Remedy::GiveUp => return Decision::GiveUp { reason: Reason::Hopeless },
        Remedy::Snooze => true,
        Remedy::RetryLater | Remedy::NextProvider => false,
    };
    if !snoozes && attempt >= policy.max_attempts {
        return Decision::GiveUp { reason: Reason::AttemptsExhausted };
    }
    let own = policy.delay(attempt.max(1), chance);
    let after = own.max(asked.unwrap_or_default());
    if after >= time_left {
        return Decision::GiveUp { reason: Reason::DeadlineTooClose };
    }
    let reason = match (snoozes, asked) {
        (true, _) => Reason::Snoozed,
        (false, Some(asked)) if asked >= own => Reason::AskedToWait,
        (false, _) => Reason::Backoff,
    };
    Decision::Retry { after, reason }
}
