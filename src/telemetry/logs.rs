//! How log lines are written: to standard error, so that standard output stays data. Text for people
//! on a terminal, else one JSON object a line (`ops.log_format`). Which lines: `ops.log`, or
//! `RUST_LOG`, or more with `-v`.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::Traces;
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

/// Begins to write logs, and to collect spans where these `traces` are wanted. Once per process.
///
/// # Errors
/// [`Error`] when the filter is wrong, or logs are already written.
pub fn init(ops: &Ops, wish: Wish, traces: Option<&Traces>) -> Result<(), Error> {
    let terminal = std::io::stderr().is_terminal();
    let json = match ops.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // Without its fields of spans a line stays the same whether traces are collected or not. And
    // where nobody collects them, a span that no log line needs is never made.
    let lines_alone =
        filter_fn(|metadata: &tracing::Metadata<'_>| metadata.is_event()).with_max_level_hint(LevelFilter::TRACE);
    let filter = EnvFilter::try_new(filter(&ops.log, wish.verbosity))?.and(lines_alone);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        Box::new(lines.with_writer(std::io::stderr).with_filter(filter))
    } else {
        let lines = fmt::layer().compact().with_ansi(terminal && !wish.plain);
        Box::new(lines.with_writer(std::io::stderr).with_filter(filter))
    };
    let registry = tracing_subscriber::registry().with(lines);
    match traces {
        Some(traces) => registry.with(traces.layer()).try_init()?,
        None => registry.try_init()?,
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
