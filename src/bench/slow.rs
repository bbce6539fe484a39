//! `bench night --latency X`: a night as slow as a real one. Script 15 s, speech 20 s and upload
//! 3 s, times X, each between half and one and a half times that; real MP3s of 1.5 MB that go chunk
//! by chunk through a spool on disk and are joined there; an object store that counts and discards.
//!
//! What is measured is the plateau: from the moment that as many podcasts are finished as there are
//! in flight to the moment that fewer are left than would fill the slots. By Little's law a worker
//! that wastes nothing finishes concurrency ÷ mean latency a second there, where the mean latency is
//! that of the waits which the podcasts were really given.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    audio,
    machine::{Event, FailureKind, RetryPolicy, Status},
    podcast::{Artefacts, Attempt, Failure, Outcome, Podcast},
    provider::spool::{ChunkName, DiskSpool, Spool},
    store::{Store, floor},
    worker::{Work, scheduler::enqueue},
};

use super::{
    Error,
    crew::{Crew, schedule, start_night},
    instantly::Instantly,
    meter,
};

/// Mean waits for the vendors at a latency of 1.
const SCRIPT: Duration = Duration::from_secs(15);
const SPEECH: Duration = Duration::from_secs(20);
const UPLOAD: Duration = Duration::from_secs(3);

/// An episode is spoken in so many chunks, one after the other, and is so large.
const CHUNKS: usize = 4;
const EPISODE_BYTES: usize = 1_500_000;

/// The most bytes that may wait in the spool.
const SPOOL_BYTES: u64 = 64 << 30;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct SlowArgs {
    /// Multiplies the waits.
    pub latency: f64,
    /// Podcasts in flight.
    pub concurrency: usize,
    /// Podcasts of the night; more than twice as many as are in flight, or there is no plateau.
    pub podcasts: u32,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct SlowReport {
    /// Podcasts of the night.
    pub podcasts: u32,
    /// Podcasts in flight.
    pub concurrency: usize,
    /// What the waits were multiplied with.
    pub latency: f64,
    /// Mean of the waits that one podcast was given, in seconds.
    pub mean_latency_seconds: f64,
    /// Concurrency ÷ mean latency.
    pub expected_per_second: f64,
    /// Podcasts finished on the plateau.
    pub plateau_podcasts: u32,
    /// How long the plateau was.
    pub plateau_seconds: f64,
    /// The rate there.
    pub podcasts_per_second: f64,
    /// The rate by the expected one.
    pub share_of_expected: f64,
    /// The most memory of this process.
    pub max_rss_bytes: u64,
    /// Bytes that the object store took.
    pub uploaded_bytes: u64,
    /// Processor time of this process.
    pub cpu_ms_per_podcast: f64,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// Steps that take their time.
struct Slowly {
    instantly: Instantly,
    latency: f64,
    chunk: Bytes,
    spool: DiskSpool,
    cpu: Semaphore,
    waited_us: AtomicU64,
    uploaded_bytes: AtomicU64,
    ends: Mutex<Vec<Instant>>,
    finished: watch::Sender<usize>,
}

impl Slowly {
    /// Waits for a vendor. Each podcast waits its own time at each step.
    async fn wait(&self, podcast: &Podcast, mean: Duration) {
        let seed = podcast.id.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mean.as_secs();
        let seed = (seed ^ (seed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = 0.5 + (seed >> 40) as f64 / (1_u64 << 24) as f64;
        let wait = mean.mul_f64(self.latency * share);
        self.waited_us.fetch_add(u64::try_from(wait.as_micros()).unwrap_or_default(), Ordering::Relaxed);
        tokio::time::sleep(wait).await;
    }

    async fn speak(&self, podcast: &Podcast) -> Result<Artefacts, Failure> {
        self.wait(podcast, SPEECH).await;
        let name = |index| ChunkName { podcast_id: podcast.id, round: 1, index };
        for index in 0..CHUNKS {
            self.spool.put_chunk(name(index), self.chunk.clone()).await?;
        }
        let internal = |why: String| Failure::new(FailureKind::Internal, why);
        // As many episodes are held whole as there are processors.
        let _turn = self.cpu.acquire().await.map_err(|closed| internal(closed.to_string()))?;
        let mut chunks = Vec::new();
        for index in 0..CHUNKS {
            chunks.extend(self.spool.chunk(name(index)).await?);
        }
        let joined = tokio::task::spawn_blocking(move || audio::join(&chunks, audio::Limits::ANY)).await;
        let joined = joined.map_err(|panic| internal(panic.to_string()))?;
        let joined = joined.map_err(|error| internal(error.to_string()))?;
        let mp3 = Bytes::from(joined.mp3);
        Ok(Artefacts {
            audio_sha256: Some(hex::encode(Sha256::digest(&mp3))),
            audio_bytes: i64::try_from(mp3.len()).ok(),
            duration_seconds: i32::try_from(joined.duration.as_secs()).ok(),
            spool_ref: Some(self.spool.put_episode(podcast.id, mp3).await?),
            ..Artefacts::default()
        })
    }

    /// The object store: holds the episode for as long as its upload takes.
    async fn keep(&self, podcast: &Podcast) -> Result<(), Failure> {
        let spool_ref = podcast.made.spool_ref.as_deref().unwrap_or_default();
        let mp3 = self.spool.episode(spool_ref).await?;
        let mp3 = mp3.ok_or_else(|| Failure::new(FailureKind::Internal, "the episode is not in the spool"))?;
        self.wait(podcast, UPLOAD).await;
        self.uploaded_bytes.fetch_add(mp3.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Work for Slowly {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        let done = match podcast.status {
            Status::AudioGenerating => self.speak(podcast).await.map(|made| Outcome::done(Event::AudioReady, made)),
            Status::PendingUpload => {
                let kept = self.keep(podcast).await;
                let at_once = self.instantly.advance(podcast, attempt).await;
                kept.map(|()| at_once)
            }
            status => {
                if status == Status::Pending {
                    self.wait(podcast, SCRIPT).await;
                }
                Ok(self.instantly.advance(podcast, attempt).await)
            }
        };
        done.unwrap_or_else(Outcome::failed)
    }

    fn retry_policy(&self, status: Status) -> RetryPolicy {
        self.instantly.retry_policy(status)
    }

    fn time_limit(&self, _: Status) -> Duration {
        Duration::from_secs(60 * 60)
    }

    async fn clean_up(&self, podcast_id: i64) {
        // What stays is thrown away with the folder.
        let _ = self.spool.forget(podcast_id).await;
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        self.finished.send_modify(|finished| *finished += 1);
    }
}

/// Measures on a migrated database that nobody else uses. `folder` is where the spool is made.
///
/// # Errors
/// When the database, the worker or the folder fails.
pub async fn slow(
    store: &Store,
    args: SlowArgs,
    folder: &Path,
    mut progress: impl FnMut(&str),
) -> Result<SlowReport, Error> {
    progress("encoding one chunk of speech");
    let chunk = tokio::task::spawn_blocking(chunk).await??;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let work = Arc::new(Slowly {
        instantly: Instantly::at_once(),
        latency: args.latency,
        chunk,
        spool: DiskSpool::open(folder, SPOOL_BYTES).map_err(Error::Spool)?,
        cpu: Semaphore::new(cores),
        waited_us: AtomicU64::default(),
        uploaded_bytes: AtomicU64::default(),
        ends: Mutex::default(),
        finished: watch::Sender::new(0),
    });
    floor::make_learners(store.pool(), i64::from(args.podcasts)).await?;
    let open = start_night(store, 0).await?;
    enqueue(store.pool(), open, &schedule(), |_| {}).await?;
    let cpu_ms = meter::own_cpu_ms();
    let mut finished = work.finished.subscribe();
    let crew = Crew::start(store, args.concurrency, &work);
    let all = usize::try_from(args.podcasts).unwrap_or(usize::MAX);
    for tenth in 1..=10 {
        // The sender lives as long as the work does.
        let _ = finished.wait_for(|finished| *finished >= all * tenth / 10).await;
        progress(&format!("{} podcasts finished, {} MiB of memory", all * tenth / 10, meter::rss_bytes() >> 20));
    }
    let cpu_ms = meter::own_cpu_ms() - cpu_ms;
    crew.stop().await?;
    let server = floor::server_version(store.pool()).await?;
    Ok(report(&work, args, cpu_ms, meter::machine(&server)))
}

fn report(work: &Slowly, args: SlowArgs, cpu_ms: f64, machine: String) -> SlowReport {
    let mut ends = work.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ends.sort_unstable();
    let (from, to) = (args.concurrency, ends.len().saturating_sub(args.concurrency));
    let plateau = match (ends.get(from), ends.get(to)) {
        (Some(from), Some(to)) => to.saturating_duration_since(*from).as_secs_f64(),
        _ => 0.0,
    };
    let podcasts = to.saturating_sub(from);
    let mean = work.waited_us.load(Ordering::Relaxed) as f64 / 1e6 / f64::from(args.podcasts);
    let expected = args.concurrency as f64 / mean;
    let rate = podcasts as f64 / plateau.max(f64::EPSILON);
    SlowReport {
        podcasts: args.podcasts,
        concurrency: args.concurrency,
        latency: args.latency,
        mean_latency_seconds: mean,
        expected_per_second: expected,
        plateau_podcasts: u32::try_from(podcasts).unwrap_or(u32::MAX),
        plateau_seconds: plateau,
        podcasts_per_second: rate,
        share_of_expected: rate / expected,
        max_rss_bytes: meter::max_rss_bytes(),
        uploaded_bytes: work.uploaded_bytes.load(Ordering::Relaxed),
        cpu_ms_per_podcast: cpu_ms / f64::from(args.podcasts),
        build: super::BUILD,
        machine,
    }
}

/// A quarter of an episode: a tone that wanders, so that no two frames are the same.
fn chunk() -> Result<Bytes, Error> {
    let bytes = EPISODE_BYTES / CHUNKS;
    let rate = audio::SAMPLE_RATE;
    let seconds = bytes * 8 / (audio::encode::BITRATE_KBPS as usize * 1000);
    let samples = (0..seconds * rate as usize).map(|n| {
        let t = n as f64 / f64::from(rate);
        ((t * 1382.0 + (t * 3.1).sin() * 40.0).sin() * 9000.0) as i16
    });
    Ok(audio::encode(&samples.collect::<Vec<_>>(), rate)?.into())
}
