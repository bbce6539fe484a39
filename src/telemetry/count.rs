//! What this process did, counted where the wide log line is written.
//!
//! The counters belong to the process, as its log does. An attempt, of which there are thousands a
//! second, costs a few additions to numbers that were found once; a call or a request, which takes
//! much longer anyway, looks its numbers up.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    proto::MetricFamily,
};

use super::metrics::{self, Kind, Metric};
use crate::machine::{FailureKind, Status};

/// Millionths of a dollar in a dollar.
const MICRO: f64 = 1e6;

static PROCESS: LazyLock<Process> = LazyLock::new(Process::new);

/// All that is counted.
struct Process {
    registry: Registry,
    requests: HistogramVec,
    steps: HistogramVec,
    attempts: IntCounterVec,
    podcasts: IntCounterVec,
    calls: IntCounterVec,
    call_seconds: HistogramVec,
    tokens: IntCounterVec,
    characters: IntCounterVec,
    cost: CounterVec,
    fallbacks: IntCounterVec,
    claimed: IntCounter,
    commits: IntCounter,
    moves: IntCounter,
    lost: IntCounter,
    expired: IntCounter,
    alerts: IntCounterVec,
    actions: IntCounterVec,
    /// By step, outcome and cause; by step and outcome; by status.
    found: Found,
}

/// Numbers that were looked up once.
struct Found {
    attempts: [[[OnceLock<IntCounter>; CAUSES]; metrics::OUTCOMES.len()]; metrics::STEPS.len()],
    steps: [[OnceLock<Histogram>; metrics::OUTCOMES.len()]; metrics::STEPS.len()],
    podcasts: [OnceLock<IntCounter>; Status::ALL.len()],
}

/// No cause, and every failure kind.
const CAUSES: usize = FailureKind::ALL.len() + 1;

/// Makes and registers what counts a metric.
#[expect(clippy::expect_used, reason = "names, labels and buckets are constants, and a test makes all of them")]
impl Process {
    fn new() -> Self {
        let registry = Registry::new();
        let build: Gauge = Gauge::with_opts(opts(&metrics::BUILD).const_label("version", env!("CARGO_PKG_VERSION")))
            .expect("a metric");
        build.set(1.0);
        registry.register(Box::new(build)).expect("one of a kind");
        let counters = |metric| counters(&registry, metric);
        let counter = |metric: &'static Metric| counters(metric).with_label_values::<&str>(&[]);
        let histograms = |metric| histograms(&registry, metric);
        let cost = CounterVec::new(opts(&metrics::COST), &names(&metrics::COST)).expect("a metric");
        registry.register(Box::new(cost.clone())).expect("one of a kind");
        Self {
            requests: histograms(&metrics::HTTP_SECONDS),
            steps: histograms(&metrics::STEP_SECONDS),
            attempts: counters(&metrics::ATTEMPTS),
            podcasts: counters(&metrics::PODCASTS),
            calls: counters(&metrics::CALLS),
            call_seconds: histograms(&metrics::CALL_SECONDS),
            tokens: counters(&metrics::TOKENS),
            characters: counters(&metrics::CHARACTERS),
            cost,
            fallbacks: counters(&metrics::FALLBACKS),
            claimed: counter(&metrics::CLAIMED),
            commits: counter(&metrics::COMMITS),
            moves: counter(&metrics::MOVES),
            lost: counter(&metrics::LOST),
            expired: counter(&metrics::EXPIRED),
            alerts: counters(&metrics::ALERTS_SENT),
            actions: counters(&metrics::ACTIONS),
            found: Found {
                attempts: std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new()))),
                steps: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
                podcasts: std::array::from_fn(|_| OnceLock::new()),
            },
            registry,
        }
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn names(metric: &Metric) -> Vec<&'static str> {
    metric.labels.iter().map(|label| label.name).collect()
}

#[expect(clippy::expect_used, reason = "names and labels are constants, and a test makes all of them")]
fn counters(registry: &Registry, metric: &Metric) -> IntCounterVec {
    let made = IntCounterVec::new(opts(metric), &names(metric)).expect("a metric");
    registry.register(Box::new(made.clone())).expect("one of a kind");
    made
}

#[expect(clippy::expect_used, reason = "names, labels and buckets are constants, and a test makes all of them")]
fn histograms(registry: &Registry, metric: &Metric) -> HistogramVec {
    let Kind::Histogram(bounds) = metric.kind else { unreachable!("{} is no histogram", metric.name) };
    let opts = HistogramOpts { common_opts: opts(metric), buckets: bounds.to_vec() };
    let made = HistogramVec::new(opts, &names(metric)).expect("a metric");
    registry.register(Box::new(made.clone())).expect("one of a kind");
    made
}

/// A name, if it is on the list; else `other`.
fn known<'n>(list: &[&'n str], name: &str) -> &'n str {
    list.iter().find(|known| **known == name).copied().unwrap_or("other")
}

/// All that was counted so far, as families of the crate that counts.
pub(super) fn families() -> Vec<MetricFamily> {
    PROCESS.registry.gather()
}

/// A request was answered after so long. `route` is the pattern of its route.
pub fn request(route: &str, method: &str, status: u16, took: Duration) {
    let class = match status {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    let labels = [route, known(&metrics::METHODS, method), class];
    PROCESS.requests.with_label_values(&labels).observe(took.as_secs_f64());
}

/// An attempt at the work of `from` ended, after so long, and moved the podcast to `to`; `cause` says
/// why it failed, if it did.
pub fn attempt(from: Status, to: Status, cause: Option<FailureKind>, took: Duration) {
    let Some(step) = metrics::step(from) else { return };
    let outcome = metrics::outcome(to, cause.is_some());
    let nth = cause.and_then(|cause| FailureKind::ALL.iter().position(|kind| *kind == cause));
    let (step_name, outcome_name) = (metrics::STEPS[step], metrics::OUTCOMES[outcome]);
    let attempts = &PROCESS.found.attempts[step][outcome][nth.map_or(0, |nth| nth + 1)];
    let cause = cause.map_or("none", FailureKind::as_str);
    attempts.get_or_init(|| PROCESS.attempts.with_label_values(&[step_name, outcome_name, cause])).inc();
    let seconds = &PROCESS.found.steps[step][outcome];
    seconds.get_or_init(|| PROCESS.steps.with_label_values(&[step_name, outcome_name])).observe(took.as_secs_f64());
    if to.is_final()
        && let Some(nth) = Status::ALL.iter().position(|status| *status == to)
    {
        let podcasts = &PROCESS.found.podcasts[nth];
        podcasts.get_or_init(|| PROCESS.podcasts.with_label_values(&[to.as_str()])).inc();
    }
}

/// A call that ended.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Who was called.
    pub provider: &'c str,
    /// `script`, `speech` or `upload`.
    pub operation: &'c str,
    /// `ok`, or a failure kind.
    pub outcome: &'c str,
    /// Milliseconds it took.
    pub latency_ms: i32,
    /// What it cost, in millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// Tokens that went in.
    pub input_tokens: u64,
    /// Tokens that came out.
    pub output_tokens: u64,
    /// Characters that were spoken.
    pub characters: u64,
}

/// A call ended.
pub fn call(call: &Call<'_>) {
    let provider = known(&metrics::PROVIDERS, call.provider);
    let operation = known(&["script", "speech", "upload"], call.operation);
    let is_known = call.outcome == "ok" || FailureKind::ALL.iter().any(|kind| kind.as_str() == call.outcome);
    let outcome = if is_known { call.outcome } else { FailureKind::Internal.as_str() };
    PROCESS.calls.with_label_values(&[provider, operation, outcome]).inc();
    PROCESS.call_seconds.with_label_values(&[provider, operation]).observe(f64::from(call.latency_ms) / 1e3);
    for (kind, tokens) in [("input", call.input_tokens), ("output", call.output_tokens)] {
        if tokens > 0 {
            PROCESS.tokens.with_label_values(&[provider, kind]).inc_by(tokens);
        }
    }
    if call.characters > 0 {
        PROCESS.characters.with_label_values(&[provider]).inc_by(call.characters);
    }
    if call.cost_micro_usd > 0 {
        let cost: Counter = PROCESS.cost.with_label_values(&[provider, operation]);
        cost.inc_by(call.cost_micro_usd as f64 / MICRO);
    }
}

/// In an attempt the work of one provider went to another.
pub fn fallback(from: &str, to: &str) {
    let labels = [known(&metrics::PROVIDERS, from), known(&metrics::PROVIDERS, to)];
    PROCESS.fallbacks.with_label_values(&labels).inc();
}

/// So many podcasts were claimed.
pub fn claimed(podcasts: usize) {
    PROCESS.claimed.inc_by(podcasts as u64);
}

/// So many moves were written in one commit.
pub fn committed(moves: usize) {
    PROCESS.commits.inc();
    PROCESS.moves.inc_by(moves as u64);
}

/// What an attempt made was dropped: its lease was lost.
pub fn lease_lost() {
    PROCESS.lost.inc();
}

/// So many podcasts were taken back from a worker that died.
pub fn expired(podcasts: usize) {
    PROCESS.expired.inc_by(podcasts as u64);
}

/// A message about an alert was sent to a sink of this kind, or could not be.
pub fn alert(kind: &str, is_sent: bool) {
    PROCESS.alerts.with_label_values(&[known(&metrics::SINKS, kind), if is_sent { "sent" } else { "failed" }]).inc();
}

/// An operator changed something, or was refused.
pub fn action(is_done: bool) {
    PROCESS.actions.with_label_values(&[if is_done { "done" } else { "refused" }]).inc();
}
