//! The worker of a benchmark, in its own process, and the nights it works on.

use std::{sync::Arc, time::Duration};

use chrono::NaiveTime;
use tokio::task::JoinSet;

use crate::{
    store::{
        Store,
        night::{self, NewNight, Open},
    },
    worker::{self, Settings, Work, scheduler::Schedule, shutdown::Shutdown},
};

use super::Error;

/// How often a worker looks for due podcasts by itself, as in production.
pub(super) const POLL: Duration = Duration::from_millis(500);

/// A worker that runs until it is stopped, or dropped as if it had been killed.
pub(super) struct Crew {
    shutdown: Shutdown,
    workers: JoinSet<Result<(), worker::Error>>,
}

impl Crew {
    /// Starts a worker that begins no nights.
    pub(super) fn start<W: Work>(store: &Store, concurrency: usize, work: &Arc<W>) -> Self {
        Self::with(store, settings(concurrency), work)
    }

    /// Starts a worker that does all that one in production does.
    pub(super) fn start_with_calendar<W: Work>(store: &Store, concurrency: usize, work: &Arc<W>) -> Self {
        Self::with(store, Settings { schedule: Some(schedule()), ..settings(concurrency) }, work)
    }

    /// A worker with pools of its own.
    fn with<W: Work>(store: &Store, settings: Settings, work: &Arc<W>) -> Self {
        let mut crew = Self { shutdown: Shutdown::new(), workers: JoinSet::new() };
        crew.workers.spawn(worker::run(store.another(), settings, Arc::clone(work), crew.shutdown.clone()));
        crew
    }

    /// Stops it in order.
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.shutdown.ask();
        while let Some(ended) = self.workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Ends it without a word: its connections break in the middle of whatever they do.
    pub(super) async fn kill(mut self) {
        self.workers.shutdown().await;
    }
}

fn settings(concurrency: usize) -> Settings {
    Settings {
        name: "bench".to_owned(),
        concurrency,
        lease: Duration::from_secs(30),
        grace: Duration::from_secs(5),
        poll: POLL,
        crash_limit: 3,
        schedule: None,
        retention_days: 30_000,
        alerts: None,
    }
}

/// Batches as in production. A night that was missed is made up for a minute only, so that hardly a
/// benchmark meets one.
#[expect(clippy::unwrap_used, reason = "constants")]
pub(super) fn schedule() -> Schedule {
    Schedule {
        cron: "0 3 * * *".parse().unwrap(),
        zone: chrono_tz::UTC,
        deadline: NaiveTime::from_hms_opt(3, 1, 0).unwrap(),
        batch_size: 100,
        active_within: Duration::from_secs(14 * 86_400),
    }
}

/// Starts the night that is `days` away from today and says how it is enqueued.
pub(super) async fn start_night(store: &Store, days: u64) -> Result<Open, Error> {
    let now = night::now(store.pool()).await?;
    let date = now.date_naive() + chrono::Days::new(days);
    let deadline_at = now + chrono::Duration::days(1);
    let new = NewNight { date, scheduled_for: now, deadline_at, started_by: "bench".to_owned() };
    night::start(store.pool(), &new).await?;
    Ok(Open { date, deadline_at, cursor_user_id: 0 })
}
