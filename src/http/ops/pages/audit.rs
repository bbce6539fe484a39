//! `GET /ops/audit`: what operators did, newest first.

use chrono::NaiveDate;
use serde::Serialize;

use super::tonight::asked_date;
use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    ops::audit::{self, Told},
    store::audit::Wanted,
};

/// Lines of a page.
const PAGE: usize = 50;

#[derive(Serialize)]
struct Page {
    actor: Option<String>,
    action: Option<String>,
    day: Option<NaiveDate>,
    is_first: bool,
    actions: Vec<Choice>,
    lines: Vec<Told>,
    /// The query of the page before these lines in time, if there is one.
    older: Option<String>,
    /// The query of the first page with these filters.
    newest: String,
}

#[derive(Serialize)]
struct Choice {
    name: String,
    words: String,
}

/// Shows it; `actor`, `action` and `day` choose lines, `before` is the number of a line.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let line = |name| visit.asked(name).map(|text| text.trim().to_owned());
    let before = visit.asked("before").map(str::parse).transpose();
    let wanted = Wanted {
        actor: line("actor"),
        action: line("action"),
        day: asked_date(&visit, "day")?,
        before: before.map_err(|_| Refusal::Parameter("before", "This is the number of no line."))?,
    };
    let lines = audit::list(visit.app.desk.store.desk(), &wanted, PAGE as i64 + 1).await;
    let mut lines = lines.map_err(|error| Refusal::database(&error))?;
    let has_more = lines.len() > PAGE;
    lines.truncate(PAGE);
    let last = lines.last().filter(|_| has_more).map(|last| last.line.id);
    let page = Page {
        is_first: wanted.before.is_none(),
        actions: choices(wanted.action.as_deref()),
        older: last.map(|id| query(&wanted, Some(id))),
        newest: query(&wanted, None),
        actor: wanted.actor,
        action: wanted.action,
        day: wanted.day,
        lines,
    };
    Ok(Sheet::new("audit", "Audit", &page))
}

/// What can be chosen, with what was chosen if this version does not know it.
fn choices(chosen: Option<&str>) -> Vec<Choice> {
    let mut all: Vec<Choice> = audit::actions().map(|(name, words)| Choice { name: name.to_owned(), words }).collect();
    if let Some(chosen) = chosen.filter(|chosen| all.iter().all(|choice| choice.name != *chosen)) {
        all.push(Choice { name: chosen.to_owned(), words: chosen.replace('_', " ") });
    }
    all
}

fn query(wanted: &Wanted, before: Option<i64>) -> String {
    let pairs = [
        ("actor", wanted.actor.clone()),
        ("action", wanted.action.clone()),
        ("day", wanted.day.map(|day| day.to_string())),
        ("before", before.map(|id| id.to_string())),
    ];
    let pairs: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}
