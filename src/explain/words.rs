//! Small words: times, lengths, names, what a step does.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Facts;
use crate::machine::{FailureKind, Status};

/// The most characters of a message of somebody else.
const LONGEST_QUOTE: usize = 240;

/// A time of day in UTC, with its date when that is not near.
pub(super) fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let is_near = at.date_naive() == now.date_naive() || (at - now).abs() < TimeDelta::hours(12);
    at.format(if is_near { "%H:%M" } else { "%-d %b %H:%M" }).to_string()
}

/// The same to the second.
pub(super) fn second(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

/// How long something has lasted; a short time is not told to the second, which would change at
/// every look.
pub(super) fn lasted(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - since).num_seconds() {
        ..60 => "less than a minute".to_owned(),
        seconds => span(Duration::from_secs(seconds.unsigned_abs())),
    }
}

/// A length of time in its largest unit or two.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => match seconds / 60 % 60 {
            0 => format!("{} h", seconds / 3_600),
            minutes => format!("{} h {minutes} min", seconds / 3_600),
        },
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Cents where it is much, more digits where it is little.
pub(super) fn dollars(micro_usd: i64) -> String {
    let dollars = micro_usd as f64 / 1e6;
    if micro_usd == 0 || dollars.abs() >= 0.01 { format!("${dollars:.2}") } else { format!("${dollars:.4}") }
}

/// `1 time`, `5 times`.
pub(super) fn times(count: i32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// The name of a provider as people say it.
pub(super) fn provider(name: &str) -> &str {
    match name {
        "openai" => "OpenAI",
        "gemini" => "Gemini",
        "anthropic" => "Anthropic",
        "polly" => "Amazon Polly",
        "google" => "Google TTS",
        "azure" => "Azure Speech",
        "local" => "the offline voice",
        other => other,
    }
}

/// What the work of a status is called.
pub(super) fn step(status: Status) -> &'static str {
    match status {
        Status::Pending => "script",
        Status::PendingUpload => "upload",
        _ => "speech",
    }
}

/// What a worker does in a status.
pub(super) fn doing(status: Status) -> &'static str {
    match status {
        Status::Pending => "writing the script",
        Status::ScriptGenerated => "choosing the voice",
        Status::AudioGenerating => "making the audio",
        _ => "uploading the audio",
    }
}

/// Words of somebody else, on one line, not too long, without a stop at the end.
pub(super) fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.trim_end_matches('.').chars().take(LONGEST_QUOTE).collect();
    if short.chars().count() < line.trim_end_matches('.').chars().count() {
        short.push('…');
    }
    short
}

/// What went wrong with the last attempt, as a clause.
pub(super) fn failure(facts: &Facts) -> String {
    let Some(kind) = facts.error_kind else { return "no reason was written down".to_owned() };
    let who = facts.provider.as_deref().map_or("the provider", provider);
    match kind {
        FailureKind::Internal => {
            let what = facts.error_message.as_deref().map(quote).filter(|what| !what.is_empty());
            what.map_or_else(|| kind.words().to_owned(), |what| format!("a defect of this program: {what}"))
        }
        kind => refusal(who, kind).unwrap_or_else(|| kind.words().to_owned()),
    }
}

/// What a provider did, as a clause; `None` for a kind that is not a provider's doing.
pub(super) fn refusal(who: &str, kind: FailureKind) -> Option<String> {
    Some(match kind {
        FailureKind::Timeout => format!("{who} did not answer in time"),
        FailureKind::RateLimited => format!("{who} asked us to slow down"),
        FailureKind::Unavailable => format!("{who} could not be reached or is down"),
        FailureKind::BadAnswer => format!("the answer of {who} could not be used"),
        FailureKind::ContentRefused => format!("{who} declined this content"),
        FailureKind::BadRequest => format!("{who} called our request wrong"),
        FailureKind::OutOfCredit => format!("the account at {who} has no credit left"),
        FailureKind::KeyRefused => format!("{who} does not accept our key"),
        FailureKind::ModelRetired => format!("{who} no longer has the model or voice"),
        _ => return None,
    })
}
