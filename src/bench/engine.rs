//! `bench engine`: the real engine with steps that answer at once from memory.
//!
//! What is measured is enqueue, claim, lease, moves, events and completion, durable as in
//! production. The floor is the same rows and moves by hand-written SQL, one commit per move, at
//! its best number of connections; half of it is measured before the engine and half behind it, so
//! that a machine that becomes slower or faster meanwhile is slower or faster for both.

use std::{sync::Arc, time::Duration};

use chrono::NaiveTime;
use serde::Serialize;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{
    machine::{Event, RetryPolicy, Status},
    podcast::{Artefacts, Attempt, ChunkPlan, Outcome, Podcast},
    store::{
        self, Store,
        floor::{self, Content},
        night::{self, NewNight},
    },
    worker::{
        self, Settings, Work,
        scheduler::{Schedule, enqueue},
        shutdown::Shutdown,
    },
};

use super::{Error, meter};

/// Characters of the script that every podcast carries.
const SCRIPT_CHARACTERS: usize = 4096;

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
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct EngineReport {
    /// Podcasts made.
    pub podcasts: u32,
    /// Podcasts in flight per worker.
    pub concurrency: usize,
    /// Workers.
    pub workers: usize,
    /// From the first enqueue to the last completion.
    pub podcasts_per_second: f64,
    /// The floor of the same run.
    pub floor_per_second: f64,
    /// Its connections.
    pub floor_connections: usize,
    /// The first by the second.
    pub ratio_to_floor: f64,
    /// Processor time of this process.
    pub cpu_ms_per_podcast: f64,
    /// Processor time of Postgres, if it runs on this host.
    pub postgres_cpu_ms_per_podcast: Option<f64>,
    /// Commits.
    pub commits_per_podcast: f64,
    /// Statements, if the server counts them.
    pub statements_per_podcast: Option<f64>,
    /// The most memory of this process.
    pub max_rss_bytes: u64,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// Steps whose outside calls answer at once. Counts what is finished, so that nobody has to ask
/// the database under test.
struct Instantly {
    script: String,
    finished: watch::Sender<u32>,
}

impl Work for Instantly {
    async fn advance(&self, podcast: &Podcast, _: &Attempt<'_>) -> Outcome {
        let text = |text: &str| Some(text.to_owned());
        let (event, made) = match podcast.status {
            Status::Pending => (
                Event::ScriptReady,
                Artefacts {
                    script_text: Some(self.script.clone()),
                    language: text("en"),
                    title: text("A title"),
                    topic: text("A topic"),
                    ai_model_used: text("template"),
                    is_fallback: Some(false),
                    ..Artefacts::default()
                },
            ),
            Status::ScriptGenerated => (
                Event::SpeechStarted,
                Artefacts {
                    tts_provider: text("local"),
                    tts_voice: text("voice"),
                    tts_voice_gender: text("female"),
                    chunk_plan: Some(ChunkPlan { ends: vec![SCRIPT_CHARACTERS], round: 1, ..ChunkPlan::default() }),
                    ..Artefacts::default()
                },
            ),
            Status::AudioGenerating => (
                Event::AudioReady,
                Artefacts {
                    spool_ref: text("memory"),
                    audio_sha256: Some("0".repeat(64)),
                    audio_bytes: Some(1_000_000),
                    duration_seconds: Some(240),
                    ..Artefacts::default()
                },
            ),
            _ => (
                Event::Uploaded(podcast.script()),
                Artefacts {
                    audio_url: Some(format!("s3://bucket/podcasts/{}", podcast.id)),
                    object_key: Some(format!("podcasts/{}", podcast.id)),
                    object_etag: Some("0".repeat(32)),
                    ..Artefacts::default()
                },
            ),
        };
        Outcome::done(event, made)
    }

    fn retry_policy(&self, _: Status) -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            first_delay: Duration::from_secs(1),
            factor: 2.0,
            max_delay: Duration::from_secs(10),
            jitter: 0.0,
        }
    }

    fn time_limit(&self, _: Status) -> Duration {
        Duration::from_secs(60)
    }

    async fn clean_up(&self, _: i64) {
        self.finished.send_modify(|finished| *finished += 1);
    }

    async fn leftovers(&self) -> Vec<i64> {
        Vec::new()
    }
}

/// A text of plain words, as compressible as prose.
fn script() -> String {
    let words =
        ["review", "the", "past", "tense", "of", "seven", "verbs", "and", "answer", "ten", "questions", "today"];
    let mut text = String::with_capacity(SCRIPT_CHARACTERS + 16);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    while text.len() < SCRIPT_CHARACTERS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(words[usize::try_from(state % words.len() as u64).unwrap_or_default()]);
        text.push(' ');
    }
    text.truncate(SCRIPT_CHARACTERS);
    text
}

/// Measures floor and engine on a migrated database that nobody else uses.
///
/// # Errors
/// When the database or the worker fails.
pub async fn engine(store: &Store, args: EngineArgs, mut progress: impl FnMut(&str)) -> Result<EngineReport, Error> {
    floor::make_learners(store.pool(), i64::from(args.podcasts)).await?;
    let floor_podcasts = (args.podcasts / 4).clamp(200, 5_000);
    progress("looking for the floor's best number of connections");
    let connections = best_connections(store, floor_podcasts / 8).await?;
    progress("measuring the floor");
    let before = floor_rate(store, connections, floor_podcasts).await?;
    progress("measuring the engine");
    let measured = engine_rate(store, args).await?;
    progress("measuring the floor again");
    let after = floor_rate(store, connections, floor_podcasts).await?;
    // Equal numbers of podcasts: the rate of both halves together is the harmonic mean.
    let floor_per_second = 2.0 / (1.0 / before + 1.0 / after);
    Ok(EngineReport {
        podcasts: args.podcasts,
        concurrency: args.concurrency,
        workers: args.workers,
        podcasts_per_second: measured.rate,
        floor_per_second,
        floor_connections: connections,
        ratio_to_floor: measured.rate / floor_per_second,
        cpu_ms_per_podcast: measured.own_cpu_ms / f64::from(args.podcasts),
        postgres_cpu_ms_per_podcast: measured.server_cpu_ms.map(|ms| ms / f64::from(args.podcasts)),
        commits_per_podcast: measured.commits / f64::from(args.podcasts),
        statements_per_podcast: measured.statements.map(|n| n / f64::from(args.podcasts)),
        max_rss_bytes: measured.max_rss_bytes,
        build: if cfg!(debug_assertions) { "dev" } else { "release" },
        machine: meter::machine(&floor::server_version(store.pool()).await?),
    })
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
    let content = Arc::new(Content { date, deadline_at, script: script() });
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

struct Measured {
    rate: f64,
    own_cpu_ms: f64,
    server_cpu_ms: Option<f64>,
    commits: f64,
    statements: Option<f64>,
    max_rss_bytes: u64,
}

/// Enqueues a night while the workers run, and waits until nothing is left.
async fn engine_rate(store: &Store, args: EngineArgs) -> Result<Measured, Error> {
    let shutdown = Shutdown::new();
    let mut workers = JoinSet::new();
    let work = Arc::new(Instantly { script: script(), finished: watch::Sender::new(0) });
    let mut finished = work.finished.subscribe();
    for number in 0..args.workers {
        let settings = Settings {
            name: format!("bench-{number}"),
            concurrency: args.concurrency,
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            poll: Duration::from_millis(250),
            crash_limit: 3,
            schedule: None,
            retention_days: 30_000,
        };
        workers.spawn(worker::run(store.another(), settings, Arc::clone(&work), shutdown.clone()));
    }
    let pool = store.pool();
    let now = night::now(pool).await?;
    let schedule = bench_schedule();
    let night = NewNight {
        date: now.date_naive(),
        scheduled_for: now,
        deadline_at: now + chrono::Duration::days(1),
        started_by: "bench".to_owned(),
    };
    let counts = floor::work(pool).await?;
    let (own, server) = (meter::own_cpu_ms(), meter::server_cpu_ms(counts.backend_pid));
    let started = Instant::now();
    night::start(pool, &night).await?;
    for open in night::open(pool).await? {
        enqueue(pool, open, &schedule, |_| {}).await?;
    }
    // The sender lives as long as the work does, which is held above.
    let _ = finished.wait_for(|finished| *finished >= args.podcasts).await;
    let took = started.elapsed();
    let after = floor::work(pool).await?;
    let measured = Measured {
        rate: f64::from(args.podcasts) / took.as_secs_f64(),
        own_cpu_ms: meter::own_cpu_ms() - own,
        server_cpu_ms: server.and_then(|before| Some(meter::server_cpu_ms(after.backend_pid)? - before)),
        commits: (after.commits - counts.commits) as f64,
        statements: after.statements.zip(counts.statements).map(|(after, before)| (after - before) as f64),
        max_rss_bytes: meter::max_rss_bytes(),
    };
    shutdown.ask();
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(measured)
}

#[expect(clippy::unwrap_used, reason = "a constant pattern")]
fn bench_schedule() -> Schedule {
    Schedule {
        cron: "0 3 * * *".parse().unwrap(),
        zone: chrono_tz::UTC,
        deadline: NaiveTime::MIN,
        batch_size: 100,
        active_within: Duration::from_secs(14 * 86_400),
    }
}
