//! The span of a call, below that of its attempt. Costs next to nothing when nobody collects spans.
//!
//! What would surprise: the words of a failure and the vendor's name of the request stay in the log.

use serde_json::Value;
use tracing::{Span, field::Empty};

use super::{Call, Intent};

/// Begins the span of a call.
pub(super) fn begin(attempt: &Span, intent: &Intent<'_>) -> Span {
    let Intent { provider, model, number, .. } = *intent;
    match intent.operation {
        "script" => tracing::info_span!(
            parent: attempt,
            "call",
            otel.name = format!("chat {model}"),
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = well_known(provider),
            gen_ai.request.model = model,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            dailycast.call.number = number,
            dailycast.cost_micro_usd = Empty,
            error.type = Empty,
        ),
        "speech" => tracing::info_span!(
            parent: attempt,
            "call",
            otel.name = format!("speech {model}"),
            otel.kind = "client",
            otel.status_code = Empty,
            dailycast.tts.provider = provider,
            dailycast.tts.characters = Empty,
            dailycast.call.number = number,
            dailycast.cost_micro_usd = Empty,
            error.type = Empty,
        ),
        operation => tracing::info_span!(
            parent: attempt,
            "call",
            otel.name = operation,
            otel.kind = "client",
            otel.status_code = Empty,
            dailycast.upload.provider = provider,
            dailycast.upload.bytes = Empty,
            dailycast.call.number = number,
            dailycast.cost_micro_usd = Empty,
            error.type = Empty,
        ),
    }
}

/// Adds how the call ended. What a kind of call does not have is left out.
pub(super) fn end(span: &Span, line: &Call) {
    if span.is_disabled() {
        return;
    }
    for (unit, field) in [
        ("input_tokens", "gen_ai.usage.input_tokens"),
        ("output_tokens", "gen_ai.usage.output_tokens"),
        ("characters", "dailycast.tts.characters"),
        ("bytes", "dailycast.upload.bytes"),
    ] {
        if let Some(number) = line.units.get(unit).and_then(Value::as_i64) {
            span.record(field, number);
        }
    }
    span.record("dailycast.cost_micro_usd", line.cost_micro_usd);
    if line.outcome != "ok" {
        span.record("error.type", line.outcome);
        span.record("otel.status_code", "ERROR");
    }
}

/// What the conventions of OpenTelemetry call a provider.
fn well_known(provider: &str) -> &str {
    if provider == "gemini" { "gcp.gemini" } else { provider }
}
