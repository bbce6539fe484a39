//! The breaker of one provider, as pure code: what opens it, how long it rests, who may probe. The
//! whole fleet shares one state per provider; the worker keeps it in the database and changes it
//! only through this code, under the row's lock.
//!
//! ```text
//!            failures in a row               its end has passed
//!   closed ────────────────────► open until ────────────────────► half-open: one probe at a time
//!     ▲ │  no credit, key refused              ▲                      │          │
//!     │ └────────────────────► open for good   └── it failed: twice ──┘          │
//!     │                             │                as long                     │
//!     └──── an operator closes it ──┴────────────────────────── the probe ended well
//! ```
//!
//! What counts: no answer in time, a provider that is down, and answers of no use; one of those may
//! be chance, several in a row, whoever the learner, are not. A request that was declined or called
//! wrong was answered: the provider is well. One that asks for fewer calls is well, too; it gets a
//! pause, which opens nothing.
//!
//! Every change begins a new *generation*, and a call counts in the generation it began in. So the
//! many calls that were under way when a breaker opened neither prolong its rest nor close it, nor
//! open it again after an operator has closed it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{machine::FailureKind, podcast::Failure, workflow::BreakerRules};

/// The pause after an answer that asks for fewer calls and does not say for how long.
pub const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause a provider can ask for; after it, it is asked again.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// While a probe is under way, this is when it is worth asking again: it may end at any time.
pub const PROBE_TAKES: Duration = Duration::from_secs(5);

/// What the end of a call says about its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It answers.
    Well,
    /// It does not, so many times in a row.
    Ill(u32),
    /// It wants to be paid first.
    OutOfCredit,
    /// It does not accept our key.
    KeyRefused,
    /// It asks for a pause.
    Pause(Duration),
    /// The probe was broken off and says nothing.
    BrokenOff,
}

impl Signal {
    /// What a result says; `None` for a failure that is not the provider's.
    pub fn of(result: Result<(), &Failure>) -> Option<Self> {
        let Err(failure) = result else { return Some(Self::Well) };
        match failure.kind {
            FailureKind::Timeout | FailureKind::Unavailable | FailureKind::BadAnswer => Some(Self::Ill(1)),
            FailureKind::ContentRefused | FailureKind::BadRequest | FailureKind::ModelRetired => Some(Self::Well),
            FailureKind::OutOfCredit => Some(Self::OutOfCredit),
            FailureKind::KeyRefused => Some(Self::KeyRefused),
            FailureKind::RateLimited => {
                Some(Self::Pause(failure.retry_after.unwrap_or(SHORT_PAUSE).min(LONGEST_PAUSE)))
            }
            _ => None,
        }
    }
}

/// A signal, and the call it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The generation in which the call began.
    pub generation: i64,
    /// What it says.
    pub signal: Signal,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// Why a breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too many calls in a row failed.
    Failures,
    /// The account has no credit.
    OutOfCredit,
    /// The key is refused.
    KeyRefused,
    /// Someone wanted it so.
    Operator,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Failures, Self::OutOfCredit, Self::KeyRefused, Self::Operator];

    /// The name in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::OutOfCredit => "out_of_credit",
            Self::KeyRefused => "key_refused",
            Self::Operator => "operator",
        }
    }
}

/// An open breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until a probe may be made; `None` until an operator closes it.
    pub until: Option<DateTime<Utc>>,
    /// The length of its last rest, which the next one doubles.
    pub rest: Duration,
    /// The probe that is under way.
    pub probe: Option<Probe>,
}

/// The one call that tries a provider out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whose it is.
    pub by: String,
    /// After this another may be made: its process is gone.
    pub until: DateTime<Utc>,
}

/// What a breaker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened, or rests once more after a probe that failed.
    Opened(Cause),
    /// The provider is back, or an operator says so.
    Closed,
}

/// May a call begin?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Yes.
    Open,
    /// Yes, for the one that takes the probe.
    Probe,
    /// Not before then; `None`: not before an operator closes the breaker.
    Shut(Option<DateTime<Utc>>),
}

/// The state of one provider's breaker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Grows with every change.
    pub generation: i64,
    /// `None`: closed.
    pub opening: Option<Opening>,
    /// Failures since the last call that ended well.
    pub failures: u32,
    /// The provider asked for a pause until then.
    pub paused_until: Option<DateTime<Utc>>,
}

impl Breaker {
    /// Whether a call may begin.
    pub fn door(&self, now: DateTime<Utc>) -> Door {
        let pause = self.paused_until.filter(|until| *until > now);
        match (&self.opening, pause) {
            (None, None) => Door::Open,
            (None, until) => Door::Shut(until),
            (Some(Opening { until: None, .. }), _) => Door::Shut(None),
            (Some(Opening { until: Some(until), probe, .. }), pause) => {
                let until = pause.map_or(*until, |pause| pause.max(*until));
                if until > now {
                    Door::Shut(Some(until))
                } else {
                    let probe = probe.as_ref().filter(|probe| probe.until > now);
                    probe.map_or(Door::Probe, |probe| Door::Shut(Some(probe.until.min(now + PROBE_TAKES))))
                }
            }
        }
    }

    /// Takes the probe if there is one to take, or if it is theirs already: they may not have heard
    /// of it. It is given to another after `patience`.
    pub fn take_probe(&mut self, by: &str, now: DateTime<Utc>, patience: Duration) -> bool {
        let is_theirs = |opening: &Opening| opening.probe.as_ref().is_some_and(|probe| probe.by == by);
        let is_free = self.door(now) == Door::Probe || self.opening.as_ref().is_some_and(is_theirs);
        if let Some(opening) = self.opening.as_mut().filter(|_| is_free) {
            opening.probe = Some(Probe { by: by.to_owned(), until: now + patience });
        }
        is_free
    }

    /// Takes note of how a call ended.
    pub fn note(&mut self, seen: &Sighting, rules: &BreakerRules) -> Option<Change> {
        if seen.generation != self.generation {
            return None;
        }
        if let Signal::Pause(wait) = seen.signal {
            self.paused_until = self.paused_until.max(Some(seen.at + wait));
        }
        let rest = match &mut self.opening {
            None => match seen.signal {
                Signal::Well => {
                    self.failures = 0;
                    return None;
                }
                Signal::Ill(times) => {
                    self.failures = self.failures.saturating_add(times);
                    (self.failures >= rules.open_after).then_some(rules.first_rest)?
                }
                _ => Duration::ZERO,
            },
            Some(opening) => {
                // In this generation none but probes began.
                opening.probe.take()?;
                match seen.signal {
                    Signal::Well => return Some(self.close()),
                    Signal::Ill(times) => {
                        self.failures = self.failures.saturating_add(times);
                        (opening.rest * 2).max(rules.first_rest).min(rules.longest_rest)
                    }
                    _ => Duration::ZERO,
                }
            }
        };
        let (cause, until) = match seen.signal {
            Signal::Ill(_) => (Cause::Failures, Some(seen.at + rest)),
            Signal::OutOfCredit => (Cause::OutOfCredit, None),
            Signal::KeyRefused => (Cause::KeyRefused, None),
            Signal::Well | Signal::Pause(_) | Signal::BrokenOff => return None,
        };
        Some(self.open(cause, seen.at, until, rest))
    }

    /// An operator opens it: until then, or until it is closed by hand.
    pub fn open_by_hand(&mut self, now: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Change {
        self.opening = None;
        self.open(Cause::Operator, now, until, Duration::ZERO)
    }

    /// An operator closes it. Calls may begin at once, whatever the provider asked for, and the calls
    /// of before ask for nothing more. `None` when there was nothing to end.
    pub fn close_by_hand(&mut self, now: DateTime<Utc>) -> Option<Change> {
        let is_paused = self.paused_until.take().is_some_and(|until| until > now);
        (is_paused || self.opening.is_some() || self.failures > 0).then(|| self.close())
    }

    fn open(&mut self, cause: Cause, at: DateTime<Utc>, until: Option<DateTime<Utc>>, rest: Duration) -> Change {
        let since = self.opening.as_ref().map_or(at, |opening| opening.since);
        self.generation += 1;
        self.opening = Some(Opening { cause, since, until, rest, probe: None });
        Change::Opened(cause)
    }

    fn close(&mut self) -> Change {
        self.generation += 1;
        self.opening = None;
        self.failures = 0;
        Change::Closed
    }
}
