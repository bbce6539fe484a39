//! What one attempt has besides its podcast: the time it may take, the word whether calls may
//! begin, and the ledger of its calls.
//!
//! What would surprise: a line of the ledger is begun before its call and ended by whoever made
//! it. When nobody ends it (the attempt took too long, or panicked), dropping it does: such a call
//! may have been billed, and its line must not be missing.

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;
use tracing::Span;

use super::{Call, Failure, span};
use crate::machine::FailureKind;

/// One execution of the work of a status.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Where its calls are written down.
    pub ledger: &'a Ledger,
    /// Asked before every call: false when the lease is no longer certain. What the attempt then
    /// returns is thrown away.
    pub may_call: &'a (dyn Fn() -> bool + Send + Sync),
    /// Random numbers from 0 (inclusive) to 1 (exclusive), for jitter.
    pub chance: fn() -> f64,
    /// The attempt is broken off at this time.
    pub ends_at: Instant,
    /// The deadline of the podcast.
    pub deadline: Instant,
}

impl Attempt<'_> {
    /// The time until the attempt is broken off.
    pub fn time_left(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }

    /// The time until the deadline of the podcast.
    pub fn time_to_deadline(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The calls of one attempt. Each is one wide line in the log as well, and a span below the attempt's.
#[derive(Debug)]
pub struct Ledger {
    podcast_id: i64,
    span: Span,
    lines: Mutex<Vec<Call>>,
}

/// What is known of a call before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'i> {
    /// Who is called.
    pub provider: &'i str,
    /// The model or voice engine that is asked for.
    pub model: &'i str,
    /// `script`, `speech` or `upload`.
    pub operation: &'static str,
    /// As [`Call::units`], as long as the answer does not say more: usually noughts.
    pub units: &'i Value,
    /// How often this has been tried in place, from 1.
    pub number: u32,
}

/// What a provider bills for a call, as far as it told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// The model that really answered, where that is known.
    pub model: Option<String>,
    /// As [`Call::units`], where they are known.
    pub units: Option<Value>,
    /// Price of the units, in millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// The provider's name of the request.
    pub request_id: Option<String>,
}

/// A call that is under way. Its line is written when this is dropped.
#[derive(Debug)]
#[must_use = "a line that is dropped is a call that was broken off"]
pub struct Begun<'l> {
    ledger: &'l Ledger,
    line: Call,
    /// Why it failed; only the log tells it.
    why: Option<String>,
    has_ended: bool,
    since: Instant,
    number: u32,
    span: Span,
}

impl Ledger {
    /// An empty ledger for an attempt at this podcast.
    pub const fn of(podcast_id: i64) -> Self {
        Self::within(podcast_id, Span::none())
    }

    /// The same, for an attempt with this span.
    pub const fn within(podcast_id: i64, span: Span) -> Self {
        Self { podcast_id, span, lines: Mutex::new(Vec::new()) }
    }

    /// The span of the attempt.
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Begins the line of a call.
    pub fn begin(&self, intent: &Intent<'_>) -> Begun<'_> {
        let line = Call {
            provider: intent.provider.to_owned(),
            model: intent.model.to_owned(),
            operation: intent.operation,
            units: intent.units.clone(),
            cost_micro_usd: 0,
            latency_ms: 0,
            outcome: "ok",
            request_id: None,
        };
        let span = span::begin(&self.span, intent);
        Begun { ledger: self, line, why: None, has_ended: false, since: Instant::now(), number: intent.number, span }
    }

    /// The lines so far, in the order in which their calls ended; the ledger is empty afterwards.
    pub fn take(&self) -> Vec<Call> {
        mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Begun<'_> {
    /// The call ended like this. Answers with its line.
    pub fn ended(mut self, result: Result<(), &Failure>, bill: Bill) -> Call {
        self.end(result.map_or_else(|failure| failure.kind.as_str(), |()| "ok"));
        self.why = result.err().map(|failure| failure.message.clone());
        if let Some(model) = bill.model {
            self.line.model = model;
        }
        if let Some(units) = bill.units {
            self.line.units = units;
        }
        self.line.cost_micro_usd = bill.cost_micro_usd;
        self.line.request_id = bill.request_id;
        self.line.clone()
    }

    fn end(&mut self, outcome: &'static str) {
        self.has_ended = true;
        self.line.outcome = outcome;
        self.line.latency_ms = i32::try_from(self.since.elapsed().as_millis()).unwrap_or(i32::MAX);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            let is_panic = std::thread::panicking();
            self.end(if is_panic { FailureKind::Internal } else { FailureKind::Timeout }.as_str());
            self.why = Some("broken off before its answer was there; it may be billed".to_owned());
        }
        let line = &self.line;
        tracing::info!(
            podcast.id = self.ledger.podcast_id,
            provider = line.provider,
            model = line.model,
            operation = line.operation,
            outcome = line.outcome,
            latency_ms = line.latency_ms,
            units = %line.units,
            cost_micro_usd = line.cost_micro_usd,
            request.id = line.request_id,
            call.number = self.number,
            error.message = self.why,
            "call"
        );
        span::end(&self.span, line);
        self.ledger.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    }
}
