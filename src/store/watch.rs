//! What the rules of alerts ask. Every statement here is asked by one worker every few seconds, so
//! none reads a whole night: failures are read from the event lines of a day by an index that has
//! only them, finished podcasts are counted only as far as a rule needs, and only when there are
//! failures, and unfinished ones are looked through page by page.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::{Error, Store};

/// The most podcasts that are counted as too late: more is as bad.
const MOST_LATE: i64 = 10_000;

/// Stuck podcasts of a date and page that are named, to tell why they are.
const SAMPLE: i32 = 50;

/// A night that is not over, or not for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// Its date.
    pub date: NaiveDate,
    /// Since when its learners are enqueued without a pause: its start, the last one by hand, or the
    /// end of a pause.
    pub enqueuing_since: DateTime<Utc>,
    /// After this its unfinished work is given up.
    pub deadline_at: DateTime<Utc>,
    /// When its last learner was enqueued.
    pub enqueued_at: Option<DateTime<Utc>>,
    /// When its last podcast was finished.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Podcasts that were given up in the last day, and still are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Their date.
    pub date: NaiveDate,
    /// The status in which they were given up.
    pub status: String,
    /// Why; the most frequent kind comes first.
    pub kind: String,
    /// How many.
    pub podcasts: i64,
}

/// Unfinished podcasts that were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Where the next page begins; `None` when the walk has reached the end.
    pub next_after: Option<i64>,
    /// How many of them are stuck, by date.
    pub stuck: Vec<(NaiveDate, i64)>,
    /// Some of these, by date.
    pub sample: Vec<(NaiveDate, Vec<i64>)>,
}

/// The nights that are not over, or not for a day; the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn nights(pool: &PgPool) -> Result<Vec<Night>, Error> {
    sqlx::query_as!(
        Night,
        r#"/* watched_nights */
        select date, coalesce(enqueuing_since, started_at) as "enqueuing_since!", deadline_at, enqueued_at, finished_at
        from dailycast.night
        where finished_at is null or finished_at > now() - interval '1 day' order by date desc limit 10"#
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("watched_nights"))
}

/// True when a night of this date was due and nobody has started it, though nights were made before;
/// an operator who skipped it meant it so.
///
/// # Errors
/// [`Error::Database`].
pub async fn was_left_out(pool: &PgPool, date: NaiveDate) -> Result<bool, Error> {
    sqlx::query_scalar!(
        r#"/* night_left_out */
        select exists (select from dailycast.night where date < $1)
           and not exists (select from dailycast.night where date >= $1)
           and not exists (select from dailycast.night_skip where date = $1) as "is!""#,
        date,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("night_left_out"))
}

/// Podcasts given up in the last day, by date, status and kind. What an operator cancelled is not
/// among them, nor what was requeued or made anew.
///
/// # Errors
/// [`Error::Database`].
pub async fn given_up(store: &Store) -> Result<Vec<GivenUp>, Error> {
    sqlx::query_as!(
        GivenUp,
        r#"/* watched_failures */
        with last as (
            select distinct on (e.podcast_id) e.podcast_id, e.from_status
            from dailycast.podcast_event e
            where e.event = 'gave_up' and e.at > now() - interval '1 day'
            order by e.podcast_id, e.id desc
        )
        select p.date, last.from_status as "status!", p.error_kind as "kind!", count(*) as "podcasts!"
        from last join dailycast.daily_podcast p on p.id = last.podcast_id
        where p.status = 'failed' and p.is_active and p.error_kind is distinct from 'cancelled'
        group by 1, 2, 3 order by 4 desc"#
    )
    .fetch_all(store.walks())
    .await
    .map_err(Error::in_statement("watched_failures"))
}

/// How many podcasts of a date are finished, counted up to `most`.
///
/// # Errors
/// [`Error::Database`].
pub async fn finished(store: &Store, date: NaiveDate, most: i64) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"/* watched_finished */
        select count(*) as "n!" from (
            select from dailycast.daily_podcast where date = $1 and is_active and finished_at is not null limit $2) p"#,
        date,
        most,
    )
    .fetch_one(store.walks())
    .await
    .map_err(Error::in_statement("watched_finished"))
}

/// Podcasts of a date that are unfinished ten minutes after their own deadline; many are not
/// counted exactly.
///
/// # Errors
/// [`Error::Database`].
pub async fn late(store: &Store, date: NaiveDate) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"/* watched_late */
        select count(*) as "n!" from (
            select from dailycast.daily_podcast
            where finished_at is null and date = $1 and deadline_at < now() - interval '10 minutes' limit $2) p"#,
        date,
        MOST_LATE,
    )
    .fetch_one(store.walks())
    .await
    .map_err(Error::in_statement("watched_late"))
}

/// Looks for stuck podcasts among up to `size` unfinished ones behind `after`.
///
/// # Errors
/// [`Error::Database`].
pub async fn stuck_page(store: &Store, after: i64, size: i64) -> Result<Page, Error> {
    let rows = sqlx::query!(
        r#"/* watched_stuck */
        with page as (
            select p from dailycast.daily_podcast p where finished_at is null and id > $1 order by id limit $2
        ), looked as materialized (
            select (p).id, (p).date, dailycast.is_stuck(p) as is_stuck from page
        )
        select date as "date!", count(*) as "seen!", max(id) as "last!",
               count(*) filter (where is_stuck) as "stuck!",
               coalesce((array_agg(id) filter (where is_stuck))[:$3], '{}') as "sample!"
        from looked group by 1"#,
        after,
        size,
        SAMPLE,
    )
    .fetch_all(store.walks())
    .await
    .map_err(Error::in_statement("watched_stuck"))?;
    let seen: i64 = rows.iter().map(|row| row.seen).sum();
    let last = rows.iter().map(|row| row.last).max();
    let stuck = || rows.iter().filter(|row| row.stuck > 0);
    Ok(Page {
        next_after: last.filter(|_| seen == size),
        stuck: stuck().map(|row| (row.date, row.stuck)).collect(),
        sample: stuck().map(|row| (row.date, row.sample.clone())).collect(),
    })
}

/// Hosts whose speech waits for room in their spool, with the podcasts that have waited in the last
/// half hour: longer than any pause between two tries.
///
/// # Errors
/// [`Error::Database`].
pub async fn without_room(store: &Store) -> Result<Vec<(String, i64)>, Error> {
    let rows = sqlx::query!(
        r#"/* watched_spools */
        select w.host, count(distinct e.podcast_id) as "podcasts!"
        from dailycast.podcast_event e join dailycast.worker w on w.id = e.worker_id
        where e.error_kind = 'spool_full' and e.at > now() - interval '30 minutes'
          -- whoever went on has found room
          and exists (
              select from dailycast.daily_podcast p
              where p.id = e.podcast_id and p.finished_at is null and p.error_kind = 'spool_full')
        group by 1"#
    )
    .fetch_all(store.walks())
    .await
    .map_err(Error::in_statement("watched_spools"))?;
    Ok(rows.into_iter().map(|row| (row.host, row.podcasts)).collect())
}
