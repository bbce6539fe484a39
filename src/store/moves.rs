//! Writing moves: many podcasts, one statement, one commit, each row fenced.
//!
//! A move names what it expects: the podcast, the status it leaves and the lease token it holds.
//! Where the row says otherwise nothing of the move is written, neither artefacts nor event nor
//! call, and the podcast is missing from the answer. The job follows the row in the same commit:
//! deleted when the podcast is finished, armed for the new time when it rests.

use std::{borrow::Cow, collections::HashSet, time::Duration};

use sqlx::types::Json;

use crate::{
    machine::{Event, FailureKind, Lease, Status},
    podcast::{Artefacts, Call},
};

use super::{Error, QUEUE, Store};

/// What a move does with the lease and the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The worker goes on with the next status.
    GoOn,
    /// The podcast rests and is due after this time; another worker may take it then.
    Rest(Duration),
    /// The podcast is finished.
    Finish,
}

/// One move of one podcast, to be written.
#[derive(Debug, Clone)]
pub struct Move {
    /// The right to write it.
    pub lease: Lease,
    /// How many moves the row has had under any lease; a move that was written without our
    /// learning of it does not match again.
    pub nth: i32,
    /// The status it leaves.
    pub from: Status,
    /// What happened.
    pub event: Event,
    /// The status it enters.
    pub to: Status,
    /// What becomes of lease and job.
    pub then: Then,
    /// Failed attempts in the new status.
    pub attempt: u32,
    /// The attempt that led here, from 1; for the event line.
    pub tried: u32,
    /// Columns to set.
    pub made: Artefacts,
    /// Lines for the ledger.
    pub calls: Vec<Call>,
    /// Why, when something failed: its class and its words.
    pub error: Option<(FailureKind, String)>,
    /// The provider that did the work, or failed to.
    pub provider: Option<String>,
    /// How long the work of the status took, in milliseconds.
    pub duration_ms: i32,
}

/// The columns of many moves, as the statement takes them. Nothing is copied: a script is long.
#[derive(Default)]
struct Columns<'m> {
    ids: Vec<i64>,
    tokens: Vec<i64>,
    nth: Vec<i32>,
    from: Vec<&'static str>,
    event: Vec<&'static str>,
    to: Vec<&'static str>,
    go_on: Vec<bool>,
    rest_ms: Vec<Option<i64>>,
    attempt: Vec<i32>,
    tried: Vec<i32>,
    script: Vec<Option<Cow<'m, str>>>,
    made: Vec<Json<&'m Artefacts>>,
    cost: Vec<i64>,
    error_kind: Vec<Option<&'static str>>,
    error_message: Vec<Option<Cow<'m, str>>>,
    provider: Vec<Option<&'m str>>,
    duration_ms: Vec<i32>,
    calls: CallColumns<'m>,
}

/// The columns of the calls of many moves.
#[derive(Default)]
struct CallColumns<'m> {
    podcast_id: Vec<i64>,
    provider: Vec<&'m str>,
    model: Vec<&'m str>,
    operation: Vec<&'static str>,
    units: Vec<Json<&'m serde_json::Value>>,
    cost: Vec<i64>,
    latency_ms: Vec<i32>,
    outcome: Vec<&'static str>,
    request_id: Vec<Option<&'m str>>,
}

impl<'m> Columns<'m> {
    fn of(moves: &'m [Move]) -> Self {
        let mut columns = Self::default();
        for one in moves {
            columns.push(one);
        }
        columns
    }

    fn push(&mut self, one: &'m Move) {
        self.ids.push(one.lease.podcast_id);
        self.tokens.push(one.lease.token);
        self.nth.push(one.nth);
        self.from.push(one.from.as_str());
        self.event.push(one.event.as_str());
        self.to.push(one.to.as_str());
        self.go_on.push(one.then == Then::GoOn);
        self.rest_ms.push(match one.then {
            Then::Rest(after) => Some(i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 1000)),
            Then::GoOn | Then::Finish => None,
        });
        self.attempt.push(i32::try_from(one.attempt).unwrap_or(i32::MAX));
        self.tried.push(i32::try_from(one.tried).unwrap_or(i32::MAX));
        self.script.push(one.made.script_text.as_deref().map(clean));
        self.made.push(Json(&one.made));
        self.cost.push(one.calls.iter().map(|call| call.cost_micro_usd).sum());
        self.error_kind.push(one.error.as_ref().map(|(kind, _)| kind.as_str()));
        self.error_message.push(one.error.as_ref().map(|(_, words)| clean(words)));
        self.provider.push(one.provider.as_deref());
        self.duration_ms.push(one.duration_ms);
        for call in &one.calls {
            self.calls.podcast_id.push(one.lease.podcast_id);
            self.calls.provider.push(&call.provider);
            self.calls.model.push(&call.model);
            self.calls.operation.push(call.operation);
            self.calls.units.push(Json(&call.units));
            self.calls.cost.push(call.cost_micro_usd);
            self.calls.latency_ms.push(call.latency_ms);
            self.calls.outcome.push(call.outcome);
            self.calls.request_id.push(call.request_id.as_deref());
        }
    }
}

/// Postgres has no text with a zero byte in it.
fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "").into() } else { text.into() }
}

/// Writes moves of podcasts that `worker_id` holds and answers with the leases that held; the others changed nothing.
///
/// # Errors
/// [`Error::Database`]: then it is unknown whether the commit happened.
pub async fn write(store: &Store, worker_id: i32, moves: &[Move]) -> Result<HashSet<Lease>, Error> {
    let columns = Columns::of(moves);
    let calls = &columns.calls;
    let hot = store.hot_connection().await.map_err(Error::in_statement("write_moves"))?;
    let held = hot
        .answer(async |connection| {
            sqlx::query_as!(
                Lease,
                r#"/* write_moves */
        with move as (
            select * from unnest(
                $1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bigint[],
                $8::integer[], $9::integer[], $10::text[], $11::jsonb[], $12::bigint[], $13::text[], $14::text[],
                $15::text[], $16::integer[], $28::integer[]
            ) as m (podcast_id, token, from_status, event, to_status, go_on, rest_ms, attempt, tried, script,
                    made, cost, error_kind, error_message, provider, duration_ms, nth)
        ), moved as (
            update dailycast.daily_podcast p
            set status = m.to_status, attempt = m.attempt, crashes = 0, moves = p.moves + 1,
                next_attempt_at = coalesce(now() + m.rest_ms * interval '1 millisecond', p.next_attempt_at),
                lease_token = case when m.go_on then p.lease_token end, worker_id = case when m.go_on then p.worker_id end,
                finished_at = case when not m.go_on and m.rest_ms is null then now() end,
                error_kind = m.error_kind, error_message = m.error_message,
                script_text = coalesce(m.script, p.script_text),
                language = coalesce(m.made->>'language', p.language),
                title = coalesce(m.made->>'title', p.title), topic = coalesce(m.made->>'topic', p.topic),
                ai_model_used = coalesce(m.made->>'ai_model_used', p.ai_model_used),
                script_usage = coalesce(m.made->'script_usage', p.script_usage),
                is_fallback = coalesce((m.made->>'is_fallback')::boolean, p.is_fallback),
                tts_provider = coalesce(m.made->>'tts_provider', p.tts_provider),
                tts_voice = coalesce(m.made->>'tts_voice', p.tts_voice),
                tts_voice_gender = coalesce(m.made->>'tts_voice_gender', p.tts_voice_gender),
                chunk_plan = coalesce(m.made->'chunk_plan', p.chunk_plan),
                spool_ref = case when m.event not in ('audio_lost', 'uploaded')
                            then coalesce(m.made->>'spool_ref', p.spool_ref) end,
                audio_sha256 = coalesce(m.made->>'audio_sha256', p.audio_sha256),
                audio_bytes = coalesce((m.made->>'audio_bytes')::bigint, p.audio_bytes),
                duration_seconds = coalesce((m.made->>'duration_seconds')::integer, p.duration_seconds),
                loudness_lufs = coalesce((m.made->>'loudness_lufs')::double precision, p.loudness_lufs),
                audio_url = coalesce(m.made->>'audio_url', p.audio_url),
                object_key = coalesce(m.made->>'object_key', p.object_key),
                object_etag = coalesce(m.made->>'object_etag', p.object_etag),
                metadata = coalesce(p.metadata || (m.made->'metadata'), p.metadata),
                cost_micro_usd = p.cost_micro_usd + m.cost, updated_at = now()
            from move m
            where p.id = m.podcast_id and p.lease_token = m.token and p.status = m.from_status and p.moves = m.nth
            -- not the script, which would be copied for each reader of this
            returning p.id, p.finished_at is not null as finished, p.next_attempt_at, m.rest_ms, m.token, m.event,
                      m.from_status, m.to_status, m.tried, m.provider, m.duration_ms, m.cost, m.error_kind,
                      m.error_message
        ), lines as (
            insert into dailycast.podcast_event
                (podcast_id, event, from_status, to_status, attempt, worker_id, provider, duration_ms,
                 cost_micro_usd, error_kind, detail)
            select id, event, from_status, to_status, tried, $17, provider, duration_ms, cost, error_kind, error_message
            from moved
        ), ledger as (
            insert into dailycast.provider_call
                (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome, request_id)
            select c.* from unnest($18::bigint[], $19::text[], $20::text[], $21::text[], $22::jsonb[], $23::bigint[],
                                   $24::integer[], $25::text[], $26::text[])
                as c (podcast_id, provider, model, operation, units, cost, latency_ms, outcome, request_id)
            where c.podcast_id in (select id from moved)
        ), done as (
            -- compared like this the type is in no index: read by it, all of the queue would be read
            delete from apalis.jobs
            where job_type || '' = $27 and id = any (array(select dailycast.job_id(id) from moved where finished))
        ), rested as (
            select dailycast.arm_jobs(array_agg(id), array_agg(next_attempt_at), 5) as jobs
            from moved where rest_ms is not null having count(*) > 0
        )
        -- a select that nobody reads is not carried out
        select id as "podcast_id!", token as "token!" from moved where (select count(*) from rested) >= 0"#,
                &columns.ids,
                &columns.tokens,
                &columns.from as &[&str],
                &columns.event as &[&str],
                &columns.to as &[&str],
                &columns.go_on,
                &columns.rest_ms as &[Option<i64>],
                &columns.attempt,
                &columns.tried,
                &columns.script as &[Option<Cow<'_, str>>],
                &columns.made as &[Json<&Artefacts>],
                &columns.cost,
                &columns.error_kind as &[Option<&str>],
                &columns.error_message as &[Option<Cow<'_, str>>],
                &columns.provider as &[Option<&str>],
                &columns.duration_ms,
                worker_id,
                &calls.podcast_id,
                &calls.provider as &[&str],
                &calls.model as &[&str],
                &calls.operation as &[&str],
                &calls.units as &[Json<&serde_json::Value>],
                &calls.cost,
                &calls.latency_ms,
                &calls.outcome as &[&str],
                &calls.request_id as &[Option<&str>],
                QUEUE,
                &columns.nth,
            )
            .fetch_all(connection)
            .await
        })
        .await
        .map_err(Error::in_statement("write_moves"))?;
    Ok(held.into_iter().collect())
}
