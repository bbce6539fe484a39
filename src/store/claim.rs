//! Claiming: from due jobs to podcasts held under a lease, many in one statement.
//!
//! The statement takes the due jobs of the queue (skipping those another worker is taking), gives
//! their podcasts a new lease and marks the jobs as running. There is no moment in between: after
//! a crash either nothing happened, or row and job both name the worker that held them. Jobs that
//! deserve nothing are put away on the spot: a finished or missing podcast's is deleted, one that
//! comes too early waits for the row's time, one whose key is no podcast id is parked as `Killed`.
//! A worker that was declared dead claims nothing. Rows whose status only a newer version knows are left alone.

use sqlx::types::Json;

use crate::{
    machine::Lease,
    podcast::{Artefacts, ChunkPlan, Podcast},
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

/// Jobs of suspects carry this priority, so that they come last.
pub const SUSPECT_PRIORITY: i32 = -1;

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
            where p.id = due.podcast_id and p.finished_at is null and p.lease_token is null
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
        ), early as (
            update apalis.jobs j set run_at = p.next_attempt_at
            from due join dailycast.daily_podcast p on p.id = due.podcast_id
            where j.id = due.id and p.finished_at is null and p.lease_token is null and p.next_attempt_at > now()
            returning j.id
        ), needless as (
            delete from apalis.jobs j using due
            where j.id = due.id and due.podcast_id is not null
              and due.id not in (select job_id from claimed) and due.id not in (select id from early)
        )
        select id, user_id, date, status, attempt, deadline_at, now() as "now!", plan, lease_token as "token!",
               script_text, language, title, topic, ai_model_used, is_fallback, tts_provider, tts_voice,
               tts_voice_gender, chunk_plan as "chunk_plan: Json<ChunkPlan>", spool_ref, audio_sha256, audio_bytes,
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
                    chunk_plan: row.chunk_plan.map(|plan| plan.0),
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

/// The podcasts whose jobs say that `worker_id` has been at them for at least `ms` milliseconds.
/// Compared with what the worker knows it holds, this finds a claim whose answer got lost.
///
/// # Errors
/// [`Error::Database`].
pub async fn held_by(store: &Store, worker_id: i32, ms: i64) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* held_by_worker */
        select idempotency_key::bigint as "id!" from apalis.jobs
        where lock_by = $1 and status = 'Running' and lock_at < now() - $2 * interval '1 millisecond'"#,
        job_owner(worker_id),
        ms as f64,
    )
    .fetch_all(store.pool())
    .await
    .map_err(Error::in_statement("held_by_worker"))
}

/// Lets go of podcasts that this worker holds in the database but not in its memory: they become
/// due at once. Rows that someone else holds by now are left alone.
///
/// # Errors
/// [`Error::Database`].
pub async fn let_go(store: &Store, worker_id: i32, podcast_ids: &[i64]) -> Result<u64, Error> {
    let hot = store.hot_connection().await.map_err(Error::in_statement("let_go"))?;
    let freed = hot
        .answer(async |connection| {
            sqlx::query_scalar!(
                r#"/* let_go */
        with freed as (
            update dailycast.daily_podcast
            set lease_token = null, worker_id = null, updated_at = now()
            where id = any($1) and worker_id = $2
            returning id, next_attempt_at
        )
        select dailycast.arm_jobs(coalesce(array_agg(id), '{}'), coalesce(array_agg(next_attempt_at), '{}'), 0)
        from freed"#,
                podcast_ids,
                worker_id,
            )
            .fetch_one(connection)
            .await
        })
        .await
        .map_err(Error::in_statement("let_go"))?;
    Ok(freed.unwrap_or_default().unsigned_abs())
}
