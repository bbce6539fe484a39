//! `bench pages`: how long the operators' pages take with a million podcasts in the table.
//!
//! The server under test is the real one, asked by one client over loopback: what is measured is the
//! time of the server, with the little that the way adds. Every page is asked again and again for a
//! set time, as a program that brings `ops.token`. The very first answers are told apart: some pages
//! show figures that are counted in the background, and say so until these are there.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::NaiveDate;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    BUILD, Error,
    load::{self, Target},
    meter,
};
use crate::{
    http::{self, App},
    store::{Store, floor, past},
};

/// What is asked; `{date}` is the newest night, `{id}` its newest podcast.
const PAGES: [&str; 20] = [
    "/ops",
    "/ops/podcasts",
    "/ops/podcasts?date={date}",
    "/ops/podcasts?status=failed",
    "/ops/podcasts?status=pending",
    "/ops/podcasts?stuck=yes",
    "/ops/podcasts?cause=timeout",
    "/ops/podcasts?date={date}&cause=no_voice&plan=enterprise",
    "/ops/podcasts?provider=azure&language=ja",
    "/ops/podcasts?user=4711",
    "/ops/podcasts/{id}",
    "/ops/failures",
    "/ops/nights",
    "/ops/providers",
    "/ops/workers",
    "/ops/schedule",
    "/ops/costs",
    "/ops/alerts",
    "/ops/operations/new?verb=requeue&status=failed",
    "/ops/audit",
];

/// What to measure.
#[derive(Debug, Clone)]
pub struct PagesArgs {
    /// Podcasts in the table.
    pub rows: u32,
    /// Nights over which they are spread.
    pub nights: u32,
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

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct PagesReport {
    /// Podcasts in the table.
    pub rows: i64,
    /// Nights over which they are spread.
    pub nights: u32,
    /// Every page.
    pub pages: Vec<PageReport>,
    /// The largest of their `p95_ms`.
    pub worst_p95_ms: f64,
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

    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let bound = http::bind(([127, 0, 0, 1], 0).into()).await?;
    let address = bound.address();
    tokio::spawn(http::serve(bound, app(address), stop));
    let version = floor::server_version(store.pool()).await?;
    let mut pages = Vec::new();
    for page in PAGES {
        let page = page.replace("{date}", &date.to_string()).replace("{id}", &rows.to_string());
        progress(&page);
        let (token, span) = (args.token.clone(), args.span);
        pages.push(tokio::task::spawn_blocking(move || measure(address, page, &token, span)).await??);
    }
    Ok(PagesReport {
        rows,
        nights,
        worst_p95_ms: pages.iter().map(|page| page.p95_ms).fold(0.0, f64::max),
        pages,
        build: BUILD,
        version: env!("CARGO_PKG_VERSION"),
        machine: meter::machine(&version),
    })
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
