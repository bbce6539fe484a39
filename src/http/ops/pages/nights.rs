//! `GET /ops/nights`: the nights that were.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tokio::time::Instant;

use super::tonight::{PATIENCE, asked_date};
use crate::{
    http::{
        error::Refusal,
        ops::{
            chart,
            sheet::{Sheet, Visit},
        },
    },
    ops::{Desk, board, schedule},
    store::{
        board::{NightRow, Skip, nights_before, skips},
        night::Night,
    },
};

/// Nights on one page.
const PAGE: usize = 30;

/// What the page shows.
#[derive(Serialize)]
struct Nights {
    /// The newest first.
    nights: Vec<Row>,
    /// Columns in units of their view box; null when there is no night.
    chart: Option<chart::Columns>,
    /// `before=` of the next page.
    next: Option<NaiveDate>,
    /// It is the first page.
    is_first: bool,
    /// When the next night starts, by the schedule.
    next_night_at: Option<DateTime<Utc>>,
}

/// A night, or a date without one.
#[derive(Serialize)]
struct Row {
    date: NaiveDate,
    /// `enqueuing`, `running`, `finished` or `skipped`.
    state: String,
    started_by: Option<String>,
    started_at: Option<DateTime<Utc>>,
    duration_seconds: Option<i64>,
    eligible: i64,
    /// Its figures; null while it is being counted, and for a date that was skipped.
    figures: Option<Figures>,
    /// Who skipped it, and why.
    skip: Option<Skip>,
}

#[derive(Serialize)]
struct Figures {
    enqueued: i64,
    ready: i64,
    failed: i64,
    failed_share: Option<f64>,
    is_failed_too_high: bool,
    fallback: i64,
    fallback_share: Option<f64>,
    cost_micro_usd: i64,
}

/// Shows the nights before `before`.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let before = asked_date(&visit, "before")?;
    let failed = |error: crate::store::Error| Refusal::database(&error);
    let end = before.unwrap_or(NaiveDate::MAX);
    let pool = desk.store.desk();
    let mut found = nights_before(pool, end, PAGE as i64 + 1).await.map_err(failed)?;
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().map(|night| night.date).filter(|_| has_more);
    let providers = board::providers(desk).await.map_err(failed)?;
    let called = board::called(&providers);
    let skipped = match (found.last(), has_more) {
        (Some(last), true) => skips(pool, last.date, end).await,
        _ => skips(pool, NaiveDate::default(), end).await,
    };
    let taken: BTreeSet<NaiveDate> = found.iter().map(|night| night.date).collect();
    let ends = Instant::now() + PATIENCE;
    let mut nights = Vec::new();
    for night in found {
        nights.push(row(desk, night, &called, ends).await);
    }
    let without = skipped.map_err(failed)?.into_iter().filter(|skip| !taken.contains(&skip.date));
    nights.extend(without.map(skipped_row));
    nights.sort_by_key(|night| std::cmp::Reverse(night.date));
    let bars: Vec<chart::Bar> = nights.iter().rev().filter_map(bar).collect();
    let starts = schedule::next(&desk.store, &desk.schedule, visit.app.clock.now()).await.map_err(failed)?;
    let next_night_at = starts.map(|start| start.starts_at);
    let page = Nights { chart: chart::nights(&bars), nights, next, is_first: before.is_none(), next_night_at };
    Ok(Sheet::new("nights", "Nights", &page))
}

async fn row(desk: &Desk, mut night: NightRow, called: &BTreeSet<String>, ends: Instant) -> Row {
    let kept = night.summary.take();
    let ledger: i64 = kept.iter().flat_map(|kept| &kept.ledger.spent).map(|spent| spent.cost_micro_usd).sum();
    let tally = match kept {
        Some(kept) => Some(kept.tally),
        None => {
            let look = board::count(desk, night.date, ends.saturating_duration_since(Instant::now())).await;
            look.value.map(|tally| (*tally).clone())
        }
    };
    let figures = tally.map(|tally| {
        let figures = Night::of(night.date, Some(&night), &tally);
        let failed = figures.with_status(crate::machine::Status::Failed);
        let finished = figures.finished();
        let failed_share = (finished > 0).then(|| failed as f64 / finished as f64);
        let fallback = board::fallback_of(&tally, desk, called);
        Figures {
            enqueued: figures.enqueued,
            ready: finished - failed,
            failed,
            failed_share,
            is_failed_too_high: failed_share.is_some_and(|share| share > desk.settings.failure_rate_night),
            fallback: fallback.podcasts,
            fallback_share: fallback.share,
            cost_micro_usd: tally.cost_micro_usd.max(ledger),
        }
    });
    Row {
        date: night.date,
        state: night.state,
        started_by: Some(night.started_by),
        started_at: Some(night.started_at),
        duration_seconds: night.finished_at.map(|end| (end - night.started_at).num_seconds().max(0)),
        eligible: night.eligible,
        figures,
        skip: None,
    }
}

fn skipped_row(skip: Skip) -> Row {
    Row {
        date: skip.date,
        state: "skipped".to_owned(),
        started_by: None,
        started_at: None,
        duration_seconds: None,
        eligible: 0,
        figures: None,
        skip: Some(skip),
    }
}

fn bar(row: &Row) -> Option<chart::Bar> {
    let figures = row.figures.as_ref()?;
    Some((row.date, figures.ready, figures.fallback, figures.failed))
}
