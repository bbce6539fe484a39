//! The spool in the database, for workers without a disk of their own: whichever of them comes next
//! finds what another one left.
//!
//! What is kept is counted in the database, for all processes together; what is set aside is known to
//! the process that did it. Audio is large beside everything else that goes to the database, so few
//! parts are on their way at a time, and the connections of the engine are never taken up by them.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::spool::{ChunkName, Quota, Reserved, Spool},
    store::{self, Store, chain, spool},
};

/// Begins the reference of an episode.
const SCHEME: &str = "postgres:";

/// The part that is the finished episode.
const EPISODE: &str = "episode";

/// Parts on their way at a time.
const AT_A_TIME: usize = 2;

/// The longest wait for one of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// The table `audio_spool`.
#[derive(Debug)]
pub struct PostgresSpool {
    store: Store,
    quota: Arc<Quota>,
    slots: Semaphore,
}

impl PostgresSpool {
    /// Of at most so many bytes, for all processes together.
    pub fn new(store: Store, max_bytes: u64) -> Self {
        Self { store, quota: Arc::new(Quota::new(max_bytes)), slots: Semaphore::new(AT_A_TIME) }
    }

    /// Carries a statement out when it is its turn.
    async fn in_turn<T>(
        &self,
        what: &'static str,
        statement: impl Future<Output = Result<T, store::Error>> + Send,
    ) -> Result<T, Failure> {
        let failure = |why: &str| {
            let message = format!("cannot {what} the spool in the database: {why}");
            Failure::new(FailureKind::Unavailable, message).at("spool")
        };
        let in_turn = async {
            // It is never closed, and without it there would merely be one more at a time.
            let _slot = self.slots.acquire().await.ok();
            statement.await
        };
        match tokio::time::timeout(PATIENCE, in_turn).await {
            Ok(done) => done.map_err(|error| failure(&chain(&error))),
            Err(_) => Err(failure("no answer in time")),
        }
    }

    async fn put(&self, podcast_id: i64, part: &str, mp3: &[u8]) -> Result<(), Failure> {
        let (pool, bytes) = (self.store.pool(), mp3.len() as u64);
        let sizes = self.in_turn("look into", spool::sizes(pool, podcast_id)).await?;
        if !self.quota.may_write(podcast_id, sizes.used, bytes) {
            return Err(full("spool.max_bytes is reached".to_owned()));
        }
        self.in_turn("write to", spool::put(pool, podcast_id, part, mp3)).await?;
        self.quota.was_written(podcast_id, bytes);
        Ok(())
    }

    async fn get(&self, podcast_id: i64, part: &str) -> Result<Option<Bytes>, Failure> {
        self.in_turn("read from", spool::get(self.store.pool(), podcast_id, part)).await
    }
}

#[async_trait]
impl Spool for PostgresSpool {
    async fn reserve(&self, podcast_id: i64, bytes: u64) -> Result<Reserved, Failure> {
        let promise = self.quota.promise(podcast_id, bytes);
        let sizes = self.in_turn("set room aside in", spool::sizes(self.store.pool(), podcast_id)).await?;
        self.quota.was_written(podcast_id, sizes.own);
        if !self.quota.has_room(sizes.used, sizes.own > 0) {
            return Err(full(format!("there is no room for {bytes} bytes below spool.max_bytes")));
        }
        Ok(Reserved::until_dropped(promise))
    }

    async fn put_chunk(&self, name: ChunkName, mp3: Bytes) -> Result<(), Failure> {
        self.put(name.podcast_id, &part(name), &mp3).await
    }

    async fn chunk(&self, name: ChunkName) -> Result<Option<Bytes>, Failure> {
        self.get(name.podcast_id, &part(name)).await
    }

    async fn put_episode(&self, podcast_id: i64, mp3: Bytes) -> Result<String, Failure> {
        self.put(podcast_id, EPISODE, &mp3).await?;
        Ok(format!("{SCHEME}{podcast_id}"))
    }

    async fn episode(&self, spool_ref: &str) -> Result<Option<Bytes>, Failure> {
        match spool_ref.strip_prefix(SCHEME).map(str::parse) {
            Some(Ok(podcast_id)) => self.get(podcast_id, EPISODE).await,
            _ => Ok(None),
        }
    }

    async fn forget(&self, podcast_id: i64) -> Result<(), Failure> {
        self.in_turn("remove from", spool::forget(self.store.pool(), podcast_id)).await
    }

    async fn podcasts(&self) -> Result<Vec<i64>, Failure> {
        self.in_turn("list", spool::podcasts(self.store.pool())).await
    }

    async fn has_room(&self) -> bool {
        // No podcast has this number: only what all have together counts.
        let sizes = self.in_turn("ask for room in", spool::sizes(self.store.pool(), 0)).await;
        sizes.is_ok_and(|sizes| self.quota.has_room(sizes.used, false))
    }
}

fn part(name: ChunkName) -> String {
    format!("{}-{}", name.round, name.index)
}

fn full(why: String) -> Failure {
    Failure::new(FailureKind::SpoolFull, why).at("spool")
}
