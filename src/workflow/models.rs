//! `models.toml`: which language model each writer asks on a date.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::plans::{TEMPLATE, WRITERS};
use super::read::{At, Table, listed};

/// The model to ask on a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChoice {
    /// The provider's id of the model.
    pub id: String,
    /// What an operator should know: the model ends soon, or its successor is already in use.
    pub notice: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) provider: String,
    pub(super) retires_on: Option<NaiveDate>,
    pub(super) successor: Option<At<String>>,
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) struct Models {
    pub(super) by_id: BTreeMap<String, Model>,
    pub(super) first: BTreeMap<String, At<String>>,
    warn_before: Days,
}

pub(super) fn read(mut root: Table<'_>) -> Models {
    let warn_before = Days::new(u64::from(root.integer("warn_before_days", 0..=365)));
    let mut models = Models { by_id: BTreeMap::new(), first: BTreeMap::new(), warn_before };
    if let Some(mut table) = root.table("first") {
        for provider in WRITERS.into_iter().filter(|writer| *writer != TEMPLATE) {
            models.first.insert(provider.to_owned(), table.text(provider));
        }
        table.finish();
    }
    for mut table in root.listed_tables("model") {
        let id = table.text("id");
        let model = Model {
            provider: table.one_of("provider", &WRITERS[..3]).value,
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

    /// The first model of `provider`, or its successor when it has retired by `date`.
    pub(super) fn choose(&self, provider: &str, date: NaiveDate) -> Option<ModelChoice> {
        let first = self.first.get(provider)?.value.clone();
        let mut id = first.clone();
        let mut notice = None;
        while let Some(Model { retires_on: Some(retires_on), successor: Some(successor), .. }) = self.by_id.get(&id) {
            if *retires_on > date {
                if *retires_on <= date.checked_add_days(self.warn_before).unwrap_or(date) {
                    notice = Some(format!("model {id} retires on {retires_on}; then {} is asked", successor.value));
                }
                break;
            }
            notice = Some(format!("model {first} retired; {} is asked instead", successor.value));
            id.clone_from(&successor.value);
        }
        Some(ModelChoice { id, notice })
    }
}
