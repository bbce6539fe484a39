//! What wants an operator: one entry per cause, with a sentence, how many, since when, and the way
//! to mend it. Pure.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Board, Figures};
use crate::{
    explain::advice::advice,
    machine::FailureKind,
    ops::{
        alerts,
        providers::{self, Chain},
    },
    store::alerts::Alert,
    worker::fleet::Provider,
};

/// Something that wants an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `no_workers`, `chain`, `stuck`, `failed`, `budget`, `late`, `fallback` or `alert`.
    pub kind: &'static str,
    /// `bad`, `warn` or `quiet`.
    pub tone: &'static str,
    /// What it is, in a few words.
    pub title: String,
    /// What was observed and what can be done.
    pub sentence: String,
    /// Podcasts it is about; null where it is not about podcasts.
    pub count: Option<i64>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Where to look.
    pub look: Link,
    /// What mends it, if something here does.
    pub mend: Option<Link>,
}

/// A link with its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where to.
    pub href: String,
    /// What it says.
    pub label: String,
}

impl Link {
    fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { href: href.into(), label: label.into() }
    }
}

/// Everything that wants an operator, the worst first.
pub fn attention(board: &Board, alerts: &[Alert], now: DateTime<Utc>) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(figures) = &board.figures {
        items.extend(no_workers(board, figures));
        items.extend(stuck(board, figures));
        items.extend(late(board, figures, now));
        items.extend(failed(board, figures));
        items.extend(budget(figures));
    }
    items.extend(alerts.iter().filter(|alert| alert.acknowledged_at.is_none()).map(alert));
    items.extend(board.figures.as_ref().and_then(|figures| fallback(board, figures)));
    items
}

/// Chains in which no vendor gets calls, one entry for each; nothing when nothing is left to do.
pub fn shut_chains(board: &Board, all: &[Provider], chains: &[Chain]) -> Vec<Item> {
    if board.figures.as_ref().is_none_or(|figures| figures.left == 0) {
        return Vec::new();
    }
    let item = |(chain, last): (&Chain, Option<&str>)| {
        let (work, plans) = (chain.work, chain.plans.join(", "));
        let who = match last {
            None => "Nobody is left: podcasts wait".to_owned(),
            Some("template") => "The template writes".to_owned(),
            Some("local") => "The offline voice speaks".to_owned(),
            Some(name) => format!("Only {name} is left"),
        };
        Item {
            kind: "chain",
            tone: if last.is_none() { "bad" } else { "warn" },
            title: format!("No vendor of {work} gets calls"),
            sentence: format!("{who} for the plans {plans}. The page of providers says why, and closes breakers."),
            count: None,
            since: None,
            look: Link::new("Providers", "/ops/providers"),
            mend: None,
        }
    };
    providers::shut(all, chains).into_iter().map(item).collect()
}

fn podcasts(count: i64) -> String {
    if count == 1 { "1 podcast".to_owned() } else { format!("{} podcasts", grouped(count)) }
}

/// A count with a thin space between thousands.
fn grouped(count: i64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn no_workers(board: &Board, figures: &Figures) -> Option<Item> {
    (board.workers == 0 && figures.left > 0).then(|| Item {
        kind: "no_workers",
        tone: "bad",
        title: "Nobody is working".to_owned(),
        sentence: format!(
            "{} still to be made, and no worker reports. Start one with `dailycast run` or `dailycast work`.",
            podcasts(figures.left)
        ),
        count: Some(figures.left),
        since: None,
        look: Link::new("Workers", "/ops/workers"),
        mend: None,
    })
}

fn stuck(board: &Board, figures: &Figures) -> Option<Item> {
    let (count, date) = (figures.night.stuck, board.date);
    (count > 0).then(|| Item {
        kind: "stuck",
        tone: "warn",
        title: format!("{} stuck", podcasts(count)),
        sentence: "Not finished, and nothing will move them. A requeue makes them due now; what was made of them is \
                   kept and not paid twice."
            .to_owned(),
        count: Some(count),
        since: figures.stuck_since,
        look: Link::new("Show them", format!("/ops/podcasts?date={date}&stuck=yes")),
        mend: Some(Link::new(
            format!("Requeue {}…", grouped(count)),
            format!("/ops/operations/new?verb=requeue&stuck=yes&date={date}"),
        )),
    })
}

fn late(board: &Board, figures: &Figures, now: DateTime<Utc>) -> Option<Item> {
    let deadline = board.deadline_at?;
    let expected = figures.expected.map(|eta| eta.to).filter(|to| *to > deadline && now <= deadline);
    expected.filter(|_| figures.left > 0).map(|to| Item {
        kind: "late",
        tone: "warn",
        title: "It may not be done in time".to_owned(),
        sentence: format!(
            "At this rate the last podcast is done at {}; what is unfinished at {} is given up.",
            to.format("%H:%M UTC"),
            deadline.format("%H:%M UTC")
        ),
        count: Some(figures.left),
        since: None,
        look: Link::new("Workers", "/ops/workers"),
        mend: None,
    })
}

fn failed(board: &Board, figures: &Figures) -> Vec<Item> {
    let date = board.date;
    let item = |(kind, count, first_at): (&str, i64, Option<DateTime<Utc>>)| {
        let known = FailureKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let words = known.map_or("of a reason that this version does not know", FailureKind::words);
        let advice = known.map_or("A requeue goes on with what was made of them.", advice);
        Item {
            kind: "failed",
            tone: "bad",
            title: format!("{} failed", podcasts(count)),
            sentence: format!("Given up because {words}. {advice}"),
            count: Some(count),
            since: first_at,
            look: Link::new("Show them", format!("/ops/failures?date={date}&cause={kind}")),
            mend: mending(known).map(|(words, verb)| {
                Link::new(
                    format!("{words} {}…", grouped(count)),
                    format!("/ops/operations/new?verb={verb}&status=failed&cause={kind}&date={date}"),
                )
            }),
        }
    };
    // What was cancelled is as it was wished.
    let causes = figures.causes.iter().filter(|cause| cause.kind != FailureKind::Cancelled.as_str());
    causes.map(|cause| item((&cause.kind, cause.count, cause.first_at))).collect()
}

/// The button that does what is advised, and its verb; `None` where nothing is to be done.
const fn mending(kind: Option<FailureKind>) -> Option<(&'static str, &'static str)> {
    match kind {
        Some(FailureKind::LearnerGone) => None,
        Some(FailureKind::ContentRefused) => Some(("New script for", "regenerate&from=script")),
        Some(FailureKind::AudioLost) => Some(("New speech for", "regenerate&from=speech")),
        _ => Some(("Requeue", "requeue")),
    }
}

fn budget(figures: &Figures) -> Option<Item> {
    let money = figures.money;
    let limit = money.budget? as f64 / 1e6;
    let (tone, title, sentence) = match () {
        () if money.is_used => (
            "bad",
            "The budget is used",
            format!(
                "${limit:.2} are spent, so no paid call begins. The template and an offline voice go on; the rest \
                 waits for a higher budget.usd_per_night, or for the deadline."
            ),
        ),
        () if money.will_be_used => (
            "warn",
            "The budget will not do",
            format!("At this price all podcasts together cost more than ${limit:.2}; paid calls stop there."),
        ),
        () => return None,
    };
    Some(Item {
        kind: "budget",
        tone,
        title: title.to_owned(),
        sentence,
        count: (figures.left > 0).then_some(figures.left),
        since: None,
        look: Link::new("Costs", "/ops/costs"),
        mend: None,
    })
}

fn fallback(board: &Board, figures: &Figures) -> Option<Item> {
    let fallback = &figures.fallback;
    let told = |one: &super::FilledIn| match one.name.as_str() {
        "template" => format!("the template wrote {}", grouped(one.podcasts)),
        name => format!("{name} filled in for {}", grouped(one.podcasts)),
    };
    let by: Vec<String> = fallback.by.iter().map(told).collect();
    let look = match &fallback.by[..] {
        [] => return None,
        [only] => Link::new("Show them", format!("/ops/podcasts?date={}&{}", board.date, only.filter)),
        // No one list has them all; the figure above links to each.
        _ => Link::new("All of this date", format!("/ops/podcasts?date={}", board.date)),
    };
    let told: i64 = fallback.by.iter().map(|one| one.podcasts).sum();
    let twice = if told > fallback.podcasts { " Those for whom two filled in count for both." } else { "" };
    Some(Item {
        kind: "fallback",
        tone: "quiet",
        title: format!("{} not made by the first choice", podcasts(fallback.podcasts)),
        sentence: format!("They can be heard: {}.{twice}", by.join(", ")),
        count: Some(fallback.podcasts),
        since: None,
        look,
        mend: None,
    })
}

fn alert(alert: &Alert) -> Item {
    Item {
        kind: "alert",
        tone: "warn",
        title: format!("{}: {}", alerts::title(&alert.kind), alert.subject),
        sentence: alert.message.clone(),
        count: None,
        since: Some(alert.raised_at),
        look: Link::new("Alerts", "/ops/alerts"),
        mend: None,
    }
}
