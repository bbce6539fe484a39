//! Logs: how they are written, what is in them, and what must never be.
//!
//! Lines go to standard error, so that standard output stays data: text for people on a terminal,
//! else one JSON object a line (`ops.log_format`). Which lines: `ops.log`, or `RUST_LOG`, or more
//! with `-v`.
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
//! general to the special, with the unit at the end of a measured one: `podcast.id`,
//! `podcast.status`, `attempt`, `provider`, `failure.kind`, `worker.id`, `night.date`,
//! `http.method`, `http.route` (the pattern, never the path), `http.status`, `request.id`,
//! `duration_ms`, `cost_micro_usd`, `audio_bytes`. An error is a field `error`, with its causes.
//!
//! **Never in a line:** keys, passwords, tokens; signed addresses or the query of any address; a
//! learner's name or e-mail address; prompts, scripts, transcripts; bodies of requests or answers.
//! A learner is `user.id`, an episode is `podcast.id`.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, Ops};

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is none.
    #[error("`ops.log` is not a filter of log lines")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Someone else in this process already writes logs.
    #[error("logs are already being written by something else in this process")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// How a process writes its logs, beside its settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// How often `-v` was given: once for `debug` of ours, twice for `trace`.
    pub verbosity: u8,
    /// No colour on a terminal.
    pub plain: bool,
}

/// Begins to write logs. Once per process.
///
/// # Errors
/// [`Error`] when the filter is wrong, or logs are already written.
pub fn init(ops: &Ops, wish: Wish) -> Result<(), Error> {
    let terminal = std::io::stderr().is_terminal();
    let json = match ops.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter(&ops.log, wish.verbosity))?);
    if json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        registry.with(lines.with_writer(std::io::stderr)).try_init()?;
    } else {
        let lines = fmt::layer().compact().with_ansi(terminal && !wish.plain);
        registry.with(lines.with_writer(std::io::stderr)).try_init()?;
    }
    Ok(())
}

/// The filter in force: what is set, and more of our own for each `-v`.
pub fn filter(set: &str, verbosity: u8) -> String {
    match verbosity {
        0 => set.to_owned(),
        1 => format!("{set},dailycast=debug"),
        _ => format!("{set},dailycast=trace"),
    }
}
