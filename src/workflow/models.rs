//! `models.toml`: which language model each writer asks on a date.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::plans::{TEMPLATE, WRITERS};
use super::read::{At, Table, listed};

/// How a model that would think before it writes is told not to. Thinking is billed like words,
/// and no listener hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// OpenAI: an effort, here none.
    Effort,
    /// Gemini from 3 on: a level, here the least.
    Level,
    /// Gemini before 3: a budget in tokens, here zero.
    Budget,
    /// Anthropic: a switch.
    Switch,
}

impl Thinking {
    /// The names in `models.toml`, each with the provider whose models take it.
    const NAMES: [(&str, &str, Self); 4] = [
        ("effort", "openai", Self::Effort),
        ("level", "gemini", Self::Level),
        ("budget", "gemini", Self::Budget),
        ("switch", "anthropic", Self::Switch),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, _, thinking)| *thinking == self).map_or("", |(name, ..)| name)
    }
}

/// The model to ask on a date.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelChoice {
    /// The provider's id of the model.
    pub id: String,
    /// Whether `models.toml` has it; of any other one nothing more is known than its id.
    pub is_listed: bool,
    /// How it is told not to think; `None` when it does not, or when nobody knows.
    pub thinking: Option<Thinking>,
    /// The day on which it ends, as far as `models.toml` knows.
    pub retires_on: Option<NaiveDate>,
    /// The model that follows it then.
    pub successor: Option<String>,
    /// What an operator should know: the model ends soon, or its successor is already in use.
    pub notice: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) provider: String,
    pub(super) retires_on: Option<NaiveDate>,
    pub(super) successor: Option<At<String>>,
    pub(super) thinking: Option<Thinking>,
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) struct Models {
    pub(super) by_id: BTreeMap<String, Model>,
    pub(super) first: BTreeMap<String, At<String>>,
    /// What the configuration wants instead, by provider; nothing follows it.
    pub(super) preferred: BTreeMap<String, String>,
    warn_before: Days,
}

pub(super) fn read(mut root: Table<'_>) -> Models {
    let warn_before = Days::new(u64::from(root.integer("warn_before_days", 0..=365)));
    let mut models = Models { by_id: BTreeMap::new(), first: BTreeMap::new(), preferred: BTreeMap::new(), warn_before };
    if let Some(mut table) = root.table("first") {
        for provider in WRITERS.into_iter().filter(|writer| *writer != TEMPLATE) {
            models.first.insert(provider.to_owned(), table.text(provider));
        }
        table.finish();
    }
    for mut table in root.listed_tables("model") {
        let id = table.text("id");
        let provider = table.one_of("provider", &WRITERS[..3]).value;
        let model = Model {
            thinking: read_thinking(&mut table, &provider),
            provider,
            retires_on: table.maybe_date("retires_on").map(|date| date.value),
            successor: table.maybe_text("successor"),
            line: id.line,
        };
        if model.retires_on.is_some() && model.successor.is_none() {
            table.fault(id.line, format!("model {:?} retires but has no \"successor\"", id.value));
        }
        if models.by_id.insert(id.value.clone(), model).is_some() {
            table.fault(id.line, format!("model {:?} is there twice", id.value));
        }
        table.finish();
    }
    models.check(&root);
    root.finish();
    models
}

fn read_thinking(table: &mut Table<'_>, provider: &str) -> Option<Thinking> {
    let name = table.maybe_text("thinking")?;
    let known = Thinking::NAMES.iter().filter(|(_, of, _)| *of == provider);
    let found = known.clone().find(|(known, ..)| *known == name.value).map(|(_, _, thinking)| *thinking);
    if found.is_none() && !provider.is_empty() {
        let known = listed(known.map(|(name, ..)| name));
        table.fault(name.line, format!("{provider} has no \"thinking\" {:?}; known are {known}", name.value));
    }
    found
}

impl Models {
    fn check(&self, root: &Table<'_>) {
        for (provider, first) in self.first.iter().filter(|(_, first)| !first.value.is_empty()) {
            self.check_link(root, provider, first, &format!("[first] of {provider}"));
        }
        for (id, model) in &self.by_id {
            if let Some(successor) = &model.successor {
                self.check_link(root, &model.provider, successor, &format!("the successor of {id:?}"));
                if self.last_of(id).is_none() {
                    root.fault(model.line, format!("the successors of model {id:?} go in a circle"));
                }
            }
        }
    }

    fn check_link(&self, root: &Table<'_>, provider: &str, link: &At<String>, what: &str) {
        let known = || listed(self.by_id.iter().filter(|(_, model)| model.provider == provider).map(|(id, _)| id));
        if self.by_id.get(&link.value).is_none_or(|model| model.provider != provider) {
            let message =
                format!("{what} names {:?}, which is no model of {provider}; known are {}", link.value, known());
            root.fault(link.line, message);
        }
    }

    /// The end of the line of successors, `None` when it has no end.
    fn last_of(&self, id: &str) -> Option<()> {
        let mut current = id;
        for _ in 0..=self.by_id.len() {
            match self.by_id.get(current).and_then(|model| model.successor.as_ref()) {
                Some(next) => current = &next.value,
                None => return Some(()),
            }
        }
        None
    }

    /// What the configuration prefers, else the first model of `provider`, or its successor when it
    /// has retired by `date`.
    pub(super) fn choose(&self, provider: &str, date: NaiveDate) -> Option<ModelChoice> {
        let first = &self.first.get(provider)?.value;
        if let Some(preferred) = self.preferred.get(provider) {
            return Some(self.chosen(provider, preferred, self.preferred_notice(provider, preferred, date)));
        }
        let mut id = first;
        let mut notice = None;
        while let Some(Model { retires_on: Some(retires_on), successor: Some(successor), .. }) = self.by_id.get(id) {
            if *retires_on > date {
                if self.is_near(*retires_on, date) {
                    notice = Some(format!("model {id} retires on {retires_on}; then {} is asked", successor.value));
                }
                break;
            }
            notice = Some(format!("model {first} retired; {} is asked instead", successor.value));
            id = &successor.value;
        }
        Some(self.chosen(provider, id, notice))
    }

    fn is_near(&self, retires_on: NaiveDate, date: NaiveDate) -> bool {
        retires_on <= date.checked_add_days(self.warn_before).unwrap_or(date)
    }

    /// What is listed of `id`; of an unlisted one only the id.
    fn chosen(&self, provider: &str, id: &str, notice: Option<String>) -> ModelChoice {
        let choice = ModelChoice { id: id.to_owned(), notice, ..ModelChoice::default() };
        let Some(model) = self.by_id.get(id).filter(|model| model.provider == provider) else { return choice };
        ModelChoice {
            is_listed: true,
            thinking: model.thinking,
            retires_on: model.retires_on,
            successor: model.successor.as_ref().map(|successor| successor.value.clone()),
            ..choice
        }
    }

    /// A preferred model has no successor in use: only the operator can name another.
    fn preferred_notice(&self, provider: &str, id: &str, date: NaiveDate) -> Option<String> {
        let model = self.by_id.get(id)?;
        let (retires_on, successor) = (model.retires_on?, model.successor.as_ref()?);
        self.is_near(retires_on, date).then(|| {
            let set = format!("providers.{provider}.model");
            format!("model {id} retires on {retires_on}; set {set} to {}, or leave it out", successor.value)
        })
    }
}
