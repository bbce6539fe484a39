//! The providers beside a night: who answers, and who is asked when one does not.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    ops::providers::{self, Chain},
    worker::fleet::Provider,
    workflow::Workflow,
};

/// Below this share failed calls are nothing to speak of.
const WORTH_A_WORD: f64 = 0.05;

/// A provider as it matters to the night.
#[derive(Debug, Clone, Serialize)]
pub struct Neighbour {
    /// Its name.
    pub name: String,
    /// `script`, `speech`, or empty for others.
    pub role: &'static str,
    /// As in `provider list`.
    pub state: &'static str,
    /// `well`, `warn`, `bad` or `quiet`.
    pub tone: &'static str,
    /// The state in words.
    pub words: &'static str,
    /// How long the latest calls took.
    pub latency_ms: Option<f64>,
    /// The share of all its calls that failed, from 0 to 1, where it is worth a word.
    pub failed_share: Option<f64>,
    /// Who is asked when this one does not answer.
    pub falls_back_to: Option<String>,
    /// Until when no call begins.
    pub until: Option<DateTime<Utc>>,
    /// Why it is open.
    pub message: Option<String>,
}

impl Neighbour {
    /// One of `all`, and who is asked after it.
    pub fn new(provider: Provider, all: &[Provider], chains: &[Chain], workflow: &Workflow) -> Self {
        let name = provider.provider;
        let plans = || workflow.plan_names().map(|plan| workflow.plan(plan));
        let is_in = |chain: &[String]| chain.contains(&name);
        let role = match () {
            () if plans().any(|plan| is_in(&plan.script)) => "script",
            () if plans().any(|plan| is_in(&plan.speech)) => "speech",
            () => "",
        };
        let (tone, words) = match provider.state {
            "open" => ("bad", "Gets no calls"),
            "half_open" => ("warn", "On trial"),
            "paused" => ("warn", "Asked for a pause"),
            _ if provider.failures_in_a_row >= providers::FAILING => ("warn", providers::FAIL),
            _ if provider.calls == 0 => ("quiet", "Not called yet"),
            _ => ("well", "Gets calls"),
        };
        Self {
            role,
            state: provider.state,
            tone,
            words,
            latency_ms: provider.latency_ms,
            failed_share: (provider.calls > 0)
                .then(|| provider.failures as f64 / provider.calls as f64)
                .filter(|share| *share >= WORTH_A_WORD),
            falls_back_to: providers::behind(&name, all, chains).map(str::to_owned),
            until: provider.until,
            message: provider.message.filter(|_| tone == "bad"),
            name,
        }
    }
}
