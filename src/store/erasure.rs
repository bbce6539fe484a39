//! A learner who left the academy leaves nothing. Who has left is found in `missed.rs`; here is what is
//! done about it.
//!
//! A confirmed line is a duty that survives every crash: it goes last. Each pass deletes the
//! learner's rows with their events and calls, then their jobs, then (the caller, who has the
//! store) everything below the learner's prefix. Rows come first: a worker that is at one of them
//! has lost its lease with the row, and whatever it brings later is refused by the fence. The
//! objects are found by their prefix, not by the rows, so it does not matter that these are gone.
//! Only an upload that was under way may still arrive. So there is another pass [`QUIET_MINUTES`]
//! minutes later, when the signature of any such request has ended, and another, until one finds
//! nothing. What workers have in their spools goes with their next round, since the row is gone.
//!
//! # What remains
//!
//! How many went on which day, and what their calls had cost, summed up by date, plan, provider and
//! model: bills have to add up. Neither says who.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{Error, QUEUE};

/// Minutes between two passes of an erasure. S3 refuses a request fifteen minutes after it was
/// signed, however long it was on its way.
pub const QUIET_MINUTES: i32 = 30;

/// An operator's word that these learners are to be erased, whoever they are and wherever else they
/// are still known. Returns a pass for each, due at once.
///
/// # Errors
/// [`Error::Database`].
pub async fn ask(pool: &PgPool, user_ids: &[i64], by: &str) -> Result<Vec<Due>, Error> {
    sqlx::query_as!(
        Due,
        r#"/* ask_for_erasure */
        insert into dailycast.erasure as e (user_id, looks, confirmed_at, confirmed_by, due_at)
        select distinct user_id, 0, now(), $2, now() from unnest($1::bigint[]) as asked (user_id)
        on conflict (user_id) do update
        set confirmed_at = coalesce(e.confirmed_at, now()), confirmed_by = coalesce(e.confirmed_by, $2), due_at = now()
        returning user_id, due_at as "due_at!""#,
        user_ids,
        by,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("ask_for_erasure"))
}

/// A confirmed erasure that is due for a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The learner; in no log line.
    pub user_id: i64,
    /// When it became due; names the pass.
    pub due_at: DateTime<Utc>,
}

/// Erasures that are due, the longest waiting first, at most `limit`.
///
/// # Errors
/// [`Error::Database`].
pub async fn due(pool: &PgPool, limit: i64) -> Result<Vec<Due>, Error> {
    sqlx::query_as!(
        Due,
        r#"/* due_erasures */
        select user_id, due_at as "due_at!" from dailycast.erasure where due_at <= now() order by due_at, user_id
        limit $1"#,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("due_erasures"))
}

/// Deletes up to `size` podcasts of a learner with everything that hangs on them, whatever their
/// state and whoever holds them. Returns how many went.
///
/// Jobs go in a commit of their own: a writer locks row and job in this order and a claim in the
/// other, so whoever locks both at once would stand in the way of one of them. A job that a crash
/// leaves behind names a podcast that is not there: a claim or the next prune throws it away.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete_podcasts(pool: &PgPool, user_id: i64, size: i64) -> Result<i64, Error> {
    let mut transaction = pool.begin().await.map_err(Error::in_statement("lock_erased"))?;
    let page = lock(&mut transaction, user_id, size).await?;
    if page.is_empty() {
        return Ok(0);
    }
    delete_locked(&mut transaction, user_id, &page).await?;
    transaction.commit().await.map_err(Error::in_statement("erase_podcasts"))?;
    sqlx::query!(
        r#"/* erase_jobs */
        delete from apalis.jobs
        where job_type || '' = $2
          and id = any (array(select dailycast.job_id(id) from unnest($1::bigint[]) as gone (id)))"#,
        &page,
        QUEUE,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("erase_jobs"))?;
    Ok(i64::try_from(page.len()).unwrap_or(i64::MAX))
}

/// Locks up to `size` podcasts of a learner. A move that is being written has its row, and ends
/// before this does; so the statement behind it sees the move's lines, which one that began
/// before would leave behind for ever. Whoever wants to write one later finds no row.
async fn lock(connection: &mut PgConnection, user_id: i64, size: i64) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* lock_erased */
        select id from dailycast.daily_podcast
        where id = any (array(
            select id from (
                select id from dailycast.daily_podcast where user_id = $1 and is_active
                union all
                select id from dailycast.daily_podcast where user_id = $1 and not is_active
            ) of_learner order by id limit $2))
        order by id for update"#,
        user_id,
        size,
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("lock_erased"))
}

/// Deletes podcasts that are locked, with their events and calls, and notes what these had cost.
async fn delete_locked(connection: &mut PgConnection, user_id: i64, page: &[i64]) -> Result<(), Error> {
    sqlx::query!(
        r#"/* erase_podcasts */
        with gone as (
            delete from dailycast.daily_podcast where id = any ($2) returning id, date, plan
        ), events as (
            delete from dailycast.podcast_event where podcast_id = any (array(select id from gone))
        ), calls as (
            delete from dailycast.provider_call where podcast_id = any (array(select id from gone))
            returning podcast_id, provider, model, units, cost_micro_usd, outcome
        ), links as (
            insert into dailycast.revoked_link (key_hash)
            select share_hash from dailycast.listening where podcast_id = any ($2) and share_hash is not null
            on conflict do nothing
        ), spent as (
            insert into dailycast.erased_spending as s
                (date, plan, provider, model, calls, failed, input_tokens, output_tokens, characters, requests,
                 cost_micro_usd)
            select gone.date, gone.plan, c.provider, c.model, count(*), count(*) filter (where c.outcome <> 'ok'),
                   coalesce(sum((c.units->>'input_tokens')::numeric), 0),
                   coalesce(sum((c.units->>'output_tokens')::numeric), 0),
                   coalesce(sum((c.units->>'characters')::numeric), 0),
                   coalesce(sum((c.units->>'requests')::numeric), 0), sum(c.cost_micro_usd)
            from calls c join gone on gone.id = c.podcast_id
            group by gone.date, gone.plan, c.provider, c.model
            order by gone.date, gone.plan, c.provider, c.model
            on conflict (date, plan, provider, model) do update
            set calls = s.calls + excluded.calls, failed = s.failed + excluded.failed,
                input_tokens = s.input_tokens + excluded.input_tokens,
                output_tokens = s.output_tokens + excluded.output_tokens,
                characters = s.characters + excluded.characters, requests = s.requests + excluded.requests,
                cost_micro_usd = s.cost_micro_usd + excluded.cost_micro_usd
        )
        update dailycast.erasure set podcasts = podcasts + (select count(*) from gone), found_at = now()
        where user_id = $1"#,
        user_id,
        page,
    )
    .execute(connection)
    .await
    .map_err(Error::in_statement("erase_podcasts"))?;
    Ok(())
}

/// Deletes what a learner leaves beside podcasts: the feed, whose link is taken back, the log-ins, and
/// when an episode was asked for. What is found counts for the pass, so that there is another one.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete_others(pool: &PgPool, user_id: i64) -> Result<(), Error> {
    sqlx::query!(
        r#"/* erase_listening */
        with feeds as (
            delete from dailycast.feed where user_id = $1 returning key_hash
        ), revoked as (
            insert into dailycast.revoked_link (key_hash) select key_hash from feeds on conflict do nothing
        ), asked as (
            delete from dailycast.generation where user_id = $1 returning 1
        ), sessions as (
            delete from dailycast.session where user_id = $1 returning 1
        ), entrances as (
            delete from dailycast.entrance where user_id = $1 returning 1
        )
        update dailycast.erasure set found_at = now()
        where user_id = $1
          and (exists (select from feeds) or exists (select from asked) or exists (select from sessions)
               or exists (select from entrances))"#,
        user_id,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("erase_listening"))?;
    Ok(())
}

/// Ends a pass that deleted so many objects. When nothing at all was found for [`QUIET_MINUTES`]
/// minutes the learner is forgotten: true. Else there is another pass. A pass that someone else has
/// ended changes nothing.
///
/// # Errors
/// [`Error::Database`].
pub async fn end_pass(pool: &PgPool, pass: Due, objects: i64) -> Result<bool, Error> {
    // The walk and the nights note where they are by the number of a learner.
    let forgotten = sqlx::query!(
        r#"/* end_pass_of_erasure */
        with over as (
            delete from dailycast.erasure
            where user_id = $1 and due_at = $2 and $3::bigint = 0
              and coalesce(found_at <= now() - make_interval(mins => $4), true)
            returning podcasts, objects
        ), again as (
            update dailycast.erasure e
            set objects = e.objects + $3, found_at = last.found_at,
                due_at = last.found_at + make_interval(mins => $4)
            from (select case when $3 > 0 then now() else found_at end as found_at
                  from dailycast.erasure where user_id = $1) last
            where e.user_id = $1 and e.due_at = $2
              and last.found_at > now() - make_interval(mins => $4)
        ), walk as (
            update dailycast.erasure_walk set after_user_id = after_user_id - 1
            where after_user_id = $1 and exists (select from over)
        ), operations as (
            update dailycast.operation
            set filter = jsonb_set(filter, '{user_ids}', coalesce(
                (select jsonb_agg(value) from jsonb_array_elements(filter->'user_ids') where value <> to_jsonb($1::bigint)), '[]'))
            where state <> 'running' and filter->'user_ids' @> to_jsonb($1::bigint) and exists (select from over)
        ), nights as (
            update dailycast.night set cursor_user_id = cursor_user_id - 1
            where cursor_user_id = $1 and state <> 'enqueuing' and exists (select from over)
        )
        insert into dailycast.erased as e (day, learners, podcasts, objects)
        select (now() at time zone 'UTC')::date, 1, podcasts, objects from over
        on conflict (day) do update
        set learners = e.learners + 1, podcasts = e.podcasts + excluded.podcasts, objects = e.objects + excluded.objects"#,
        pass.user_id,
        pass.due_at,
        objects,
        QUIET_MINUTES,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("end_pass_of_erasure"))?;
    Ok(forgotten.rows_affected() > 0)
}

/// Lets all passes that are due wait for so many seconds, or only this learner's.
///
/// # Errors
/// [`Error::Database`].
pub async fn postpone(pool: &PgPool, only: Option<i64>, seconds: f64) -> Result<u64, Error> {
    let waiting = sqlx::query!(
        r#"/* postpone_erasures */
        update dailycast.erasure set due_at = now() + make_interval(secs => $1)
        where due_at <= now() and ($2::bigint is null or user_id = $2)"#,
        seconds,
        only,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("postpone_erasures"))?;
    Ok(waiting.rows_affected())
}

/// A learner on the way out.
#[derive(Debug, Clone, Serialize)]
pub struct Erasure {
    /// The learner.
    pub user_id: i64,
    /// When the academy was first found without the learner, or an operator asked.
    pub missed_at: DateTime<Utc>,
    /// Looks at which the learner was missed.
    pub looks: i32,
    /// When it became sure.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Who said so.
    pub confirmed_by: Option<String>,
    /// When the next pass is due.
    pub due_at: Option<DateTime<Utc>>,
    /// Podcasts deleted so far.
    pub podcasts: i64,
    /// Objects deleted so far.
    pub objects: i64,
}

/// What went on one day.
#[derive(Debug, Clone, Serialize)]
pub struct Erased {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// Learners who were forgotten.
    pub learners: i64,
    /// Their podcasts.
    pub podcasts: i64,
    /// Their objects.
    pub objects: i64,
}

/// Learners on the way out, the newest first, and the last days on which some went.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(pool: &PgPool, limit: i64) -> Result<(Vec<Erasure>, Vec<Erased>), Error> {
    let on_the_way = sqlx::query_as!(
        Erasure,
        r#"/* list_erasures */
        select user_id, missed_at, looks, confirmed_at, confirmed_by, due_at, podcasts, objects
        from dailycast.erasure order by missed_at desc, user_id limit $1"#,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_erasures"))?;
    let gone = sqlx::query_as!(
        Erased,
        r#"/* list_erased */ select day, learners, podcasts, objects from dailycast.erased order by day desc limit $1"#,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_erased"))?;
    Ok((on_the_way, gone))
}
