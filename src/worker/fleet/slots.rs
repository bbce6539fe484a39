//! The slots of a provider's rate limit that this process has reserved. Whoever needs one and finds
//! none reserves for all that wait, and a little ahead when calls come often: at whatever rate calls
//! begin, statements stay few. A slot that was not used soon is thrown away, so that nobody
//! hoards them for a burst.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::store::{
    self,
    providers::{self, Spacing},
};

/// A slot is thrown away so long after it began; slots are reserved ahead for as long.
const HOLD: Duration = Duration::from_secs(1);

/// When a reservation that failed is tried again, by whoever comes then.
const AGAIN: Duration = Duration::from_secs(1);

/// Why there is no slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoSlot {
    /// The time until it is worth asking again.
    pub wait: Duration,
    /// The database did not say whether there is one.
    pub is_unknown: bool,
}

#[derive(Debug, Default)]
struct Ready {
    /// When slots begin, the first one first.
    begins: VecDeque<Instant>,
    /// Nothing is to be had before then, and whether that is only because nobody could be asked.
    none_before: Option<(Instant, bool)>,
    /// Slots used since a moment, and in the second before it.
    since: Option<Instant>,
    used: u32,
    used_before: u32,
}

impl Ready {
    fn next(&mut self, now: Instant) -> Option<Instant> {
        while self.begins.front().is_some_and(|begins| *begins + HOLD < now) {
            self.begins.pop_front();
        }
        let begins = self.begins.pop_front()?;
        let age = self.since.map_or(HOLD, |since| now.duration_since(since));
        if age >= HOLD {
            self.used_before = if age < HOLD * 2 { self.used } else { 0 };
            (self.since, self.used) = (Some(now), 0);
        }
        self.used += 1;
        Some(begins)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slots {
    ready: Mutex<Ready>,
    reserving: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
}

/// One that waits; counted until it is dropped.
struct Waiting<'s>(&'s AtomicU32);

impl<'s> Waiting<'s> {
    fn new(count: &'s AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The beginning of the next slot, if there is one.
    ///
    /// # Errors
    /// When nothing is to be had.
    fn next(&self) -> Result<Option<Instant>, NoSlot> {
        let now = Instant::now();
        let mut ready = self.ready();
        match ready.next(now) {
            Some(begins) => Ok(Some(begins)),
            None => match ready.none_before.filter(|(then, _)| *then > now) {
                Some((then, is_unknown)) => Err(NoSlot { wait: then - now, is_unknown }),
                None => Ok(None),
            },
        }
    }

    /// Takes a slot that begins in time, and returns when it begins. `workers` share the rate.
    ///
    /// # Errors
    /// When there is none in time.
    pub(super) async fn take(
        &self,
        store: &store::Store,
        provider: &str,
        spacing: Spacing,
        workers: u32,
    ) -> Result<Instant, NoSlot> {
        if let Some(begins) = self.next()? {
            return Ok(begins);
        }
        let _waiting = Waiting::new(&self.waiting);
        let reserve = async {
            let _alone = self.reserving.lock().await;
            // Whoever was here before may have reserved for us.
            if let Some(begins) = self.next()? {
                return Ok(begins);
            }
            let wanted = self.waiting.load(Ordering::Relaxed).saturating_add(self.ahead(spacing.every, workers));
            self.reserve(store, provider, wanted, spacing).await;
            self.next()?.ok_or(NoSlot { wait: AGAIN, is_unknown: false })
        };
        let reserved = tokio::time::timeout(spacing.within, reserve).await;
        reserved.unwrap_or(Err(NoSlot { wait: AGAIN, is_unknown: true }))
    }

    /// Slots to reserve for calls that are not here yet: as many as were used in the last second,
    /// within this worker's share.
    fn ahead(&self, every: Duration, workers: u32) -> u32 {
        let share = HOLD.as_nanos() / every.as_nanos().max(1) / u128::from(workers.max(1));
        let ready = self.ready();
        ready.used.max(ready.used_before).min(u32::try_from(share).unwrap_or(u32::MAX))
    }

    async fn reserve(&self, store: &store::Store, provider: &str, wanted: u32, spacing: Spacing) {
        let reserved = providers::reserve(store, provider, wanted, spacing).await;
        // The answer was under way for a while, so no slot is used before it begins.
        let now = Instant::now();
        let mut ready = self.ready();
        let Ok(slots) = reserved else {
            // The task that shares with the fleet tells that the database is away.
            ready.none_before = Some((now + AGAIN, true));
            return;
        };
        let local = |lead: TimeDelta| now + lead.to_std().unwrap_or_default();
        let first = slots.first_at - slots.now;
        let every = TimeDelta::from_std(spacing.every).unwrap_or_default();
        let begins = (0..slots.given).map(|n| {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            local(first + every * n)
        });
        ready.begins.extend(begins);
        if slots.given < wanted {
            // The next one begins too late by at least this.
            let next = first + every * i32::try_from(slots.given).unwrap_or(i32::MAX);
            ready.none_before = Some((local(next).checked_sub(spacing.within).unwrap_or(now), false));
        }
    }
}
