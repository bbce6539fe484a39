//! What holds back the nights: a pause of everything, dates that are skipped; and the two ways in
//! which a night begins in spite of them or not at all. What an operator did is written down in the
//! statement that does it.
//!
//! A claim looks for the pause by itself (`claim.rs`), a worker learns of it with its heartbeat
//! (`workers.rs`). Deadlines do not move.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{Connection as _, PgPool};

use super::{
    Error,
    audit::{self, Deed},
    night::{self, NewNight},
};
use crate::explain::Pause;

/// A date on which no night starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The date.
    pub date: NaiveDate,
    /// Since when it is skipped.
    pub skipped_at: DateTime<Utc>,
    /// By whom.
    pub skipped_by: String,
    /// Why; may be empty.
    pub reason: String,
}

/// What came of a wish to skip a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// It is skipped from now on.
    Now,
    /// It was already.
    Before,
    /// Its night has begun.
    HasBegun,
}

/// What came of starting a night by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It has begun.
    Started,
    /// It had begun before: its learners are gone through again.
    Again,
    /// Its learners are being enqueued already.
    UnderWay,
}

/// The pause, if there is one.
///
/// # Errors
/// [`Error::Database`].
pub async fn current(pool: &PgPool) -> Result<Option<Pause>, Error> {
    sqlx::query_as!(Pause, r#"/* find_pause */ select paused_at, paused_by, reason from dailycast.pause"#)
        .fetch_optional(pool)
        .await
        .map_err(Error::in_statement("find_pause"))
}

/// Pauses everything. True when it was not paused before; who paused first stays named.
///
/// # Errors
/// [`Error::Database`].
pub async fn pause(pool: &PgPool, by: &str, reason: &str) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"/* pause */
        with paused as (
            insert into dailycast.pause (paused_by, reason) values ($1, $2) on conflict do nothing returning paused_at
        ), line as (
            insert into dailycast.audit (actor, action, subject, detail) select $1, 'pause', 'everything', $2 from paused
        )
        select exists (select from paused) as "is!""#,
        by,
        reason,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("pause"))
}

/// Ends the pause and tells the workers. Returns what it was.
///
/// # Errors
/// [`Error::Database`].
pub async fn resume(pool: &PgPool, by: &str) -> Result<Option<Pause>, Error> {
    sqlx::query_as!(
        Pause,
        r#"/* resume */
        with gone as (
            delete from dailycast.pause returning paused_at, paused_by, reason
        ), line as (
            insert into dailycast.audit (actor, action, subject, detail)
            select $1, 'resume', 'everything', 'paused by ' || paused_by || coalesce(': ' || nullif(reason, ''), '')
            from gone
        ), told as (
            select pg_notify('dailycast_due', '') from gone
        ), gone_on as (
            -- its time to enqueue begins anew
            update dailycast.night set enqueuing_since = now() where state = 'enqueuing' and exists (select from gone)
        )
        -- a select that nobody reads is not carried out
        select paused_at, paused_by, reason from gone where (select count(*) from told) >= 0"#,
        by,
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("resume"))
}

/// The skipped dates from `first` on, the earliest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn skips(pool: &PgPool, first: NaiveDate) -> Result<Vec<Skip>, Error> {
    sqlx::query_as!(
        Skip,
        r#"/* skipped_nights */
        select date, skipped_at, skipped_by, reason from dailycast.night_skip
        where date >= $1 order by date limit 1000"#,
        first,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("skipped_nights"))
}

/// Skips a date whose night has not begun.
///
/// # Errors
/// [`Error::Database`].
pub async fn skip(pool: &PgPool, date: NaiveDate, by: &str, reason: &str) -> Result<Skipped, Error> {
    let failed = || Error::in_statement("skip_night");
    let mut connection = pool.acquire().await.map_err(failed())?;
    let mut transaction = connection.begin().await.map_err(failed())?;
    // Whoever starts the night at this moment is waited for, or waits: only one of the two happens.
    sqlx::query!(r#"/* hold_nights */ lock table dailycast.night in share row exclusive mode"#)
        .execute(&mut *transaction)
        .await
        .map_err(Error::in_statement("hold_nights"))?;
    let row = sqlx::query!(
        r#"/* skip_night */
        with skipped as (
            insert into dailycast.night_skip (date, skipped_by, reason)
            select $1, $2, $3 where not exists (select from dailycast.night where date = $1)
            on conflict do nothing
            returning date
        ), line as (
            insert into dailycast.audit (actor, action, subject, detail)
            select $2, 'skip', 'night ' || date, $3 from skipped
        )
        select exists (select from skipped) as "is_skipped!",
               exists (select from dailycast.night where date = $1) as "has_begun!""#,
        date,
        by,
        reason,
    )
    .fetch_one(&mut *transaction)
    .await
    .map_err(failed())?;
    transaction.commit().await.map_err(failed())?;
    Ok(match (row.is_skipped, row.has_begun) {
        (true, _) => Skipped::Now,
        (false, true) => Skipped::HasBegun,
        (false, false) => Skipped::Before,
    })
}

/// Takes back a skip. False when the date was not skipped.
///
/// # Errors
/// [`Error::Database`].
pub async fn unskip(pool: &PgPool, date: NaiveDate, by: &str) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"/* unskip_night */
        with gone as (
            delete from dailycast.night_skip where date = $1 returning date
        ), line as (
            insert into dailycast.audit (actor, action, subject) select $2, 'unskip', 'night ' || date from gone
        )
        select exists (select from gone) as "is!""#,
        date,
        by,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("unskip_night"))
}

/// Starts a night that the schedule says is due, as [`super::night::start`] does; not during a pause, and not
/// on a date that is skipped.
///
/// # Errors
/// [`Error::Database`].
pub async fn start_due(pool: &PgPool, night: &NewNight) -> Result<bool, Error> {
    let started = sqlx::query!(
        r#"/* start_due_night */
        insert into dailycast.night (date, scheduled_for, deadline_at, started_by)
        select $1, $2, $3, $4
        where not exists (select from dailycast.pause)
          and not exists (select from dailycast.night_skip where date = $1)
        on conflict (date) do nothing"#,
        night.date,
        night.scheduled_for,
        night.deadline_at,
        night.started_by,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("start_due_night"))?;
    Ok(started.rows_affected() == 1)
}

/// Enqueues these learners for a date, as [`super::night::enqueue_learners`] does, with a line of who
/// wanted it.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue_by_hand(pool: &PgPool, night: &NewNight, user_ids: &[i64]) -> Result<i64, Error> {
    let mut transaction = pool.begin().await.map_err(Error::in_statement("start_night_by_hand"))?;
    let made = night::enqueue_learners(&mut *transaction, night.date, night.deadline_at, user_ids).await?;
    let (subject, detail) = (format!("night {}", night.date), format!("{made} of the learners that were named"));
    let deed = Deed { actor: &night.started_by, action: "run", subject: &subject, detail: &detail };
    audit::write(&mut *transaction, deed).await?;
    transaction.commit().await.map_err(Error::in_statement("start_night_by_hand"))?;
    Ok(made)
}

/// Lets a night be enqueued, or what is missing of it, whatever the schedule says: its learners are
/// gone through once more, and who has a podcast keeps it. An earlier deadline moves to that of
/// `night`.
///
/// # Errors
/// [`Error::Database`].
pub async fn start_by_hand(pool: &PgPool, night: &NewNight) -> Result<Ran, Error> {
    let is_new = sqlx::query_scalar!(
        r#"/* start_night_by_hand */
        with begun as (
            insert into dailycast.night as n (date, scheduled_for, deadline_at, started_by)
            values ($1, $2, $3, $4)
            on conflict (date) do update
            set state = 'enqueuing', cursor_user_id = 0, eligible = 0, enqueued = 0, enqueued_at = null,
                enqueuing_since = now(), finished_at = null,
                deadline_at = greatest(n.deadline_at, excluded.deadline_at)
            where n.state <> 'enqueuing'
            returning date, n.started_at = now() as is_new
        ), line as (
            insert into dailycast.audit (actor, action, subject) select $4, 'run', 'night ' || date from begun
        )
        select is_new as "is_new!" from begun"#,
        night.date,
        night.scheduled_for,
        night.deadline_at,
        night.started_by,
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("start_night_by_hand"))?;
    Ok(match is_new {
        Some(true) => Ran::Started,
        Some(false) => Ran::Again,
        None => Ran::UnderWay,
    })
}
