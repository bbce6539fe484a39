//! The providers: whether they get calls, why not, until when, and who does their work meanwhile.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Desk, actor::Actor};
use crate::{
    explain::Tone,
    machine::Status,
    store::{self, providers},
    worker::fleet::{self, Provider},
};

/// So many failed calls in a row are worth a warning, before the breaker opens.
pub(super) const FAILING: i32 = 3;

/// What is said of who has so many.
pub(super) const FAIL: &str = "Calls fail";

/// Who is asked in which order for one part of an episode, and by which plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// `script` or `speech`.
    pub work: &'static str,
    /// The plans that have this order.
    pub plans: Vec<String>,
    /// Those that are set up, in order.
    pub providers: Vec<String>,
}

/// A provider in words.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// What is known of it.
    #[serde(flatten)]
    pub provider: Provider,
    /// How much it asks for.
    pub tone: Tone,
    /// Its state in a word or two.
    pub state_words: &'static str,
    /// Its state and the reason, in a sentence or two.
    pub sentence: String,
    /// It is in no chain: it has no key, or no plan names it.
    pub is_unused: bool,
    /// Who gets its work while it gets none, in words; null while it gets calls.
    pub instead: Option<String>,
    /// The share of its calls that failed, ever, from 0 to 1; null before its first call.
    pub failure_rate: Option<f64>,
}

/// Every provider, in the order in which they are asked; those in no chain come last.
///
/// # Errors
/// When the database cannot tell.
pub async fn list(desk: &Desk, now: DateTime<Utc>) -> Result<Vec<Shown>, store::Error> {
    let all = fleet::list(&desk.store, &desk.limits).await?;
    let mut shown: Vec<Shown> =
        all.iter().map(|provider| describe(provider.clone(), &all, &desk.chains, now)).collect();
    let asked: Vec<&String> = desk.chains.iter().flat_map(|chain| &chain.providers).collect();
    let place = |one: &Shown| asked.iter().position(|name| **name == one.provider.provider).unwrap_or(usize::MAX);
    shown.sort_by_key(place);
    Ok(shown)
}

/// How things stand with all of them, in a sentence.
pub fn summary(all: &[Shown]) -> (Tone, String) {
    let names = |tone: Tone| {
        let those = all.iter().filter(|one| one.tone == tone && !one.is_unused);
        those.map(|one| one.provider.provider.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (closed_off, on_trial) = (names(Tone::Failed), names(Tone::Stuck));
    match (closed_off.is_empty(), on_trial.is_empty()) {
        (true, true) if all.iter().all(|one| one.is_unused) => {
            (Tone::Waiting, "None of them is set up: the template writes and the offline voice speaks.".to_owned())
        }
        (true, true) => (Tone::Well, "All that are set up get calls.".to_owned()),
        (true, false) => {
            (Tone::Stuck, format!("On trial, failing, or asked for a pause: {on_trial}. The others get calls."))
        }
        (false, _) => {
            let trial = if on_trial.is_empty() { String::new() } else { format!(" On trial or failing: {on_trial}.") };
            (
                Tone::Failed,
                format!("Without calls: {closed_off}.{trial} Those behind them in the chains do their work."),
            )
        }
    }
}

fn describe(provider: Provider, all: &[Provider], chains: &[Chain], now: DateTime<Utc>) -> Shown {
    let is_unused = !chains.iter().any(|chain| chain.providers.contains(&provider.provider));
    let (tone, state_words) = state(&provider, is_unused);
    let gets_calls = matches!(provider.state, "closed" | "half_open");
    Shown {
        tone,
        state_words,
        sentence: sentence(&provider, is_unused, now),
        is_unused,
        instead: (!gets_calls && !is_unused).then(|| instead(&provider.provider, all, chains)),
        failure_rate: (provider.calls > 0).then(|| provider.failures as f64 / provider.calls as f64),
        provider,
    }
}

fn state(provider: &Provider, is_unused: bool) -> (Tone, &'static str) {
    match provider.state {
        "closed" if is_unused => (Tone::Waiting, "Not set up"),
        "closed" if provider.failures_in_a_row >= FAILING => (Tone::Stuck, FAIL),
        "closed" => (Tone::Well, "Gets calls"),
        "half_open" => (Tone::Stuck, "On trial"),
        "paused" => (Tone::Stuck, "Asked for a pause"),
        _ => (Tone::Failed, "Gets no calls"),
    }
}

fn sentence(provider: &Provider, is_unused: bool, now: DateTime<Utc>) -> String {
    let why = provider.message.as_deref().unwrap_or("no reason is known").trim_end_matches('.');
    match (provider.state, provider.cause.as_deref()) {
        ("closed", _) if is_unused => "It has no key, or no plan names it: nobody calls it.".to_owned(),
        ("closed", _) if provider.failures_in_a_row > 0 => match provider.failures_in_a_row {
            1 => "Calls may begin. The last one failed.".to_owned(),
            count => format!("Calls may begin. The last {count} failed in a row."),
        },
        ("closed", _) if provider.last_call_at.is_none() => "Calls may begin; there was none yet.".to_owned(),
        ("closed", _) => "Calls may begin.".to_owned(),
        ("half_open", _) if provider.probe_by.is_some() => {
            format!("One call tries it out now. It gets calls again if that ends well. It rested because: {why}.")
        }
        ("half_open", _) => format!("The next call tries it out, one at a time. It rested because: {why}."),
        ("paused", _) => {
            let left = provider.until.map_or(0, |until| (until - now).num_seconds().max(0));
            format!("It answered that it is called too often. Calls go on by themselves within {left} s.")
        }
        (_, Some("out_of_credit")) => {
            format!("It wants to be paid: {why}. Add credit there, then close the breaker. It does not mend by itself.")
        }
        (_, Some("key_refused")) => {
            format!("It refuses our key: {why}. Set a valid key, then close the breaker. It does not mend by itself.")
        }
        (_, Some("operator")) => {
            let by = provider.changed_by.as_deref().unwrap_or("an operator");
            let end = if provider.until.is_some() { "" } else { " It stays so until it is closed by hand." };
            format!("Opened by {by}: {why}.{end}")
        }
        _ => format!("Its calls failed: {why}. When its rest is over one call tries it out."),
    }
}

/// Who gets the work of a provider, plan by plan.
fn instead(name: &str, all: &[Provider], chains: &[Chain]) -> String {
    let mut next: Vec<(String, Vec<&str>)> = Vec::new();
    for chain in chains.iter().filter(|chain| chain.providers.iter().any(|provider| provider == name)) {
        let heir = chain.providers.iter().find(|provider| *provider != name && gets_calls(provider, all));
        let words = match heir.map(String::as_str) {
            Some("template") => "the template writes".to_owned(),
            Some("local") => "the offline voice speaks".to_owned(),
            Some(heir) if chain.work == "script" => format!("{heir} writes"),
            Some(heir) => format!("{heir} speaks"),
            None => "nobody does its work and podcasts wait".to_owned(),
        };
        let plans = chain.plans.iter().map(String::as_str);
        match next.iter_mut().find(|(known, _)| *known == words) {
            Some((_, known)) => known.extend(plans),
            None => next.push((words, plans.collect())),
        }
    }
    match &next[..] {
        [(words, _)] => words.clone(),
        many => {
            many.iter().map(|(words, plans)| format!("{words} ({})", plans.join(", "))).collect::<Vec<_>>().join("; ")
        }
    }
}

/// The makers that are no vendor: they are asked last.
const LAST_RESORTS: [&str; 2] = ["template", "local"];

/// It may be called, as far as is known.
fn gets_calls(name: &str, all: &[Provider]) -> bool {
    let known = all.iter().find(|provider| provider.provider == name);
    known.is_none_or(|one| matches!(one.state, "closed" | "half_open"))
}

/// Who is asked when `name` does not answer: the first behind it that gets calls, in the first
/// order that names it.
pub fn behind<'c>(name: &str, all: &[Provider], chains: &'c [Chain]) -> Option<&'c str> {
    let behind = |chain: &'c Chain| {
        let at = chain.providers.iter().position(|provider| provider == name)?;
        chain.providers.iter().skip(at + 1).find(|next| gets_calls(next, all)).map(String::as_str)
    };
    chains.iter().find_map(behind)
}

/// Chains with vendors of whom none gets calls: who does their work, `None` when nobody does.
pub fn shut<'c>(all: &[Provider], chains: &'c [Chain]) -> Vec<(&'c Chain, Option<&'c str>)> {
    let is_vendor = |name: &&String| !LAST_RESORTS.contains(&name.as_str());
    let is_shut = |chain: &&Chain| {
        let mut vendors = chain.providers.iter().filter(is_vendor).peekable();
        vendors.peek().is_some() && vendors.all(|vendor| !gets_calls(vendor, all))
    };
    let last = |chain: &'c Chain| chain.providers.iter().find(|name| gets_calls(name, all)).map(String::as_str);
    chains.iter().filter(is_shut).map(|chain| (chain, last(chain))).collect()
}

/// Lets no call go to a provider, for a time or until it is closed by hand. False when there is no
/// such provider.
///
/// # Errors
/// When the database did not take it.
pub async fn open(
    desk: &Desk,
    actor: &Actor,
    name: &str,
    time: Option<Duration>,
    reason: &str,
) -> Result<bool, store::Error> {
    if !desk.limits.contains_key(name) {
        return Ok(false);
    }
    fleet::open(&desk.store, name, time, (&actor.name, reason)).await?;
    Ok(true)
}

/// What came of closing a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// There was something to end.
    pub has_moved: bool,
    /// Podcasts that waited for it, and are due now.
    pub released: i64,
}

impl Closed {
    /// What it means, behind `{name} gets calls again`.
    pub fn words(self) -> String {
        match self.released {
            0 => String::new(),
            1 => "; 1 podcast that waited is due now".to_owned(),
            released => format!("; {released} podcasts that waited are due now"),
        }
    }
}

/// Lets calls go to a provider again; who waited for that waits no longer. `None` when there is no
/// such provider.
///
/// # Errors
/// When the database did not take it.
pub async fn close(desk: &Desk, actor: &Actor, name: &str) -> Result<Option<Closed>, store::Error> {
    if !desk.limits.contains_key(name) {
        return Ok(None);
    }
    let has_moved = fleet::close(&desk.store, name, &actor.name).await?;
    let mut released = 0;
    if has_moved {
        let statuses = statuses(&desk.chains, name);
        released = providers::release(desk.store.desk(), &statuses, fleet::KNOWN_WITHIN).await?;
    }
    Ok(Some(Closed { has_moved, released }))
}

/// The statuses in which a podcast waits for a provider.
fn statuses(chains: &[Chain], name: &str) -> Vec<Status> {
    let works = |work: &str| {
        chains.iter().any(|chain| chain.work == work && chain.providers.iter().any(|provider| provider == name))
    };
    let writes = works("script").then_some(Status::Pending);
    let speaks = works("speech").then_some([Status::ScriptGenerated, Status::AudioGenerating]);
    writes.into_iter().chain(speaks.into_iter().flatten()).collect()
}
