//! Podcasts as the operator sees and moves them.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool};

use crate::machine::{Event, FailureKind, Refused, Status, apply};

use super::{
    Error, Store,
    listing::{self, Part},
    stuck,
};

/// A row, its columns by name.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Primary key.
    pub id: i64,
    /// The learner.
    pub user_id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Where it stands.
    pub status: String,
    /// False when a newer episode of the same date replaces it.
    pub is_active: bool,
    /// The learner's subscription.
    pub plan: String,
    /// Failed attempts in this status.
    pub attempt: i32,
    /// Deaths of its worker since it last moved.
    pub crashes: i32,
    /// When it is due.
    pub next_attempt_at: DateTime<Utc>,
    /// After this it is given up.
    pub deadline_at: DateTime<Utc>,
    /// The worker that holds it.
    pub worker_id: Option<i32>,
    /// Class of its last failure.
    pub error_kind: Option<String>,
    /// That failure in words.
    pub error_message: Option<String>,
    /// Title of the episode.
    pub title: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// Language of the script.
    pub language: Option<String>,
    /// The words.
    pub script_text: Option<String>,
    /// Model id, or `template`.
    pub ai_model_used: Option<String>,
    /// Tokens billed.
    pub script_usage: Option<serde_json::Value>,
    /// The template filled in.
    pub is_fallback: Option<bool>,
    /// Who speaks.
    pub tts_provider: Option<String>,
    /// With which voice.
    pub tts_voice: Option<String>,
    /// Its gender.
    pub tts_voice_gender: Option<String>,
    /// How the script is cut for the speech.
    pub chunk_plan: Option<serde_json::Value>,
    /// Where the audio waits.
    pub spool_ref: Option<String>,
    /// Its checksum.
    pub audio_sha256: Option<String>,
    /// Its size.
    pub audio_bytes: Option<i64>,
    /// Its length.
    pub duration_seconds: Option<i32>,
    /// Its loudness.
    pub loudness_lufs: Option<f64>,
    /// Address of the object.
    pub audio_url: Option<String>,
    /// Key of the object.
    pub object_key: Option<String>,
    /// ETag of the object.
    pub object_etag: Option<String>,
    /// What it cost.
    pub cost_micro_usd: i64,
    /// What else is known about its making.
    pub metadata: serde_json::Value,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
}

/// One line of a podcast's history.
#[derive(Debug, Clone, Serialize)]
pub struct EventLine {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: String,
    /// The status before.
    pub from_status: Option<String>,
    /// The status after.
    pub to_status: String,
    /// The attempt it belongs to.
    pub attempt: i32,
    /// The worker that did it.
    pub worker_id: Option<i32>,
    /// The provider.
    pub provider: Option<String>,
    /// How long the work took.
    pub duration_ms: Option<i32>,
    /// What it cost.
    pub cost_micro_usd: i64,
    /// Class of the failure.
    pub error_kind: Option<String>,
    /// In words.
    pub detail: Option<String>,
}

/// One line of a podcast's ledger.
#[derive(Debug, Clone, Serialize)]
pub struct CallLine {
    /// When.
    pub at: DateTime<Utc>,
    /// Who was called.
    pub provider: String,
    /// Model or engine.
    pub model: String,
    /// What for.
    pub operation: String,
    /// What is billed.
    pub units: serde_json::Value,
    /// For how much.
    pub cost_micro_usd: i64,
    /// How long it took.
    pub latency_ms: i32,
    /// `ok`, or the failure kind.
    pub outcome: String,
    /// The provider's name of the request.
    pub request_id: Option<String>,
}

/// Which podcasts are meant. Absent means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// These ids.
    pub ids: Option<Vec<i64>>,
    /// Of this date.
    pub date: Option<NaiveDate>,
    /// In this status.
    pub status: Option<Status>,
    /// Of these learners.
    pub user_ids: Option<Vec<i64>>,
    /// Failed with this kind.
    pub cause: Option<String>,
    /// Only those that nothing will move.
    pub stuck: bool,
    /// Of learners with this subscription.
    pub plan: Option<String>,
    /// Written or spoken by this provider or model.
    pub provider: Option<String>,
    /// In this language.
    pub language: Option<String>,
}

impl Filter {
    /// The same, of these podcasts only.
    pub fn among(&self, ids: &[i64]) -> Self {
        let wanted = |id: &i64| self.ids.as_ref().is_none_or(|wanted| wanted.contains(id));
        Self { ids: Some(ids.iter().copied().filter(wanted).collect()), ..self.clone() }
    }
}

/// The newest podcasts that match, at most `limit`, however far one has to look for them.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(store: &Store, filter: &Filter, limit: i64) -> Result<Vec<Row>, Error> {
    let pool = store.pool();
    let mut ids = Vec::new();
    let mut below = None;
    loop {
        let missing = limit - i64::try_from(ids.len()).unwrap_or(limit);
        let part = Part::below(below, missing);
        let found = match below {
            // None among the newest: they may be far below, among very many.
            Some(below) if filter.stuck => {
                let known = stuck::find(store, filter.date, below, listing::STUCK_LOOK.into()).await?;
                listing::find(pool, &filter.among(&known), part).await?
            }
            _ => listing::find(pool, filter, part).await?,
        };
        ids.extend(found.ids);
        below = found.looked.map(|looked| looked.down_to);
        if below.is_none() {
            return rows(pool, &ids).await;
        }
    }
}

/// These podcasts, newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn rows(pool: &PgPool, ids: &[i64]) -> Result<Vec<Row>, Error> {
    sqlx::query_as!(
        Row,
        r#"/* podcast_rows */
        select id, user_id, date, status, is_active, plan, attempt, crashes, next_attempt_at, deadline_at, worker_id,
               error_kind, error_message, title, topic, language, script_text, ai_model_used, script_usage, is_fallback,
               tts_provider, tts_voice, tts_voice_gender, chunk_plan, spool_ref, audio_sha256, audio_bytes, duration_seconds,
               loudness_lufs, audio_url, object_key, object_etag, cost_micro_usd, metadata, created_at, updated_at,
               finished_at
        from dailycast.daily_podcast
        where id = any ($1)
        order by id desc"#,
        ids
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("podcast_rows"))
}

/// The history of a podcast, oldest line first.
///
/// # Errors
/// [`Error::Database`].
pub async fn events(pool: &PgPool, podcast_id: i64) -> Result<Vec<EventLine>, Error> {
    sqlx::query_as!(
        EventLine,
        r#"/* podcast_events */
        select at, event, from_status, to_status, attempt, worker_id, provider, duration_ms, cost_micro_usd,
               error_kind, detail
        from dailycast.podcast_event where podcast_id = $1 order by id"#,
        podcast_id
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("podcast_events"))
}

/// The ledger of a podcast, oldest line first.
///
/// # Errors
/// [`Error::Database`].
pub async fn calls(pool: &PgPool, podcast_id: i64) -> Result<Vec<CallLine>, Error> {
    sqlx::query_as!(
        CallLine,
        r#"/* podcast_calls */
        select at, provider, model, operation, units, cost_micro_usd, latency_ms, outcome, request_id
        from dailycast.provider_call where podcast_id = $1 order by id"#,
        podcast_id
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("podcast_calls"))
}

/// A move of somebody who holds no lease: an operator's, or the sweep's.
#[derive(Debug, Clone)]
pub struct OperatorMove {
    podcast_id: i64,
    from: Status,
    takes: Option<i64>,
    event: Event,
    to: Status,
    error_kind: Option<FailureKind>,
    detail: String,
}

impl OperatorMove {
    /// A move of a podcast that was seen in the status `from`.
    ///
    /// # Errors
    /// [`Refused`] when the machine has no such move.
    pub fn new(
        podcast_id: i64,
        from: Status,
        event: Event,
        error_kind: Option<FailureKind>,
        detail: String,
    ) -> Result<Self, Refused> {
        Ok(Self { podcast_id, from, takes: None, event, to: apply(from, event)?, error_kind, detail })
    }

    /// The same of a podcast that was seen under this lease, which is taken from whoever holds it.
    /// The holder's next write finds its lease gone.
    pub fn taking(self, lease_token: i64) -> Self {
        Self { takes: Some(lease_token), ..self }
    }
}

/// Writes moves of podcasts that no worker holds, or that are taken from theirs, and arms a job for
/// each that is not finished by its move. A row that is held otherwise than it was seen, or has left
/// the expected status, is left as it is. Attempts begin anew. Returns the podcasts that moved.
///
/// # Errors
/// [`Error::Database`].
pub async fn write_operator_moves(
    to: impl PgExecutor<'_>,
    moves: &[OperatorMove],
    deadline_at: Option<DateTime<Utc>>,
) -> Result<HashSet<i64>, Error> {
    let ids: Vec<i64> = moves.iter().map(|one| one.podcast_id).collect();
    let from: Vec<&str> = moves.iter().map(|one| one.from.as_str()).collect();
    let events: Vec<&str> = moves.iter().map(|one| one.event.as_str()).collect();
    let into: Vec<&str> = moves.iter().map(|one| one.to.as_str()).collect();
    let kinds: Vec<Option<&str>> = moves.iter().map(|one| one.error_kind.map(FailureKind::as_str)).collect();
    let finishes: Vec<bool> = moves.iter().map(|one| one.to.is_final()).collect();
    let details: Vec<String> = moves.iter().map(|one| one.detail.clone()).collect();
    let takes: Vec<Option<i64>> = moves.iter().map(|one| one.takes).collect();
    let moved = sqlx::query_scalar!(
        r#"/* write_operator_moves */
        with move as (
            select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
                                 $7::text[], $9::bigint[])
                as m (podcast_id, from_status, event, to_status, error_kind, finishes, detail, takes)
        ), locked as (
            -- in the order of the claim, which takes the job first; a holder takes the row first
            select id from apalis.jobs
            where id = any (array(select dailycast.job_id(podcast_id) from move where takes is null)) order by id for update
        ), moved as (
            update dailycast.daily_podcast p
            set status = m.to_status, attempt = 0, crashes = 0, next_attempt_at = now(),
                lease_token = null, worker_id = null,
                deadline_at = greatest(p.deadline_at, $8),
                finished_at = case when m.finishes then now() end,
                error_kind = m.error_kind,
                error_message = case when m.finishes then m.detail end,
                updated_at = now()
            from move m
            where p.id = m.podcast_id and p.status = m.from_status and p.lease_token is not distinct from m.takes
              and (select count(*) from locked) >= 0
            returning p.id, p.date, m.*
        ), reopened as (
            update dailycast.night set state = 'running', finished_at = null
            where state = 'finished' and date in (select date from moved where not finishes)
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, error_kind, detail)
            select id, event, from_status, to_status, error_kind, detail from moved
        ), done as (
            delete from apalis.jobs
            where id = any (array(select dailycast.job_id(id) from moved where finishes))
        ), armed as (
            select dailycast.arm_jobs(array_agg(id), array_agg(now()), 10) as n
            from moved where not finishes having count(*) > 0
        ), told as (
            select pg_notify('dailycast_due', '') from armed
        )
        -- a select that nobody reads is not carried out
        select id as "id!" from moved where (select count(*) from told) >= 0"#,
        &ids,
        &from as &[&str],
        &events as &[&str],
        &into as &[&str],
        &kinds as &[Option<&str>],
        &finishes,
        &details,
        deadline_at,
        &takes as &[Option<i64>],
    )
    .fetch_all(to)
    .await
    .map_err(Error::in_statement("write_operator_moves"))?;
    Ok(moved.into_iter().collect())
}
