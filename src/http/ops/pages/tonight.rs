//! `GET /ops`: the night at a glance.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::{
    http::{
        error::Refusal,
        ops::{
            chart,
            sheet::{Sheet, Visit},
        },
        shell,
    },
    ops::{
        board::{
            self, Board,
            attention::{Item, attention, shut_chains},
            neighbours::Neighbour,
        },
        filter, schedule,
    },
    store::{alerts, night},
};

/// The longest wait for figures that are not there yet; the stream brings them later.
pub(super) const PATIENCE: Duration = Duration::from_millis(60);

/// The same for a program, to which nothing brings them later. It ends before the request does, so
/// that the program reads why there are none.
const PATIENCE_OF_PROGRAMS: Duration = shell::TIME_LIMIT.saturating_sub(Duration::from_secs(2));

/// Alerts that are shown.
const ALERTS: i64 = 20;

/// What the page shows.
#[derive(Serialize)]
struct Tonight {
    #[serde(flatten)]
    board: Board,
    /// What wants an operator, the worst first.
    attention: Vec<Item>,
    providers: Vec<Neighbour>,
    /// The curve in units of its view box; null before there is one.
    chart: Option<chart::BurnUp>,
    /// When the next night starts, by the schedule.
    next_night_at: Option<DateTime<Utc>>,
    /// The dates beside this one.
    before: Option<NaiveDate>,
    after: Option<NaiveDate>,
    /// It is not the newest date.
    is_past: bool,
}

/// Shows the newest night, or that of `date`.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let now = visit.app.clock.now();
    let newest = night::newest_date(desk.store.desk()).await.map_err(|error| Refusal::database(&error))?;
    let newest = newest.unwrap_or_else(|| visit.app.today(now));
    let date = asked_date(&visit, "date")?.unwrap_or(newest);
    let (providers, alerts) = tokio::join!(board::providers(desk), alerts::list(desk.store.desk(), false, ALERTS));
    let providers = providers.map_err(|error| Refusal::database(&error))?;
    let alerts = alerts.map_err(|error| Refusal::database(&error))?;
    let called = board::called(&providers);
    let board = board::look(desk, date, &called, PATIENCE).await.map_err(|error| Refusal::database(&error))?;
    let next = schedule::next(&desk.store, &desk.schedule, now).await;
    let next = next.map_err(|error| Refusal::database(&error))?;
    let told = if date == newest { alerts } else { Vec::new() };
    let neighbours = providers.iter().cloned();
    let neighbours = neighbours.map(|one| Neighbour::new(one, &providers, &desk.chains, &desk.workflow));
    let tonight = Tonight {
        attention: [shut_chains(&board, &providers, &desk.chains), attention(&board, &told, now)].concat(),
        chart: chart::burn_up(&board, now),
        providers: neighbours.collect(),
        next_night_at: next.map(|start| start.starts_at),
        before: date.pred_opt(),
        after: date.succ_opt().filter(|after| *after <= newest),
        is_past: date < newest,
        board,
    };
    Ok(Sheet::new("tonight", "Tonight", &tonight))
}

/// How long whoever visits waits for figures that are not there yet.
pub(super) fn patience(visit: &Visit) -> Duration {
    if visit.is_program() { PATIENCE_OF_PROGRAMS } else { PATIENCE }
}

/// A date of the query.
pub(super) fn asked_date(visit: &Visit, name: &'static str) -> Result<Option<NaiveDate>, Refusal> {
    let Some(text) = visit.asked(name) else { return Ok(None) };
    filter::date(text).map(Some).ok_or(Refusal::Parameter(name, "Write a date like 2026-11-22."))
}
