//! Between the breaker and its row, and from what it did to what an operator is told.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    provider::breaker::{Breaker, Cause, Change, Opening, Probe},
    store::{alerts::Notice, providers::State},
};

/// The alert of a provider whose calls fail.
const DOWN: &str = "provider_down";

/// The alerts that end when the breaker closes.
const ENDED_BY_CLOSING: [&str; 3] = [DOWN, "provider_out_of_credit", "provider_key_refused"];

/// The alert of a model that the vendor no longer has.
const RETIRED: &str = "model_retired";

/// The alert of a night whose budget is used up.
const BUDGET: &str = "budget_reached";

/// The alerts whose end nobody notices: they are over when they were not raised again for a day.
pub const SILENT_KINDS: [&str; 2] = [RETIRED, BUDGET];

/// The breaker of a row. A cause that this version does not know is taken for an operator's wish.
pub(super) fn breaker(state: &State) -> Breaker {
    let opening = state.opened_at.map(|since| Opening {
        cause: cause(state),
        since,
        until: state.open_until,
        rest: Duration::from_millis(u64::try_from(state.rest_ms).unwrap_or_default()),
        probe: state.probe_by.clone().zip(state.probe_until).map(|(by, until)| Probe { by, until }),
    });
    Breaker {
        generation: state.generation,
        opening,
        failures: u32::try_from(state.failures_in_a_row).unwrap_or_default(),
        paused_until: state.paused_until,
    }
}

fn cause(state: &State) -> Cause {
    let known = Cause::ALL.into_iter().find(|cause| state.cause.as_deref() == Some(cause.as_str()));
    known.unwrap_or(Cause::Operator)
}

/// Writes the breaker into its row.
pub(super) fn keep(breaker: &Breaker, state: &mut State) {
    let opening = breaker.opening.as_ref();
    let probe = opening.and_then(|opening| opening.probe.as_ref());
    if state.generation != breaker.generation {
        // Else it is as it was, also in the words of a newer version.
        state.cause = opening.map(|opening| opening.cause.as_str().to_owned());
    }
    state.generation = breaker.generation;
    state.opened_at = opening.map(|opening| opening.since);
    state.open_until = opening.and_then(|opening| opening.until);
    state.rest_ms = opening.map_or(0, |opening| i64::try_from(opening.rest.as_millis()).unwrap_or(i64::MAX));
    state.probe_by = probe.map(|probe| probe.by.clone());
    state.probe_until = probe.map(|probe| probe.until);
    state.failures_in_a_row = i32::try_from(breaker.failures).unwrap_or(i32::MAX);
    state.paused_until = breaker.paused_until;
}

/// Writes down who changed it and why, and returns what an operator should be told.
pub(super) fn record(state: &mut State, change: Change, why: &str, who: &str, now: DateTime<Utc>) -> Vec<Notice> {
    state.changed_at = Some(now);
    state.changed_by = Some(who.to_owned());
    let provider = state.provider.clone();
    match change {
        Change::Closed => {
            state.message = None;
            let resolve = |kind| Notice::Resolve { kind, subject: provider.clone() };
            ENDED_BY_CLOSING.into_iter().map(resolve).collect()
        }
        Change::Opened(cause) => {
            state.message = Some(why.to_owned());
            let mend = format!("then run `dailycast provider close {provider}`");
            let (kind, message) = match cause {
                Cause::Operator => return Vec::new(),
                Cause::Failures => (DOWN, format!("calls to {provider} fail, it gets a rest: {why}")),
                Cause::OutOfCredit => {
                    (ENDED_BY_CLOSING[1], format!("{provider} wants to be paid: {why}. Add credit there, {mend}"))
                }
                Cause::KeyRefused => {
                    (ENDED_BY_CLOSING[2], format!("{provider} refuses our key: {why}. Set a valid key, {mend}"))
                }
            };
            vec![Notice::Raise { kind, subject: provider, message, times: 1 }]
        }
    }
}

/// The alert of a model that is gone.
pub(super) fn retired(provider: &str, model: &str, times: i64) -> Notice {
    let message = format!("{provider} no longer has {model}: name its successor in models.toml or voices.toml");
    Notice::Raise { kind: RETIRED, subject: format!("{provider} {model}"), message, times }
}

/// A night has cost less than its budget: an operator raised that.
pub(super) fn within_budget(night: chrono::NaiveDate) -> Notice {
    Notice::Resolve { kind: BUDGET, subject: night.to_string() }
}

/// The alert of a night whose budget is used up.
pub(super) fn budget(night: chrono::NaiveDate, limit_micro_usd: i64, times: i64) -> Notice {
    let dollars = limit_micro_usd as f64 / 1e6;
    let message = format!(
        "the night of {night} has cost its budget of ${dollars:.2}: no more paid calls begin. More: budget.usd_per_night"
    );
    Notice::Raise { kind: BUDGET, subject: night.to_string(), message, times }
}
