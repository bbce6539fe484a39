//! A podcast that nobody holds and that is not finished: it waits for its time, for its turn, or for
//! what is missing.

use chrono::{DateTime, Utc};

use super::{
    Explanation, Facts, GRACE, Pause, Provider, Tone, remedies,
    words::{clock, dollars, failure, provider, quote, step, times},
};
use crate::machine::FailureKind;

pub(super) fn paused(facts: &Facts, pause: &Pause, now: DateTime<Utc>) -> Explanation {
    let why = if pause.reason.is_empty() { String::new() } else { format!(": '{}'", quote(&pause.reason)) };
    let sentence = format!("Paused by {} at {}{why}.", pause.paused_by, clock(pause.paused_at, now));
    Explanation::new("paused", Tone::Waiting, pause.paused_at, sentence).with(remedies::resume(facts, now))
}

/// Not due yet.
pub(super) fn for_its_time(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let at = clock(facts.next_attempt_at, now);
    let who = facts.provider.as_deref().map_or("a provider", provider);
    let (cause, sentence) = match facts.error_kind {
        None => ("waiting", format!("It is due at {at}.")),
        Some(FailureKind::BreakerOpen) => return breaker(facts, now),
        Some(FailureKind::OwnLimit) => (
            "own_limit",
            format!(
                "Waiting for its turn at {who}: our own limit of calls is reached, or a pause was asked for. Next try {at}."
            ),
        ),
        Some(FailureKind::BudgetReached) => return budget(facts, &at),
        Some(FailureKind::SpoolFull) => (
            "spool_full",
            format!("The spool has no room for its audio. Next try {at}; it goes on when uploads have made room."),
        ),
        Some(FailureKind::AcademyUnavailable) => {
            ("academy_unavailable", format!("The academy's data could not be read: {}. Next try {at}.", message(facts)))
        }
        Some(FailureKind::StorageUnavailable) => (
            "upload_pending",
            format!("The audio is ready, but storage refused it: {}. Trying again at {at}.", message(facts)),
        ),
        Some(_) => ("waiting_retry", format!("Trying again at {at} — {}.{}", capital(&failure(facts)), used(facts))),
    };
    waiting(facts, cause, sentence).with(remedies::try_now(facts, now))
}

fn waiting(facts: &Facts, cause: &'static str, sentence: String) -> Explanation {
    Explanation::new(cause, Tone::Waiting, facts.updated_at, sentence)
        .mending(Some(facts.next_attempt_at), "It is tried again then.")
}

/// How many attempts are used.
fn used(facts: &Facts) -> String {
    match facts.pace {
        Some(pace) if facts.attempt > 0 => format!(" {} of {} attempts are used.", facts.attempt, pace.max_attempts),
        _ => String::new(),
    }
}

/// A sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn message(facts: &Facts) -> String {
    let message = facts.error_message.as_deref().map(quote).filter(|message| !message.is_empty());
    message.unwrap_or_else(|| "no reason was given".to_owned())
}

/// A provider that gets no calls. Which one is known where the failure named it; then its state says
/// more than the failure, which may be old.
fn breaker(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let at = clock(facts.next_attempt_at, now);
    let Some(name) = facts.provider.as_deref() else {
        let sentence = format!("The providers that could do it get no calls at the moment. Next try {at}.");
        return waiting(facts, "breaker_open", sentence).with(remedies::try_now(facts, now));
    };
    let who = provider(name);
    match facts.providers.iter().find(|known| known.name == name) {
        Some(Provider { is_open: true, until: Some(until), failures_in_a_row, .. }) => {
            let count = times(*failures_in_a_row);
            let sentence =
                format!("Waiting for {who}, which failed {count} in a row. Next probe {}.", clock(*until, now));
            waiting(facts, "breaker_open", sentence).with(remedies::close(name))
        }
        Some(Provider { is_open: true, until: None, cause, .. }) => {
            let why = match cause.as_deref() {
                Some("out_of_credit") => "the account there has no credit left",
                Some("key_refused") => "it does not accept our key",
                _ => "an operator opened its breaker",
            };
            let sentence =
                format!("Waiting for {who}, which gets no calls until an operator closes its breaker: {why}.");
            waiting(facts, "breaker_open", sentence).with(remedies::close(name))
        }
        Some(_) => {
            let sentence = format!("{} got no calls at the last try; it does now. Next try {at}.", capital(who));
            waiting(facts, "breaker_open", sentence).with(remedies::try_now(facts, now))
        }
        None => {
            let sentence = format!("Waiting for {who}, which got no calls at the last try. Next try {at}.");
            waiting(facts, "breaker_open", sentence).with(remedies::try_now(facts, now))
        }
    }
}

fn budget(facts: &Facts, at: &str) -> Explanation {
    let budget = facts.budget_micro_usd.map(|budget| format!(" of {}", dollars(budget))).unwrap_or_default();
    let sentence = format!("The night's budget{budget} is used. No paid call begins; next look {at}.");
    waiting(facts, "budget_stop", sentence).with(remedies::raise_budget())
}

/// Due, and nobody has it: what should take it is missing, or busy.
pub(super) fn overdue(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let since = facts.next_attempt_at;
    let at = clock(since, now);
    let late = if now - since >= GRACE { Tone::Stuck } else { Tone::Waiting };
    if facts.living_workers == 0 {
        let sentence = format!("Nobody is working: no worker reports. It was due at {at}.");
        return Explanation::new("no_workers", late, since, sentence).with(remedies::start_worker(facts));
    }
    if !facts.has_job {
        let sentence = format!("It was due at {at}, but no job names it, so no worker takes it.");
        return Explanation::new("job_missing", late, since, sentence)
            .mending(None, "The sweep gives it a job within a minute.")
            .with(remedies::requeue_in_place(facts));
    }
    if facts.deadline_at <= now {
        let sentence = format!("Its deadline {} has passed; a worker gives it up next.", clock(facts.deadline_at, now));
        return Explanation::new("deadline_passed", Tone::Waiting, facts.deadline_at, sentence);
    }
    if facts.is_suspect {
        let sentence = format!(
            "Its worker died {} while it was in flight. It runs alone, when nothing else is due.",
            times(facts.crashes)
        );
        return Explanation::new("suspect", Tone::Waiting, facts.updated_at, sentence)
            .mending(None, "A worker that has nothing else to do takes it.");
    }
    let sentence = format!("It is due since {at} and waits for a free slot: the {} comes next.", step(facts.status));
    Explanation::new("due", Tone::Waiting, since, sentence).mending(None, "The next free worker takes it.")
}
