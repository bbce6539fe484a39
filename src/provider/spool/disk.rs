//! The spool in a folder: a folder per podcast, a file per chunk, and one for the episode.
//!
//! Every file ends with its own length and SHA-256. A file that does not match, because the disk
//! was full or the machine lost power, is as good as absent: the chunk is spoken again. Files are
//! written beside their place, synced and moved there, so a name always means a whole file.
//!
//! Room is set aside before speech is paid for, and what has room set aside is written even past
//! `max_bytes`: another process may have counted on the same bytes. What the disk itself has left
//! is asked each time.
//!
//! Several processes of one host may share the folder. Each counts what it writes and what it
//! forgets; [`Spool::podcasts`], which the sweep calls, looks at the folder and sets the count right.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{ChunkName, Reserved, Spool};
use crate::{machine::FailureKind, podcast::Failure};

/// Begins the reference of an episode.
const SCHEME: &str = "disk:";

/// Files written by this process, in whatever spool: no two have the same name.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Begins the name of a file that is being written; the rest is its host, process and number.
const UNFINISHED: &str = ".new-";

/// A file is written in moments; one this old was left behind.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Bytes of the disk that stay free: folders and names take some, too.
const MARGIN: u64 = 256 * 1024;

/// Bytes at the end of a file that vouch for the others: length (8) and SHA-256 (32).
const SEAL: usize = 8 + 32;

/// A folder that is shared by clones of this.
#[derive(Debug, Clone)]
pub struct DiskSpool(Arc<Room>);

#[derive(Debug)]
struct Room {
    dir: PathBuf,
    /// Tells this host, or the container on it, from any other that shares the folder.
    here: String,
    max_bytes: u64,
    used_bytes: AtomicU64,
    /// Bytes that are set aside for podcasts and not yet written.
    promised: Mutex<HashMap<i64, u64>>,
}

/// Room set aside for a podcast; given back when this is dropped.
struct Promise {
    room: Arc<Room>,
    podcast_id: i64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.room.promised().remove(&self.podcast_id);
    }
}

impl DiskSpool {
    /// Opens the folder, making it the first time, and counts what is in it. No file is written
    /// that would bring it above `max_bytes`.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let used_bytes = AtomicU64::new(0);
        let room = Room { dir: dir.to_owned(), here: here(), max_bytes, used_bytes, promised: Mutex::default() };
        room.drop_unfinished()?;
        room.count()?;
        Ok(Self(Arc::new(room)))
    }

    /// Bytes in the folder, as far as this process knows.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// Runs file work off the async threads.
    async fn off_thread<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Room) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let room = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&room)).await;
        done.map_err(io::Error::from).flatten().map_err(|error| {
            let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            let kind = if is_full { FailureKind::SpoolFull } else { FailureKind::Unavailable };
            Failure::new(kind, format!("cannot {what} the spool {}: {error}", self.0.dir.display())).at("spool")
        })
    }
}

#[async_trait]
impl Spool for DiskSpool {
    async fn reserve(&self, podcast_id: i64, bytes: u64) -> Result<Reserved, Failure> {
        let own = Arc::clone(&self.0);
        // The promise is made in there, so that it ends when nobody waits for the answer any more.
        let promise = move |room: &Room| room.reserve(podcast_id, bytes).map(|()| Promise { room: own, podcast_id });
        self.off_thread("set room aside in", promise).await.map(Reserved::until_dropped)
    }

    async fn put_chunk(&self, name: ChunkName, mp3: Bytes) -> Result<(), Failure> {
        self.off_thread("write to", move |room| room.put(name.podcast_id, &chunk_file(name), &mp3)).await
    }

    async fn chunk(&self, name: ChunkName) -> Result<Option<Bytes>, Failure> {
        self.off_thread("read from", move |room| room.get(name.podcast_id, &chunk_file(name))).await
    }

    async fn put_episode(&self, podcast_id: i64, mp3: Bytes) -> Result<String, Failure> {
        self.off_thread("write to", move |room| room.put(podcast_id, EPISODE, &mp3)).await?;
        Ok(format!("{SCHEME}{podcast_id}"))
    }

    async fn episode(&self, spool_ref: &str) -> Result<Option<Bytes>, Failure> {
        let Some(Ok(podcast_id)) = spool_ref.strip_prefix(SCHEME).map(str::parse) else {
            return Ok(None);
        };
        self.off_thread("read from", move |room| room.get(podcast_id, EPISODE)).await
    }

    async fn forget(&self, podcast_id: i64) -> Result<(), Failure> {
        self.off_thread("remove from", move |room| room.forget(podcast_id)).await
    }

    async fn podcasts(&self) -> Result<Vec<i64>, Failure> {
        self.off_thread("list", Room::count).await
    }

    async fn has_room(&self) -> bool {
        self.off_thread("ask for room in", |room| room.expect_room(0, room.for_new())).await.is_ok()
    }
}

/// The file of a finished episode.
const EPISODE: &str = "episode.mp3";

fn chunk_file(name: ChunkName) -> String {
    format!("{}-{}.mp3", name.round, name.index)
}

impl Room {
    fn of(&self, podcast_id: i64) -> PathBuf {
        self.dir.join(podcast_id.to_string())
    }

    fn promised(&self) -> MutexGuard<'_, HashMap<i64, u64>> {
        // Numbers are whole between any two statements.
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What podcasts without anything here may fill: those whose speech has begun need the rest.
    const fn for_new(&self) -> u64 {
        self.max_bytes / 8 * 7
    }

    /// Sets aside what is not written yet of `bytes`.
    fn reserve(&self, podcast_id: i64, bytes: u64) -> io::Result<()> {
        let kept = size_of(&self.of(podcast_id))?;
        let missing = bytes.saturating_sub(kept);
        let most = if kept == 0 { self.for_new() } else { self.max_bytes };
        // Said before it is looked at, so that of two who come at once one sees the other.
        self.promised().insert(podcast_id, missing);
        self.expect_room(missing, most).inspect_err(|_| {
            self.promised().remove(&podcast_id);
        })
    }

    /// Fails unless `bytes`, which are promised already, find room below `most` and on the disk.
    fn expect_room(&self, bytes: u64, most: u64) -> io::Result<()> {
        let promised: u64 = self.promised().values().sum();
        if self.used_bytes.load(Ordering::Relaxed) + promised >= most {
            let message = format!("there is no room for {bytes} more bytes below spool.max_bytes");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, message));
        }
        let disk = rustix::fs::statvfs(&self.dir)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < promised + MARGIN {
            return Err(io::Error::new(ErrorKind::StorageFull, format!("the disk has no room for {bytes} more bytes")));
        }
        Ok(())
    }

    fn put(&self, podcast_id: i64, name: &str, mp3: &[u8]) -> io::Result<()> {
        let size = (mp3.len() + SEAL) as u64;
        let used = self.used_bytes.fetch_add(size, Ordering::Relaxed);
        let is_promised = self.promised().contains_key(&podcast_id);
        if used + size > self.max_bytes && !is_promised {
            self.release(size);
            return Err(io::Error::new(ErrorKind::QuotaExceeded, "spool.max_bytes is reached"));
        }
        let dir = self.of(podcast_id);
        let replaced = fs::metadata(dir.join(name)).map_or(0, |old| old.len());
        let placed = self.place(&dir, name, mp3);
        self.release(if placed.is_ok() { replaced } else { size });
        if placed.is_ok() {
            self.promised().entry(podcast_id).and_modify(|promised| *promised = promised.saturating_sub(size));
        }
        placed
    }

    /// Writes beside the place, syncs, moves, and syncs the folders.
    fn place(&self, dir: &Path, name: &str, mp3: &[u8]) -> io::Result<()> {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.dir.join(format!("{UNFINISHED}{}-{}-{number}", self.here, std::process::id()));
        let placed = (|| {
            let mut file = File::create_new(&unfinished)?;
            file.write_all(mp3)?;
            file.write_all(&seal(mp3))?;
            file.sync_all()?;
            match fs::create_dir(dir) {
                Ok(()) => File::open(&self.dir)?.sync_all()?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            fs::rename(&unfinished, dir.join(name))?;
            File::open(dir)?.sync_all()
        })();
        if placed.is_err() {
            // Nothing, or a piece that is removed when the folder is opened again.
            fs::remove_file(&unfinished).ok();
        }
        placed
    }

    fn get(&self, podcast_id: i64, name: &str) -> io::Result<Option<Bytes>> {
        match fs::read(self.of(podcast_id).join(name)) {
            Ok(bytes) => {
                let whole = unsealed(bytes);
                if whole.is_none() {
                    tracing::warn!(podcast.id = podcast_id, file = name, "a file in the spool is damaged");
                }
                Ok(whole)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn forget(&self, podcast_id: i64) -> io::Result<()> {
        let dir = self.of(podcast_id);
        let size = size_of(&dir)?;
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => {
                self.release(size);
                Ok(())
            }
        }
    }

    /// Podcasts that have something here; sets the count of bytes right on the way.
    fn count(&self) -> io::Result<Vec<i64>> {
        let (mut podcasts, mut bytes) = (Vec::new(), 0);
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let podcast_id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(podcast_id) = podcast_id.filter(|_| is_folder) {
                podcasts.push(podcast_id);
                bytes += size_of(&entry.path())?;
            }
        }
        self.used_bytes.store(bytes, Ordering::Relaxed);
        podcasts.sort_unstable();
        Ok(podcasts)
    }

    /// Removes what nobody is writing any more: a process of this host that is gone, or anybody
    /// who left it lying for long, since other hosts may share the folder.
    fn drop_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(writer) = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)) else { continue };
            let mut parts = writer.split('-');
            let is_here = parts.next() == Some(&self.here);
            let is_gone = is_here && parts.next().is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            let age = entry.metadata().and_then(|file| file.modified()).ok().and_then(|time| time.elapsed().ok());
            if is_gone || age.is_some_and(|age| age > ABANDONED) {
                match fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The count may have been set right in between, so it stops at zero.
    fn release(&self, bytes: u64) {
        self.used_bytes.update(Ordering::Relaxed, Ordering::Relaxed, |used| used.saturating_sub(bytes));
    }
}

/// Names the boot of this host and the namespace of its process ids, in 8 hex digits.
fn here() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let mark = Sha256::digest(format!("{} {}", boot.trim(), namespace.display()));
    hex::encode(&mark[..4])
}

/// Bytes of all files in a podcast's folder; none when it is not there.
fn size_of(dir: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut bytes = 0;
    for entry in entries {
        // Files may be removed meanwhile by whoever forgets the same podcast.
        bytes += entry?.metadata().map_or(0, |file| file.len());
    }
    Ok(bytes)
}

fn seal(mp3: &[u8]) -> [u8; SEAL] {
    let mut seal = [0; SEAL];
    seal[..8].copy_from_slice(&(mp3.len() as u64).to_be_bytes());
    seal[8..].copy_from_slice(&Sha256::digest(mp3));
    seal
}

/// What is before the seal, when the seal holds.
fn unsealed(bytes: Vec<u8>) -> Option<Bytes> {
    let length = bytes.len().checked_sub(SEAL)?;
    let mut bytes = Bytes::from(bytes);
    let found = bytes.split_off(length);
    (found == seal(&bytes)[..]).then_some(bytes)
}
