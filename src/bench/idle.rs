//! `bench idle`: what a worker without work costs, how soon it begins when work comes, and how soon
//! it takes over from one that vanished.
//!
//! The worker that vanishes lives in this process, so its process is not gone: what is measured is
//! the slower proof of death, that of another host, by its lock and its heartbeat.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use crate::{
    machine::{RetryPolicy, Status},
    podcast::{Attempt, Outcome, Podcast},
    store::{
        Store, floor,
        night::{self, Open},
        probe,
    },
    worker::{
        Work,
        fleet::{self, Fleet},
    },
};

use super::{
    Error,
    crew::{Crew, POLL, start_night},
    instantly::Instantly,
    meter,
};

/// Until the worker has its connections and leads, and the server has tidied up after the migrations.
const SETTLING: Duration = Duration::from_secs(5);

/// The pause between two nudges: long enough for the worker to be idle again, and no multiple of
/// the time between two polls.
const BETWEEN: Duration = Duration::from_millis(830);

/// Podcasts that a vanishing worker holds.
const HELD: usize = 8;

/// Podcasts in flight at most.
const SLOTS: usize = 200;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct IdleArgs {
    /// How long the idle worker is watched.
    pub watch: Duration,
    /// Podcasts that come one by one, with and without a notification.
    pub nudges: u32,
    /// Workers that vanish.
    pub take_overs: u32,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct IdleReport {
    /// How long the idle worker was watched.
    pub watched_seconds: f64,
    /// Processor time of this process.
    pub cpu_ms_per_second: f64,
    /// Processor time of Postgres, if it runs on this host.
    pub postgres_cpu_ms_per_second: Option<f64>,
    /// Statements of the idle worker, if the server counts them.
    pub statements_per_second: Option<f64>,
    /// From the wish for a podcast to the first step, told by notification.
    pub nudge_ms: Spread,
    /// The same when nobody tells.
    pub quiet_nudge_ms: Spread,
    /// The time between two polls.
    pub poll_ms: u64,
    /// From the end of a worker to the first step of another on one of its podcasts.
    pub take_over_ms: Spread,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// Many times in four figures, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Spread {
    /// How many.
    pub times: usize,
    /// Half were shorter.
    pub p50: f64,
    /// All but a hundredth were shorter.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Spread {
    /// Of these times, in any order.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        let at = |share: usize| ms(times.get((times.len() * share).div_ceil(100).saturating_sub(1)));
        Self { times: times.len(), p50: at(50), p99: at(99), max: ms(times.last()) }
    }
}

/// Tells when the first step of a podcast begins, and may be held there.
struct Watched {
    instantly: Instantly,
    begun: mpsc::Sender<(i64, Instant)>,
    gate: Semaphore,
}

impl Watched {
    fn with_gate(is_open: bool) -> (Arc<Self>, mpsc::Receiver<(i64, Instant)>) {
        let (begun, seen) = mpsc::channel(SLOTS);
        let gate = Semaphore::new(if is_open { Semaphore::MAX_PERMITS } else { 0 });
        (Arc::new(Self { instantly: Instantly::at_once(), begun, gate }), seen)
    }
}

impl Work for Watched {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        if podcast.status == Status::Pending {
            // Who no longer listens is no longer interested.
            let _ = self.begun.send((podcast.id, Instant::now())).await;
            let _open = self.gate.acquire().await;
        }
        self.instantly.advance(podcast, attempt).await
    }

    fn retry_policy(&self, status: Status) -> RetryPolicy {
        self.instantly.retry_policy(status)
    }

    fn time_limit(&self, status: Status) -> Duration {
        self.instantly.time_limit(status)
    }

    async fn clean_up(&self, podcast_id: i64) {
        self.instantly.clean_up(podcast_id).await;
    }
}

/// Measures on a migrated database that nobody else uses.
///
/// # Errors
/// When the database or the worker fails.
pub async fn idle(store: &Store, args: IdleArgs, mut progress: impl FnMut(&str)) -> Result<IdleReport, Error> {
    let held = u32::try_from(HELD).unwrap_or(u32::MAX);
    floor::make_learners(store.pool(), i64::from(args.nudges * 2 + args.take_overs * held)).await?;
    let night = start_night(store, 0).await?;
    night::close(store.pool(), night.date).await?;
    let (work, mut begun) = Watched::with_gate(true);
    let crew = Crew::start_with_calendar(store, SLOTS, &work);
    let fleet = Fleet::start(store.another(), fleet_settings());
    tokio::time::sleep(SETTLING).await;

    progress("watching an idle worker");
    let counts = floor::work(store.pool()).await?;
    let (own, server) = (meter::own_cpu_ms(), meter::server_cpu_ms(counts.backend_pid));
    let started = Instant::now();
    tokio::time::sleep(args.watch).await;
    let seconds = started.elapsed().as_secs_f64();
    let own = meter::own_cpu_ms() - own;
    let server = server.and_then(|before| Some(meter::server_cpu_ms(counts.backend_pid)? - before));
    let after = floor::work(store.pool()).await?;
    let statements = after.statements.zip(counts.statements).map(|(after, before)| after - before);

    progress("nudging it");
    let mut nudges = Nudges { store, night: &night, begun: &mut begun, learner: 0 };
    let told = nudges.many(args.nudges, true).await?;
    let quiet = nudges.many(args.nudges, false).await?;
    let learner = nudges.learner;
    crew.stop().await?;
    fleet.end().await;

    progress("letting workers vanish");
    let mut take_overs = Vec::new();
    for n in 0..i64::from(args.take_overs) {
        let first = learner + 1 + n * i64::from(held);
        take_overs.push(take_over(store, &night, first).await?);
    }
    Ok(IdleReport {
        watched_seconds: seconds,
        cpu_ms_per_second: own / seconds,
        postgres_cpu_ms_per_second: server.map(|ms| ms / seconds),
        statements_per_second: statements.map(|n| n as f64 / seconds),
        nudge_ms: Spread::of(told),
        quiet_nudge_ms: Spread::of(quiet),
        poll_ms: u64::try_from(POLL.as_millis()).unwrap_or(u64::MAX),
        take_over_ms: Spread::of(take_overs),
        build: super::BUILD,
        machine: meter::machine(&floor::server_version(store.pool()).await?),
    })
}

fn fleet_settings() -> fleet::Settings {
    fleet::Settings {
        name: "bench".to_owned(),
        limits: BTreeMap::new(),
        micro_usd_per_night: None,
        turn: fleet::TURN,
        longest_call: Duration::from_secs(60),
    }
}

/// Podcasts that come one by one.
struct Nudges<'a> {
    store: &'a Store,
    night: &'a Open,
    begun: &'a mut mpsc::Receiver<(i64, Instant)>,
    learner: i64,
}

impl Nudges<'_> {
    /// How long after it was wished for each of `count` podcasts was begun.
    async fn many(&mut self, count: u32, told: bool) -> Result<Vec<Duration>, Error> {
        let (pool, date, deadline_at) = (self.store.pool(), self.night.date, self.night.deadline_at);
        let mut times = Vec::new();
        for _ in 0..count {
            tokio::time::sleep(BETWEEN).await;
            self.learner += 1;
            let wished = Instant::now();
            if told {
                night::enqueue_learners(pool, date, deadline_at, &[self.learner]).await?;
            } else {
                probe::enqueue_quietly(pool, self.learner, date, deadline_at).await?;
            }
            let Some((_, begun)) = self.begun.recv().await else { break };
            times.push(begun.saturating_duration_since(wished));
        }
        Ok(times)
    }
}

/// How long after one worker vanished another began one of its podcasts.
async fn take_over(store: &Store, night: &Open, first: i64) -> Result<Duration, Error> {
    let (holding, mut taken) = Watched::with_gate(false);
    let victim = Crew::start(store, HELD, &holding);
    let learners: Vec<i64> = (first..).take(HELD).collect();
    night::enqueue_learners(store.pool(), night.date, night.deadline_at, &learners).await?;
    let mut held = HashSet::new();
    while held.len() < HELD {
        let Some((podcast, _)) = taken.recv().await else { break };
        held.insert(podcast);
    }
    let (heirs_work, mut begun) = Watched::with_gate(true);
    let heir = Crew::start(store, SLOTS, &heirs_work);
    tokio::time::sleep(SETTLING).await;
    let vanished = Instant::now();
    victim.kill().await;
    let mut first = None;
    for _ in 0..HELD {
        let Some((_, at)) = begun.recv().await else { break };
        first.get_or_insert(at);
    }
    let mut finished = heirs_work.instantly.finished();
    let _ = finished.wait_for(|finished| *finished as usize >= HELD).await;
    heir.stop().await?;
    Ok(first.unwrap_or_else(Instant::now).saturating_duration_since(vanished))
}
