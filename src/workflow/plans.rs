//! `plans.toml`: who writes and who speaks for each subscription.

use std::collections::BTreeMap;

use super::read::{At, Table};

/// Who can write a script; the last one needs no key and cannot fail.
pub const WRITERS: [&str; 4] = ["openai", "gemini", "anthropic", TEMPLATE];

/// Who can speak; the last one is the offline voice.
pub const SPEAKERS: [&str; 4] = ["polly", "google", "azure", "local"];

/// The quality classes of voices, plainest first.
pub const TIERS: [&str; 3] = ["standard", "premium", "custom"];

/// The writer that fills in.
pub const TEMPLATE: &str = "template";

/// What a subscription gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Writers in order; the template is the last.
    pub script: Vec<String>,
    /// Speakers in order.
    pub speech: Vec<String>,
    /// The quality class of its voices.
    pub tier: String,
}

#[derive(Debug)]
pub(super) struct Plans {
    pub(super) by_name: BTreeMap<String, Plan>,
    pub(super) default: String,
    /// Where each plan begins.
    pub(super) lines: BTreeMap<String, usize>,
}

pub(super) fn read(mut root: Table<'_>) -> Plans {
    let default = root.text("default_plan");
    let mut plans = Plans { by_name: BTreeMap::new(), default: default.value, lines: BTreeMap::new() };
    for (name, mut table) in root.named_tables("plan") {
        let script = read_chain(&mut table, &name.value, "script", &WRITERS);
        let speech = read_chain(&mut table, &name.value, "speech", &SPEAKERS);
        let tier = table.one_of("tier", &TIERS).value;
        table.finish();
        plans.lines.insert(name.value.clone(), name.line);
        plans.by_name.insert(name.value, Plan { script, speech, tier });
    }
    if !plans.default.is_empty() && !plans.by_name.contains_key(&plans.default) {
        let known = super::read::listed(plans.by_name.keys());
        root.fault(default.line, format!("the default plan {:?} is unknown; known are {known}", plans.default));
    }
    root.finish();
    plans
}

fn read_chain(table: &mut Table<'_>, plan: &str, key: &'static str, known: &[&str]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::new();
    let links = table.texts(key);
    if let Some(last) = links.last().filter(|last| known.contains(&TEMPLATE) && last.value != TEMPLATE) {
        table.fault(last.line, format!("the {key} chain of plan {plan:?} must end with {TEMPLATE:?}"));
    }
    for At { value, line } in links {
        if !known.contains(&value.as_str()) {
            let known = super::read::listed(known);
            table.fault(line, format!("plan {plan:?} names the unknown provider {value:?}; known are {known}"));
        } else if chain.contains(&value) {
            table.fault(line, format!("the {key} chain of plan {plan:?} names {value:?} twice"));
        } else {
            chain.push(value);
        }
    }
    chain
}
