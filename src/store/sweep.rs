//! What the sweep mends: podcasts that nobody would move, in small steps.
//!
//! Jobs only nudge, so a lost job must not matter. These statements walk the unfinished rows in
//! pages and give a job to each that has none, held or not, and free rows that name a worker which
//! is no longer there.

use sqlx::PgPool;

use super::{Error, QUEUE, Store};

/// One page of a walk over the unfinished podcasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Where the next page begins; `None` when the walk has reached the end.
    pub next_after: Option<i64>,
    /// Rows that were freed because their worker is gone.
    pub freed: i64,
    /// Rows that got a job.
    pub armed: i64,
}

/// Deletes the jobs that would keep a podcast from having its own: id and key of a job of ours name
/// the same podcast, and one that somebody else has written may take the place of either. What
/// names no podcast at all is left to the claim, which parks it.
///
/// # Errors
/// [`Error::Database`].
pub async fn put_away_odd_jobs(store: &Store) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* put_away_odd_jobs */
        delete from apalis.jobs
        where job_type = $1 and idempotency_key is distinct from ltrim(id, '0')
          and (id ~ '^[0-9]{26}$' or idempotency_key ~ '^[0-9]{1,18}$')"#,
        QUEUE,
    )
    .execute(store.pool())
    .await
    .map_err(Error::in_statement("put_away_odd_jobs"))?;
    Ok(gone.rows_affected())
}

/// Looks at up to `size` unfinished podcasts behind `after` and mends them.
///
/// # Errors
/// [`Error::Database`].
pub async fn mend_page(store: &Store, after: i64, size: i64) -> Result<Page, Error> {
    let row = sqlx::query!(
        r#"/* mend_unfinished */
        with page as (
            select id, lease_token, worker_id, next_attempt_at
            from dailycast.daily_podcast
            where finished_at is null and id > $1
            order by id
            limit $2
        ), freed as (
            update dailycast.daily_podcast p
            set lease_token = null, worker_id = null, updated_at = now()
            from page
            where p.id = page.id and p.lease_token = page.lease_token
              and not exists (select from dailycast.worker w where w.id = p.worker_id and w.stopped_at is null)
            returning p.id, p.status, p.attempt, p.next_attempt_at, page.worker_id
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, worker_id, detail)
            select id, 'rescued', status, status, attempt, worker_id, 'the worker is no longer there' from freed
        ), jobless as (
            select id, next_attempt_at from freed
            union
            select page.id, page.next_attempt_at
            from page
            -- one by one: with the statistics of an empty queue they would all be read for each page
            left join lateral (
                select status, run_at from apalis.jobs where id = dailycast.job_id(page.id) limit 1
            ) as job on true
            where case when page.lease_token is null
                -- nothing will move it
                then job.status is distinct from 'Pending'
                     or job.run_at > greatest(page.next_attempt_at, now()) + interval '1 minute'
                -- held, and its worker may not know: the claim that finds the job gives it to the holder
                else job.status is null
            end
        ), armed as (
            select dailycast.arm_jobs(array_agg(id), array_agg(next_attempt_at), 0) as n
            from jobless having count(*) > 0
        )
        select (select max(id) from page) as last, (select count(*) from page) as "seen!",
               (select count(*) from freed) as "freed!", coalesce((select n from armed), 0) as "armed!""#,
        after,
        size,
    )
    .fetch_one(store.walks())
    .await
    .map_err(Error::in_statement("mend_unfinished"))?;
    Ok(Page { next_after: row.last.filter(|_| row.seen == size), freed: row.freed, armed: row.armed })
}

/// Of these podcasts, the ones that are finished, replaced or gone: what the spool still has of them
/// can go.
///
/// # Errors
/// [`Error::Database`].
pub async fn settled(pool: &PgPool, podcast_ids: &[i64]) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* settled_podcasts */
        select asked.id as "id!" from unnest($1::bigint[]) as asked (id)
        left join dailycast.daily_podcast p on p.id = asked.id
        where p.id is null or p.status in ('completed', 'completed_with_fallback') or not p.is_active"#,
        podcast_ids,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("settled_podcasts"))
}
