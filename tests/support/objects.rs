//! A store in memory, for tests of what stands around a store.

use std::{collections::HashMap, ops::Range, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use dailycast::{
    machine::FailureKind,
    podcast::Failure,
    provider::object_store::{ObjectStore, Reading, StoredObject},
};
use sha2::{Digest, Sha256};

/// Objects in a map.
#[derive(Default)]
pub struct MemoryStore(Mutex<HashMap<String, Bytes>>);

impl MemoryStore {
    /// Objects that are there.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes under a key.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.0.lock().unwrap().get(key).cloned()
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_once(&self, key: &str, mp3: Bytes) -> Result<StoredObject, Failure> {
        let etag = hex::encode(&Sha256::digest(&mp3)[..16]);
        self.0.lock().unwrap().insert(key.to_owned(), mp3);
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
        let mut objects = self.0.lock().unwrap();
        let before = objects.len();
        objects.retain(|key, _| !key.starts_with(prefix));
        Ok((before - objects.len()) as u64)
    }

    async fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }
}
