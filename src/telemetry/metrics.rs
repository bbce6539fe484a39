//! Every metric there is: its name, kind, help, and labels with the values that they may have.
//!
//! Names follow Prometheus: our own begin with `dailycast_`, quantities are in base units (seconds,
//! bytes, dollars), counters end in `_total`. What would surprise: no metric has the model as a label,
//! since vendors answer with names of their own; `dailycast cost` has the costs by model.

use crate::machine::{FailureKind, Status};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts what was measured by size; the upper bounds.
    Histogram(&'static [f64]),
}

/// What a label may say.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// One of these.
    OneOf(fn() -> Vec<&'static str>),
    /// A pattern of `http/routes.rs`, or `none`.
    Route,
    /// The version of a program.
    Version,
}

/// A label.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub values: Values,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
}

/// Seconds of a request: from what a read takes to the limit of time.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Seconds of a step or call: from what the template takes to the longest step.
const WORK_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Who is called; anybody else is `other`.
pub const PROVIDERS: [&str; 9] =
    ["anthropic", "azure", "gemini", "google", "local", "openai", "polly", "s3", "template"];

/// Methods that are told apart; any other is `other`.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The step of each unfinished status, in the order in which a podcast meets them.
pub const STEPS: [&str; 4] = ["script", "voice", "speech", "upload"];

/// How an attempt ends.
pub const OUTCOMES: [&str; 3] = ["done", "retry", "gave_up"];

/// The states of a breaker.
pub const BREAKER: [&str; 3] = ["closed", "half_open", "open"];

/// What a podcast of the night waits for: nobody works on it though it is due, its time has not come,
/// a worker is at it.
pub const QUEUE: [&str; 3] = ["due", "waiting", "held"];

/// A worker that is heard, and one that is not and has not been declared dead yet.
pub const WORKERS: [&str; 2] = ["alive", "silent"];

/// The pools of connections.
const POOLS: [&str; 6] = ["common", "hot", "walks", "desk", "audio", "reads"];

/// Kinds of those who are told of alerts; any other is `other`.
pub const SINKS: [&str; 2] = ["mail", "webhook"];

/// The place of a status in [`STEPS`]; a final one has no step.
pub const fn step(status: Status) -> Option<usize> {
    match status {
        Status::Pending => Some(0),
        Status::ScriptGenerated => Some(1),
        Status::AudioGenerating => Some(2),
        Status::PendingUpload => Some(3),
        Status::Completed | Status::CompletedWithFallback | Status::Failed => None,
    }
}

/// The place in [`OUTCOMES`] of an attempt that led to `to`, after a failure or none.
pub const fn outcome(to: Status, has_failed: bool) -> usize {
    match (has_failed, to) {
        (false, _) => 0,
        (true, Status::Failed) => 2,
        (true, _) => 1,
    }
}

/// `none`, and every failure kind.
pub fn causes() -> Vec<&'static str> {
    std::iter::once("none").chain(FailureKind::ALL.map(FailureKind::as_str)).collect()
}

/// `ok`, and every failure kind.
fn call_outcomes() -> Vec<&'static str> {
    std::iter::once("ok").chain(FailureKind::ALL.map(FailureKind::as_str)).collect()
}

fn statuses() -> Vec<&'static str> {
    Status::ALL.map(Status::as_str).to_vec()
}

fn and_other(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().chain(["other"]).collect()
}

const fn one_of(name: &'static str, values: fn() -> Vec<&'static str>) -> Label {
    Label { name, values: Values::OneOf(values) }
}

const PROVIDER: Label = one_of("provider", || and_other(&PROVIDERS));
const OPERATION: Label = one_of("operation", || vec!["script", "speech", "upload", "other"]);
const STEP: Label = one_of("step", || STEPS.to_vec());
const OUTCOME: Label = one_of("outcome", || OUTCOMES.to_vec());
const POOL: Label = one_of("pool", || POOLS.to_vec());

/// Makes the constants and [`ALL`] from one list, so that none can be left out of it.
macro_rules! metrics {
    ($($constant:ident $kind:expr, $name:literal, [$($label:expr),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric { name: $name, kind: $kind, help: $help, labels: &[$($label),*] };
        )*
        /// Every metric.
        pub const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    HTTP_SECONDS Kind::Histogram(REQUEST_SECONDS), "http_server_request_duration_seconds",
        [Label { name: "route", values: Values::Route }, one_of("method", || and_other(&METHODS)),
         one_of("status_class", || vec!["1xx", "2xx", "3xx", "4xx", "5xx"])],
        "Time to answer a request, without sending the answer, by the pattern of its route.";
    STEP_SECONDS Kind::Histogram(WORK_SECONDS), "dailycast_step_duration_seconds", [STEP, OUTCOME],
        "Time of one attempt at a step.";
    ATTEMPTS Kind::Counter, "dailycast_step_attempts_total", [STEP, OUTCOME, one_of("cause", causes)],
        "Attempts at a step, by how they ended and by the failure kind.";
    PODCASTS Kind::Counter, "dailycast_podcasts_total",
        [one_of("status", || vec!["completed", "completed_with_fallback", "failed"])],
        "Podcasts that this process has finished.";
    CALLS Kind::Counter, "dailycast_provider_requests_total",
        [PROVIDER, OPERATION, one_of("outcome", call_outcomes)],
        "Calls to a provider, by how they ended.";
    CALL_SECONDS Kind::Histogram(WORK_SECONDS), "dailycast_provider_request_duration_seconds",
        [PROVIDER, OPERATION], "Time of one call to a provider.";
    TOKENS Kind::Counter, "dailycast_provider_tokens_total",
        [PROVIDER, one_of("type", || vec!["input", "output"])], "Tokens that a provider bills.";
    CHARACTERS Kind::Counter, "dailycast_tts_characters_total", [PROVIDER], "Characters that a provider bills as spoken.";
    COST Kind::Counter, "dailycast_cost_usd_total", [PROVIDER, OPERATION],
        "US dollars that calls of this process have cost, by the price list.";
    FALLBACKS Kind::Counter, "dailycast_fallbacks_total",
        [one_of("from", || and_other(&PROVIDERS)), one_of("to", || and_other(&PROVIDERS))],
        "Attempts in which a provider's work went to another one.";
    CLAIMED Kind::Counter, "dailycast_claimed_podcasts_total", [], "Podcasts that this process has claimed.";
    COMMITS Kind::Counter, "dailycast_commits_total", [], "Commits in which this process wrote moves.";
    MOVES Kind::Counter, "dailycast_committed_moves_total", [], "Moves that this process wrote; many share a commit.";
    LOST Kind::Counter, "dailycast_leases_lost_total", [],
        "Attempts whose work was dropped because the lease was another's by then.";
    EXPIRED Kind::Counter, "dailycast_leases_expired_total", [],
        "Podcasts that this process took back from workers that died.";
    ALERTS_SENT Kind::Counter, "dailycast_alerts_sent_total",
        [one_of("sink", || and_other(&SINKS)), one_of("outcome", || vec!["sent", "failed"])],
        "Messages about alerts that this process has tried to send.";
    ACTIONS Kind::Counter, "dailycast_operator_actions_total", [one_of("outcome", || vec!["done", "refused"])],
        "Changes that operators asked this process for, by page or API.";
    BUILD Kind::Gauge, "dailycast_build_info", [Label { name: "version", values: Values::Version }],
        "The program that this process runs; always 1.";
    CONNECTIONS Kind::Gauge, "dailycast_database_connections", [POOL, one_of("state", || vec!["idle", "used"])],
        "Connections of this process to the database.";
    CONNECTIONS_MOST Kind::Gauge, "dailycast_database_connections_max", [POOL],
        "The most connections that a pool of this process may have.";

    FLEET_UP Kind::Gauge, "dailycast_fleet_up", [],
        "1 when the figures of the fleet could be read from the database, else 0 and they are missing.";
    FLEET_READ Kind::Gauge, "dailycast_fleet_read_timestamp_seconds", [],
        "When the figures of the fleet were read; they are kept for some seconds.";
    NIGHT_PODCASTS Kind::Gauge, "dailycast_night_podcasts", [one_of("status", statuses)],
        "Podcasts of the current night by status.";
    NIGHT_QUEUE Kind::Gauge, "dailycast_night_queue_podcasts", [one_of("state", || QUEUE.to_vec())],
        "Unfinished podcasts of the current night: due, waiting for their time, held by a worker.";
    NIGHT_ELIGIBLE Kind::Gauge, "dailycast_night_eligible_podcasts", [],
        "Learners who are to have a podcast in the current night, as far as it is enqueued.";
    NIGHT_RUNNING Kind::Gauge, "dailycast_night_running", [], "1 while the current night is not finished, else 0.";
    NIGHT_STARTED Kind::Gauge, "dailycast_night_start_timestamp_seconds", [], "When the current night started.";
    NIGHT_DEADLINE Kind::Gauge, "dailycast_night_deadline_timestamp_seconds", [],
        "When unfinished work of the current night is given up.";
    NIGHT_ETA Kind::Gauge, "dailycast_night_eta_timestamp_seconds", [],
        "When the current night is done at the pace of its last five minutes; missing while nobody knows.";
    NIGHT_SPENT Kind::Gauge, "dailycast_night_spent_usd", [], "US dollars that the calls of the current night have cost.";
    NIGHT_FORECAST Kind::Gauge, "dailycast_night_forecast_usd", [],
        "US dollars that the current night costs if the rest costs what the finished did; missing at its begin.";
    NIGHT_BUDGET Kind::Gauge, "dailycast_night_budget_usd", [],
        "US dollars that a night may cost (budget.usd_per_night); missing without a limit.";
    LAST_SUCCESS Kind::Gauge, "dailycast_last_success_timestamp_seconds", [],
        "When a night was last finished.";
    NEXT_START Kind::Gauge, "dailycast_next_start_timestamp_seconds", [], "When the next night is to start.";
    STUCK Kind::Gauge, "dailycast_stuck_podcasts", [],
        "Podcasts that are not finished and that nothing will move.";
    OLDEST_DUE Kind::Gauge, "dailycast_oldest_due_timestamp_seconds", [],
        "Since when the podcast that waits longest is due, among the ten thousand oldest unfinished ones.";
    PAUSED Kind::Gauge, "dailycast_paused", [], "1 while everything is on hold, else 0.";
    FLEET_WORKERS Kind::Gauge, "dailycast_workers", [one_of("state", || WORKERS.to_vec())],
        "Workers that have not stopped: heard within their lease, or silent.";
    BREAKERS Kind::Gauge, "dailycast_provider_breaker_state", [PROVIDER, one_of("state", || BREAKER.to_vec())],
        "1 for the state in which a provider's breaker is, else 0.";
    OPEN_ALERTS Kind::Gauge, "dailycast_open_alerts", [], "Alerts whose cause is still there.";
    SINKS_FAILING Kind::Gauge, "dailycast_alert_sinks_failing", [],
        "Webhooks and mailboxes that did not take their last message.";
}
