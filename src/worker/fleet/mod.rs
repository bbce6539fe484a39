//! The gate that the whole fleet shares: breakers, rate limits and the budget hold for all workers
//! together, and outlive them.
//!
//! Every process keeps a copy of what the fleet knows and decides by it at once; calls that come
//! often share their statements, one that comes alone costs one for its slot. About once a second, and at once when a breaker moves, a
//! task ([`sync`]) tells the database what the calls of this process showed and reads what those of
//! the others did. The slots of a rate limit are reserved in the database before they are used, for
//! many calls at a time ([`slots`]), so the limit is never exceeded; the limit of calls at once is
//! shared out evenly among the living workers. While the database is away the last known state
//! holds.
//!
//! What can be late by one round: the news of a breaker that opened elsewhere, and what the other
//! processes have spent. So a night can cost more than its budget by the calls that were under way
//! when it was reached, and by what the other workers' calls of that second cost.

mod budget;
mod desk;
mod operator;
mod row;
mod slots;
mod sync;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use rand::RngExt as _;
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    machine::FailureKind,
    podcast::{Call, Failure},
    provider::{
        breaker::Door,
        gate::{Gate, Pass, Wish},
    },
    store::{self, Store, providers},
    workflow::Limits,
};

use budget::{Budget, Verdict};
use desk::{Alone, Desk, Place};

pub use operator::{Provider, close, list, open};
pub use row::SILENT_KINDS;
pub use sync::KNOWN_WITHIN;

/// The longest wait for a turn.
pub const TURN: Duration = Duration::from_secs(5);

/// When it is worth asking again if nobody can say.
const SOON: Duration = Duration::from_secs(5);

/// A probe that was not heard of for so long, and for twice the longest call, is given to another
/// process: its own may be gone.
const PROBE_PATIENCE: Duration = Duration::from_secs(120);

/// The longest wait for the last news of a process that ends.
const PARTING: Duration = Duration::from_secs(5);

/// What the gate holds to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call this worker.
    pub name: String,
    /// What each provider may be asked for; who is not in it has no limit.
    pub limits: BTreeMap<String, Limits>,
    /// What a night may cost; `None`: no limit.
    pub micro_usd_per_night: Option<i64>,
    /// The longest that a call may take: until then a probe is not given away.
    pub longest_call: Duration,
    /// The longest wait for a place, and then for a slot; a call whose turn comes later is refused,
    /// and may come again. [`TURN`], except in tests.
    pub turn: Duration,
}

/// What all calls of the process share.
struct Shared {
    store: Store,
    name: String,
    /// Whose probes are this process's: the name, and what no other process has.
    owner: String,
    turn: Duration,
    probe_patience: Duration,
    desks: BTreeMap<String, Arc<Desk>>,
    budget: Budget,
    clock: Mutex<Option<(DateTime<Utc>, Instant)>>,
    learned: Notify,
    urgent: Notify,
    /// Held by the one task that sums up what nights have cost.
    meeting: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    /// The database's clock, as far as this process knows; `None` before it was read once.
    fn now(&self) -> Option<DateTime<Utc>> {
        let known = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        known.map(|(at, when)| at + when.elapsed())
    }

    fn set_clock(&self, now: DateTime<Utc>) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
    }

    /// Waits until `known` knows, or the time is over.
    async fn until_known<T>(&self, deadline: Instant, known: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            let learned = self.learned.notified();
            tokio::pin!(learned);
            learned.as_mut().enable();
            if let Some(known) = known() {
                return Some(known);
            }
            self.urgent.notify_one();
            tokio::time::timeout_at(deadline, learned).await.ok()?;
        }
    }
}

/// The gate of one process; see the module.
pub struct Fleet {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
    ending: DropGuard,
}

impl Fleet {
    /// Begins to share with the fleet. No call is let through before the database was read once.
    pub fn start(store: Store, settings: Settings) -> Arc<Self> {
        let fleet = Self::idle(store, settings);
        let task = tokio::spawn(sync::run(Arc::clone(&fleet.shared), fleet.token()));
        *fleet.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        fleet
    }

    /// As [`Fleet::start`], but it shares only when [`Fleet::sync`] is called.
    pub fn idle(store: Store, settings: Settings) -> Arc<Self> {
        let desk = |(name, limits): (&String, &Limits)| (name.clone(), Arc::new(Desk::new(name, *limits)));
        let shared = Shared {
            store,
            owner: format!("{} {}", settings.name, rand::rng().random::<u64>()),
            name: settings.name.clone(),
            turn: settings.turn,
            probe_patience: PROBE_PATIENCE.max(settings.longest_call.saturating_mul(2)),
            desks: settings.limits.iter().map(desk).collect(),
            budget: Budget::new(settings.micro_usd_per_night),
            clock: Mutex::new(None),
            learned: Notify::new(),
            urgent: Notify::new(),
            meeting: Arc::default(),
        };
        let ending = CancellationToken::new().drop_guard();
        Arc::new(Self { shared: Arc::new(shared), task: Mutex::new(None), ending })
    }

    fn token(&self) -> CancellationToken {
        self.ending.token().clone()
    }

    /// Tells the fleet what this process knows, and learns what the others do. Done by itself about
    /// once a second.
    ///
    /// # Errors
    /// When the database did not take or tell it; what was not told is told the next time.
    pub async fn sync(&self) -> Result<(), store::Error> {
        sync::once(&self.shared).await
    }

    /// Tells the last news and stops sharing. Bounded.
    pub async fn end(&self) {
        self.token().cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = tokio::time::timeout(PARTING, task).await;
        }
    }
}

/// No call may begin now.
fn refused(kind: FailureKind, wish: &Wish<'_>, message: impl Into<String>, retry_after: Duration) -> Failure {
    let mut failure = Failure::new(kind, message).at(wish.provider);
    failure.retry_after = Some(retry_after);
    failure
}

#[async_trait]
impl Gate for Fleet {
    async fn admit(&self, wish: &Wish<'_>) -> Result<Box<dyn Pass>, Failure> {
        let shared = &self.shared;
        let deadline = Instant::now() + shared.turn;
        if wish.is_paid {
            shared.within_budget(wish, deadline).await?;
        }
        let entry = match shared.desks.get(wish.provider) {
            None => None,
            Some(desk) => Some(shared.enter(desk, wish, deadline).await?),
        };
        Ok(Box::new(Admitted { shared: Arc::clone(shared), night: wish.night, entry }))
    }
}

impl Shared {
    async fn within_budget(&self, wish: &Wish<'_>, deadline: Instant) -> Result<(), Failure> {
        let verdict = self.until_known(deadline, || self.budget.verdict(wish.night)).await;
        match verdict {
            Some(Verdict::Within) => Ok(()),
            Some(Verdict::Reached) => {
                let message = format!("the night of {} has cost its budget", wish.night);
                Err(Failure::new(FailureKind::BudgetReached, message).at(wish.provider))
            }
            None => Err(refused(FailureKind::OwnLimit, wish, "it is not known yet what the night has cost", SOON)),
        }
    }

    /// Through the door, to a free place, in its turn.
    async fn enter(&self, desk: &Arc<Desk>, wish: &Wish<'_>, deadline: Instant) -> Result<Entry, Failure> {
        if self.until_known(deadline, || self.now()).await.is_none() {
            let message = "it is not known yet what the other workers know of the provider";
            return Err(refused(FailureKind::OwnLimit, wish, message, SOON));
        }
        self.pause_over(desk, deadline).await;
        // Of those that wait before a half-open breaker one goes on, without taking the others' turns.
        let mut alone = match self.door(desk, wish)? {
            (Door::Probe, _) => Some(desk.try_alone().ok_or_else(|| shut(desk, wish, Some(SOON)))?),
            _ => None,
        };
        let full = || {
            let message = format!("{} has as many calls under way as it may have", desk.name);
            refused(FailureKind::OwnLimit, wish, message, SOON)
        };
        // No slot is spent while there is no place, and no place is held while waiting for a slot.
        drop(desk.place(deadline).await.ok_or_else(full)?);
        desk.turn(&self.store, self.turn).await.map_err(|none| {
            let message = match none.is_unknown {
                true => format!("the database did not say in time when {} may be called", desk.name),
                false => format!("{} has had as many calls this minute as it may have", desk.name),
            };
            refused(FailureKind::OwnLimit, wish, message, none.wait)
        })?;
        let place = desk.place(Instant::now() + self.turn).await.ok_or_else(full)?;
        // It may have moved meanwhile.
        let (door, mut generation) = self.door(desk, wish)?;
        let mut is_probe = door == Door::Probe;
        if is_probe {
            alone = Some(alone.or_else(|| desk.try_alone()).ok_or_else(|| shut(desk, wish, Some(SOON)))?);
            (generation, is_probe) = self.take_probe(desk).await.ok_or_else(|| shut(desk, wish, Some(SOON)))?;
        }
        let _alone = alone.filter(|_| is_probe);
        Ok(Entry { desk: Arc::clone(desk), _place: place, _alone, generation, is_probe, is_over: false })
    }

    /// Waits for the end of a pause that the provider asked for, if that comes in time: a short one
    /// is no reason to go elsewhere.
    async fn pause_over(&self, desk: &Desk, deadline: Instant) {
        while let Some(left) = self.now().and_then(|now| desk.pause(now)) {
            let ends = Instant::now() + left;
            if ends > deadline {
                return;
            }
            tokio::time::sleep_until(ends).await;
        }
    }

    /// The door if it is not shut, and the generation of the breaker.
    fn door(&self, desk: &Desk, wish: &Wish<'_>) -> Result<(Door, i64), Failure> {
        let now = self.now().unwrap_or_default();
        let (door, generation) = desk.door(now);
        match door {
            Door::Shut(until) => Err(shut(desk, wish, until.map(|until| (until - now).to_std().unwrap_or_default()))),
            door => Ok((door, generation)),
        }
    }

    /// Tries to get the one probe of the fleet. Returns the generation of the breaker, and whether
    /// the call is the probe: it is none where the breaker is closed already.
    ///
    /// The caller holds the desk's [`Alone`]. So a probe that is this process's in the row is one
    /// whose answer was lost on its way: it is taken again.
    async fn take_probe(&self, desk: &Desk) -> Option<(i64, bool)> {
        let number = desk.ask();
        let (mut is_ours, mut is_open) = (false, false);
        let take = providers::change(&self.store, &desk.name, |state, now| {
            let mut breaker = row::breaker(state);
            is_open = breaker.door(now) == Door::Open;
            is_ours = breaker.take_probe(&self.owner, now, self.probe_patience);
            row::keep(&breaker, state);
            Vec::new()
        });
        let changed = tokio::time::timeout(self.turn, take).await.ok()?.ok()?;
        if is_ours {
            desk.took_probe();
        }
        desk.learn(number, &changed.state, changed.now);
        (is_ours || is_open).then_some((changed.state.generation, is_ours))
    }
}

/// Why no call may go to the provider.
fn shut(desk: &Desk, wish: &Wish<'_>, wait: Option<Duration>) -> Failure {
    let (kind, message) = desk.reason();
    let mut failure = Failure::new(kind, message).at(wish.provider);
    // Only an open breaker can wait for an operator.
    failure.retry_after = wait.or((kind == FailureKind::OwnLimit).then_some(SOON));
    failure
}

/// One call at a provider with limits.
struct Entry {
    desk: Arc<Desk>,
    _place: Place,
    _alone: Option<Alone>,
    generation: i64,
    is_probe: bool,
    is_over: bool,
}

/// The right to make one call.
struct Admitted {
    shared: Arc<Shared>,
    night: NaiveDate,
    entry: Option<Entry>,
}

impl Pass for Admitted {
    fn ended(mut self: Box<Self>, result: Result<(), &Failure>, call: &Call) {
        self.shared.budget.spend(self.night, call.cost_micro_usd);
        let Some(entry) = &mut self.entry else { return };
        entry.is_over = true;
        let now = self.shared.now().unwrap_or_default();
        if entry.desk.ended(entry.generation, entry.is_probe, result, call, now) {
            self.shared.urgent.notify_one();
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(entry) = self.entry.as_ref().filter(|entry| entry.is_probe && !entry.is_over) else { return };
        entry.desk.broken_off(entry.generation, self.shared.now().unwrap_or_default());
        self.shared.urgent.notify_one();
    }
}
