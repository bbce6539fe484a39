//! `bench pages`: how long the operators' pages take with a million podcasts in the table.
//!
//! The server under test is the real one, asked by one client over loopback: what is measured is the
//! time of the server, with the little that the way adds. Every page is asked again and again for a
//! set time, as a program that brings `ops.token`. The very first answers are told apart: some pages
//! show figures that are counted in the background, and say so until these are there.
//!
//! All pages are asked twice: with many nights that are over, and then with a night that has just
//! begun, in which hundreds of thousands of podcasts wait for their turn.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::{Days, NaiveDate};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    BUILD, Error,
    load::{self, Target},
    meter,
};
use crate::{
    http::{self, App},
    store::{Store, board, floor, past},
};

/// What is asked; `{date}` is the newest night, `{past}` one before, `{id}` the newest podcast and
/// `{deep}` one in the middle of the table.
const PAGES: [&str; 37] = [
    "/ops",
    "/ops?date={past}",
    "/ops/podcasts",
    "/ops/podcasts?before={deep}",
    "/ops/podcasts?date={date}",
    "/ops/podcasts?date={past}&provider=azure",
    "/ops/podcasts?unfinished=yes",
    "/ops/podcasts?status=failed",
    "/ops/podcasts?status=failed&before={deep}",
    "/ops/podcasts?date={date}&status=failed",
    "/ops/podcasts?status=pending",
    "/ops/podcasts?status=completed_with_fallback",
    "/ops/podcasts?stuck=yes",
    "/ops/podcasts?stuck=yes&date={date}",
    "/ops/podcasts?cause=timeout",
    "/ops/podcasts?status=failed&cause=no_voice&plan=enterprise",
    "/ops/podcasts?date={date}&cause=no_voice&plan=enterprise",
    "/ops/podcasts?provider=azure&language=ja",
    "/ops/podcasts?user=4711",
    "/ops/podcasts?id={id}",
    "/ops/podcasts/{id}",
    "/ops/failures",
    "/ops/failures?days=30",
    "/ops/failures?date={date}",
    "/ops/nights",
    "/ops/providers",
    "/ops/workers",
    "/ops/schedule",
    "/ops/costs",
    "/ops/alerts",
    "/ops/operations",
    "/ops/operations/new?verb=requeue&status=failed",
    "/ops/operations/new?verb=requeue&status=failed&cause=timeout",
    "/ops/operations/new?verb=requeue&stuck=yes",
    "/ops/operations/new?verb=cancel&status=pending&date={date}",
    "/ops/operations/new?verb=regenerate&from=speech&date={past}",
    "/ops/audit",
];

/// What to measure.
#[derive(Debug, Clone)]
pub struct PagesArgs {
    /// Podcasts in the table.
    pub rows: u32,
    /// Nights over which they are spread.
    pub nights: u32,
    /// Podcasts that then wait in the newest night; 0: that is not measured.
    pub waiting: u32,
    /// How long each page is asked.
    pub span: Duration,
    /// The token of machines at the server under test.
    pub token: String,
}

/// One page.
#[derive(Debug, Clone, Serialize)]
pub struct PageReport {
    /// Its address.
    pub page: String,
    /// Answers.
    pub answers: usize,
    /// The very first answer took this long.
    pub first_ms: f64,
    /// Half of the answers took no longer.
    pub p50_ms: f64,
    /// 19 of 20 took no longer.
    pub p95_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Bytes of an answer.
    pub bytes: u64,
}

/// All pages with the same tables.
#[derive(Debug, Clone, Serialize)]
pub struct World {
    /// Podcasts in the table.
    pub rows: i64,
    /// Those of them that wait in a night that has just begun.
    pub waiting: u32,
    /// Every page.
    pub pages: Vec<PageReport>,
    /// The largest of their `p95_ms`.
    pub worst_p95_ms: f64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct PagesReport {
    /// Nights over which the podcasts are spread.
    pub nights: u32,
    /// Without and with podcasts that wait.
    pub worlds: Vec<World>,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Of this program.
    pub version: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// Measures on a migrated database that nobody else uses. `app` makes the server's knowledge for
/// the address it will listen on; `date` is the newest night.
///
/// # Errors
/// When the database or the server fails.
pub async fn pages(
    store: &Store,
    args: PagesArgs,
    date: NaiveDate,
    app: impl Fn(SocketAddr) -> Arc<App>,
    mut progress: impl FnMut(&str),
) -> Result<PagesReport, Error> {
    let nights = args.nights.max(1);
    let each = (i64::from(args.rows) / i64::from(nights)).max(1);
    let rows = each * i64::from(nights);
    past::fill(store, nights, each, date, |done| progress(&format!("{done} of {rows} podcasts"))).await?;
    // As the leader keeps of every night that is over.
    for back in 1..nights {
        board::summarise(store, before(date, back)).await?;
    }

    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let bound = http::bind(([127, 0, 0, 1], 0).into()).await?;
    let address = bound.address();
    tokio::spawn(http::serve(bound, app(address), stop));
    let mut worlds = vec![world(&args, address, date, (rows, 0), &mut progress).await?];
    if args.waiting > 0 {
        let (waiting, all) = (i64::from(args.waiting), rows + i64::from(args.waiting));
        past::begin_night(store, rows, waiting, date, |done| progress(&format!("{done} of {waiting} wait"))).await?;
        worlds.push(world(&args, address, date, (all, args.waiting), &mut progress).await?);
    }
    Ok(PagesReport {
        nights,
        worlds,
        build: BUILD,
        version: env!("CARGO_PKG_VERSION"),
        machine: meter::machine(&floor::server_version(store.pool()).await?),
    })
}

/// The night so many days before one.
fn before(date: NaiveDate, days: u32) -> NaiveDate {
    date.checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN)
}

/// Asks for every page.
async fn world(
    args: &PagesArgs,
    address: SocketAddr,
    date: NaiveDate,
    (rows, waiting): (i64, u32),
    progress: &mut impl FnMut(&str),
) -> Result<World, Error> {
    let mut pages = Vec::new();
    for page in PAGES {
        let page = page
            .replace("{date}", &date.to_string())
            .replace("{past}", &before(date, 1).to_string())
            .replace("{deep}", &(rows / 2).to_string())
            .replace("{id}", &rows.to_string());
        progress(&page);
        let (token, span) = (args.token.clone(), args.span);
        pages.push(tokio::task::spawn_blocking(move || measure(address, page, &token, span)).await??);
    }
    let worst_p95_ms = pages.iter().map(|page| page.p95_ms).fold(0.0, f64::max);
    Ok(World { rows, waiting, pages, worst_p95_ms })
}

fn measure(address: SocketAddr, page: String, token: &str, span: Duration) -> Result<PageReport, Error> {
    let request = |_| format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n");
    let mut answers = load::closed(Target { address, request: &request }, 1, span, 1)?;
    let first = answers.latencies.first().copied().unwrap_or_default();
    answers.latencies.sort_unstable();
    let share = |share| load::percentile(&answers.latencies, share);
    Ok(PageReport {
        answers: answers.latencies.len(),
        first_ms: first as f64 / 1000.0,
        p50_ms: share(0.5),
        p95_ms: share(0.95),
        max_ms: share(1.0),
        bytes: answers.bytes / (answers.latencies.len() as u64).max(1),
        page,
    })
}
