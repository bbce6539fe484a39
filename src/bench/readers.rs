//! `bench readers`: the engine at half of what it can do, while long transactions read.
//!
//! While a transaction keeps its snapshot, nothing that it might see is removed: not the jobs that
//! were taken, and not their entries in the index by which work is claimed. A queue whose claims
//! pass by all of them gets slower with every podcast it finishes, and its backlog grows.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use crate::store::{Store, floor, night, probe};

use super::{
    Error,
    crew::{Crew, schedule, start_night},
    instantly::Instantly,
    meter,
};

/// Long transactions that overlap.
const READERS: u32 = 3;

/// How often new podcasts are enqueued.
const TICK: Duration = Duration::from_millis(100);

/// Learners of a date; those of the next date follow.
const LEARNERS: u32 = 50_000;

/// How many moments the report has.
const MOMENTS: u32 = 15;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct ReadersArgs {
    /// How long.
    pub time: Duration,
    /// How long each transaction reads.
    pub reading: Duration,
    /// Podcasts by which the saturation rate is measured before.
    pub podcasts: u32,
    /// Podcasts in flight.
    pub concurrency: usize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct ReadersReport {
    /// Podcasts a second of the worker alone, with all it can take.
    pub saturation_per_second: f64,
    /// Podcasts a second that were enqueued then; half of that.
    pub offered_per_second: f64,
    /// Seconds that each of three overlapping transactions lasted.
    pub reading_seconds: f64,
    /// The figures over time.
    pub moments: Vec<Moment>,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// The figures at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Moment {
    /// Since the first of the transactions began.
    pub second: f64,
    /// Podcasts enqueued and not finished.
    pub backlog: i64,
    /// Podcasts finished a second since the moment before.
    pub finished_per_second: f64,
    /// Mean time of a claim on the server since then, if the server tells.
    pub claim_ms: Option<f64>,
    /// Bytes of the table of jobs.
    pub jobs_bytes: i64,
    /// Bytes of its indexes.
    pub jobs_index_bytes: i64,
    /// Bytes of the podcasts with all that belongs to them.
    pub podcasts_bytes: i64,
}

/// Measures on a migrated database that nobody else uses.
///
/// # Errors
/// When the database or the worker fails.
pub async fn readers(store: &Store, args: ReadersArgs, mut progress: impl FnMut(&str)) -> Result<ReadersReport, Error> {
    floor::make_learners(store.pool(), i64::from(LEARNERS.max(args.podcasts))).await?;
    let work = Arc::new(Instantly::at_once());
    let mut finished = work.finished();
    let crew = Crew::start(store, args.concurrency, &work);

    progress("measuring the saturation rate");
    let started = Instant::now();
    let mut open = start_night(store, 0).await?;
    for _ in 0..args.podcasts.div_ceil(schedule().batch_size) {
        let size = i64::from(schedule().batch_size);
        let batch = night::enqueue_batch(store.pool(), &open, size, WHOEVER).await?;
        open.cursor_user_id = batch.last_user_id.unwrap_or(open.cursor_user_id);
    }
    let _ = finished.wait_for(|finished| *finished >= args.podcasts).await;
    let saturation = f64::from(args.podcasts) / started.elapsed().as_secs_f64();

    progress(&format!("{saturation:.0} podcasts a second; half of that while others read"));
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(read_on(store.clone(), args.reading, args.reading * number / READERS, args.time));
    }
    let before = *finished.borrow();
    let offered = tokio::spawn(offer(store.clone(), saturation / 2.0, args.time));
    let mut moments: Vec<Moment> = Vec::new();
    let (began, mut last) = (Instant::now(), (Duration::ZERO, before, probe::look(store.pool()).await?));
    for number in 1..=MOMENTS {
        tokio::time::sleep_until(began + args.time * number / MOMENTS).await;
        let now = (began.elapsed(), *finished.borrow(), probe::look(store.pool()).await?);
        let backlog = probe::unfinished(store.pool()).await?;
        let claims = now.2.claims - last.2.claims;
        moments.push(Moment {
            second: now.0.as_secs_f64(),
            backlog,
            finished_per_second: f64::from(now.1 - last.1) / (now.0 - last.0).as_secs_f64(),
            claim_ms: (claims > 0).then(|| (now.2.claims_ms - last.2.claims_ms) / claims as f64),
            jobs_bytes: now.2.jobs_bytes,
            jobs_index_bytes: now.2.jobs_index_bytes,
            podcasts_bytes: now.2.podcasts_bytes,
        });
        progress(&format!("{:.0} s: {backlog} waiting", now.0.as_secs_f64()));
        last = now;
    }
    let offered = offered.await??;
    while let Some(read) = readers.join_next().await {
        read??;
    }
    crew.stop().await?;
    Ok(ReadersReport {
        saturation_per_second: saturation,
        offered_per_second: offered as f64 / args.time.as_secs_f64(),
        reading_seconds: args.reading.as_secs_f64(),
        moments,
        build: super::BUILD,
        machine: meter::machine(&floor::server_version(store.pool()).await?),
    })
}

/// The learners of the benchmark were all seen when they were made.
const WHOEVER: f64 = 1e9;

/// Enqueues podcasts at a steady rate, by batches of the scheduler's own kind.
async fn offer(store: Store, per_second: f64, time: Duration) -> Result<i64, Error> {
    let (began, mut enqueued, mut day) = (Instant::now(), 0_i64, 1);
    let mut open = start_night(&store, day).await?;
    while began.elapsed() < time {
        let due = (began.elapsed().as_secs_f64() * per_second) as i64 - enqueued;
        if due > 0 {
            let batch = night::enqueue_batch(store.pool(), &open, due, WHOEVER).await?;
            enqueued += batch.enqueued;
            match batch.last_user_id {
                Some(last) => open.cursor_user_id = last,
                None => {
                    night::close(store.pool(), open.date).await?;
                    day += 1;
                    open = start_night(&store, day).await?;
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(enqueued)
}

/// Reads in one long transaction after the other, from `after` on.
async fn read_on(store: Store, reading: Duration, after: Duration, time: Duration) -> Result<(), Error> {
    let began = Instant::now();
    tokio::time::sleep(after.min(time)).await;
    while began.elapsed() < time {
        probe::read_for(&store, reading.min(time.saturating_sub(began.elapsed()))).await?;
    }
    Ok(())
}
