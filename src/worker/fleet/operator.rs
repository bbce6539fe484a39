//! What an operator sees of the providers, and does to them.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::row;
use crate::{
    alert::shout,
    provider::breaker::Door,
    store::{
        self, Store,
        audit::Deed,
        night,
        providers::{self, State},
    },
    workflow::Limits,
};

/// A provider as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Provider {
    /// Its name.
    pub provider: String,
    /// `closed` (calls may begin), `open`, `half_open` (the next call is a probe) or `paused`.
    pub state: &'static str,
    /// Since when it is open.
    pub since: Option<DateTime<Utc>>,
    /// Until when no call begins; null while it is open: until it is closed by hand.
    pub until: Option<DateTime<Utc>>,
    /// Why it is open: `failures`, `out_of_credit`, `key_refused`, `operator`.
    pub cause: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// When the breaker last moved.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who moved it.
    pub changed_by: Option<String>,
    /// Whose probe is under way.
    pub probe_by: Option<String>,
    /// Failures since the last call that ended well.
    pub failures_in_a_row: i32,
    /// Calls that may begin in a minute.
    pub calls_per_minute: u32,
    /// Calls that may begin after a quiet time.
    pub burst: u32,
    /// How many of them may begin now.
    pub headroom: u32,
    /// Calls that may be under way at once.
    pub at_once: u32,
    /// Calls that ended, ever.
    pub calls: i64,
    /// Those of them that failed.
    pub failures: i64,
    /// How long the latest calls took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// When the last one ended.
    pub last_call_at: Option<DateTime<Utc>>,
}

/// Every provider with limits, by name.
///
/// # Errors
/// When the database cannot tell.
pub async fn list(store: &Store, limits: &BTreeMap<String, Limits>) -> Result<Vec<Provider>, store::Error> {
    let (states, now) = (providers::all(store.desk()).await?, night::now(store.desk()).await?);
    let state = |name: &String| {
        let known = states.iter().find(|state| state.provider == *name).cloned();
        known.unwrap_or_else(|| State { provider: name.clone(), ..State::default() })
    };
    Ok(limits.iter().map(|(name, limits)| describe(state(name), *limits, now)).collect())
}

fn describe(state: State, limits: Limits, now: DateTime<Utc>) -> Provider {
    let door = row::breaker(&state).door(now);
    let is_trying = state.probe_until.is_some_and(|until| until > now);
    let (name, until) = match door {
        Door::Open => ("closed", None),
        Door::Probe => ("half_open", None),
        Door::Shut(_) if is_trying => ("half_open", None),
        Door::Shut(until) if state.cause.is_none() => ("paused", until),
        Door::Shut(until) => ("open", until),
    };
    let every = 60.0 / f64::from(limits.calls_per_minute.max(1));
    let behind = (state.next_slot_at - now).as_seconds_f64().max(0.0) / every;
    Provider {
        state: name,
        since: state.opened_at,
        until,
        headroom: limits.burst.saturating_sub(behind.ceil() as u32),
        calls_per_minute: limits.calls_per_minute,
        burst: limits.burst,
        at_once: limits.at_once,
        provider: state.provider,
        cause: state.cause,
        message: state.message,
        changed_at: state.changed_at,
        changed_by: state.changed_by,
        probe_by: state.probe_by.filter(|_| is_trying),
        failures_in_a_row: state.failures_in_a_row,
        calls: state.calls,
        failures: state.failures,
        latency_ms: state.latency_ms,
        last_call_at: state.last_call_at,
    }
}

/// Opens a breaker by hand, for a time or until it is closed by hand. The reason may be empty.
///
/// # Errors
/// When the database did not take it.
pub async fn open(
    store: &Store,
    provider: &str,
    time: Option<Duration>,
    (by, reason): (&str, &str),
) -> Result<(), store::Error> {
    let why = if reason.is_empty() { "opened by hand" } else { reason };
    let for_how_long =
        time.map_or("until closed".to_owned(), |time| format!("for {} min", time.as_secs().div_ceil(60)));
    let detail = if reason.is_empty() { for_how_long } else { format!("{for_how_long}: {reason}") };
    let subject = format!("provider {provider}");
    let deed = Deed { actor: by, action: "provider_open", subject: &subject, detail: &detail };
    let changed = providers::change_by_hand(store, provider, |state, now| {
        let mut breaker = row::breaker(state);
        let change = breaker.open_by_hand(now, time.map(|time| now + time));
        row::keep(&breaker, state);
        (row::record(state, change, why, by, now), Some(deed))
    });
    shout(&changed.await?.news);
    tracing::info!(provider, by, "breaker opened by hand");
    Ok(())
}

/// Closes a breaker by hand, and ends the pause that the provider asked for. False when there
/// was nothing to end.
///
/// # Errors
/// When the database did not take it.
pub async fn close(store: &Store, provider: &str, by: &str) -> Result<bool, store::Error> {
    let mut has_moved = false;
    let subject = format!("provider {provider}");
    let deed = Deed { actor: by, action: "provider_close", subject: &subject, detail: "" };
    let changed = providers::change_by_hand(store, provider, |state, now| {
        let mut breaker = row::breaker(state);
        let change = breaker.close_by_hand(now);
        has_moved = change.is_some();
        row::keep(&breaker, state);
        let notices = change.map(|change| row::record(state, change, "", by, now)).unwrap_or_default();
        (notices, has_moved.then_some(deed))
    });
    shout(&changed.await?.news);
    if has_moved {
        tracing::info!(provider, by, "breaker closed by hand");
    }
    Ok(has_moved)
}
