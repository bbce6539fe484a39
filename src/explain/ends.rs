//! A podcast that is finished: made, or given up.

use chrono::{DateTime, Utc};

use super::{
    Explanation, Facts, Tone, remedies,
    words::{clock, failure, provider, quote, refusal, times},
};
use crate::machine::{FailureKind, Reason, Status};

pub(super) fn explain(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let since = facts.updated_at;
    match facts.status {
        Status::Completed => Explanation::new("completed", Tone::Well, since, "It is made and can be heard."),
        Status::CompletedWithFallback => {
            Explanation::new("completed_with_fallback", Tone::Well, since, template(facts)).with(remedies::rewrite())
        }
        _ => failed(facts, now),
    }
}

/// Why the template wrote: what the writers did, as the ledger has it.
fn template(facts: &Facts) -> String {
    let mut clauses: Vec<String> = Vec::new();
    for (who, how) in &facts.refusals {
        let kind = FailureKind::ALL.into_iter().find(|kind| kind.as_str() == how);
        let clause = kind.and_then(|kind| refusal(provider(who), kind));
        let clause = clause.unwrap_or_else(|| format!("{} failed ({how})", provider(who)));
        if !clauses.contains(&clause) {
            clauses.push(clause);
        }
    }
    let why = if clauses.is_empty() { "no model was asked".to_owned() } else { clauses.join("; ") };
    format!("It is made; the template wrote its script: {why}.")
}

fn failed(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let since = facts.updated_at;
    let said = |cause, sentence: String| Explanation::new(cause, Tone::Failed, since, sentence);
    let requeue = |said: Explanation| said.with(remedies::requeue_failed(facts));
    match facts.error_kind {
        Some(FailureKind::Cancelled) => requeue(said("cancelled", cancelled(facts, now))),
        Some(FailureKind::DeadlinePassed) => {
            let deadline = clock(facts.deadline_at, now);
            requeue(said("deadline_passed", format!("Its deadline {deadline} passed before it was done.")))
        }
        Some(FailureKind::LearnerGone) => {
            said("learner_gone", "The learner is no longer in the academy; there is nobody to make it for.".to_owned())
        }
        Some(FailureKind::NoVoice) => {
            requeue(said("no_voice", "No provider that is set up has a voice for the learner's languages.".to_owned()))
        }
        Some(FailureKind::WorkerCrashed) => {
            let sentence = match facts.crashes {
                1.. => format!("Its worker died {} while it was in flight, the last time alone.", times(facts.crashes)),
                _ => "It brought down its worker again and again, the last time alone.".to_owned(),
            };
            requeue(said("worker_crashed", sentence))
        }
        kind => requeue(given_up(facts, kind)),
    }
}

/// Who did it stands in the words of the move: `cancelled by …`.
fn cancelled(facts: &Facts, now: DateTime<Utc>) -> String {
    let at = clock(facts.updated_at, now);
    let message = facts.error_message.as_deref().map(quote).unwrap_or_default();
    match message.strip_prefix("cancelled by ") {
        Some(by) => match by.split_once(": ") {
            Some((by, why)) => format!("Cancelled by {by} at {at}: '{why}'."),
            None => format!("Cancelled by {by} at {at}."),
        },
        None if message.is_empty() => format!("Cancelled by an operator at {at}."),
        None => format!("Cancelled by an operator at {at}: {message}."),
    }
}

/// The reason of a decision stands behind the failure's own words.
fn given_up(facts: &Facts, kind: Option<FailureKind>) -> Explanation {
    let message = facts.error_message.clone().unwrap_or_default();
    let ends = |reason: Reason| message.strip_suffix(&format!("; {}", reason.words()));
    let detail = |words: &str| {
        let words = quote(words);
        // A defect's words are in the clause already.
        if words.is_empty() || kind == Some(FailureKind::Internal) { String::new() } else { format!(" ({words})") }
    };
    let said = |cause, sentence| Explanation::new(cause, Tone::Failed, facts.updated_at, sentence);
    let bare = |words: &str| {
        let facts = Facts { error_message: Some(words.to_owned()), ..facts.clone() };
        failure(&facts)
    };
    if let Some(words) = ends(Reason::AttemptsExhausted) {
        let (count, why) = (times(facts.attempt), bare(words));
        return said("attempts_exhausted", format!("It failed {count}; the last time {why}{}.", detail(words)));
    }
    if let Some(words) = ends(Reason::DeadlineTooClose) {
        let why = bare(words);
        let sentence =
            format!("It was given up, since the next try would come after its deadline: {why}{}.", detail(words));
        return said("deadline_too_close", sentence);
    }
    let words = ends(Reason::Hopeless).unwrap_or(&message);
    said("given_up", format!("It was given up: {}{}.", bare(words), detail(words)))
}
