//! Nights: started once per date, enqueued in batches, finished when nothing is left.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};

use crate::machine::Status;

use super::{
    Error,
    board::{self, NightRow, Tally},
};

/// When a night is due and until when its work may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNight {
    /// The date whose podcasts are made.
    pub date: NaiveDate,
    /// When it was to start.
    pub scheduled_for: DateTime<Utc>,
    /// After this its unfinished work is given up.
    pub deadline_at: DateTime<Utc>,
    /// `schedule`, `operator`, `demo`.
    pub started_by: String,
}

/// A night that is still being enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its date.
    pub date: NaiveDate,
    /// Its deadline.
    pub deadline_at: DateTime<Utc>,
    /// The last learner that was looked at.
    pub cursor_user_id: i64,
}

/// One batch of learners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Learners that are to have a podcast.
    pub eligible: i64,
    /// Podcasts that were made; fewer when some learners had one.
    pub enqueued: i64,
    /// The last learner of the batch, `None` when nobody is left.
    pub last_user_id: Option<i64>,
    /// Someone else has moved the night's cursor, or closed its enqueuing; nothing was done.
    pub is_stale: bool,
}

/// A night as the operator sees it; the JSON of `night status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Night {
    /// Its date.
    pub date: NaiveDate,
    /// `none`, `enqueuing`, `running` or `finished`.
    pub state: String,
    /// Learners that were to have a podcast.
    pub eligible: i64,
    /// Podcasts that were made for the date.
    pub enqueued: i64,
    /// Podcasts by status; every status is there.
    pub by_status: BTreeMap<String, i64>,
    /// Failed podcasts by failure kind, the most frequent first.
    pub failures: Vec<FailureCount>,
    /// Unfinished podcasts that nothing will move.
    pub stuck: i64,
    /// Finished podcasts per minute since the start, or over the last five minutes while running.
    pub rate_per_minute: f64,
    /// When the last podcast will be done at this rate; `null` when unknown or done.
    pub eta: Option<DateTime<Utc>>,
    /// Millionths of a US dollar spent so far.
    pub cost_micro_usd: i64,
    /// When the night started.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last podcast was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// After this its unfinished work is given up.
    pub deadline_at: Option<DateTime<Utc>>,
}

/// How often one kind of failure ended a podcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureCount {
    /// The failure kind.
    pub kind: String,
    /// Podcasts.
    pub count: i64,
}

impl Night {
    /// Podcasts in final statuses.
    pub fn finished(&self) -> i64 {
        self.count(Status::is_final)
    }

    /// Podcasts that still have work.
    pub fn unfinished(&self) -> i64 {
        self.count(|status| !status.is_final())
    }

    /// Podcasts in one status.
    pub fn with_status(&self, status: Status) -> i64 {
        self.count(|other| other == status)
    }

    fn count(&self, wanted: impl Fn(Status) -> bool) -> i64 {
        Status::ALL
            .into_iter()
            .filter(|status| wanted(*status))
            .filter_map(|status| self.by_status.get(status.as_str()))
            .sum()
    }
}

/// The database's clock.
///
/// # Errors
/// [`Error::Database`].
pub async fn now(pool: &PgPool) -> Result<DateTime<Utc>, Error> {
    sqlx::query_scalar!(r#"/* now */ select clock_timestamp() as "now!""#)
        .fetch_one(pool)
        .await
        .map_err(Error::in_statement("now"))
}

/// Starts a night. Returns true for the one caller that did; for a date that has one nothing
/// changes.
///
/// # Errors
/// [`Error::Database`].
pub async fn start(pool: &PgPool, night: &NewNight) -> Result<bool, Error> {
    let started = sqlx::query!(
        r#"/* start_night */
        insert into dailycast.night (date, scheduled_for, deadline_at, started_by)
        values ($1, $2, $3, $4)
        on conflict (date) do nothing"#,
        night.date,
        night.scheduled_for,
        night.deadline_at,
        night.started_by,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("start_night"))?;
    Ok(started.rows_affected() == 1)
}

/// True when the date has its night.
///
/// # Errors
/// [`Error::Database`].
pub async fn exists(pool: &PgPool, date: NaiveDate) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"/* night_exists */ select exists (select from dailycast.night where date = $1) as "there!""#,
        date
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("night_exists"))
}

/// The dates from `first` on that have their night, the earliest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn begun_from(pool: &PgPool, first: NaiveDate) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* nights_from */ select date from dailycast.night where date >= $1 order by date limit 1000"#,
        first,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("nights_from"))
}

/// Nights whose learners are not all enqueued, the oldest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn open(pool: &PgPool) -> Result<Vec<Open>, Error> {
    sqlx::query_as!(
        Open,
        r#"/* open_nights */
        select date, deadline_at, cursor_user_id from dailycast.night where state = 'enqueuing' order by date"#
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("open_nights"))
}

/// Enqueues the next `size` eligible learners of a night: rows, jobs, event lines and the night's
/// cursor in one commit. Eligible is who is active and was seen within `active_within_s` seconds;
/// who has a podcast for the date keeps it. Two callers at once do it once: the night's row is locked
/// and its cursor compared before anything else.
///
/// The commit is not waited for. A server that crashes loses whole batches at most, each with its
/// step of the cursor, and every commit that is waited for, like that of a claim, makes all earlier
/// ones durable.
///
/// # Errors
/// [`Error::Database`], also when the academy cannot be read.
pub async fn enqueue_batch(pool: &PgPool, night: &Open, size: i64, active_within_s: f64) -> Result<Batch, Error> {
    sqlx::query_as!(
        Batch,
        r#"/* enqueue_batch */
        with turn as (
            select set_config('synchronous_commit', 'off', true) from dailycast.night
            where date = $1 and cursor_user_id = $3 and state = 'enqueuing' for update
        ), candidate as (
            select user_id, plan from learner
            where exists (select from turn) and user_id > $3 and is_active and last_seen_at >= now() - make_interval(secs => $5)
            order by user_id
            limit $4
        ), born as (
            insert into dailycast.daily_podcast (user_id, date, plan, deadline_at)
            select user_id, $1, coalesce(plan, 'free'), $2 from candidate
            on conflict (user_id, date) where is_active do nothing
            returning id, next_attempt_at
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, to_status)
            select id, 'enqueued', 'pending' from born
        ), armed as (
            select dailycast.first_jobs(array_agg(id), array_agg(next_attempt_at), 0) as n from born having count(*) > 0
        ), told as (
            select pg_notify('dailycast_due', '') from armed
        ), counted as (
            select count(*) as eligible, max(user_id) as last from candidate
        ), progress as (
            update dailycast.night
            set cursor_user_id = counted.last, eligible = night.eligible + counted.eligible,
                enqueued = night.enqueued + (select count(*) from born)
            from counted
            where date = $1 and counted.last is not null
        )
        select counted.eligible as "eligible!", (select count(*) from born) as "enqueued!",
               counted.last as last_user_id, not exists (select from turn) as "is_stale!"
        from counted
        -- a select that nobody reads is not carried out
        where (select count(*) from told) >= 0"#,
        night.date,
        night.deadline_at,
        night.cursor_user_id,
        size,
        active_within_s,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("enqueue_batch"))
}

/// The night of a date, if it is still being enqueued.
///
/// # Errors
/// [`Error::Database`].
pub async fn still_open(pool: &PgPool, date: NaiveDate) -> Result<Option<Open>, Error> {
    Ok(open(pool).await?.into_iter().find(|open| open.date == date))
}

/// Enqueues these learners for a date, whether or not they were seen lately. Learners that are
/// inactive, unknown or have a podcast are left out.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue_learners(
    executor: impl PgExecutor<'_>,
    date: NaiveDate,
    deadline_at: DateTime<Utc>,
    user_ids: &[i64],
) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"/* enqueue_learners */
        with born as (
            insert into dailycast.daily_podcast (user_id, date, plan, deadline_at)
            select user_id, $1, coalesce(plan, 'free'), $2 from learner where user_id = any($3) and is_active
            on conflict (user_id, date) where is_active do nothing
            returning id, next_attempt_at
        ), reopened as (
            update dailycast.night set state = 'running', finished_at = null
            where date = $1 and state = 'finished' and exists (select from born)
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, to_status)
            select id, 'enqueued', 'pending' from born
        ), armed as (
            select dailycast.first_jobs(array_agg(id), array_agg(next_attempt_at), 10) as n
            from born having count(*) > 0
        ), told as (
            select pg_notify('dailycast_due', '') from armed
        )
        -- a select that nobody reads is not carried out
        select count(*) as "n!" from born where (select count(*) from told) >= 0"#,
        date,
        deadline_at,
        user_ids,
    )
    .fetch_one(executor)
    .await
    .map_err(Error::in_statement("enqueue_learners"))
}

/// Closes the enqueuing of a night: from now on it only runs.
///
/// # Errors
/// [`Error::Database`].
pub async fn close(pool: &PgPool, date: NaiveDate) -> Result<(), Error> {
    sqlx::query!(
        r#"/* close_night */
        update dailycast.night set state = 'running', enqueued_at = now() where date = $1 and state = 'enqueuing'"#,
        date,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("close_night"))?;
    Ok(())
}

/// Marks the running nights that have no unfinished podcast as finished, and returns their dates.
/// What was kept of them is from before, if anything is.
///
/// # Errors
/// [`Error::Database`].
pub async fn finish(pool: &PgPool) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* finish_nights */
        update dailycast.night set state = 'finished', finished_at = now(), summary = null
        where state = 'running' and not exists (
            select from dailycast.daily_podcast p where p.finished_at is null and p.date = night.date)
        returning date"#
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("finish_nights"))
}

/// The newest date that has a night or a podcast.
///
/// # Errors
/// [`Error::Database`].
pub async fn newest_date(pool: &PgPool) -> Result<Option<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* newest_night */
        select greatest((select max(date) from dailycast.night), (select max(date) from dailycast.daily_podcast))"#
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("newest_night"))
}

/// One date in figures.
///
/// # Errors
/// [`Error::Database`].
pub async fn status(pool: &PgPool, date: NaiveDate) -> Result<Night, Error> {
    let tally = board::tally(pool, date).await?;
    let frame = board::frame(pool, date).await?;
    Ok(Night::of(date, frame.night.as_ref(), &tally))
}

/// Seconds after the start before which nobody can say when a night ends.
const LEAST_SECONDS: f64 = 15.0;

/// Two rates that differ by more than this share of the longer time give a range.
const STEADY: f64 = 0.2;

/// The longest that is foretold, in seconds.
const LONGEST: f64 = 30.0 * 86_400.0;

/// When a night will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Eta {
    /// At the better one of two rates: that of the whole night, and that of its last quarter.
    pub from: DateTime<Utc>,
    /// At the other one; the same moment while the rate is steady.
    pub to: DateTime<Utc>,
}

/// When `left` podcasts will be done, if `finished` were so in `seconds`, `recent` of them in the
/// last `recent_seconds`. Nothing is foretold in the first seconds, before anything is finished, or
/// after a time in which nothing was.
pub fn eta(now: DateTime<Utc>, left: i64, whole: (i64, f64), last: (i64, f64)) -> Option<Eta> {
    let ((finished, seconds), (recent, recent_seconds)) = (whole, last);
    if left <= 0 || finished <= 0 || recent <= 0 || seconds < LEAST_SECONDS {
        return None;
    }
    let at = |count: i64, seconds: f64| left as f64 * seconds.max(1.0) / count as f64;
    let (lately, always) = (at(recent, recent_seconds), at(finished, seconds));
    let (mut short, mut long) = (lately.min(always), lately.max(always));
    if long - short <= long * STEADY {
        (short, long) = (lately, lately);
    }
    let after = |seconds: f64| now + chrono::Duration::milliseconds((seconds * 1_000.0) as i64);
    (long < LONGEST).then(|| Eta { from: after(short), to: after(long) })
}

impl Night {
    /// A date from its night's row and its podcasts.
    pub fn of(date: NaiveDate, row: Option<&NightRow>, tally: &Tally) -> Self {
        let failures = tally.failures.iter();
        let mut night = Self {
            date,
            state: row.map_or("none", |row| row.state.as_str()).to_owned(),
            eligible: row.map_or(0, |row| row.eligible).max(tally.podcasts),
            enqueued: tally.podcasts,
            by_status: tally.by_status.clone(),
            failures: failures.map(|one| FailureCount { kind: one.kind.clone(), count: one.count }).collect(),
            stuck: tally.stuck,
            cost_micro_usd: tally.cost_micro_usd,
            started_at: row.map(|row| row.started_at).or(tally.born_at),
            finished_at: row.and_then(|row| row.finished_at),
            deadline_at: row.map(|row| row.deadline_at),
            ..Self::default()
        };
        if night.unfinished() == 0 {
            night.finished_at = night.finished_at.or(tally.finished_at);
        }
        let Some(started) = night.started_at else { return night };
        let elapsed = (tally.counted_at - started).as_seconds_f64().max(1.0);
        let per_minute = match night.finished_at {
            Some(end) => night.finished() as f64 / (end - started).as_seconds_f64().max(1.0) * 60.0,
            None => tally.lately as f64 / elapsed.min(300.0) * 60.0,
        };
        night.rate_per_minute = (per_minute * 10.0).round() / 10.0;
        night.eta = night.expected(tally).map(|eta| eta.to);
        night
    }

    /// When it will be done; `None` when nobody can say, also while it is not known how many
    /// podcasts there will be.
    pub fn expected(&self, tally: &Tally) -> Option<Eta> {
        let (now, started) = (tally.counted_at, self.started_at?);
        if self.state == "enqueuing" || self.finished_at.is_some() {
            return None;
        }
        let elapsed = (now - started).as_seconds_f64();
        // The last quarter, in whole slots.
        let slot = tally.slot_seconds.max(1) as f64;
        let passed = (elapsed / slot).ceil().max(1.0);
        let first = (passed * 0.75).floor();
        let late = tally.slots.iter().filter(|one| f64::from(one.at) >= first);
        let recent = late.map(|one| one.ready + one.failed).sum();
        let eta = eta(now, self.unfinished(), (self.finished(), elapsed), (recent, elapsed - first * slot))?;
        let least = self.waits_until(tally).unwrap_or(now);
        Some(Eta { from: eta.from.max(least), to: eta.to.max(least) })
    }

    /// When the first podcast that is left is tried, where all of them wait for a time to come.
    pub fn waits_until(&self, tally: &Tally) -> Option<DateTime<Utc>> {
        tally.next_try_at.filter(|_| tally.waiting > 0 && tally.waiting >= self.unfinished())
    }
}
