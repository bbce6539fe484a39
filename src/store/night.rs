//! Nights: started once per date, enqueued in batches, finished when nothing is left.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgPool;

use crate::machine::Status;

use super::Error;

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
    pool: &PgPool,
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
    .fetch_one(pool)
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

/// Goes through the learners of a night once more: who has a podcast keeps it. `deadline_at` is the
/// night's new deadline where the old one is earlier.
///
/// # Errors
/// [`Error::Database`].
pub async fn reopen(pool: &PgPool, date: NaiveDate, deadline_at: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* reopen_night */
        update dailycast.night
        set state = 'enqueuing', cursor_user_id = 0, eligible = 0, enqueued = 0, enqueued_at = null,
            finished_at = null, deadline_at = greatest(deadline_at, $2)
        where date = $1"#,
        date,
        deadline_at,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("reopen_night"))?;
    Ok(())
}

/// Marks the running nights that have no unfinished podcast as finished, and returns their dates.
///
/// # Errors
/// [`Error::Database`].
pub async fn finish(pool: &PgPool) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* finish_nights */
        update dailycast.night set state = 'finished', finished_at = now()
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
    let failed = Error::in_statement("night_status");
    let totals = sqlx::query!(
        r#"/* night_status */
        select status, error_kind, count(*) as "n!", sum(cost_micro_usd)::bigint as "cost!",
               count(*) filter (where finished_at > now() - interval '5 minutes') as "lately!",
               count(*) filter (where dailycast.is_stuck(p)) as "stuck!",
               min(created_at) as "born!", max(finished_at) as finished_at, now() as "now!"
        from dailycast.daily_podcast p where date = $1 and is_active
        group by status, error_kind"#,
        date,
    )
    .fetch_all(pool)
    .await
    .map_err(failed)?;
    let row = sqlx::query!(
        r#"/* find_night */
        select state, eligible, started_at, finished_at, deadline_at from dailycast.night where date = $1"#,
        date
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("find_night"))?;

    let mut night = Night {
        date,
        state: "none".to_owned(),
        by_status: Status::ALL.into_iter().map(|status| (status.as_str().to_owned(), 0)).collect(),
        ..Night::default()
    };
    let mut failures: BTreeMap<String, i64> = BTreeMap::new();
    let mut lately = 0;
    let mut clock = None;
    for group in &totals {
        night.enqueued += group.n;
        night.cost_micro_usd += group.cost;
        night.stuck += group.stuck;
        lately += group.lately;
        clock = Some(group.now);
        *night.by_status.entry(group.status.clone()).or_default() += group.n;
        if group.status == Status::Failed.as_str() {
            *failures.entry(group.error_kind.clone().unwrap_or_default()).or_default() += group.n;
        }
    }
    night.failures = failures.into_iter().map(|(kind, count)| FailureCount { kind, count }).collect();
    night.failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    night.eligible = night.enqueued;
    night.started_at = totals.iter().map(|group| group.born).min();
    if night.unfinished() == 0 {
        night.finished_at = totals.iter().filter_map(|group| group.finished_at).max();
    }
    if let Some(row) = row {
        night.state = row.state;
        night.eligible = row.eligible.max(night.enqueued);
        night.started_at = Some(row.started_at);
        night.finished_at = row.finished_at.or(night.finished_at);
        night.deadline_at = Some(row.deadline_at);
    }
    (night.rate_per_minute, night.eta) = pace(&night, lately, clock);
    Ok(night)
}

/// Finished podcasts per minute, and when the rest is done at that rate.
fn pace(night: &Night, lately: i64, now: Option<DateTime<Utc>>) -> (f64, Option<DateTime<Utc>>) {
    let (Some(started), Some(now)) = (night.started_at, now) else { return (0.0, None) };
    let minutes = |from: DateTime<Utc>, to: DateTime<Utc>| ((to - from).as_seconds_f64() / 60.0).max(1.0 / 60.0);
    let rate = match night.finished_at {
        Some(end) => night.finished() as f64 / minutes(started, end),
        None => lately as f64 / minutes(started, now).min(5.0),
    };
    let left = night.unfinished() as f64 / rate;
    let eta = (night.unfinished() > 0 && left.is_finite() && left < 60.0 * 24.0 * 30.0)
        .then(|| now + chrono::Duration::milliseconds((left * 60_000.0) as i64));
    ((rate * 10.0).round() / 10.0, eta)
}
