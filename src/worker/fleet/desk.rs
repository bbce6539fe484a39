//! One provider as this process sees it: a copy of the fleet's breaker, the news that the fleet was
//! not told yet, the places for calls at once, the slots of the rate limit.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{sync::Notify, time::Instant};

use super::{
    row,
    slots::{NoSlot, Slots},
};
use crate::{
    machine::FailureKind,
    podcast::{Call, Failure},
    provider::breaker::{Breaker, Door, Sighting, Signal},
    store::{
        Store,
        providers::{Spacing, State},
    },
    workflow::Limits,
};

/// The most sightings that are kept while nobody can be told; the oldest go first.
const MOST_SIGHTINGS: usize = 64;

/// The most retired models that are told at once.
const MOST_RETIRED: usize = 16;

/// One or more calls that ended, of which the breaker should know.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) generation: i64,
    pub(super) signal: Signal,
    pub(super) when: Instant,
    pub(super) message: String,
}

/// What the fleet was not told yet.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    pub(super) seen: VecDeque<Seen>,
    pub(super) calls: u32,
    pub(super) failures: u32,
    /// All calls together.
    pub(super) latency_ms: u64,
    pub(super) last: Option<Instant>,
    /// How often a model was said to be gone.
    pub(super) retired: BTreeMap<String, i64>,
}

impl Seen {
    /// With its time by the clock whose time is `now`.
    pub(super) fn sighting(&self, now: DateTime<Utc>) -> Sighting {
        Sighting { generation: self.generation, signal: self.signal, at: now - self.when.elapsed() }
    }
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.calls == 0 && self.seen.is_empty() && self.retired.is_empty()
    }

    /// Takes note of a sighting; those of one kind in a row become one.
    fn see(&mut self, seen: Seen) {
        match self.seen.back_mut().filter(|last| last.generation == seen.generation) {
            Some(last) if last.signal == Signal::Well && seen.signal == Signal::Well => last.when = seen.when,
            Some(Seen { signal: Signal::Ill(times), when, message, .. }) if matches!(seen.signal, Signal::Ill(_)) => {
                *times = times.saturating_add(1);
                (*when, *message) = (seen.when, seen.message);
            }
            _ => self.seen.push_back(seen),
        }
        self.forget_surplus();
    }

    /// What keeps a breaker open for good is never forgotten for what does not.
    fn forget_surplus(&mut self) {
        let is_grave = |seen: &Seen| matches!(seen.signal, Signal::OutOfCredit | Signal::KeyRefused);
        while self.seen.len() > MOST_SIGHTINGS {
            let oldest = self.seen.iter().position(|seen| !is_grave(seen));
            // Of grave ones only, the last repeats an earlier one.
            self.seen.remove(oldest.unwrap_or(MOST_SIGHTINGS));
        }
    }

    fn count(&mut self, result: Result<(), &Failure>, call: &Call) {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(result.is_err()));
        self.latency_ms = self.latency_ms.saturating_add(u64::try_from(call.latency_ms).unwrap_or_default());
        self.last = Some(Instant::now());
        let is_retired = result.is_err_and(|failure| failure.kind == FailureKind::ModelRetired);
        if is_retired && (self.retired.len() < MOST_RETIRED || self.retired.contains_key(&call.model)) {
            *self.retired.entry(call.model.clone()).or_default() += 1;
        }
    }

    /// Puts news that could not be told before these.
    fn after(mut self, mut earlier: Self) -> Self {
        earlier.seen.append(&mut self.seen);
        earlier.forget_surplus();
        earlier.calls = earlier.calls.saturating_add(self.calls);
        earlier.failures = earlier.failures.saturating_add(self.failures);
        earlier.latency_ms = earlier.latency_ms.saturating_add(self.latency_ms);
        earlier.last = self.last.or(earlier.last);
        for (model, times) in self.retired {
            *earlier.retired.entry(model).or_default() += times;
        }
        earlier
    }
}

#[derive(Debug, Default)]
struct View {
    /// The generation that the fleet told last.
    told: i64,
    /// The number of the first question that was asked after that answer.
    asked_after: u64,
    breaker: Breaker,
    message: String,
    news: News,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) name: String,
    pub(super) limits: Limits,
    view: Mutex<View>,
    slots: Slots,
    under_way: Mutex<u32>,
    freed: Notify,
    workers: AtomicU32,
    probing: Arc<tokio::sync::Mutex<()>>,
    questions: AtomicU64,
}

/// Held by the one call of this process that tries for the probe or is it.
pub(super) type Alone = tokio::sync::OwnedMutexGuard<()>;

/// A place for one call, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Desk>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.under_way() -= 1;
        self.0.freed.notify_one();
    }
}

impl Desk {
    pub(super) fn new(name: &str, limits: Limits) -> Self {
        Self {
            name: name.to_owned(),
            limits,
            view: Mutex::default(),
            slots: Slots::default(),
            under_way: Mutex::default(),
            freed: Notify::new(),
            workers: AtomicU32::new(1),
            probing: Arc::default(),
            questions: AtomicU64::new(0),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, u32> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may begin, and the generation it begins in.
    pub(super) fn door(&self, now: DateTime<Utc>) -> (Door, i64) {
        let view = self.view();
        (view.breaker.door(now), view.breaker.generation)
    }

    /// What is left of the pause that the provider asked for; `None` while it rests, too.
    pub(super) fn pause(&self, now: DateTime<Utc>) -> Option<Duration> {
        let view = self.view();
        let until = view.breaker.paused_until.filter(|_| view.breaker.opening.is_none())?;
        (until - now).to_std().ok().filter(|left| !left.is_zero())
    }

    /// Why no call may begin: a breaker that is open, or a mere pause, after which it is our turn.
    pub(super) fn reason(&self) -> (FailureKind, String) {
        let view = self.view();
        if view.breaker.opening.is_none() {
            return (FailureKind::OwnLimit, format!("{} asked for fewer calls and has a pause", self.name));
        }
        (FailureKind::BreakerOpen, format!("the breaker of {} is open: {}", self.name, view.message))
    }

    /// The right to try for the probe, and to make it, for one at a time in this process.
    pub(super) fn try_alone(&self) -> Option<Alone> {
        Arc::clone(&self.probing).try_lock_owned().ok()
    }

    /// Waits for a free place until `deadline`.
    pub(super) async fn place(self: &Arc<Self>, deadline: Instant) -> Option<Place> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut under_way = self.under_way();
                if *under_way < self.share() {
                    *under_way += 1;
                    return Some(Place(Arc::clone(self)));
                }
            }
            tokio::time::timeout_at(deadline, freed).await.ok()?;
        }
    }

    /// This worker's share of the calls at once.
    fn share(&self) -> u32 {
        (self.limits.at_once / self.workers.load(Ordering::Relaxed).max(1)).max(1)
    }

    /// The fleet has so many workers.
    pub(super) fn share_among(&self, workers: u32) {
        if self.workers.swap(workers.max(1), Ordering::Relaxed) > workers {
            self.freed.notify_waiters();
        }
    }

    /// Waits for a slot of the rate limit.
    ///
    /// # Errors
    /// When none begins `within` this time.
    pub(super) async fn turn(&self, store: &Store, within: Duration) -> Result<(), NoSlot> {
        let every = Duration::from_secs(60) / self.limits.calls_per_minute.max(1);
        let spacing = Spacing { every, burst: self.limits.burst, within };
        let workers = self.workers.load(Ordering::Relaxed);
        let begins = self.slots.take(store, &self.name, spacing, workers).await?;
        tokio::time::sleep_until(begins).await;
        Ok(())
    }

    /// A call ended. True when the fleet should know at once.
    pub(super) fn ended(
        &self,
        generation: i64,
        is_probe: bool,
        result: Result<(), &Failure>,
        call: &Call,
        now: DateTime<Utc>,
    ) -> bool {
        let signal = Signal::of(result).or(is_probe.then_some(Signal::BrokenOff));
        let message = result.err().map(|failure| failure.message.clone()).unwrap_or_default();
        let mut view = self.view();
        view.news.count(result, call);
        signal.is_some_and(|signal| {
            view.see(Seen { generation, signal, when: Instant::now(), message }, now, self.limits)
        }) || is_probe
    }

    /// A probe was dropped.
    pub(super) fn broken_off(&self, generation: i64, now: DateTime<Utc>) {
        let seen = Seen { generation, signal: Signal::BrokenOff, when: Instant::now(), message: String::new() };
        self.view().see(seen, now, self.limits);
    }

    /// Takes the news, to tell them.
    pub(super) fn take_news(&self) -> News {
        std::mem::take(&mut self.view().news)
    }

    /// The probe is ours once more, so that an earlier one was broken off is no news.
    pub(super) fn took_probe(&self) {
        self.view().news.seen.retain(|seen| seen.signal != Signal::BrokenOff);
    }

    /// They could not be told.
    pub(super) fn put_back(&self, news: News) {
        let mut view = self.view();
        let later = std::mem::take(&mut view.news);
        view.news = later.after(news);
    }

    /// The number of a question that is put to the database now.
    pub(super) fn ask(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }

    /// The fleet knows this, as it answered to question `number`. What it was not told yet is seen
    /// on top of it.
    ///
    /// An older generation than the last one is an answer that was overtaken, if its question was
    /// under way before. Asked later, the database has lost a commit, and what it says now holds.
    pub(super) fn learn(&self, number: u64, state: &State, now: DateTime<Utc>) {
        let mut view = self.view();
        if state.generation < view.told && number < view.asked_after {
            return;
        }
        view.asked_after = self.questions.load(Ordering::Relaxed);
        let mut breaker = row::breaker(state);
        let mut message = state.message.clone().unwrap_or_default();
        for seen in &view.news.seen {
            if breaker.note(&seen.sighting(now), &self.limits.breaker).is_some() {
                message.clone_from(&seen.message);
            }
        }
        (view.told, view.breaker, view.message) = (state.generation, breaker, message);
    }
}

impl View {
    /// Notes a sighting for the fleet, and acts on it at once. True when the breaker moved.
    fn see(&mut self, seen: Seen, now: DateTime<Utc>, limits: Limits) -> bool {
        let sighting = seen.sighting(now);
        let paused_until = self.breaker.paused_until;
        let change = self.breaker.note(&sighting, &limits.breaker);
        if change.is_some() {
            self.message.clone_from(&seen.message);
        }
        self.news.see(seen);
        change.is_some() || self.breaker.paused_until != paused_until
    }
}
