//! Claiming: from due jobs to podcasts held under a lease, many in one statement.
//!
//! The statement takes the due jobs of the queue (skipping those another worker is taking), gives
//! their podcasts a new lease and marks the jobs as running. There is no moment in between: after
//! a crash either nothing happened, or row and job both name the worker that held them. Jobs that
//! deserve nothing are put away on the spot: a finished or missing podcast's is deleted, one that
//! comes too early waits for the row's time, one of a status that is unknown comes again a little
//! later, one whose podcast is held goes back to the holder, and one whose key is no podcast id is parked as `Killed`.
//! What is finished is told from the status: asked for `finished_at`, the server goes through all
//! unfinished podcasts for each claim, because the statistics of a morning say there are none.
//! A worker that was declared dead claims nothing. Rows whose status only a newer version knows are left alone.

use std::time::Duration;

use crate::{
    machine::Lease,
    podcast::{Artefacts, Podcast},
};

use super::{Error, QUEUE, Store, workers::job_owner};

/// Which due podcasts a claim wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that brought no worker down.
    Healthy,
    /// One of those that were in flight at several crashes; it must be run alone.
    Suspect,
}

/// Claims up to `limit` due podcasts for a worker, the most urgent first.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] when a row's status is unknown to this version.
pub async fn claim(store: &Store, worker_id: i32, limit: usize, wanted: Wanted) -> Result<Vec<Podcast>, Error> {
    let hot = store.hot_connection().await.map_err(Error::in_statement("claim_podcasts"))?;
    let rows = hot
        .answer(async |connection| {
            sqlx::query!(
                r#"/* claim_podcasts */
        with due as (
            select id, case when idempotency_key ~ '^[0-9]{1,18}$' then idempotency_key::bigint end as podcast_id
            from apalis.jobs
            where job_type = $1 and status = 'Pending' and run_at <= now() and (coalesce(priority, 0) < 0) = $5
              and exists (select from dailycast.worker where id = $3 and stopped_at is null)
            order by priority desc, run_at
            limit $2
            for update skip locked
        ), fence as (
            select nextval('dailycast.lease_token') as token
        ), claimed as (
            update dailycast.daily_podcast p
            set lease_token = fence.token, worker_id = $3, updated_at = now()
            from due, fence
            where p.id = due.podcast_id and p.lease_token is null
              and p.next_attempt_at <= now()
              and p.status in ('pending', 'script_generated', 'audio_generating', 'pending_upload')
            returning p.*, due.id as job_id
        ), running as (
            update apalis.jobs j
            set status = 'Running', lock_by = $4, lock_at = now(), attempts = j.attempts + 1
            from claimed where j.id = claimed.job_id
        ), parked as (
            update apalis.jobs j
            set status = 'Killed', done_at = now(), last_result = '{"Err": "the key is not the id of a podcast"}'
            from due where j.id = due.id and due.podcast_id is null
        ), later as (
            update apalis.jobs j
            set run_at = greatest(p.next_attempt_at, now() + interval '10 seconds'),
                -- its holder's audit sees to it
                status = case when holder.id is null then j.status else 'Running' end,
                lock_by = holder.id, lock_at = case when holder.id is not null then now() end
            from due join dailycast.daily_podcast p on p.id = due.podcast_id
                     left join apalis.workers holder on holder.id = 'dailycast-' || p.worker_id
            where j.id = due.id and p.status not in ('completed', 'completed_with_fallback', 'failed')
              and due.id not in (select job_id from claimed)
            returning j.id
        ), needless as (
            delete from apalis.jobs j using due
            where j.id = due.id and due.podcast_id is not null
              and due.id not in (select job_id from claimed) and due.id not in (select id from later)
        )
        select id, user_id, date, status, attempt, moves, deadline_at, now() as "now!", plan, lease_token as "token!",
               script_text, language, title, topic, ai_model_used, is_fallback, tts_provider, tts_voice,
               tts_voice_gender, chunk_plan, spool_ref, audio_sha256, audio_bytes,
               duration_seconds
        from claimed"#,
                QUEUE,
                i64::try_from(limit).unwrap_or(i64::MAX),
                worker_id,
                job_owner(worker_id),
                wanted == Wanted::Suspect,
            )
            .fetch_all(connection)
            .await
        })
        .await
        .map_err(Error::in_statement("claim_podcasts"))?;

    rows.into_iter()
        .map(|row| {
            let status = row.status.parse().map_err(|unknown: crate::machine::UnknownStatus| Error::Unreadable {
                table: "dailycast.daily_podcast",
                column: "status",
                id: row.id,
                what: unknown.to_string(),
            })?;
            Ok(Podcast {
                lease: Lease { podcast_id: row.id, token: row.token },
                id: row.id,
                user_id: row.user_id,
                date: row.date,
                status,
                attempt: u32::try_from(row.attempt).unwrap_or_default(),
                moves: row.moves,
                deadline_at: row.deadline_at,
                now: row.now,
                plan: row.plan,
                made: Artefacts {
                    script_text: row.script_text,
                    language: row.language,
                    title: row.title,
                    topic: row.topic,
                    ai_model_used: row.ai_model_used,
                    is_fallback: row.is_fallback,
                    tts_provider: row.tts_provider,
                    tts_voice: row.tts_voice,
                    tts_voice_gender: row.tts_voice_gender,
                    chunk_plan: row.chunk_plan.and_then(|plan| serde_json::from_value(plan).ok()),
                    spool_ref: row.spool_ref,
                    audio_sha256: row.audio_sha256,
                    audio_bytes: row.audio_bytes,
                    duration_seconds: row.duration_seconds,
                    ..Artefacts::default()
                },
            })
        })
        .collect()
}

/// The leases that `worker_id` has had in the database for at least `age`. Compared with what the
/// worker knows it holds, this finds a claim whose answer got lost.
///
/// # Errors
/// [`Error::Database`].
pub async fn held_by(store: &Store, worker_id: i32, age: Duration) -> Result<Vec<Lease>, Error> {
    sqlx::query_as!(
        Lease,
        r#"/* held_by_worker */
        select p.id as podcast_id, p.lease_token as "token!"
        from apalis.jobs j
        join dailycast.daily_podcast p on j.id = dailycast.job_id(p.id)
          and p.id = case when j.idempotency_key ~ '^[0-9]{1,18}$' then j.idempotency_key::bigint end
        where j.lock_by = $1 and j.status = 'Running' and j.lock_at <= now() - make_interval(secs => $2)
          and p.worker_id = $3 and p.lease_token is not null"#,
        job_owner(worker_id),
        age.as_secs_f64(),
        worker_id,
    )
    .fetch_all(store.pool())
    .await
    .map_err(Error::in_statement("held_by_worker"))
}

/// Lets go of podcasts: they are due again after `rest`. A lease that is no longer the row's
/// changes nothing.
///
/// # Errors
/// [`Error::Database`].
pub async fn let_go(store: &Store, leases: &[Lease], rest: Duration) -> Result<u64, Error> {
    let (ids, tokens): (Vec<i64>, Vec<i64>) = leases.iter().map(|lease| (lease.podcast_id, lease.token)).unzip();
    let hot = store.hot_connection().await.map_err(Error::in_statement("let_go"))?;
    let freed = hot
        .answer(async |connection| {
            sqlx::query_scalar!(
                r#"/* let_go */
        with freed as (
            update dailycast.daily_podcast p
            set lease_token = null, worker_id = null, updated_at = now(),
                next_attempt_at = greatest(p.next_attempt_at, now() + make_interval(secs => $3))
            from unnest($1::bigint[], $2::bigint[]) as lease (podcast_id, token)
            where p.id = lease.podcast_id and p.lease_token = lease.token
            returning p.id, p.next_attempt_at
        )
        select dailycast.arm_jobs(coalesce(array_agg(id), '{}'), coalesce(array_agg(next_attempt_at), '{}'), 0)
        from freed"#,
                &ids,
                &tokens,
                rest.as_secs_f64(),
            )
            .fetch_one(connection)
            .await
        })
        .await
        .map_err(Error::in_statement("let_go"))?;
    Ok(freed.unwrap_or_default().unsigned_abs())
}
