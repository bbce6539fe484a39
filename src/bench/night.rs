//! `bench night`: a whole night of many learners, enqueued by the scheduler's own code and drained
//! by steps that answer at once.
//!
//! Enqueued first and drained then, so that the queue is as long as it can be; whether the end of
//! the night is as fast as its beginning shows if anything grows with what is already done.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    store::{Store, floor},
    worker::scheduler::enqueue,
};

use super::{
    Error,
    crew::{Crew, schedule, start_night},
    instantly::Instantly,
    meter,
};

/// How often memory is looked at while the night is drained.
const LOOK: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct NightArgs {
    /// Learners of the night.
    pub learners: u32,
    /// Podcasts in flight.
    pub concurrency: usize,
    /// Leave the night undone.
    pub only_enqueue: bool,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct NightReport {
    /// Learners, each with a podcast.
    pub learners: u32,
    /// From the start of the night to its last batch.
    pub enqueue_seconds: f64,
    /// Commits of the enqueuing.
    pub batches: i64,
    /// Processor time of this process for the enqueuing.
    pub enqueue_cpu_seconds: f64,
    /// Processor time of Postgres for it, if it runs on this host.
    pub enqueue_postgres_cpu_seconds: Option<f64>,
    /// Memory of this process before.
    pub idle_rss_bytes: u64,
    /// The most memory above that while enqueuing.
    pub enqueue_rss_over_idle_bytes: u64,
    /// How the night was drained, if it was.
    pub drain: Option<Drain>,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// How a night was drained.
#[derive(Debug, Clone, Serialize)]
pub struct Drain {
    /// Podcasts in flight.
    pub concurrency: usize,
    /// From the start of the worker to the last podcast.
    pub seconds: f64,
    /// Podcasts a second over all.
    pub podcasts_per_second: f64,
    /// Over the first tenth.
    pub first_tenth_per_second: f64,
    /// Over the last tenth.
    pub last_tenth_per_second: f64,
    /// Memory of this process when a tenth was done.
    pub rss_after_first_tenth_bytes: u64,
    /// The most memory of this process after that.
    pub most_rss_bytes: u64,
}

/// Measures on a migrated database that nobody else uses.
///
/// # Errors
/// When the database or the worker fails.
pub async fn night(store: &Store, args: NightArgs, mut progress: impl FnMut(&str)) -> Result<NightReport, Error> {
    progress("making learners");
    floor::make_learners(store.pool(), i64::from(args.learners)).await?;
    let open = start_night(store, 0).await?;
    let idle_rss_bytes = meter::rss_bytes();
    let mut most = idle_rss_bytes;
    let backend = floor::work(store.pool()).await?.backend_pid;
    let (own, server) = (meter::own_cpu_ms(), meter::server_cpu_ms(backend));
    let started = Instant::now();
    let shown_every = (i64::from(args.learners) / i64::from(schedule().batch_size) / 10).max(1);
    let enqueued = enqueue(store.pool(), open, &schedule(), |so_far| {
        if so_far.batches % shown_every == 0 {
            most = most.max(meter::rss_bytes());
            progress(&format!("{} podcasts enqueued in {} batches", so_far.podcasts, so_far.batches));
        }
    })
    .await?;
    let enqueue_seconds = started.elapsed().as_secs_f64();
    let mut report = NightReport {
        learners: args.learners,
        enqueue_seconds,
        batches: enqueued.batches,
        enqueue_cpu_seconds: (meter::own_cpu_ms() - own) / 1000.0,
        enqueue_postgres_cpu_seconds: server
            .and_then(|before| Some((meter::server_cpu_ms(backend)? - before) / 1000.0)),
        idle_rss_bytes,
        enqueue_rss_over_idle_bytes: most - idle_rss_bytes,
        drain: None,
        build: super::BUILD,
        machine: meter::machine(&floor::server_version(store.pool()).await?),
    };
    if !args.only_enqueue {
        report.drain = Some(drain(store, args, &mut progress).await?);
    }
    Ok(report)
}

async fn drain(store: &Store, args: NightArgs, progress: &mut impl FnMut(&str)) -> Result<Drain, Error> {
    let work = Arc::new(Instantly::at_once());
    let finished = work.finished();
    let started = Instant::now();
    let crew = Crew::start(store, args.concurrency, &work);
    let tenth = (args.learners / 10).max(1);
    let mut tenths = vec![Duration::ZERO];
    let (mut first, mut most) = (0, 0);
    loop {
        let done = *finished.borrow();
        while done / tenth >= u32::try_from(tenths.len()).unwrap_or(u32::MAX) {
            tenths.push(started.elapsed());
            progress(&format!("{done} podcasts finished"));
        }
        if tenths.len() > 1 {
            let rss = meter::rss_bytes();
            first = if first == 0 { rss } else { first };
            most = most.max(rss);
        }
        if done >= args.learners {
            break;
        }
        let mut news = finished.clone();
        let goal = (tenth * u32::try_from(tenths.len()).unwrap_or(u32::MAX)).min(args.learners);
        let _ = tokio::time::timeout(LOOK, news.wait_for(|done| *done >= goal)).await;
    }
    let took = started.elapsed();
    crew.stop().await?;
    let rate = |from: usize, to: usize| match (tenths.get(from), tenths.get(to)) {
        (Some(from), Some(to)) => f64::from(tenth) / (*to - *from).as_secs_f64().max(f64::EPSILON),
        _ => 0.0,
    };
    Ok(Drain {
        concurrency: args.concurrency,
        seconds: took.as_secs_f64(),
        podcasts_per_second: f64::from(args.learners) / took.as_secs_f64(),
        first_tenth_per_second: rate(0, 1),
        last_tenth_per_second: rate(tenths.len().saturating_sub(2), tenths.len() - 1),
        rss_after_first_tenth_bytes: first,
        most_rss_bytes: most,
    })
}
