//! What is known of podcasts, for `explain`: the row, its holder, its job, what was done last, who
//! works, whether everything is paused. Found by primary keys, so a full table costs nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::{Error, QUEUE};
use crate::{
    explain::{Facts, Holder, Pause},
    machine::FailureKind,
};

/// The most podcasts that are looked at in one statement.
pub const MOST: usize = 200;

/// The priority of jobs that run alone; see `claim`.
const SUSPECT: i32 = -1;

/// Facts of some podcasts, all of the same moment.
#[derive(Debug, Clone)]
pub struct Situations {
    /// That moment, by the database's clock.
    pub now: DateTime<Utc>,
    /// What is known, by id. The workflow's and the providers' part is empty.
    pub facts: BTreeMap<i64, Facts>,
}

/// A row as the statement gives it.
struct Row {
    id: i64,
    status: String,
    attempt: i32,
    crashes: i32,
    error_kind: Option<String>,
    error_message: Option<String>,
    updated_at: DateTime<Utc>,
    next_attempt_at: DateTime<Utc>,
    deadline_at: DateTime<Utc>,
    has_script: bool,
    has_audio: bool,
    worker_id: Option<i32>,
    worker: Option<String>,
    heartbeat_at: Option<DateTime<Utc>>,
    beat_ms: Option<i64>,
    lease_ms: Option<i64>,
    is_gone: Option<bool>,
    provider: Option<String>,
    job_priority: Option<i32>,
    refusals: Option<Vec<String>>,
    living: i64,
    paused_at: Option<DateTime<Utc>>,
    paused_by: Option<String>,
    reason: Option<String>,
    now: DateTime<Utc>,
}

/// The facts of these podcasts, of [`MOST`] at most. Who is not there, or has a status that only a
/// newer version knows, is left out; `None` when nobody is left.
///
/// # Errors
/// [`Error::Database`].
pub async fn facts(pool: &PgPool, ids: &[i64]) -> Result<Option<Situations>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"/* situations */
        select p.id as "id!", p.status as "status!", p.attempt as "attempt!", p.crashes as "crashes!",
               p.error_kind as "error_kind?", p.error_message as "error_message?", p.updated_at as "updated_at!",
               p.next_attempt_at as "next_attempt_at!", p.deadline_at as "deadline_at!",
               p.script_text is not null as "has_script!", p.spool_ref is not null as "has_audio!",
               p.worker_id as "worker_id?", w.name as "worker?", w.heartbeat_at as "heartbeat_at?",
               w.beat_ms as "beat_ms?", w.lease_ms as "lease_ms?", w.stopped_at is not null as "is_gone?",
               last.provider as "provider?", job.priority as "job_priority?", refused.calls as "refusals?",
               living.n as "living!", pause.paused_at as "paused_at?", pause.paused_by as "paused_by?",
               pause.reason as "reason?", now() as "now!"
        from unnest($1::bigint[]) as asked (id)
        join dailycast.daily_podcast p on p.id = asked.id
        cross join (
            select count(*) as n from dailycast.worker
            where stopped_at is null and heartbeat_at > now() - lease_ms * interval '1 millisecond'
        ) as living
        left join dailycast.pause on true
        left join dailycast.worker w on w.id = p.worker_id
        left join lateral (
            select provider from dailycast.podcast_event
            where podcast_id = p.id and provider is not null order by id desc limit 1
        ) as last on true
        left join lateral (
            select priority from apalis.jobs
            where job_type = $2 and idempotency_key = p.id::text and status = 'Pending' limit 1
        ) as job on true
        left join lateral (
            select array_agg(distinct provider || ' ' || outcome) as calls from dailycast.provider_call
            where podcast_id = p.id and operation = 'script' and outcome <> 'ok'
        ) as refused on p.status = 'completed_with_fallback'"#,
        ids.get(..MOST).unwrap_or(ids),
        QUEUE,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("situations"))?;
    let Some(now) = rows.first().map(|row| row.now) else { return Ok(None) };
    let facts = rows.into_iter().filter_map(|row| Some((row.id, row.facts()?))).collect();
    Ok(Some(Situations { now, facts }))
}

impl Row {
    fn facts(self) -> Option<Facts> {
        let holder = self.holder();
        let pause = match (self.paused_at, self.paused_by, self.reason) {
            (Some(paused_at), Some(paused_by), Some(reason)) => Some(Pause { paused_at, paused_by, reason }),
            _ => None,
        };
        let call = |call: &String| call.split_once(' ').map(|(who, how)| (who.to_owned(), how.to_owned()));
        Some(Facts {
            status: self.status.parse().ok()?,
            attempt: self.attempt,
            crashes: self.crashes,
            error_kind: FailureKind::ALL.into_iter().find(|kind| self.error_kind.as_deref() == Some(kind.as_str())),
            error_message: self.error_message,
            provider: self.provider,
            updated_at: self.updated_at,
            next_attempt_at: self.next_attempt_at,
            deadline_at: self.deadline_at,
            has_script: self.has_script,
            has_audio: self.has_audio,
            refusals: self.refusals.iter().flatten().filter_map(call).collect(),
            holder,
            has_job: self.job_priority.is_some(),
            is_suspect: self.job_priority == Some(SUSPECT),
            living_workers: self.living,
            pause,
            pace: None,
            providers: Arc::default(),
            budget_micro_usd: None,
        })
    }

    /// Who holds it. A worker that is no longer known is gone, and was never heard since.
    fn holder(&self) -> Option<Holder> {
        let id = self.worker_id?;
        let heartbeat_at = self.heartbeat_at.unwrap_or(self.updated_at);
        let lease = TimeDelta::milliseconds(self.lease_ms.unwrap_or_default());
        Some(Holder {
            name: self.worker.clone().unwrap_or_else(|| id.to_string()),
            heartbeat_at,
            beat: Duration::from_millis(self.beat_ms.unwrap_or_default().unsigned_abs()),
            lease_until: heartbeat_at.checked_add_signed(lease).unwrap_or(heartbeat_at),
            is_gone: self.is_gone.unwrap_or(true) || self.worker.is_none(),
        })
    }
}
