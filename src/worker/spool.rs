//! The spool in the database, for workers without a disk of their own: whichever of them comes next
//! finds what another one left, and room is counted for all of them together.
//!
//! Audio is large beside everything else that goes to the database, so it has few connections, and
//! its own: claims, moves and heartbeats never wait behind it.

use std::fmt::Display;

use async_trait::async_trait;
use bytes::Bytes;
use rand::RngExt as _;
use tokio::runtime::Handle;

use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::spool::{ChunkName, Reserved, Spool},
    store::{self, Store, chain, spool},
};

/// Begins the reference of an episode.
const SCHEME: &str = "postgres:";

/// The part that is the finished episode.
const EPISODE: &str = "episode";

/// The table `audio_spool`.
#[derive(Debug, Clone)]
pub struct PostgresSpool {
    store: Store,
    max_bytes: i64,
}

/// Room set aside for a podcast; given back when this is dropped. A process that dies gives nothing
/// back: who takes the podcast over needs the same room, and what is finished is forgotten.
struct Room {
    store: Store,
    podcast_id: i64,
    holder: i64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let (store, podcast_id, holder) = (self.store.clone(), self.podcast_id, self.holder);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = spool::release(&store, podcast_id, holder).await {
                tracing::warn!(podcast.id = podcast_id, error = chain(&error), "room in the spool was not given back");
            }
        });
    }
}

impl PostgresSpool {
    /// Of at most so many bytes, for all processes together.
    pub fn new(store: Store, max_bytes: u64) -> Self {
        Self { store, max_bytes: counted(max_bytes) }
    }

    async fn put(&self, podcast_id: i64, part: &str, mp3: &[u8]) -> Result<(), Failure> {
        match spool::put(&self.store, podcast_id, part, mp3, self.max_bytes).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(full("spool.max_bytes is reached")),
            Err(error) => Err(failed("write to", &error)),
        }
    }

    async fn get(&self, podcast_id: i64, part: &str) -> Result<Option<Bytes>, Failure> {
        spool::get(&self.store, podcast_id, part).await.map_err(|error| failed("read from", &error))
    }
}

#[async_trait]
impl Spool for PostgresSpool {
    async fn reserve(&self, podcast_id: i64, bytes: u64) -> Result<Reserved, Failure> {
        let bytes = counted(bytes);
        // Before it is asked for: should nobody wait for the answer any more, it is given back, too.
        let holder = rand::rng().random();
        let room = Room { store: self.store.clone(), podcast_id, holder };
        match spool::reserve(&self.store, podcast_id, holder, bytes, self.max_bytes).await {
            Ok(true) => Ok(Reserved::until_dropped(room)),
            Ok(false) => Err(full(format!("there is no room for {bytes} bytes below spool.max_bytes"))),
            Err(error) => Err(failed("set room aside in", &error)),
        }
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
        spool::forget(&self.store, podcast_id).await.map_err(|error| failed("remove from", &error))
    }

    async fn podcasts(&self) -> Result<Vec<i64>, Failure> {
        spool::podcasts(&self.store).await.map_err(|error| failed("list", &error))
    }

    async fn has_room(&self) -> bool {
        spool::used(&self.store).await.is_ok_and(|used| used < self.max_bytes / 8 * 7)
    }
}

/// As the database counts, and so that a sum of two is a number still.
fn counted(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

fn part(name: ChunkName) -> String {
    format!("{}-{}", name.round, name.index)
}

fn full(why: impl Display) -> Failure {
    Failure::new(FailureKind::SpoolFull, format!("the spool in the database: {why}")).at("spool")
}

fn failed(what: &str, error: &store::Error) -> Failure {
    let message = format!("cannot {what} the spool in the database: {}", chain(error));
    Failure::new(FailureKind::Unavailable, message).at("spool")
}
