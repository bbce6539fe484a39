//! A store in memory, for benchmarks of the engine and for tests of what stands around a store.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{ObjectStore, Reading, StoredObject};
use crate::{machine::FailureKind, podcast::Failure};

/// Objects in a map; gone with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<HashMap<String, Bytes>>,
    keeps_no_bytes: bool,
}

impl MemoryStore {
    /// A store that remembers keys and forgets the bytes, for load that would not fit.
    pub fn discarding() -> Self {
        Self { keeps_no_bytes: true, ..Self::default() }
    }

    /// Objects put so far.
    pub fn len(&self) -> usize {
        self.objects().len()
    }

    /// True before anything was put.
    pub fn is_empty(&self) -> bool {
        self.objects().is_empty()
    }

    /// The bytes under a key; empty ones where they are discarded.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.objects().get(key).cloned()
    }

    /// The map is whole after any panic: each use of it is one call.
    fn objects(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_once(&self, key: &str, mp3: Bytes) -> Result<StoredObject, Failure> {
        let etag = hex::encode(&Sha256::digest(&mp3)[..16]);
        let kept = if self.keeps_no_bytes { Bytes::new() } else { mp3 };
        self.objects().insert(key.to_owned(), kept);
        Ok(StoredObject { etag, url: format!("s3://memory/{key}") })
    }

    async fn sign(&self, key: &str, _now: DateTime<Utc>, until: DateTime<Utc>) -> Result<String, Failure> {
        Ok(format!("http://memory.invalid/{key}?expires={}", until.timestamp()))
    }

    async fn read(&self, key: &str, part: Range<usize>) -> Result<Reading, Failure> {
        let bytes = self.get(key).filter(|bytes| part.end <= bytes.len());
        let gone = || Failure::new(FailureKind::StorageUnavailable, "the object is not there");
        Ok(Box::new(std::io::Cursor::new(bytes.ok_or_else(gone)?.slice(part))))
    }

    async fn delete_below(&self, prefix: &str) -> Result<u64, Failure> {
        let mut objects = self.objects();
        let before = objects.len();
        objects.retain(|key, _| !key.starts_with(prefix));
        Ok((before - objects.len()) as u64)
    }

    async fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }
}
