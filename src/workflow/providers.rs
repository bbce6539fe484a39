//! `providers.toml`: how hard each provider may be used by the whole fleet, and when it gets a
//! rest. A provider that is not listed here, like the offline voice, has no limit.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plans::{SPEAKERS, TEMPLATE, WRITERS};
use super::read::{Table, listed};

/// The most calls a minute that can be written.
const MOST_PER_MINUTE: u32 = 1_000_000;

/// What a provider may be asked for by the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls that may begin in a minute, evenly spaced; at least 1.
    pub calls_per_minute: u32,
    /// Calls that may begin at once after a quiet time; at least 1.
    pub burst: u32,
    /// Calls under way at the same time; at least 1.
    pub at_once: u32,
    /// When it gets a rest.
    pub breaker: BreakerRules,
}

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open it; at least 1.
    pub open_after: u32,
    /// The rest after they did.
    pub first_rest: Duration,
    /// The longest rest, after probes that failed; at least the first one.
    pub longest_rest: Duration,
}

impl Limits {
    /// The same with another rate; the burst is never more than a minute's calls.
    #[must_use]
    pub fn at_rate(self, calls_per_minute: u32) -> Self {
        let calls_per_minute = calls_per_minute.max(1);
        Self { calls_per_minute, burst: self.burst.min(calls_per_minute), ..self }
    }
}

pub(super) fn read(mut root: Table<'_>) -> BTreeMap<String, Limits> {
    let known: Vec<&str> =
        WRITERS.into_iter().chain(SPEAKERS).filter(|name| ![TEMPLATE, "local"].contains(name)).collect();
    let mut limits = BTreeMap::new();
    let line = root.line();
    for (name, mut table) in root.named_tables("provider") {
        if !known.contains(&name.value.as_str()) {
            root.fault(name.line, format!("{:?} is no provider with limits; known are {}", name.value, listed(&known)));
        }
        let calls_per_minute = table.integer("calls_per_minute", 1..=MOST_PER_MINUTE);
        let burst = table.integer("burst", 1..=calls_per_minute);
        let at_once = table.integer("at_once", 1..=100_000);
        let open_after = table.integer("open_after", 1..=10_000);
        let (first_rest, longest_rest) = (table.duration("first_rest"), table.duration("longest_rest"));
        if longest_rest < first_rest {
            table.fault(table.line(), format!("the longest rest of {:?} is shorter than its first", name.value));
        }
        table.finish();
        let breaker = BreakerRules { open_after, first_rest, longest_rest };
        limits.insert(name.value, Limits { calls_per_minute, burst, at_once, breaker });
    }
    for missing in known.iter().filter(|name| !limits.contains_key(**name)) {
        root.fault(line, format!("[provider.{missing}] is missing"));
    }
    root.finish();
    limits
}
