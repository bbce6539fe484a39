//! Alerts with whom they were told to, and where to look and what to do.

use serde::Serialize;

use super::{Desk, actor::Actor};
use crate::store::{
    self,
    alerts::{self, Alert, Behind},
    deliveries::{self, Delivery},
};

/// The most open alerts that are shown; there is one per cause, so more would say nothing.
const MOST_OPEN: i64 = 200;

/// Alerts of a page that are over.
const PAGE: usize = 25;

/// For so many days alerts that are over are shown.
const DAYS: i32 = 30;

/// The alerts.
#[derive(Debug, Clone, Serialize)]
pub struct Alerts {
    /// How things stand, in a sentence.
    pub sentence: String,
    /// Those whose cause is still there, the newest first.
    pub open: Vec<Shown>,
    /// Those whose cause went, the latest first.
    pub over: Vec<Shown>,
    /// Where the next page of those that are over begins, as [`read_behind`] takes it.
    pub next: Option<String>,
}

/// An alert with all that belongs to it.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Its kind in words.
    pub title: &'static str,
    /// `new`, `seen` or `over`.
    pub state: &'static str,
    /// Where to look.
    pub page: Option<String>,
    /// What is there.
    pub page_name: &'static str,
    /// Whom it was told to, and what came of it.
    pub deliveries: Vec<Delivery>,
}

/// The alerts; of those that are over, from behind a place.
///
/// # Errors
/// When the database cannot tell.
pub async fn list(desk: &Desk, behind: Option<Behind>) -> Result<Alerts, store::Error> {
    let pool = desk.store.desk();
    let open = alerts::list(pool, false, MOST_OPEN).await?;
    let mut over = alerts::over(pool, DAYS, behind, PAGE as i64 + 1).await?;
    let has_more = over.len() > PAGE;
    over.truncate(PAGE);
    let next = over.last().filter(|_| has_more).and_then(|last| Some((last.resolved_at?, last.id)));
    let ids: Vec<i64> = open.iter().chain(&over).map(|alert| alert.id).collect();
    let deliveries = deliveries::of(pool, &ids).await?;
    let show = |alert: Alert| {
        let of_it = deliveries.iter().filter(|delivery| delivery.alert_id == alert.id).cloned().collect();
        describe(alert, of_it)
    };
    let open: Vec<Shown> = open.into_iter().map(show).collect();
    Ok(Alerts {
        sentence: sentence(&open),
        open,
        over: over.into_iter().map(show).collect(),
        next: next.map(|(at, id)| format!("{}_{id}", at.timestamp_micros())),
    })
}

/// A place in the list, as `next` of [`Alerts`] names it.
pub fn read_behind(text: &str) -> Option<Behind> {
    let (micros, id) = text.split_once('_')?;
    Some((chrono::DateTime::from_timestamp_micros(micros.parse().ok()?)?, id.parse().ok()?))
}

fn sentence(open: &[Shown]) -> String {
    let new = open.iter().filter(|shown| shown.state == "new").count();
    match (open.len(), new) {
        (0, _) => "Nothing is wrong that anybody watches for.".to_owned(),
        (all, 0) => format!("{all} open, and somebody took note of each."),
        (all, new) => format!("{all} open; {new} that nobody took note of yet."),
    }
}

fn describe(alert: Alert, deliveries: Vec<Delivery>) -> Shown {
    let state = match (alert.resolved_at, alert.acknowledged_at) {
        (Some(_), _) => "over",
        (None, Some(_)) => "seen",
        (None, None) => "new",
    };
    let (page, page_name) = place(&alert);
    Shown { title: title(&alert.kind), state, page, page_name, deliveries, alert }
}

/// A kind of alert in words.
pub fn title(kind: &str) -> &'static str {
    match kind {
        "failure_rate_running" => "Many podcasts fail",
        "failure_rate_night" => "Too many podcasts of a night failed",
        "speech_chain_failed" => "No voice could speak",
        "upload_failed" => "Uploads failed",
        "stuck" => "Podcasts are stuck",
        "night_late" => "A night is late",
        "budget_reached" => "The budget of a night is used",
        "spool_full" => "The spool is full",
        "provider_down" => "A provider is down",
        "provider_key_refused" => "A provider refuses our key",
        "provider_out_of_credit" => "A provider wants to be paid",
        "model_retired" => "A model or voice is gone",
        "erasure_held" => "Erasing is held up",
        _ => "Something is wrong",
    }
}

/// Where an operator goes on from an alert.
fn place(alert: &Alert) -> (Option<String>, &'static str) {
    let subject = &alert.subject;
    let of_date = |page: &str| Some(format!("{page}date={subject}"));
    match &*alert.kind {
        "failure_rate_running" | "failure_rate_night" | "speech_chain_failed" | "upload_failed" => {
            (of_date("/ops/failures?"), "The failures of that night")
        }
        "stuck" => (of_date("/ops/podcasts?stuck=yes&"), "The stuck podcasts"),
        "night_late" => (Some("/ops/nights".to_owned()), "The nights"),
        "budget_reached" => (Some("/ops/costs".to_owned()), "The costs"),
        "spool_full" => (Some("/ops/workers".to_owned()), "The workers"),
        kind if kind.starts_with("provider_") || kind == "model_retired" => {
            (Some("/ops/providers".to_owned()), "The providers")
        }
        _ => (None, ""),
    }
}

/// Takes note of an alert. False when there is none of that number.
///
/// # Errors
/// When the database did not take it.
pub async fn acknowledge(desk: &Desk, actor: &Actor, id: i64) -> Result<bool, store::Error> {
    Ok(!alerts::acknowledge(desk.store.desk(), &[id], &actor.name).await?.is_empty())
}
