//! Claiming: from due jobs to podcasts held under a lease, many in one statement.
//!
//! The statement takes the due jobs of the queue, one class after the other (skipping those another
//! worker is taking), gives their podcasts a new lease and marks the jobs as running. There is no moment in between: after
//! a crash either nothing happened, or row and job both name the worker that held them. Jobs that
//! deserve nothing are put away on the spot: a finished or missing podcast's is deleted, one that
//! comes too early waits for the row's time, one of a status that is unknown comes again a little
//! later, one whose podcast is held goes back to the holder, and one whose key is no podcast id is parked as `Killed`.
//!
//! The statistics of a morning say that nothing is unfinished and the queue is empty. Believing them,
//! the server would go through all of either for each claim: hence what is finished is told from the
//! status, which no index has, and jobs are named by arrays of their keys.
//! A worker that was declared dead claims nothing, and nobody does during a pause. Rows whose status only a newer version knows are left alone.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::{
    machine::Lease,
    podcast::{Artefacts, Podcast},
};

use super::{Error, QUEUE, Store, workers::job_owner};

/// The classes of jobs, which are their priorities: asked for by hand; begun before, so that what
/// was paid for is finished first; not touched yet; in flight at too many crashes.
const BY_HAND: i32 = 10;
const BEGUN: i32 = 5;
const UNTOUCHED: i32 = 0;
const SUSPECT: i32 = -1;

/// A job is armed for the time at which its transaction began, and seen when that was committed.
/// Marks stay this far behind the clock, so that few are seen too late.
const BEING_WRITTEN: TimeDelta = TimeDelta::milliseconds(250);

/// Which due podcasts a claim wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that brought no worker down.
    Healthy,
    /// One of those that were in flight at several crashes; it must be run alone.
    Suspect,
}

impl Wanted {
    /// The classes of jobs to look through, one after the other.
    fn classes(self) -> &'static [i32] {
        match self {
            Self::Healthy => &[BY_HAND, BEGUN, UNTOUCHED],
            Self::Suspect => &[SUSPECT],
        }
    }
}

/// Up to where each class of jobs was looked through: what is due there was taken by someone.
///
/// A job that was taken leaves a dead entry in the index. While a reader holds an old snapshot
/// nobody may remove these, and a claim that began at the front would read all of them, each time
/// more. A claim behind a mark does not; it misses only jobs that were armed for a time before it,
/// so from time to time a claim has to begin at the front again, which `Marks::default()` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<i32, DateTime<Utc>>);

/// Where the last job of a claim stood.
#[derive(Debug, Clone, Copy)]
struct Place {
    class: i32,
    run_at: DateTime<Utc>,
}

impl Marks {
    /// Where a claim begins in each class that it looks through, the most urgent first.
    pub fn behind(&self, wanted: Wanted) -> Vec<Option<DateTime<Utc>>> {
        wanted.classes().iter().map(|class| self.0.get(class).copied()).collect()
    }

    /// Nothing was due in these classes.
    fn pass(&mut self, classes: &[i32], now: DateTime<Utc>) {
        self.0.extend(classes.iter().map(|class| (*class, now - BEING_WRITTEN)));
    }

    /// Moves the marks of `classes` to where a claim came. `last` is its last podcast's place; if
    /// it was `full`, what lies behind that place was not looked at.
    fn advance(&mut self, classes: &[i32], last: Place, full: bool, now: DateTime<Utc>) {
        let all_before = now - BEING_WRITTEN;
        for class in classes {
            if full && *class == last.class {
                self.0.insert(*class, last.run_at.min(all_before));
                return;
            }
            self.0.insert(*class, all_before);
        }
    }
}

/// True when a job is due behind the marks; if none is, the marks move. A small part of what a claim
/// costs that finds nothing.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_any_due(store: &Store, wanted: Wanted, marks: &mut Marks) -> Result<bool, Error> {
    let behind = marks.behind(wanted);
    let hot = store.hot_connection().await.map_err(Error::in_statement("look_for_due"))?;
    let look = hot.answer(async |connection| {
        sqlx::query!(
            r#"/* look_for_due */
            select now() as "now!", exists (
                select from unnest($2::integer[], $3::timestamptz[]) as class (priority, mark)
                -- by the order, so that no other index and no other plan will do
                cross join lateral (
                    select from apalis.jobs
                    where job_type = $1 and status = 'Pending' and priority = class.priority
                      and run_at >= coalesce(class.mark, '-infinity') and run_at <= now()
                    order by run_at
                    limit 1
                ) as job
            ) as "is_any!""#,
            QUEUE,
            wanted.classes(),
            &behind as &[Option<DateTime<Utc>>],
        )
        .fetch_one(connection)
        .await
    });
    let seen = look.await.map_err(Error::in_statement("look_for_due"))?;
    if !seen.is_any {
        marks.pass(wanted.classes(), seen.now);
    }
    Ok(seen.is_any)
}

/// Claims up to `limit` due podcasts for a worker, the most urgent first, wherever they are.
///
/// # Errors
/// As [`claim_behind`].
pub async fn claim(store: &Store, worker_id: i32, limit: usize, wanted: Wanted) -> Result<Vec<Podcast>, Error> {
    claim_behind(store, worker_id, limit, wanted, &mut Marks::default()).await
}

/// Claims up to `limit` due podcasts behind the marks, the most urgent first, and moves the marks.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] when a row's status is unknown to this version.
pub async fn claim_behind(
    store: &Store,
    worker_id: i32,
    limit: usize,
    wanted: Wanted,
    marks: &mut Marks,
) -> Result<Vec<Podcast>, Error> {
    let hot = store.hot_connection().await.map_err(Error::in_statement("claim_podcasts"))?;
    let rows = hot
        .answer(async |connection| {
            sqlx::query_as!(
                Row,
                r#"/* claim_podcasts */
        with due as (
            select job.*, class.priority
            from unnest($5::integer[], $6::timestamptz[]) as class (priority, mark)
            cross join lateral (
                select id, case when idempotency_key ~ '^[0-9]{1,18}$' then idempotency_key::bigint end as podcast_id, run_at
                from apalis.jobs
                where job_type = $1 and status = 'Pending' and priority = class.priority
                  and run_at >= coalesce(class.mark, '-infinity') and run_at <= now()
                order by run_at
                limit $2
                for update skip locked
            ) as job
            where exists (select from dailycast.worker where id = $3 and stopped_at is null)
              and not exists (select from dailycast.pause)
            limit $2
        ), fence as (
            select nextval('dailycast.lease_token') as token
        ), claimed as (
            update dailycast.daily_podcast p
            set lease_token = fence.token, worker_id = $3, updated_at = now()
            from due, fence
            where p.id = due.podcast_id and p.lease_token is null
              and p.next_attempt_at <= now()
              and p.status in ('pending', 'script_generated', 'audio_generating', 'pending_upload')
            returning p.*, due.id as job_id, due.priority as class, due.run_at
        ), running as (
            update apalis.jobs j
            set status = 'Running', lock_by = $4, lock_at = now(), attempts = j.attempts + 1
            where j.id = any (array(select job_id from claimed))
        ), parked as (
            update apalis.jobs j
            set status = 'Killed', done_at = now(), last_result = '{"Err": "the key is not the id of a podcast"}'
            where j.id = any (array(select id from due where podcast_id is null))
        ), later as (
            update apalis.jobs j
            set run_at = greatest(p.next_attempt_at, now() + interval '10 seconds'),
                -- its holder's audit sees to it
                status = case when holder.id is null then j.status else 'Running' end,
                lock_by = holder.id, lock_at = case when holder.id is not null then now() end
            from due join dailycast.daily_podcast p on p.id = due.podcast_id
                     left join apalis.workers holder on holder.id = 'dailycast-' || p.worker_id
            where j.id = due.id and p.status not in ('completed', 'completed_with_fallback', 'failed')
              and j.id = any (array(select id from due where id not in (select job_id from claimed)))
            returning j.id
        ), needless as (
            delete from apalis.jobs
            where id = any (array(
                select id from due
                where podcast_id is not null and id not in (select job_id from claimed union all select id from later)))
        )
        select id, user_id, date, status, attempt, moves, deadline_at, now() as "now!", plan, lease_token as "token!",
               script_text, language, title, topic, ai_model_used, is_fallback, tts_provider, tts_voice,
               tts_voice_gender, chunk_plan, spool_ref, audio_sha256, audio_bytes,
               duration_seconds, class as "class!", run_at as "run_at!", (select count(*) from due) as "looked_at!"
        from claimed"#,
                QUEUE,
                i64::try_from(limit).unwrap_or(i64::MAX),
                worker_id,
                job_owner(worker_id),
                wanted.classes(),
                &marks.behind(wanted) as &[Option<DateTime<Utc>>],
            )
            .fetch_all(connection)
            .await
        })
        .await
        .map_err(Error::in_statement("claim_podcasts"))?;

    let places = rows.iter().map(|row| Place { class: row.class, run_at: row.run_at });
    if let Some((row, last)) = rows.first().zip(places.min_by_key(|place| (place.class, Reverse(place.run_at)))) {
        marks.advance(wanted.classes(), last, usize::try_from(row.looked_at) == Ok(limit), row.now);
    }
    rows.into_iter().map(Podcast::try_from).collect()
}

/// A claimed row, and where its job stood.
struct Row {
    id: i64,
    user_id: i64,
    date: NaiveDate,
    status: String,
    attempt: i32,
    moves: i32,
    deadline_at: DateTime<Utc>,
    now: DateTime<Utc>,
    plan: String,
    token: i64,
    script_text: Option<String>,
    language: Option<String>,
    title: Option<String>,
    topic: Option<String>,
    ai_model_used: Option<String>,
    is_fallback: Option<bool>,
    tts_provider: Option<String>,
    tts_voice: Option<String>,
    tts_voice_gender: Option<String>,
    chunk_plan: Option<serde_json::Value>,
    spool_ref: Option<String>,
    audio_sha256: Option<String>,
    audio_bytes: Option<i64>,
    duration_seconds: Option<i32>,
    class: i32,
    run_at: DateTime<Utc>,
    looked_at: i64,
}

impl TryFrom<Row> for Podcast {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let status = row.status.parse().map_err(|unknown: crate::machine::UnknownStatus| Error::Unreadable {
            table: "dailycast.daily_podcast",
            column: "status",
            id: row.id,
            what: unknown.to_string(),
        })?;
        Ok(Self {
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
    }
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
        select dailycast.arm_jobs(coalesce(array_agg(id), '{}'), coalesce(array_agg(next_attempt_at), '{}'), 5)
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
