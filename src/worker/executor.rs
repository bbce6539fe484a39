//! The executor: walks a claimed podcast from status to status until it is finished or rests.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::{Span, field::Empty};

use crate::{
    machine::{Decision, Event, FailureKind, Reason, Remedy, RetryPolicy, Status, apply, decide},
    podcast::{Artefacts, Attempt, Call, ChunkPlan, Failure, Ledger, Outcome, Podcast, StepResult},
    store::{
        moves::{Move, Then},
        writer::Writer,
    },
    telemetry::{count, metrics},
    workflow::TEMPLATE,
};

use super::{Work, liveness::Liveness, shutdown::Shutdown};

/// Said of work that ended because calls could not begin: the podcast is not to blame.
const BROKEN_OFF: &str = "broken off without using an attempt, the database was away";

/// Said of work that was under way when the worker had to stop.
const STOPPED: &str = "broken off without using an attempt, the worker had to stop";

/// How often lost audio is made anew.
const MOST_LOSSES: u32 = 3;

/// What every walk shares.
#[derive(Debug)]
pub struct Executor<W> {
    worker_id: i32,
    work: Arc<W>,
    writer: Writer,
    live: Arc<Liveness>,
    shutdown: Shutdown,
    chance: fn() -> f64,
}

impl<W: Work> Executor<W> {
    /// The executor of a worker, which writes through `writer`. `chance` gives random numbers from 0 to 1, for
    /// jitter.
    pub fn new(
        worker_id: i32,
        work: Arc<W>,
        writer: Writer,
        live: Arc<Liveness>,
        shutdown: Shutdown,
        chance: fn() -> f64,
    ) -> Self {
        Self { worker_id, work, writer, live, shutdown, chance }
    }

    /// Advances a podcast as far as it goes now. Returns when the row is finished, rests, or is
    /// no longer this worker's.
    pub async fn walk(self: Arc<Self>, mut podcast: Podcast) {
        let claimed = Instant::now();
        loop {
            if !self.may_begin().await {
                return;
            }
            let deadline = claimed + (podcast.deadline_at - podcast.now).to_std().unwrap_or_default();
            let time_left = || deadline.saturating_duration_since(Instant::now());
            let (ledger, started) = (Ledger::within(podcast.id, self.span(&podcast)), Instant::now());
            let outcome = if time_left().is_zero() {
                Outcome::failed(Failure::new(FailureKind::DeadlinePassed, "the deadline passed before this work began"))
            } else {
                let Some(outcome) = self.step(&podcast, &ledger, deadline).await else { return };
                outcome
            };
            let is_stopped = self.shutdown.is_grace_over();
            let is_barred = matches!(outcome.result, StepResult::Failed(_)) && !self.live.may_call();
            let calls = ledger.take();
            if is_stopped && calls.is_empty() && matches!(outcome.result, StepResult::Failed(_)) {
                // Nothing is lost: it is handed back with everything else.
                return;
            }
            if is_barred && calls.is_empty() {
                // It failed because calls may not begin now; that says nothing about the podcast.
                continue;
            }
            let policy = self.work.retry_policy(podcast.status);
            let broken_off = match (is_stopped, is_barred) {
                (true, _) => Some((STOPPED, Duration::ZERO)),
                (_, true) => Some((BROKEN_OFF, policy.first_delay)),
                _ => None,
            };
            let circumstances = Circumstances {
                policy,
                time_left: time_left(),
                broken_off,
                stopping: self.shutdown.is_asked() || self.live.is_paused(),
                chance: (self.chance)(),
            };
            let next = plan_move(&podcast, outcome, calls, &circumstances, started.elapsed());
            tell(&podcast, &next, ledger.span());
            let (then, to, attempt) = (next.then, next.to, next.attempt);
            let Ok(made) = self.writer.write(next).await else {
                count::lease_lost();
                ledger.span().record("outcome", "lease_lost");
                tracing::warn!(podcast.id = podcast.id, podcast.status = %podcast.status, "the lease was lost, what this attempt made is dropped");
                return;
            };
            if to.is_final() && to != Status::Failed {
                self.work.clean_up(podcast.id).await;
            }
            if then != Then::GoOn {
                return;
            }
            podcast.status = to;
            podcast.moves += 1;
            podcast.attempt = attempt;
            podcast.made.take_over(made);
        }
    }

    /// The span of an attempt. It ends when its move is written.
    fn span(&self, podcast: &Podcast) -> Span {
        let step = || metrics::step(podcast.status).map_or(podcast.status.as_str(), |nth| metrics::STEPS[nth]);
        tracing::info_span!(
            parent: None,
            "attempt",
            otel.name = step(),
            otel.status_code = Empty,
            podcast.id = podcast.id,
            podcast.status = podcast.status.as_str(),
            attempt = podcast.attempt + 1,
            worker.id = self.worker_id,
            outcome = Empty,
            failure.kind = Empty,
        )
    }

    /// Waits until work may begin. False when it may not any more; what is still held is then
    /// handed back with everything else.
    async fn may_begin(&self) -> bool {
        tokio::select! {
            biased;
            () = self.live.dead() => false,
            () = self.shutdown.asked() => false,
            () = self.live.healthy() => true,
        }
    }

    /// Does the work of the status once. A panic is an attempt that failed, and so is work that was
    /// under way when the grace ended: the calls it made must be in the ledger. `None` when the lease
    /// is gone: whatever was done is not written. Every line of the ledger is
    /// complete when this returns, however it does.
    async fn step(&self, podcast: &Podcast, ledger: &Ledger, deadline: Instant) -> Option<Outcome> {
        let limit = self.work.time_limit(podcast.status);
        let ends_at = Instant::now() + limit;
        let may_call = || self.live.may_call();
        let attempt = Attempt { ledger, may_call: &may_call, chance: self.chance, ends_at, deadline };
        let worked = AssertUnwindSafe(self.work.advance(podcast, &attempt)).catch_unwind();
        tokio::select! {
            worked = tokio::time::timeout_at(ends_at, worked) => Some(match worked {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Outcome::failed(Failure::new(
                    FailureKind::Internal,
                    "the step panicked; the log has the place",
                )),
                Err(_) => Outcome::failed(Failure::new(
                    FailureKind::Timeout,
                    format!("the work took longer than its limit of {} s", limit.as_secs()),
                )),
            }),
            () = self.live.dead() => None,
            () = self.shutdown.grace_over() => {
                Some(Outcome::failed(Failure::new(FailureKind::Unavailable, "what was under way is done again")))
            }
        }
    }
}

/// What beside the outcome decides the next move.
struct Circumstances {
    policy: RetryPolicy,
    time_left: Duration,
    /// A failure is not the podcast's: why not, and when it goes on.
    broken_off: Option<(&'static str, Duration)>,
    /// The worker is to stop, or everything is paused: the next step is somebody's later.
    stopping: bool,
    chance: f64,
}

/// From what a step returned to the move that is written.
fn plan_move(
    podcast: &Podcast,
    outcome: Outcome,
    calls: Vec<Call>,
    circumstances: &Circumstances,
    took: Duration,
) -> Move {
    let Outcome { result, made } = outcome;
    let last = calls.last().map(|call| call.provider.clone());
    let provider = if made.is_fallback == Some(true) { Some(TEMPLATE.to_owned()) } else { last };
    let mut next = Move {
        lease: podcast.lease,
        nth: podcast.moves,
        from: podcast.status,
        event: Event::AttemptFailed,
        to: podcast.status,
        then: Then::GoOn,
        attempt: podcast.attempt,
        tried: podcast.attempt + 1,
        made,
        calls,
        error: None,
        provider,
        duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
    };
    let result = match result {
        StepResult::Done(Event::AudioLost) => count_loss(podcast, &mut next.made),
        StepResult::Failed(failure) => Err(failure),
        StepResult::Done(event) => Ok(event),
    };
    let result = result.and_then(|event| {
        let refused = |refused| Failure::new(FailureKind::Internal, format!("a step answered wrongly: {refused}"));
        apply(podcast.status, event).map(|to| (event, to)).map_err(refused)
    });
    match result {
        Ok((event, to)) => {
            next.event = event;
            next.to = to;
            next.attempt = 0;
            next.then = if to.is_final() { Then::Finish } else { Then::GoOn };
        }
        Err(failure) => plan_failure(&mut next, podcast, failure, circumstances),
    }
    if circumstances.stopping && next.then == Then::GoOn {
        next.then = Then::Rest(Duration::ZERO);
    }
    next
}

/// Lost audio is made anew from the script, but not for ever: a spool that loses everything would
/// be paid for again and again.
fn count_loss(podcast: &Podcast, made: &mut Artefacts) -> Result<Event, Failure> {
    let Some(plan) = &podcast.made.chunk_plan else { return Ok(Event::AudioLost) };
    let losses = plan.losses + 1;
    made.chunk_plan = Some(ChunkPlan { losses, ..plan.clone() });
    if losses > MOST_LOSSES {
        let message = format!(
            "the audio was lost {losses} times; see that the spool is shared by all workers and keeps what it is given"
        );
        return Err(Failure::new(FailureKind::AudioLost, message));
    }
    Ok(Event::AudioLost)
}

/// Completes the move of a failed attempt: again now, again later, or given up.
fn plan_failure(next: &mut Move, podcast: &Podcast, failure: Failure, circumstances: &Circumstances) {
    next.provider = failure.provider.or(next.provider.take());
    if failure.at_once {
        next.error = Some((failure.kind, failure.message));
        return;
    }
    let Circumstances { policy, time_left, chance, .. } = circumstances;
    if let Some((why, after)) = circumstances.broken_off {
        let message = format!("{why}: {}", failure.message);
        next.then = Then::Rest(after);
        next.error = Some((failure.kind, message));
        return;
    }
    // Who snoozes uses no attempt, but has moved: that counts, so that a long wait takes few lines.
    let snoozes = failure.kind.remedy() == Remedy::Snooze;
    let nth = if snoozes { u32::try_from(podcast.moves).unwrap_or_default().max(1) } else { next.tried };
    match decide(failure.kind, nth, policy, failure.retry_after, *time_left, *chance) {
        Decision::Retry { after, reason } => {
            next.then = Then::Rest(after);
            next.attempt = if reason == Reason::Snoozed { podcast.attempt } else { next.tried };
            next.error = Some((failure.kind, failure.message));
        }
        Decision::GiveUp { reason } => {
            next.event = Event::GaveUp;
            next.to = Status::Failed;
            next.then = Then::Finish;
            next.attempt = next.tried;
            next.error = Some((failure.kind, format!("{}; {}", failure.message, reason.words())));
        }
    }
}

/// The one line of an attempt, and what it adds to the metrics and to its span.
fn tell(podcast: &Podcast, next: &Move, span: &Span) {
    let took = Duration::from_millis(u64::try_from(next.duration_ms).unwrap_or_default());
    count::attempt(next.from, next.to, next.error.as_ref().map(|(kind, _)| *kind), took);
    count_calls(podcast, next);
    span.record("outcome", metrics::OUTCOMES[metrics::outcome(next.to, next.error.is_some())]);
    if let Some((kind, _)) = &next.error {
        span.record("failure.kind", kind.as_str());
        span.record("otel.status_code", "ERROR");
    }
    let cost: i64 = next.calls.iter().map(|call| call.cost_micro_usd).sum();
    let (kind, message) = next.error.as_ref().map(|(kind, words)| (kind.as_str(), words.as_str())).unzip();
    tracing::info!(
        podcast.id = podcast.id,
        podcast.date = %podcast.date,
        podcast.attempt = next.tried,
        move.from = next.from.as_str(),
        move.event = next.event.as_str(),
        move.to = next.to.as_str(),
        provider = next.provider,
        calls = next.calls.len(),
        cost_micro_usd = cost,
        duration_ms = next.duration_ms,
        retry_ms = if let Then::Rest(after) = next.then { Some(after.as_millis()) } else { None },
        error.kind = kind,
        error.message = message,
        "attempt"
    );
}

/// Counts the calls of an attempt, and the providers between which its work went.
fn count_calls(podcast: &Podcast, next: &Move) {
    for call in &next.calls {
        let units = |name: &str| call.units.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
        count::call(&count::Call {
            provider: &call.provider,
            operation: call.operation,
            outcome: call.outcome,
            latency_ms: call.latency_ms,
            cost_micro_usd: call.cost_micro_usd,
            input_tokens: units("input_tokens"),
            output_tokens: units("output_tokens"),
            characters: units("characters"),
        });
    }
    for pair in next.calls.windows(2).filter(|pair| pair[0].provider != pair[1].provider) {
        count::fallback(&pair[0].provider, &pair[1].provider);
    }
    if let (Some(last), Some(true)) = (next.calls.last(), next.made.is_fallback) {
        count::fallback(&last.provider, TEMPLATE);
    }
    if let (Some(from), Some(to)) = (&podcast.made.tts_provider, &next.made.tts_provider)
        && from != to
    {
        count::fallback(from, to);
    }
}

impl Artefacts {
    /// Takes over what a later step made, keeping what it left alone.
    pub(crate) fn take_over(&mut self, made: Self) {
        let old = std::mem::take(self);
        *self = Self {
            script_text: made.script_text.or(old.script_text),
            language: made.language.or(old.language),
            title: made.title.or(old.title),
            topic: made.topic.or(old.topic),
            ai_model_used: made.ai_model_used.or(old.ai_model_used),
            script_usage: made.script_usage.or(old.script_usage),
            is_fallback: made.is_fallback.or(old.is_fallback),
            tts_provider: made.tts_provider.or(old.tts_provider),
            tts_voice: made.tts_voice.or(old.tts_voice),
            tts_voice_gender: made.tts_voice_gender.or(old.tts_voice_gender),
            chunk_plan: made.chunk_plan.or(old.chunk_plan),
            spool_ref: made.spool_ref.or(old.spool_ref),
            audio_sha256: made.audio_sha256.or(old.audio_sha256),
            audio_bytes: made.audio_bytes.or(old.audio_bytes),
            duration_seconds: made.duration_seconds.or(old.duration_seconds),
            loudness_lufs: made.loudness_lufs.or(old.loudness_lufs),
            audio_url: made.audio_url.or(old.audio_url),
            object_key: made.object_key.or(old.object_key),
            object_etag: made.object_etag.or(old.object_etag),
            metadata: made.metadata.or(old.metadata),
        };
    }
}
