//! Where audio waits for its upload: spoken chunks, then the finished episode.

use std::any::Any;

use async_trait::async_trait;
use bytes::Bytes;

use crate::podcast::Failure;

pub mod disk;

pub use disk::DiskSpool;

/// Names one spoken chunk: a new round never meets the chunks of an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkName {
    /// The podcast.
    pub podcast_id: i64,
    /// The round of the chain, from 1.
    pub round: u32,
    /// The chunk in its plan, from 0.
    pub index: usize,
}

/// Room that is set aside for a podcast until this is dropped.
pub struct Reserved(Option<Box<dyn Any + Send + Sync>>);

impl Reserved {
    /// Nothing is set aside, since there is always room.
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// Set aside until `kept` is dropped.
    pub fn until_dropped(kept: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(kept)))
    }
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reserved").field(&self.0.is_some()).finish()
    }
}

/// Durable room for audio that is not yet uploaded. What a method has answered with `Ok` survives
/// a crash of this host's processes.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Sets room aside for all that a podcast will bring, before any of it is paid for. `bytes` are
    /// those of its chunks and episode, what is kept already among them.
    ///
    /// # Errors
    /// `spool_full` when there is not so much room, `unavailable` when that cannot be told.
    async fn reserve(&self, _podcast_id: i64, _bytes: u64) -> Result<Reserved, Failure> {
        Ok(Reserved::nothing())
    }

    /// Keeps a chunk, replacing one of the same name.
    ///
    /// # Errors
    /// `spool_full` when there is no room, `unavailable` when it cannot be written.
    async fn put_chunk(&self, name: ChunkName, mp3: Bytes) -> Result<(), Failure>;

    /// A kept chunk, or `None`.
    ///
    /// # Errors
    /// `unavailable` when the spool cannot be read.
    async fn chunk(&self, name: ChunkName) -> Result<Option<Bytes>, Failure>;

    /// Keeps the finished episode and returns its reference for `spool_ref`.
    ///
    /// # Errors
    /// As [`Spool::put_chunk`].
    async fn put_episode(&self, podcast_id: i64, mp3: Bytes) -> Result<String, Failure>;

    /// The finished episode, or `None` when this spool does not have it.
    ///
    /// # Errors
    /// As [`Spool::chunk`].
    async fn episode(&self, spool_ref: &str) -> Result<Option<Bytes>, Failure>;

    /// Forgets everything of a podcast; nothing there is success.
    ///
    /// # Errors
    /// As [`Spool::chunk`].
    async fn forget(&self, podcast_id: i64) -> Result<(), Failure>;

    /// Podcasts that have something in the spool, for the sweep of leftovers.
    ///
    /// # Errors
    /// As [`Spool::chunk`].
    async fn podcasts(&self) -> Result<Vec<i64>, Failure>;

    /// True while there is room for more speech.
    async fn has_room(&self) -> bool;
}
