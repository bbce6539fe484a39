//! `bench engine`: the real engine with steps that answer at once from memory.
//!
//! What is measured is enqueue, claim, lease, moves, events and completion, durable as in
//! production. With `--finished` the same is measured once more with millions of finished rows
//! in the tables, with `--audio-bytes` once more with real audio; each on a night of its own.
//! The floor is the same rows and moves by hand-written SQL, one commit per move, at its best
//! number of connections; half of it is measured before the engine and half behind it, so that
//! a machine that becomes slower or faster meanwhile is slower or faster for both.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{
    store::{
        self, Store,
        floor::{self, Content},
        night,
    },
    worker::{Work, scheduler::enqueue},
};

use super::{
    Error,
    audio::{Shelves, WithAudio},
    crew::{self, Crew},
    instantly::{Instantly, LATENCIES, SCRIPT_CHARACTERS, script},
    meter,
};

/// Finished podcasts that are put into the tables at a time.
const FILL: i64 = 20_000;

/// All the audio of a run together, in bytes: what the S3 server keeps on this disk.
const MOST_AUDIO: usize = 2 << 30;

/// The numbers of connections at which the floor is tried.
const FLOOR_CONNECTIONS: [usize; 4] = [4, 8, 16, 32];

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct EngineArgs {
    /// Podcasts the engine makes.
    pub podcasts: u32,
    /// Podcasts in flight per worker.
    pub concurrency: usize,
    /// Workers on the one database.
    pub workers: usize,
    /// Scale of the latencies of the steps' calls; nought for calls that answer at once.
    pub latency: f64,
    /// Finished podcasts to put into the tables before the engine is measured once more.
    pub finished: u32,
    /// Size of the episodes of one more measurement with real audio.
    pub audio_bytes: Option<usize>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct EngineReport {
    /// Podcasts in flight per worker.
    pub concurrency: usize,
    /// Workers.
    pub workers: usize,
    /// The default form: four durable steps with instant calls, the row updated in each.
    #[serde(flatten)]
    pub engine: Figures,
    /// The floor of the same run.
    pub floor_per_second: f64,
    /// Its connections.
    pub floor_connections: usize,
    /// The engine's rate by the floor's.
    pub ratio_to_floor: f64,
    /// What part of concurrency by latency was reached, where there is latency.
    pub share_of_possible: Option<f64>,
    /// The most memory of this process.
    pub max_rss_bytes: u64,
    /// The same with finished podcasts in the tables.
    pub growth: Option<Growth>,
    /// The same with real audio.
    pub audio: Option<Audio>,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors, memory and Postgres.
    pub machine: String,
    /// Settings of the server that matter here.
    pub settings: BTreeMap<String, String>,
}

/// One night in figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figures {
    /// Podcasts made.
    pub podcasts: u32,
    /// From the first enqueue to the last completion.
    pub podcasts_per_second: f64,
    /// Processor time of this process.
    pub cpu_ms_per_podcast: f64,
    /// Processor time of Postgres, if it runs on this host.
    pub postgres_cpu_ms_per_podcast: Option<f64>,
    /// Commits.
    pub commits_per_podcast: f64,
    /// Statements, if the server counts them.
    pub statements_per_podcast: Option<f64>,
    /// Written to the write-ahead log.
    pub wal_bytes_per_podcast: f64,
    /// The part of the updates of podcasts that touched no index.
    pub hot_share: f64,
}

/// The engine with finished podcasts in the tables.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Growth {
    /// How many of them.
    pub finished: u32,
    /// How long it took to put them there.
    pub fill_seconds: f64,
    /// The database with them.
    pub database_bytes: i64,
    /// What was reached then.
    #[serde(flatten)]
    pub engine: Figures,
    /// The rate by that of the empty tables.
    pub ratio_to_empty: f64,
}

/// The engine with real audio. The S3 server is part of this process.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Audio {
    /// Size of an episode.
    pub bytes: usize,
    /// What was reached.
    #[serde(flatten)]
    pub engine: Figures,
    /// The most memory of this process, this form included.
    pub max_rss_bytes: u64,
}

/// Measures floor and engine on a migrated database that nobody else uses. `shelves` is needed for
/// real audio only.
///
/// # Errors
/// When the database or the worker fails.
pub async fn engine(
    store: &Store,
    args: EngineArgs,
    shelves: Option<Shelves>,
    mut progress: impl FnMut(&str),
) -> Result<EngineReport, Error> {
    floor::make_learners(store.pool(), i64::from(args.podcasts)).await?;
    let floor_podcasts = (args.podcasts / 4).clamp(200, 5_000);
    progress("looking for the floor's best number of connections");
    let connections = best_connections(store, floor_podcasts / 8).await?;
    progress("measuring the floor");
    let before = floor_rate(store, connections, floor_podcasts).await?;
    progress("measuring the engine");
    let instantly = Instantly::new(SCRIPT_CHARACTERS, args.latency);
    let finished = instantly.finished();
    let engine = one_night(store, &args, Night { number: 0, podcasts: args.podcasts, finished }, instantly).await?;
    let max_rss_bytes = meter::max_rss_bytes();
    progress("measuring the floor again");
    let after = floor_rate(store, connections, floor_podcasts).await?;
    // Equal numbers of podcasts: the rate of both halves together is the harmonic mean.
    let floor_per_second = 2.0 / (1.0 / before + 1.0 / after);
    let growth = match args.finished {
        0 => None,
        _ => Some(growth(store, &args, engine.podcasts_per_second, &mut progress).await?),
    };
    let audio = match args.audio_bytes.zip(shelves) {
        None => None,
        Some((bytes, shelves)) => {
            progress("measuring with real audio");
            Some(with_audio(store, &args, bytes, shelves).await?)
        }
    };
    let possible = (args.concurrency * args.workers) as f64 / (LATENCIES.iter().sum::<f64>() * args.latency);
    Ok(EngineReport {
        concurrency: args.concurrency,
        workers: args.workers,
        engine,
        floor_per_second,
        floor_connections: connections,
        ratio_to_floor: engine.podcasts_per_second / floor_per_second,
        share_of_possible: possible.is_finite().then(|| engine.podcasts_per_second / possible),
        max_rss_bytes,
        growth,
        audio,
        build: super::BUILD,
        machine: meter::machine(&floor::server_version(store.pool()).await?),
        settings: floor::settings(store.pool()).await?.into_iter().collect(),
    })
}

/// Fills the tables and measures the engine again.
async fn growth(
    store: &Store,
    args: &EngineArgs,
    empty: f64,
    progress: &mut impl FnMut(&str),
) -> Result<Growth, Error> {
    progress("filling the tables with finished podcasts");
    let started = Instant::now();
    let room = floor::begin_filling(store.pool()).await?;
    let mut filled = 0;
    while filled < i64::from(args.finished) {
        let more = FILL.min(i64::from(args.finished) - filled);
        floor::fill(store.pool(), filled, more).await?;
        filled += more;
        if filled % 1_000_000 == 0 {
            progress(&format!("{filled} are there"));
        }
    }
    progress("tidying the tables up");
    floor::end_filling(store.pool(), &room).await?;
    let fill_seconds = started.elapsed().as_secs_f64();
    progress("measuring the engine with full tables");
    let instantly = Instantly::new(SCRIPT_CHARACTERS, args.latency);
    let finished = instantly.finished();
    let engine = one_night(store, args, Night { number: 1, podcasts: args.podcasts, finished }, instantly).await?;
    Ok(Growth {
        finished: args.finished,
        fill_seconds,
        database_bytes: floor::database_bytes(store.pool()).await?,
        engine,
        ratio_to_empty: engine.podcasts_per_second / empty,
    })
}

/// As many podcasts as there is room for, with real audio.
async fn with_audio(store: &Store, args: &EngineArgs, bytes: usize, shelves: Shelves) -> Result<Audio, Error> {
    let podcasts = args.podcasts.min(u32::try_from((MOST_AUDIO / bytes.max(1)).max(1)).unwrap_or(u32::MAX));
    floor::keep_learners(store.pool(), i64::from(podcasts)).await?;
    let work = WithAudio::new(bytes, shelves)?;
    let finished = work.finished();
    let engine = one_night(store, args, Night { number: 2, podcasts, finished }, work).await?;
    Ok(Audio { bytes, engine, max_rss_bytes: meter::max_rss_bytes() })
}

async fn best_connections(store: &Store, podcasts: u32) -> Result<usize, Error> {
    let mut best = (0.0, FLOOR_CONNECTIONS[0]);
    for connections in FLOOR_CONNECTIONS {
        let rate = floor_rate(store, connections, podcasts.max(50)).await?;
        if rate > best.0 {
            best = (rate, connections);
        }
    }
    Ok(best.1)
}

/// Podcasts a second of the floor.
async fn floor_rate(store: &Store, connections: usize, podcasts: u32) -> Result<f64, Error> {
    let pool = store.pool_of(u32::try_from(connections).unwrap_or(1));
    let deadline_at = night::now(&pool).await? + chrono::Duration::days(1);
    // Users of the floor are no learners, and dates in the past keep each run apart.
    let date = deadline_at.date_naive() - chrono::Days::new(400);
    let content = Arc::new(Content { date, deadline_at, script: script(SCRIPT_CHARACTERS) });
    let next = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let first_user: i64 = -deadline_at.timestamp_micros();
    // Connecting is no part of the floor.
    let open = (0..connections).map(|_| pool.acquire());
    drop(futures_util::future::try_join_all(open).await.map_err(store::Error::connecting)?);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (pool, content, next) = (pool.clone(), Arc::clone(&content), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n >= podcasts {
                    return Ok::<_, Error>(());
                }
                floor::one_podcast(&pool, first_user - i64::from(n), &content).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let rate = f64::from(podcasts) / started.elapsed().as_secs_f64();
    pool.close().await;
    Ok(rate)
}

/// The night that is measured: its date by number, its podcasts, and who tells what is finished.
struct Night {
    number: u64,
    podcasts: u32,
    finished: watch::Receiver<u32>,
}

/// Enqueues a night while the workers run, and waits until nothing is left.
async fn one_night<W: Work>(store: &Store, args: &EngineArgs, mut night: Night, work: W) -> Result<Figures, Error> {
    let work = Arc::new(work);
    let crews: Vec<Crew> = (0..args.workers).map(|_| Crew::start(store, args.concurrency, &work)).collect();
    let pool = store.pool();
    let counts = floor::work(pool).await?;
    let (own, server) = (meter::own_cpu_ms(), meter::server_cpu_ms(counts.backend_pid));
    let started = Instant::now();
    let open = crew::start_night(store, night.number).await?;
    enqueue(pool, open, &crew::schedule(), |_| {}).await?;
    // The sender lives as long as the work does, which is held above.
    let _ = night.finished.wait_for(|finished| *finished >= night.podcasts).await;
    let took = started.elapsed();
    let own = meter::own_cpu_ms() - own;
    let after = floor::work(pool).await?;
    let server = server.and_then(|before| Some(meter::server_cpu_ms(after.backend_pid)? - before));
    for crew in crews {
        crew.stop().await?;
    }
    let each = |sum: f64| sum / f64::from(night.podcasts);
    let (updates, hot) = (after.updates - counts.updates, after.hot_updates - counts.hot_updates);
    Ok(Figures {
        podcasts: night.podcasts,
        podcasts_per_second: f64::from(night.podcasts) / took.as_secs_f64(),
        cpu_ms_per_podcast: each(own),
        postgres_cpu_ms_per_podcast: server.map(each),
        commits_per_podcast: each((after.commits - counts.commits) as f64),
        statements_per_podcast: after
            .statements
            .zip(counts.statements)
            .map(|(after, before)| each((after - before) as f64)),
        wal_bytes_per_podcast: each((after.wal_bytes - counts.wal_bytes) as f64),
        hot_share: hot as f64 / updates.max(1) as f64,
    })
}
