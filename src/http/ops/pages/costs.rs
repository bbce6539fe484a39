//! `GET /ops/costs`: what was spent.

use std::time::Duration;

use chrono::{Months, NaiveDate};
use serde::Serialize;
use serde_json::Value;

use super::tonight::PATIENCE;
use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    ops::{
        board::{self, Money},
        costs::{self, By, Sum},
    },
    store::night,
};

/// What the page shows; money in micro-dollars.
#[derive(Serialize)]
struct Costs {
    /// Like `2026-11`.
    month: String,
    first: NaiveDate,
    before: Option<String>,
    after: Option<String>,
    /// The newest night, when the month is its own.
    tonight: Option<Tonight>,
    by_day: Vec<Value>,
    by_plan: Vec<Value>,
    by_provider: Vec<Value>,
    total: Sum,
    /// Dates that are still being counted and are in no sum.
    pending: Vec<NaiveDate>,
    /// From this day on the month is whole; null when all of it is.
    complete_from: Option<NaiveDate>,
    retention_days: u32,
}

#[derive(Serialize)]
struct Tonight {
    date: NaiveDate,
    /// Null while it is being counted.
    money: Option<Money>,
}

/// Shows the month of the newest night, or another one.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let failed = |error: crate::store::Error| Refusal::database(&error);
    let today = visit.app.today(visit.app.clock.now());
    let newest = night::newest_date(desk.store.desk()).await.map_err(failed)?.unwrap_or(today);
    let first = match visit.asked("month") {
        Some(month) => costs::read_month(month).ok_or(Refusal::Parameter("month", "Write a month like 2026-11."))?,
        None => costs::first_of_month(newest),
    };
    let month = costs::month(desk, first, PATIENCE).await.map_err(failed)?;
    let tonight = if costs::first_of_month(newest) == first {
        let providers = board::providers(desk).await.map_err(failed)?;
        let board = board::look(desk, newest, &board::called(&providers), Duration::ZERO).await.map_err(failed)?;
        Some(Tonight { date: newest, money: board.figures.map(|figures| figures.money) })
    } else {
        None
    };
    let sums = |by| {
        let (groups, total) = costs::grouped(&month.ledger, by);
        (groups.iter().map(|group| group.to_json(by)).collect::<Vec<_>>(), total)
    };
    let name = |first: NaiveDate| first.format("%Y-%m").to_string();
    let (by_provider, total) = sums(By::Provider);
    let page = Costs {
        month: name(first),
        first,
        before: first.checked_sub_months(Months::new(1)).map(name),
        after: first.checked_add_months(Months::new(1)).filter(|after| *after <= newest).map(name),
        tonight,
        by_day: sums(By::Day).0,
        by_plan: sums(By::Plan).0,
        by_provider,
        total,
        pending: month.pending,
        complete_from: costs::complete_from(first, today, desk.settings.retention_days),
        retention_days: desk.settings.retention_days,
    };
    Ok(Sheet::new("costs", "Costs", &page))
}
