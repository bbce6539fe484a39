//! What goes with time: finished podcasts with their events and calls, nights, what was spent,
//! jobs that nobody will take.
//!
//! A podcast goes once its date is more than the retention ago, row by row in small commits, in
//! the order of an index. A stop between two commits is safe: a podcast goes with all its lines or
//! not at all, and two who prune at once meet no row twice. Only finished podcasts go. One that is
//! not finished has a deadline, by which its next claim ends it; it goes after that.
//!
//! Its object goes by the bucket's own rule, a day sooner or later. Learners are offered neither
//! from the end of the retention on (`store::listeners`), so nobody meets the one without the
//! other.

use chrono::NaiveDate;
use sqlx::PgPool;

use super::{Error, QUEUE, Store};

/// The oldest operations that are looked at in one round.
const OPERATIONS: i64 = 1_000;

/// Days for which whoever follows a link is told that it was taken back: longer than an app for
/// podcasts goes on asking.
const REVOKED_DAYS: i32 = 400;

/// What one commit pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Podcasts that went.
    pub podcasts: i64,
    /// The last of them. The next page begins behind it, not at index entries of rows that are
    /// gone.
    pub last: Option<(NaiveDate, i64)>,
}

/// Deletes up to `size` rows of dates more than `days` days ago, with their events and calls,
/// beginning behind a row.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune(pool: &PgPool, days: i32, size: i64, behind: Option<(NaiveDate, i64)>) -> Result<Pruned, Error> {
    let (date, id) = behind.unwrap_or_default();
    let row = sqlx::query!(
        r#"/* prune_podcasts */
        with old as (
            delete from dailycast.daily_podcast
            where id = any (array(
                select id from dailycast.daily_podcast
                where date < (now() - make_interval(days => $1))::date and (date, id) > ($3, $4)
                  and finished_at is not null
                order by date, id limit $2))
              -- asked again of the row as it is: who waited for a requeue finds it unfinished
              and finished_at is not null
            returning id, date
        ), events as (
            delete from dailycast.podcast_event where podcast_id = any (array(select id from old))
        ), calls as (
            delete from dailycast.provider_call where podcast_id = any (array(select id from old))
        )
        select count(*) as "podcasts!", (array_agg(date order by date desc, id desc))[1] as date,
               (array_agg(id order by date desc, id desc))[1] as id
        from old"#,
        days,
        size,
        date,
        id,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("prune_podcasts"))?;
    Ok(Pruned { podcasts: row.podcasts, last: row.date.zip(row.id) })
}

/// Forgets the nights before the last `days` days that have no podcast left, and what podcasts of
/// those days have cost that were erased.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune_nights(pool: &PgPool, days: i32) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* prune_nights */
        with spending as (
            delete from dailycast.erased_spending where date < (now() - make_interval(days => $1))::date
        )
        delete from dailycast.night n
        where date < (now() - make_interval(days => $1))::date
          and not exists (select from dailycast.daily_podcast p where p.date = n.date)"#,
        days,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("prune_nights"))?;
    Ok(gone.rows_affected())
}

/// Forgets what operators left before the last `days` days: operations that are over, with their
/// keys, and dates that were skipped; and the log-ins and links that have ended. Of learners it forgets when
/// they asked for an episode, once they may again, and after [`REVOKED_DAYS`] the links that they took
/// back.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune_desk(pool: &PgPool, days: i32) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* prune_desk */
        with sessions as (
            delete from dailycast.session where expires_at <= now()
        ), entrances as (
            delete from dailycast.entrance where expires_at <= now()
        ), skips as (
            delete from dailycast.night_skip where date < (now() - make_interval(days => $1))::date
        ), revoked as (
            delete from dailycast.revoked_link where revoked_at < now() - make_interval(days => $3)
        ), generations as (
            delete from dailycast.generation where asked_at < now() - make_interval(days => 2)
        )
        delete from dailycast.operation
        where id = any (array(select id from dailycast.operation order by id limit $2))
          and finished_at < now() - make_interval(days => $1)"#,
        days,
        OPERATIONS,
        REVOKED_DAYS,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("prune_desk"))?;
    Ok(gone.rows_affected())
}

/// Deletes jobs that nobody will take: those put away because they name no podcast, after `days`
/// days; and those said to be running whose podcast is gone, for which nobody would claim them
/// again. A job that waits goes with its next claim.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune_jobs(store: &Store, days: i32) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* prune_jobs */
        with parked as (
            -- compared like this the type is in no index: read by it, all of the queue would be read
            delete from apalis.jobs
            where job_type || '' = $2 and status = 'Killed' and done_at < now() - make_interval(days => $1)
        )
        delete from apalis.jobs j using dailycast.worker w
        where j.lock_by = 'dailycast-' || w.id and j.job_type = $2 and j.status = 'Running'
          and not exists (
              select from dailycast.daily_podcast p
              where p.id = case when j.idempotency_key ~ '^[0-9]{1,18}$' then j.idempotency_key::bigint end)"#,
        days,
        QUEUE,
    )
    .execute(store.walks())
    .await
    .map_err(Error::in_statement("prune_jobs"))?;
    Ok(gone.rows_affected())
}
