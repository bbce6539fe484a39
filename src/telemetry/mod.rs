//! What the program tells of itself while it runs: log lines, metrics and traces; what is in them, and what
//! must never be.
//!
//! # Logs
//!
//! | level | means | example |
//! |---|---|---|
//! | `error` | an operator has to do something | a migration this program does not know |
//! | `warn` | something is wrong and mends itself, or soon will not | the database is away; a request that met a defect |
//! | `info` | what an operator wants to read the next day | a night started; one line per attempt and per request |
//! | `debug` | what a developer wants to know | a claim of 30 podcasts |
//! | `trace` | every statement | |
//!
//! A thing is logged once, where it is handled, as one wide line. Fields are dotted names from the
//! general to the special, with the unit at the end of a measured one. An error is a field `error`,
//! with its causes. The lines that are read by machines:
//!
//! | message | when | fields |
//! |---|---|---|
//! | `attempt` | a step ended | `podcast.id` `podcast.date` `podcast.attempt` `move.from` `move.event` `move.to` `provider` `calls` `cost_micro_usd` `duration_ms` `retry_ms` `error.kind` `error.message` |
//! | `call` | a vendor answered, or did not | `podcast.id` `provider` `model` `operation` `outcome` `latency_ms` `units` `cost_micro_usd` `request.id` `call.number` `error.message` |
//! | `request` | an HTTP request was answered | `request.id` `http.method` `http.route` `http.status` `duration_ms` |
//! | `operator` | an operator changed something | `actor` `action` `subject` |
//!
//! `http.route` is the pattern of the route, never the path. The subject of an operator's action is
//! the page that shows what came of it.
//!
//! **Never in a line:** keys, passwords, tokens; signed addresses or the query of any address; a
//! learner's name or e-mail address; prompts, scripts, transcripts; bodies of requests or answers.
//! A learner is `user.id`, an episode is `podcast.id`.
//!
//! # Metrics
//!
//! [`metrics`] is the list of all there are, with help, labels and the values that a label may have.
//! Two kinds: what this process did, counted by [`count`] where the wide line is logged; and what the
//! whole fleet's database says, read when somebody asks (`ops::figures`). [`exposition`] writes both
//! down. No label holds a learner, a podcast, an address or a date, so that the number of series stays
//! the same however many learners there are.
//!
//! # Traces
//!
//! For who has a collector: a build with the feature `otlp` sends spans to `ops.otlp_endpoint`, in
//! batches, by OTLP over HTTP. A trace is one attempt at a step, or one HTTP request; all attempts of a
//! podcast have its `podcast.id`.
//!
//! | span | below | attributes |
//! |---|---|---|
//! | the step: `script`, `voice`, `speech`, `upload` | | `podcast.id` `podcast.status` `attempt` `worker.id` `outcome` `failure.kind` |
//! | `chat MODEL` | `script` | `gen_ai.operation.name` `gen_ai.provider.name` `gen_ai.request.model` `gen_ai.usage.input_tokens` `gen_ai.usage.output_tokens` `error.type` |
//! | `speech ENGINE` | `speech` | `dailycast.tts.provider` `dailycast.tts.characters` `error.type` |
//! | `upload` | `upload` | `dailycast.upload.provider` `dailycast.upload.bytes` `error.type` |
//! | `METHOD ROUTE` | | `http.request.method` `http.route` `http.response.status_code` `error.type` |
//!
//! Calls have `dailycast.call.number` and `dailycast.cost_micro_usd` as well. What must never be in a
//! line is never in a span; nor is the text of an error, or a vendor's or caller's id of a request.
//!
//! Nothing waits for the collector: what the bounded queue does not hold, or the collector does not
//! take, is dropped, and one warning says so. At the end of the process what still waits is sent, if the
//! collector takes it within a moment.

pub mod count;
pub mod exposition;
pub mod metrics;

mod logs;
#[cfg_attr(not(feature = "otlp"), path = "untraced.rs")]
mod traces;

pub use logs::{Error, Wish, filter, init};
pub use traces::Traces;
