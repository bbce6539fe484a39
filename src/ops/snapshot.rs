//! Figures that take long to count, counted now and then and shown at once: nobody waits for them.
//!
//! Figures have a key: a date, or a range of time. However many look at one, it is counted once at a
//! time. While it is counted again, everybody sees what was counted last; only what nobody has looked
//! at for a while is waited for, a moment. The pause between two counts grows with what a count takes,
//! so that looking at a large night costs the database little; and keys are counted one after the
//! other.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::store::{self, chain};

/// The shortest pause between two counts of a key, where nothing else is said.
const LEAST: Duration = Duration::from_secs(1);

/// The pause is at least so many times longer than the count before it.
const LEISURE: u32 = 20;

/// What is older was not looked at for a while, and says little.
const OLD: Duration = Duration::from_secs(30);

/// The pause after a count that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Keys that are remembered: the dates of two months and a little.
const KEPT: usize = 64;

/// What is known, by key.
pub struct Snapshots<K, T>(Arc<Shelf<K, T>>);

/// What figures are kept under; shown in the log.
pub trait Key: Ord + Copy + fmt::Display + Send + 'static {}

impl<K: Ord + Copy + fmt::Display + Send + 'static> Key for K {}

struct Shelf<K, T> {
    entries: Mutex<BTreeMap<K, Entry<T>>>,
    /// The shortest pause between two counts of a key.
    least: Duration,
    /// Held by the one count that is under way.
    turn: tokio::sync::Mutex<()>,
}

struct Entry<T> {
    seen: Option<(Arc<T>, Instant)>,
    /// How long the last count lasted.
    took: Duration,
    has_failed: bool,
    is_counting: bool,
    /// Not counted again before.
    next: Instant,
    asked: Instant,
    /// Changes with every count that ends.
    ended: watch::Sender<u64>,
}

/// What somebody who looks gets.
#[derive(Debug, Clone)]
pub struct Look<T> {
    /// What was counted last; `None` before the first count has ended.
    pub value: Option<Arc<T>>,
    /// How long ago.
    pub age: Duration,
    /// The last count failed; it is tried again.
    pub has_failed: bool,
}

impl<K, T> Default for Snapshots<K, T> {
    fn default() -> Self {
        Self::resting(LEAST)
    }
}

impl<K, T> Snapshots<K, T> {
    /// With at least this pause between two counts of a key.
    pub fn resting(least: Duration) -> Self {
        Self(Arc::new(Shelf { entries: Mutex::default(), least, turn: tokio::sync::Mutex::default() }))
    }
}

impl<K: Key, T> fmt::Debug for Snapshots<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("keys", &self.0.entries().len()).finish()
    }
}

impl<K: Key, T> Shelf<K, T> {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<K, Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: K) -> Look<T> {
        let entries = self.entries();
        let Some(entry) = entries.get(&key) else {
            return Look { value: None, age: Duration::ZERO, has_failed: false };
        };
        let (value, at) = entry.seen.clone().unzip();
        Look { value, age: at.map_or(Duration::ZERO, |at| at.elapsed()), has_failed: entry.has_failed }
    }
}

impl<K: Key, T: Send + Sync + 'static> Snapshots<K, T> {
    /// What is known of a key. Counts it in the background if that is due, and waits for that only
    /// when nothing is known yet, or what is known is old: at most for `patience`. How long the last
    /// count lasted says nothing of the next: a night may have begun meanwhile.
    pub async fn look<F, R>(&self, key: K, patience: Duration, count: F) -> Look<T>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, store::Error>> + Send + 'static,
    {
        let ended = self.ask(key, count);
        let look = self.0.look(key);
        let took = self.0.entries().get(&key).map_or(Duration::ZERO, |entry| entry.took);
        // Twice the pause between two counts: what is looked at all the time is never so old.
        let is_old = look.age > OLD.max(2 * LEISURE * took);
        let is_wanted = (look.value.is_none() || is_old) && !look.has_failed;
        let Some(mut ended) = ended.filter(|_| is_wanted) else { return look };
        let _ = tokio::time::timeout(patience, ended.changed()).await;
        self.0.look(key)
    }

    /// Begins a count if one is due. `None` where so many keys wait for theirs that this one cannot
    /// be remembered.
    fn ask<F, R>(&self, key: K, count: F) -> Option<watch::Receiver<u64>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, store::Error>> + Send + 'static,
    {
        let now = Instant::now();
        let mut entries = self.0.entries();
        if entries.len() >= KEPT && !entries.contains_key(&key) {
            let idle = entries.iter().filter(|(_, entry)| !entry.is_counting);
            let oldest = idle.min_by_key(|(_, entry)| entry.asked).map(|(key, _)| *key);
            let oldest = oldest?;
            entries.remove(&oldest);
        }
        let entry = entries.entry(key).or_insert_with(|| Entry {
            seen: None,
            took: Duration::ZERO,
            has_failed: false,
            is_counting: false,
            next: now,
            asked: now,
            ended: watch::channel(0).0,
        });
        entry.asked = now;
        let ended = entry.ended.subscribe();
        if !entry.is_counting && entry.next <= now {
            entry.is_counting = true;
            tokio::spawn(turn(Arc::clone(&self.0), key, count));
        }
        Some(ended)
    }
}

/// One count, when it is its turn.
async fn turn<K, T, F, R>(shelf: Arc<Shelf<K, T>>, key: K, count: F)
where
    K: Key,
    T: Send + Sync + 'static,
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<T, store::Error>> + Send + 'static,
{
    let _turn = shelf.turn.lock().await;
    let began = Instant::now();
    // In a task of its own: one that panics must not leave its key as being counted for ever.
    let counted = tokio::spawn(async move { count().await }).await;
    let counted = match counted {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(chain(&error)),
        Err(broken) => Err(broken.to_string()),
    };
    settle(&shelf, key, counted, began);
}

fn settle<K: Key, T>(shelf: &Shelf<K, T>, key: K, counted: Result<T, String>, began: Instant) {
    let now = Instant::now();
    let mut entries = shelf.entries();
    let Some(entry) = entries.get_mut(&key) else { return };
    entry.is_counting = false;
    entry.has_failed = counted.is_err();
    match counted {
        Ok(value) => {
            entry.seen = Some((Arc::new(value), now));
            entry.took = now - began;
            entry.next = now + (LEISURE * (now - began)).max(shelf.least);
        }
        Err(error) => {
            tracing::warn!(counted = %key, error, "figures could not be counted, trying again");
            entry.next = now + AFTER_FAILURE;
        }
    }
    entry.ended.send_modify(|ended| *ended += 1);
}
