//! `daily_podcast.toml`: how patiently the work of each status is retried, how long it may last,
//! and how long an episode is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::read::{At, Table, listed};
use crate::machine::{RetryPolicy, Status};

/// The work of one status.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// How its failures are retried.
    pub retry: RetryPolicy,
    /// One attempt may last this long.
    pub time_limit: Duration,
    /// One attempt lasts this long on a usual night.
    pub usual_time: Duration,
}

/// What holds for every script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptRules {
    /// Rounds in which every writer may fail before the template writes, from 1.
    pub rounds: u32,
    /// A shorter episode is refused.
    pub shortest: Duration,
    /// What the template and the prompts aim at.
    pub target: Duration,
    /// A longer episode is refused.
    pub longest: Duration,
    /// Upper bound of a writer's answer, in tokens.
    pub max_output_tokens: u32,
}

/// How much text a voice speaks in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What is counted.
    pub unit: Unit,
    /// How many of them are spoken in a minute.
    pub per_minute: u32,
}

/// What the length of a text is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Words parted by white space.
    Words,
    /// Letters and digits, for languages without spaces.
    Letters,
}

impl Unit {
    /// The name in the file and in prompts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Letters => "letters",
        }
    }
}

impl Pace {
    /// How many words or letters `text` has.
    pub fn count(&self, text: &str) -> usize {
        match self.unit {
            Unit::Words => text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count(),
            Unit::Letters => text.chars().filter(|letter| letter.is_alphanumeric()).count(),
        }
    }

    /// How long a voice needs for `text`.
    pub fn time(&self, text: &str) -> Duration {
        let count = u64::try_from(self.count(text)).unwrap_or(u64::MAX);
        Duration::from_secs(count.saturating_mul(60) / u64::from(self.per_minute.max(1)))
    }

    /// How many words or letters fit in `time`.
    pub fn amount(&self, time: Duration) -> u64 {
        time.as_secs() * u64::from(self.per_minute) / 60
    }
}

/// A language section: everything but the phrases.
#[derive(Debug, Clone)]
pub(super) struct LanguageEntry {
    pub(super) tag: String,
    pub(super) name: String,
    pub(super) manner: String,
    pub(super) pace: Pace,
    pub(super) template: At<String>,
}

/// All of `daily_podcast.toml`.
#[derive(Debug)]
pub(super) struct DailyPodcast {
    pub(super) name: String,
    pub(super) crash_limit: u32,
    pub(super) steps: BTreeMap<Status, Step>,
    pub(super) script: ScriptRules,
    pub(super) system_prompt: At<String>,
    pub(super) user_prompt: At<String>,
    pub(super) languages: Vec<LanguageEntry>,
}

/// The name of the step that works on `status`; `None` for a final one.
pub const fn step_name(status: Status) -> Option<&'static str> {
    match status {
        Status::Pending => Some("script"),
        Status::ScriptGenerated | Status::AudioGenerating => Some("speech"),
        Status::PendingUpload => Some("upload"),
        Status::Completed | Status::CompletedWithFallback | Status::Failed => None,
    }
}

pub(super) fn read(mut root: Table<'_>) -> DailyPodcast {
    let name = root.text("name").value;
    let crash_limit = root.integer("crash_limit", 1..=100);
    let steps = read_steps(&mut root);
    let pending_attempts = steps.get(&Status::Pending).map(|step: &Step| step.retry.max_attempts);
    let (script, system_prompt, user_prompt) = read_script(&mut root, pending_attempts);
    let languages = root.named_tables("language").into_iter().map(read_language).collect();
    root.finish();
    DailyPodcast { name, crash_limit, steps, script, system_prompt, user_prompt, languages }
}

fn read_steps(root: &mut Table<'_>) -> BTreeMap<Status, Step> {
    let working = || Status::ALL.into_iter().filter(|status| !status.is_final());
    let mut steps = BTreeMap::new();
    for (name, mut table) in root.named_tables("status") {
        match working().find(|status| status.as_str() == name.value) {
            Some(status) => drop(steps.insert(status, read_step(&mut table))),
            None => {
                let known = listed(working().map(Status::as_str));
                table.fault(name.line, format!("no step works on the status {:?}; known are {known}", name.value));
                read_step(&mut table);
            }
        }
        table.finish();
    }
    for status in working().filter(|status| !steps.contains_key(status)) {
        root.fault(root.line(), format!("the section [status.{status}] is missing"));
    }
    steps
}

fn read_step(table: &mut Table<'_>) -> Step {
    let retry = RetryPolicy {
        max_attempts: table.integer("max_attempts", 1..=1_000),
        first_delay: table.duration("first_delay"),
        factor: table.number("factor", 1.0..=100.0),
        max_delay: table.duration("max_delay"),
        jitter: table.number("jitter", 0.0..=1.0),
    };
    let step = Step { retry, time_limit: table.duration("time_limit"), usual_time: table.duration("usual_time") };
    if retry.first_delay > retry.max_delay {
        table.fault(table.line(), "\"first_delay\" is longer than \"max_delay\"");
    }
    if step.usual_time > step.time_limit {
        table.fault(table.line(), "\"usual_time\" is longer than \"time_limit\"");
    }
    step
}

fn read_script(root: &mut Table<'_>, pending_attempts: Option<u32>) -> (ScriptRules, At<String>, At<String>) {
    let Some(mut table) = root.table("script") else {
        let none = ScriptRules {
            rounds: 1,
            shortest: Duration::ZERO,
            target: Duration::ZERO,
            longest: Duration::MAX,
            max_output_tokens: 1,
        };
        return (none, At::default(), At::default());
    };
    let rules = ScriptRules {
        rounds: table.integer("rounds", 1..=100),
        shortest: table.duration("shortest"),
        target: table.duration("target"),
        longest: table.duration("longest"),
        max_output_tokens: table.integer("max_output_tokens", 100..=100_000),
    };
    if !(rules.shortest < rules.target && rules.target < rules.longest) {
        table.fault(table.line(), "\"shortest\", \"target\" and \"longest\" of [script] must grow in this order");
    }
    if let Some(attempts) = pending_attempts.filter(|attempts| rules.rounds > *attempts) {
        let message = format!(
            "[script] has {} rounds, but [status.pending] allows {attempts} attempts: the template would never write",
            rules.rounds
        );
        table.fault(table.line(), message);
    }
    let prompts = (table.text("system_prompt"), table.text("user_prompt"));
    table.finish();
    (rules, prompts.0, prompts.1)
}

fn read_language((tag, mut table): (At<String>, Table<'_>)) -> LanguageEntry {
    if tag.value.len() < 2 || tag.value.len() > 3 || !tag.value.bytes().all(|byte| byte.is_ascii_lowercase()) {
        table.fault(tag.line, format!("{:?} is no language tag; write two or three small letters", tag.value));
    }
    let name = table.text("name").value;
    let manner = table.maybe_text("manner").map(|manner| manner.value).unwrap_or_default();
    let unit = match table.one_of("unit", &["words", "letters"]).value.as_str() {
        "letters" => Unit::Letters,
        _ => Unit::Words,
    };
    let pace = Pace { unit, per_minute: table.integer("per_minute", 50..=1_000) };
    let template = table.text("template");
    table.finish();
    LanguageEntry { tag: tag.value, name, manner, pace, template }
}
