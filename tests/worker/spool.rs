//! The spool in the database: what one process kept another one finds, and room is counted for all.

use bytes::Bytes;
use dailycast::{
    machine::FailureKind,
    provider::spool::{ChunkName, Spool as _},
    store::{Address, Store},
    worker::spool::PostgresSpool,
};

use crate::support::{engine::TestNight, postgres::Postgres, until};

const CHUNK: ChunkName = ChunkName { podcast_id: 7, round: 1, index: 0 };

fn mp3(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

/// A database, with the spool as two processes open it.
async fn open(max_bytes: u64) -> (TestNight, PostgresSpool, PostgresSpool) {
    let night = TestNight::new().await;
    let spool = || PostgresSpool::new(night.store.another(), max_bytes);
    let (spool, other) = (spool(), spool());
    (night, spool, other)
}

#[tokio::test]
async fn what_one_process_kept_another_finds_until_it_is_forgotten() {
    let (_night, spool, other) = open(1 << 20).await;
    spool.put_chunk(CHUNK, mp3(10)).await.unwrap();
    spool.put_chunk(CHUNK, mp3(20)).await.unwrap();
    let reference = spool.put_episode(7, mp3(100_000)).await.unwrap();
    spool.put_episode(8, Bytes::new()).await.unwrap();
    drop(spool);

    assert_eq!(other.chunk(CHUNK).await.unwrap(), Some(mp3(20)), "the newer one of that name");
    assert_eq!(other.chunk(ChunkName { round: 2, ..CHUNK }).await.unwrap(), None, "another round");
    assert_eq!(other.chunk(ChunkName { index: 1, ..CHUNK }).await.unwrap(), None, "another chunk");
    assert_eq!(other.episode(&reference).await.unwrap(), Some(mp3(100_000)));
    assert_eq!(other.podcasts().await.unwrap(), [7, 8]);
    for reference in ["", "postgres:", "postgres:x", "disk:7"] {
        assert_eq!(other.episode(reference).await.unwrap(), None, "not a reference of this spool");
    }

    other.forget(7).await.unwrap();
    other.forget(7).await.unwrap();
    assert_eq!(other.episode(&reference).await.unwrap(), None);
    assert_eq!(other.podcasts().await.unwrap(), [8]);
}

/// Full is a class of its own, and is so for all processes; a refused write costs nothing.
#[tokio::test]
async fn what_is_full_is_full_for_all() {
    let (_night, spool, other) = open(1_000).await;
    assert!(other.has_room().await);
    spool.put_episode(1, mp3(900)).await.unwrap();
    assert!(!other.has_room().await, "no new speech");
    other.put_chunk(CHUNK, mp3(100)).await.unwrap();
    let failure = other.put_episode(2, mp3(1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::SpoolFull);
    assert!(failure.message.contains("spool.max_bytes is reached"), "{failure}");
    assert_eq!(spool.podcasts().await.unwrap(), [1, 7]);
    other.forget(1).await.unwrap();
    assert!(spool.has_room().await);
    spool.put_episode(2, mp3(1)).await.unwrap();
}

/// Room that is set aside is nobody else's, in no process, becomes less as it is written, and is given
/// back. What has begun may have the last eighth.
#[tokio::test]
async fn room_is_set_aside_before_it_is_paid_for() {
    let (_night, spool, other) = open(1_000).await;
    let first = spool.reserve(1, 500).await.unwrap();
    assert_eq!(other.reserve(2, 500).await.unwrap_err().kind, FailureKind::SpoolFull);
    spool.put_episode(1, mp3(400)).await.unwrap();
    let second = other.reserve(2, 300).await.unwrap();
    assert_eq!(spool.reserve(3, 100).await.unwrap_err().kind, FailureKind::SpoolFull);
    assert!(spool.has_room().await, "who was refused has nothing set aside");

    // Set aside anew before the old promise is given back: the new one holds.
    let again = spool.reserve(1, 600).await.unwrap();
    drop(first);
    assert!(!other.has_room().await);
    assert_eq!(other.put_episode(4, mp3(200)).await.unwrap_err().kind, FailureKind::SpoolFull);
    spool.put_chunk(ChunkName { podcast_id: 1, ..CHUNK }, mp3(200)).await.unwrap();
    drop(second);
    until("room is given back", async || other.has_room().await).await;
    drop(again);
}

/// A worker that died gave nothing back. Who takes the podcast over has its room, and only that.
#[tokio::test]
async fn the_room_of_the_dead_is_the_heirs() {
    let (_night, spool, other) = open(1_000).await;
    std::mem::forget(spool.reserve(1, 600).await.unwrap());
    assert_eq!(other.reserve(2, 300).await.unwrap_err().kind, FailureKind::SpoolFull);
    drop(other.reserve(1, 600).await.unwrap());
    until("room is given back", async || other.reserve(2, 800).await.is_ok()).await;
}

/// A server that is gone is no reason to take audio for lost, nor for there being room.
#[tokio::test]
async fn a_database_that_is_away_is_no_empty_spool() {
    let server = Postgres::new();
    let url = server.filled(1).await.url;
    let store = Store::new(&Address { url, academy_schema: "academy".to_owned(), max_connections: 4 }).unwrap();
    let spool = PostgresSpool::new(store, 1_000);
    let reference = spool.put_episode(1, mp3(10)).await.unwrap();
    server.stop("immediate");
    let failure = spool.episode(&reference).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.starts_with("cannot read from the spool in the database: "), "{failure}");
    assert_eq!(spool.reserve(1, 10).await.unwrap_err().kind, FailureKind::Unavailable);
    assert!(!spool.has_room().await);
}
