//! The scheduler: starts each night once, however many replicas run and whatever their clocks say.
//!
//! Time is the database's. Which night is due follows from it and from the schedule alone
//! ([`Schedule::due`]); that it is started once follows from the primary key of
//! `dailycast.night`. A start that was missed, also for a pause, is made up until the deadline of its
//! night. A date that an operator skips is started by hand only.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::store::{
    self, PgPool, Store, board, chain,
    night::{self, NewNight, Night, Open},
    pause,
};

use super::{Settings, liveness::Liveness};

/// How often the schedule is compared with the database's clock.
const TICK: Duration = Duration::from_secs(5);

/// A night that could not be summed up is tried again after so long.
const SUM_UP_AGAIN: Duration = Duration::from_secs(600);

/// Work that was asked for by hand has at least this long.
const BY_HAND_HOURS: i64 = 6;

/// When nights begin and end.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When a night starts.
    pub cron: Cron,
    /// Where that is meant.
    pub zone: Tz,
    /// The time of day, in the same zone, after which a night's work is given up.
    pub deadline: NaiveTime,
    /// Learners enqueued in one commit.
    pub batch_size: u32,
    /// How recently a learner was seen who gets a podcast.
    pub active_within: Duration,
}

impl Schedule {
    /// The night that should be under way at `now`: the newest start that is past and whose
    /// deadline is not.
    pub fn due(&self, now: DateTime<Utc>) -> Option<NewNight> {
        let local = now.with_timezone(&self.zone);
        let start = self.cron.find_previous_occurrence(&local, true).ok()?;
        let deadline_at = self.deadline_after(start.with_timezone(&Utc));
        (now < deadline_at).then(|| NewNight {
            date: start.date_naive(),
            scheduled_for: start.with_timezone(&Utc),
            deadline_at,
            started_by: "schedule".to_owned(),
        })
    }

    /// The date of the newest night, if its deadline is past at `now`.
    pub fn over(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let start = self.cron.find_previous_occurrence(&now.with_timezone(&self.zone), true).ok()?;
        (self.deadline_after(start.with_timezone(&Utc)) <= now).then(|| start.date_naive())
    }

    /// When the next night starts.
    pub fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&self.zone);
        self.cron.find_next_occurrence(&local, false).ok().map(|start| start.with_timezone(&Utc))
    }

    /// The first deadline after a moment.
    pub fn deadline_after(&self, moment: DateTime<Utc>) -> DateTime<Utc> {
        let date = moment.with_timezone(&self.zone).date_naive();
        (0..4)
            .filter_map(|days| date.checked_add_days(Days::new(days)))
            .filter_map(|date| self.on(date))
            .find(|deadline| *deadline > moment)
            .unwrap_or(moment + chrono::Duration::days(1))
    }

    /// The deadline of work that is asked for by hand at `now`.
    pub fn deadline_by_hand(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.deadline_after(now + chrono::Duration::hours(BY_HAND_HOURS))
    }

    /// The date, in the zone of the schedule, that a moment belongs to.
    pub fn date(&self, moment: DateTime<Utc>) -> NaiveDate {
        moment.with_timezone(&self.zone).date_naive()
    }

    /// The deadline on a date. A time that the clocks skip that day is taken an hour later.
    fn on(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        let at = date.and_time(self.deadline);
        let local = self.zone.from_local_datetime(&at).earliest();
        let local = local.or_else(|| self.zone.from_local_datetime(&(at + chrono::Duration::hours(1))).earliest());
        local.map(|time| time.with_timezone(&Utc))
    }
}

/// What became of the enqueuing of a night.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// Learners that were eligible.
    pub eligible: i64,
    /// Podcasts that were made.
    pub podcasts: i64,
    /// Batches.
    pub batches: i64,
}

/// Enqueues what is left of a night, batch by batch, and calls `progress` after each. May be
/// stopped and called again by anyone at any time.
///
/// # Errors
/// When the database, or the academy behind it, cannot be read or written.
pub async fn enqueue(
    pool: &PgPool,
    mut open: Open,
    schedule: &Schedule,
    mut progress: impl FnMut(Enqueued),
) -> Result<Enqueued, store::Error> {
    let mut total = Enqueued::default();
    loop {
        let size = i64::from(schedule.batch_size);
        let batch = night::enqueue_batch(pool, &open, size, schedule.active_within.as_secs_f64()).await?;
        if batch.is_stale {
            let Some(moved) = night::still_open(pool, open.date).await? else { return Ok(total) };
            open = moved;
            continue;
        }
        let Some(last) = batch.last_user_id else { break };
        open.cursor_user_id = last;
        total.eligible += batch.eligible;
        total.podcasts += batch.enqueued;
        total.batches += 1;
        tracing::info!(night.date = %open.date, batch.eligible = batch.eligible, batch.enqueued = batch.enqueued,
            night.eligible = total.eligible, night.enqueued = total.podcasts, "batch enqueued");
        progress(total);
        if batch.eligible < size {
            break;
        }
    }
    night::close(pool, open.date).await?;
    Ok(total)
}

/// Starts the nights that are due and enqueues them, in the worker that leads.
pub async fn run(store: Store, settings: Settings, live: Arc<Liveness>, ending: CancellationToken) {
    let Some(schedule) = settings.schedule else { return };
    // Counting a large night takes long; the next one starts meanwhile, and nobody who ends waits.
    let summing = tokio::spawn(sum_up_all(store.clone(), Arc::clone(&live)));
    let _summing = AbortOnDropHandle::new(summing);
    loop {
        if live.leads()
            && live.may_call()
            && let Err(error) = tick(&store, &schedule, &live, &ending).await
        {
            tracing::warn!(error = chain(&error), "the night could not be enqueued yet, trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = ending.cancelled() => return,
        }
    }
}

/// One look. A pause takes hold between two batches: what an aborted statement did or did not do is
/// told by the night's cursor.
async fn tick(
    store: &Store,
    schedule: &Schedule,
    live: &Liveness,
    ending: &CancellationToken,
) -> Result<(), store::Error> {
    let pool = store.pool();
    if let Some(due) = schedule.due(night::now(pool).await?)
        && !night::exists(pool, due.date).await?
        && pause::start_due(pool, &due).await?
    {
        tracing::info!(night.date = %due.date, night.scheduled_for = %due.scheduled_for, night.deadline_at = %due.deadline_at, "night started");
    }
    let now = night::now(pool).await?;
    for open in night::open(pool).await? {
        if open.deadline_at <= now {
            tracing::warn!(night.date = %open.date, "the deadline passed before all learners were enqueued");
            night::close(pool, open.date).await?;
            continue;
        }
        let enqueued = tokio::select! {
            biased;
            () = ending.cancelled() => return Ok(()),
            () = live.paused() => break,
            enqueued = enqueue(pool, open.clone(), schedule, |_| {}) => enqueued?,
        };
        tracing::info!(night.date = %open.date, night.eligible = enqueued.eligible, night.enqueued = enqueued.podcasts, "night enqueued");
    }
    for date in board::reopen(pool).await? {
        tracing::info!(night.date = %date, "night runs again");
    }
    night::finish(pool).await?;
    Ok(())
}

/// Sums up nights that are over, in the worker that leads, until it is dropped.
async fn sum_up_all(store: Store, live: Arc<Liveness>) {
    loop {
        let mut pause = TICK;
        if live.leads()
            && live.may_call()
            && let Err(error) = sum_up(&store).await
        {
            tracing::warn!(error = chain(&error), "a night that is over could not be summed up, trying again later");
            pause = SUM_UP_AGAIN;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Sums up a night that is over and was not yet, so that nobody has to count it again; the others
/// follow with the next ticks.
async fn sum_up(store: &Store) -> Result<(), store::Error> {
    let Some(date) = board::without_summary(store.pool()).await? else { return Ok(()) };
    let Some(summary) = board::summarise(store, date).await? else { return Ok(()) };
    let row = board::frame(store.pool(), date).await?.night;
    let night = Night::of(date, row.as_ref(), &summary.tally);
    tracing::info!(night.date = %date, night.enqueued = night.enqueued, night.by_status = ?night.by_status,
        night.failures = ?night.failures, cost_micro_usd = night.cost_micro_usd,
        rate_per_minute = night.rate_per_minute, "night finished");
    Ok(())
}
