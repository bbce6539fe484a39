//! The spool on disk: what was kept comes back whole or not at all, and room is counted.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use dailycast::{
    machine::FailureKind,
    provider::spool::{ChunkName, DiskSpool, Spool},
};
use sha2::{Digest as _, Sha256};

use crate::support::Folder;

const CHUNK: ChunkName = ChunkName { podcast_id: 7, round: 1, index: 0 };

/// Bytes of a file beyond its content.
const SEAL: u64 = 40;

fn mp3(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

#[tokio::test]
async fn what_was_kept_survives_a_restart_until_it_is_forgotten() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1 << 20).unwrap();
    spool.put_chunk(CHUNK, mp3(10)).await.unwrap();
    spool.put_chunk(CHUNK, mp3(20)).await.unwrap();
    let reference = spool.put_episode(7, mp3(100)).await.unwrap();
    spool.put_episode(8, Bytes::new()).await.unwrap();
    drop(spool);

    let spool = DiskSpool::open(&folder.0, 1 << 20).unwrap();
    assert_eq!(spool.chunk(CHUNK).await.unwrap(), Some(mp3(20)), "the newer one of that name");
    assert_eq!(spool.chunk(ChunkName { round: 2, ..CHUNK }).await.unwrap(), None, "another round");
    assert_eq!(spool.episode(&reference).await.unwrap(), Some(mp3(100)));
    assert_eq!(spool.podcasts().await.unwrap(), [7, 8]);
    assert_eq!(spool.used_bytes(), 120 + 3 * SEAL);

    spool.forget(7).await.unwrap();
    spool.forget(7).await.unwrap();
    assert_eq!(spool.episode(&reference).await.unwrap(), None);
    assert_eq!(spool.podcasts().await.unwrap(), [8]);
    assert_eq!(spool.used_bytes(), SEAL);
}

/// Whatever happens to a file, cut off, changed, or with bytes of another behind it: it is absent.
#[tokio::test]
async fn a_damaged_file_is_as_good_as_absent() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1 << 20).unwrap();
    let reference = spool.put_episode(7, mp3(100)).await.unwrap();
    let file = folder.0.join("7/episode.mp3");
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[50] ^= 1;
    let damaged = (0..whole.len()).map(|length| whole[..length].to_vec());
    for bytes in damaged.chain([flipped, [whole.as_slice(), b"more"].concat()]) {
        fs::write(&file, &bytes).unwrap();
        assert_eq!(spool.episode(&reference).await.unwrap(), None, "{} bytes", bytes.len());
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(spool.episode(&reference).await.unwrap(), Some(mp3(100)));
}

/// A process that died while writing leaves a file that nobody reads. It is removed when it was of
/// this host, or is old; another host that shares the folder may still be writing.
#[tokio::test]
async fn what_a_dead_process_was_writing_is_removed() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    let here = hex::encode(&Sha256::digest(format!("{} {}", boot.trim(), namespace.display()))[..4]);
    let write = |name: String| {
        let path = folder.0.join(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let of_the_dead = write(format!(".new-{here}-999999999-0"));
    let of_the_living = write(format!(".new-{here}-{}-77", std::process::id()));
    let of_another_host = write(".new-elsewhere-999999999-0".to_owned());
    let forgotten = write(".new-elsewhere-1-1".to_owned());
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&forgotten).unwrap().set_modified(long_ago).unwrap();
    let spool = DiskSpool::open(&folder.0, 1 << 20).unwrap();
    assert!(!of_the_dead.exists() && !forgotten.exists());
    assert!(of_the_living.exists() && of_another_host.exists());
    assert!(spool.podcasts().await.unwrap().is_empty());
}

/// Full is a class of its own, room is announced before that, and a refused write costs nothing.
#[tokio::test]
async fn a_full_spool_refuses_and_recovers() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1_000).unwrap();
    assert!(spool.has_room().await);
    spool.put_episode(1, mp3(900 - SEAL as usize)).await.unwrap();
    assert!(!spool.has_room().await, "no new speech");
    spool.put_chunk(CHUNK, mp3(100 - SEAL as usize)).await.unwrap();
    let failure = spool.put_episode(2, mp3(1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::SpoolFull);
    assert!(failure.message.contains("spool.max_bytes is reached"), "{failure}");
    assert_eq!((spool.used_bytes(), spool.podcasts().await.unwrap()), (1_000, vec![1, 7]));
    spool.forget(1).await.unwrap();
    assert!(spool.has_room().await);
    spool.put_episode(2, mp3(1)).await.unwrap();
}

/// Room that is set aside is nobody else's, becomes less as it is written, and is given back. What has
/// begun may have the last eighth.
#[tokio::test]
async fn room_is_set_aside_before_it_is_paid_for() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1_000).unwrap();
    let first = spool.reserve(1, 500).await.unwrap();
    assert_eq!(spool.reserve(2, 500).await.unwrap_err().kind, FailureKind::SpoolFull);
    spool.put_episode(1, mp3(400 - SEAL as usize)).await.unwrap();
    let _second = spool.reserve(2, 300).await.unwrap();
    assert_eq!(spool.reserve(3, 100).await.unwrap_err().kind, FailureKind::SpoolFull);
    assert!(spool.has_room().await, "who was refused has nothing set aside");
    drop(first);
    let _first = spool.reserve(1, 600).await.unwrap();
    assert!(!spool.has_room().await);
}

/// Another process of this host forgets; the sweep's look at the folder sets the count right.
#[tokio::test]
async fn the_count_follows_what_others_do() {
    let folder = Folder::new();
    let (spool, other) = (DiskSpool::open(&folder.0, 1_000).unwrap(), DiskSpool::open(&folder.0, 1_000).unwrap());
    spool.put_episode(1, mp3(900)).await.unwrap();
    other.forget(1).await.unwrap();
    assert!(!spool.has_room().await);
    assert!(spool.podcasts().await.unwrap().is_empty());
    assert!(spool.has_room().await);
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_says_where_it_is() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1_000).unwrap();
    fs::remove_dir_all(&folder.0).unwrap();
    let failure = spool.put_episode(1, mp3(1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains(folder.0.to_str().unwrap()), "{failure}");
    for reference in ["", "disk:", "disk:../7", "postgres:7"] {
        assert_eq!(spool.episode(reference).await.unwrap(), None, "not a reference of this spool");
    }
}
