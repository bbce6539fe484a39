//! Where finished episodes are kept.

use std::{fmt::Write as _, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::io::AsyncRead;

use crate::podcast::Failure;

pub mod cloudfront;
pub mod lifecycle;
pub mod s3;

mod presign;

pub use cloudfront::CloudFront;
pub use s3::S3Store;

/// An object that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its ETag, without quotes.
    pub etag: String,
    /// `s3://bucket/key`.
    pub url: String,
}

/// Bytes that are being fetched.
pub type Reading = Box<dyn AsyncRead + Send + Unpin>;

/// A bucket that keeps episodes.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Puts the MP3 under `key`, once: an object that is already there counts as success when it
    /// is the same one.
    ///
    /// # Errors
    /// A [`Failure`] of kind `storage_unavailable`, `timeout` or `key_refused`.
    async fn put_once(&self, key: &str, mp3: Bytes) -> Result<StoredObject, Failure>;

    /// A URL that lets anyone read the object from `now` until `until`, to the second; sooner when
    /// [`ObjectStore::signs_until`] is sooner.
    ///
    /// # Errors
    /// A [`Failure`] when the credentials cannot sign.
    async fn sign(&self, key: &str, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<String, Failure>;

    /// Bytes of an object, fetched while they are read. What breaks off is an error of the reader.
    ///
    /// # Errors
    /// As [`ObjectStore::put_once`].
    async fn read(&self, key: &str, part: Range<usize>) -> Result<Reading, Failure>;

    /// When every address that is signed now will have ended, because what signs it ends; `None`
    /// when that is not known or never.
    fn signs_until(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// Deletes every object whose key begins with `prefix`, and says how many there were; none is
    /// success. A failure may have deleted some. What a bucket with versions keeps of them, and for
    /// how long, is for its own rules.
    ///
    /// # Errors
    /// As [`ObjectStore::put_once`].
    async fn delete_below(&self, prefix: &str) -> Result<u64, Failure>;

    /// Makes sure that the bucket can be reached, and makes it where that is allowed.
    ///
    /// # Errors
    /// A [`Failure`] that says what is wrong with bucket or credentials.
    async fn ready(&self) -> Result<(), Failure>;
}

/// A key as the path of an address: the slashes stay, what RFC 3986 does not leave as it is becomes
/// `%XX`.
fn path(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => path.push(char::from(byte)),
            // Writing to a text does not fail.
            other => _ = write!(path, "%{other:02X}"),
        }
    }
    path
}
