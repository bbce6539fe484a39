//! Whether this process sends traces, and to whom.

use super::args::Command;
use crate::{config::Ops, telemetry::Traces};

/// True for what lives long enough that its traces tell something.
pub(super) const fn is_traced(command: &Command) -> bool {
    matches!(command, Command::Demo(_) | Command::Run(_) | Command::Serve(_) | Command::Work(_))
}

/// What sends traces; `None` when none are wanted.
///
/// # Errors
/// When the collector's address is none, or a variable of OpenTelemetry is wrong.
#[cfg(feature = "otlp")]
pub(super) fn begin(ops: &Ops) -> anyhow::Result<Option<Traces>> {
    use super::exit::Advice;
    use crate::provider::otlp::Sender;
    use anyhow::Context as _;

    let Some(endpoint) = &ops.otlp_endpoint else { return Ok(None) };
    let sender = Sender::new(tokio::runtime::Handle::current())?;
    let mend = "correct ops.otlp_endpoint or the OTEL_… variable, or leave both out";
    let traces = Traces::to(endpoint, sender).context(Advice::usage("traces cannot be sent".to_owned(), mend))?;
    Ok(Some(traces))
}

/// What sends traces: nothing, in a build without the feature.
#[cfg(not(feature = "otlp"))]
pub(super) const fn begin(_ops: &Ops) -> anyhow::Result<Option<Traces>> {
    Ok(None)
}

/// Says so where traces are wanted that this build cannot send.
pub(super) fn warn_without(traces: Option<&Traces>, ops: &Ops) {
    if traces.is_none() && ops.otlp_endpoint.is_some() {
        tracing::warn!(
            "ops.otlp_endpoint is set, but this program was built without traces: build it with `cargo build --release --features otlp`, or leave the setting out"
        );
    }
}
