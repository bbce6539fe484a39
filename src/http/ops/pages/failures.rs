//! `GET /ops/failures`: what ended podcasts, by cause; `date=`, or `days=` from now; `cause=` is one
//! of them.
//!
//! What would surprise: while a range is counted for the first time there is a page without causes. A
//! program waits for them.

use std::sync::Arc;

use serde::Serialize;

use super::tonight::{asked_date, patience};
use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    ops::{
        failures::{self, Failures, Since},
        filter,
        operations::Unmeant,
    },
    store::night,
};

/// The ranges that are one click away.
const DAYS: [u32; 3] = [1, 7, 30];

/// The most days: nothing is kept longer than this makes sense.
const MOST_DAYS: u32 = 366;

#[derive(Serialize)]
struct Page<'f> {
    /// Absent while they are counted for the first time.
    #[serde(flatten)]
    failures: Option<&'f Failures>,
    /// The last count failed; it is tried again. The failures are those of a count before it.
    has_failed: bool,
    next: Option<String>,
    date: Option<String>,
    /// The one that is shown, if not all are.
    cause: Option<String>,
    days: Option<u32>,
    /// The newest night.
    newest: Option<String>,
    choices: [u32; 3],
}

/// Shows it.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let since = since(&visit)?;
    let cause = filter::read(visit.pairs().filter(|(word, _)| *word == "cause")).map_err(Unmeant::from)?.cause;
    let look = failures::since(desk, since, visit.app.clock.now(), patience(&visit)).await;
    if look.value.is_none() && visit.is_program() {
        return Err(Refusal::Away("The failures are not counted yet."));
    }
    let failures = look.value.map(|all| cause.as_deref().map_or_else(|| all.clone(), |cause| Arc::new(all.of(cause))));
    let newest = night::newest_date(desk.store.desk()).await.map_err(|error| Refusal::database(&error))?;
    let (date, days) = match since {
        Since::Date(date) => (Some(date.to_string()), None),
        Since::Days(days) => (None, Some(days)),
    };
    let newest = newest.map(|date| date.to_string());
    Ok(Sheet::new(
        "failures",
        "Failures",
        &Page {
            failures: failures.as_deref(),
            has_failed: look.has_failed,
            next: None,
            date,
            cause,
            days,
            newest,
            choices: DAYS,
        },
    ))
}

fn since(visit: &Visit) -> Result<Since, Refusal> {
    if let Some(date) = asked_date(visit, "date")? {
        return Ok(Since::Date(date));
    }
    let days = visit.asked("days").map_or(Some(7), |days| days.parse().ok());
    let days = days.filter(|days| (1..=MOST_DAYS).contains(days));
    days.map(Since::Days).ok_or(Refusal::Parameter("days", "Write a number of days, 366 at most."))
}
