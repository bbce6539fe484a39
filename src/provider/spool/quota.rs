//! The bytes that a spool may fill, and those of them that are set aside.
//!
//! Room is set aside before speech is paid for, and what has room set aside is written even past the
//! limit: another process may have counted on the same bytes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What one process knows of the room that is promised.
#[derive(Debug)]
pub struct Quota {
    max_bytes: u64,
    /// Bytes that are set aside for podcasts and not yet written.
    promised: Mutex<HashMap<i64, u64>>,
}

/// Room set aside for a podcast; given back when this is dropped.
#[derive(Debug)]
pub struct Promise {
    quota: Arc<Quota>,
    podcast_id: i64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.quota.lock().remove(&self.podcast_id);
    }
}

impl Quota {
    /// With so many bytes in all.
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, promised: Mutex::default() }
    }

    /// Sets `bytes` aside for a podcast. To be said before it is looked whether they find room, so that
    /// of two who come at once one sees the other.
    pub fn promise(self: &Arc<Self>, podcast_id: i64, bytes: u64) -> Promise {
        self.lock().insert(podcast_id, bytes);
        Promise { quota: Arc::clone(self), podcast_id }
    }

    /// Bytes that are set aside for all podcasts.
    pub fn promised(&self) -> u64 {
        self.lock().values().sum()
    }

    /// True when all that is promised finds room beside `used` bytes. The last eighth is for podcasts
    /// whose speech has begun.
    pub fn has_room(&self, used: u64, has_begun: bool) -> bool {
        let most = if has_begun { self.max_bytes } else { self.max_bytes / 8 * 7 };
        used.saturating_add(self.promised()) < most
    }

    /// True when a podcast may write so many bytes beside `used` ones.
    pub fn may_write(&self, podcast_id: i64, used: u64, bytes: u64) -> bool {
        used.saturating_add(bytes) <= self.max_bytes || self.lock().contains_key(&podcast_id)
    }

    /// `bytes` of what was promised to a podcast are written.
    pub fn was_written(&self, podcast_id: i64, bytes: u64) {
        self.lock().entry(podcast_id).and_modify(|promised| *promised = promised.saturating_sub(bytes));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        // Numbers are whole between any two statements.
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
