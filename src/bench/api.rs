//! `bench api`: `GET /api/dailycast/today/` as learners ask it, each with a token of their own.
//!
//! The server under test is the real one, with the connections that are kept for learners; it signs
//! for a store that is never asked, and writes its log lines only with `-v`. The floor is the same
//! server and shell, over the same connections to the database, with a bare select of one row behind
//! it: the same columns of today's row, no token, no earlier episode, no signature, no JSON. Both are
//! asked in turns by the same clients in the same process, so that a machine that becomes slower or
//! faster meanwhile is so for both. Learners are drawn at random from all there are: nearly every
//! request is the first of its learner for a while.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chrono::NaiveDate;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    load::{self, Answers, Target},
    meter,
};
use crate::{
    http::{self, App, Bound},
    store::{Store, crowd, floor},
};

/// The numbers of connections at which saturation is looked for.
const CONNECTIONS: [usize; 4] = [4, 8, 16, 32];

/// Connections of the part with a fixed rate: so many that a request rarely has to wait for one.
const OPEN_CONNECTIONS: usize = 48;

/// How long each number of connections is tried.
const TRIAL: Duration = Duration::from_secs(1);

/// Turns of floor and server.
const TURNS: u32 = 5;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct ApiArgs {
    /// Podcasts in the table.
    pub rows: u32,
    /// How long each of the three parts takes: floor, saturation, half of it.
    pub seconds: u32,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct ApiReport {
    /// Podcasts in the table.
    pub rows: i64,
    /// Learners who ask.
    pub learners: i64,
    /// Answers a second, at the best number of connections.
    pub saturation_per_second: f64,
    /// Connections at saturation.
    pub connections: usize,
    /// Answers a second of the bare select.
    pub floor_per_second: f64,
    /// Connections of the floor.
    pub floor_connections: usize,
    /// The first by the second.
    pub ratio_to_floor: f64,
    /// Requests a second at which latencies were measured: half of saturation.
    pub rate: f64,
    /// Half of the answers took no longer.
    pub p50_ms: f64,
    /// All but one in a hundred took no longer.
    pub p99_ms: f64,
    /// The slowest took this long.
    pub max_ms: f64,
    /// Processor time of the server at saturation.
    pub cpu_us_per_request: f64,
    /// Processor time of Postgres, if it runs on this host.
    pub postgres_cpu_us_per_request: Option<f64>,
    /// Processor time of the clients.
    pub client_cpu_us_per_request: f64,
    /// Bytes of an answer, with its head.
    pub bytes_per_answer: f64,
    /// The most memory of this process, clients included.
    pub max_rss_bytes: u64,
    /// `dev` or `release`.
    pub build: &'static str,
    /// Of this program.
    pub version: &'static str,
    /// Processors and Postgres.
    pub machine: String,
}

/// Measures on a migrated database that nobody else uses. `app` makes the server's knowledge for
/// the address it will listen on; its clock has to stand on `date`.
///
/// # Errors
/// When the database or the server fails.
pub async fn api(
    store: &Store,
    args: ApiArgs,
    date: NaiveDate,
    app: impl Fn(SocketAddr) -> Arc<App>,
    mut progress: impl FnMut(&str),
) -> Result<ApiReport, Error> {
    // Two of three rows are of today: half of the learners have an earlier one.
    let learners = (i64::from(args.rows) * 2 / 3).max(2);
    crowd::fill(store, learners, date, |done| progress(&format!("{done} of {learners} learners"))).await?;

    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let [real, bare] = [listen().await?, listen().await?];
    let addresses = [real.address(), bare.address()];
    tokio::spawn(http::serve(real, app(addresses[0]), stop.clone()));
    tokio::spawn(http::serve_floor(bare, app(addresses[1]), stop));

    let version = floor::server_version(store.pool()).await?;
    let backend = floor::work(store.pool()).await?.backend_pid;
    let (sender, mut steps) = tokio::sync::mpsc::channel(4);
    let measuring = tokio::task::spawn_blocking(move || {
        let say = |step: &str| sender.blocking_send(step.to_owned()).unwrap_or_default();
        measure(args, learners, addresses, backend, say)
    });
    while let Some(step) = steps.recv().await {
        progress(&step);
    }
    let measured = measuring.await??;
    Ok(report(measured, learners, version))
}

async fn listen() -> Result<Bound, Error> {
    Ok(http::bind(([127, 0, 0, 1], 0).into()).await?)
}

struct Measured {
    floor: Answers,
    floor_connections: usize,
    today: Answers,
    connections: usize,
    own_cpu_ms: f64,
    server_cpu_ms: Option<f64>,
    half: Answers,
    rate: f64,
}

fn measure(
    args: ApiArgs,
    learners: i64,
    [real, bare]: [SocketAddr; 2],
    backend: i32,
    say: impl Fn(&str),
) -> Result<Measured, Error> {
    let of = |random: u64| 1 + i64::try_from(random >> 1).unwrap_or_default() % learners;
    let today = |random| {
        let token = crowd::token(of(random));
        format!("GET /api/dailycast/today/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n")
    };
    let script = |random| format!("GET /floor/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", of(random));
    let (today, script) = (Target { address: real, request: &today }, Target { address: bare, request: &script });

    say("looking for the best numbers of connections");
    let floor_connections = best(script)?;
    let connections = best(today)?;
    say("measuring floor and saturation in turns");
    let turn = Duration::from_secs(u64::from(args.seconds)) / TURNS;
    let (mut floor, mut answers) = (Answers::default(), Answers::default());
    let (mut own_cpu_ms, mut server_cpu_ms) = (0.0, Some(0.0));
    for number in 0..TURNS {
        let seed = u64::from(number + 1) << 20;
        floor.add(load::closed(script, floor_connections, turn, seed)?);
        let before = (meter::own_cpu_ms(), meter::server_cpu_ms(backend));
        answers.add(load::closed(today, connections, turn, seed)?);
        own_cpu_ms += meter::own_cpu_ms() - before.0;
        let spent = meter::server_cpu_ms(backend).zip(before.1).map(|(after, before)| after - before);
        server_cpu_ms = server_cpu_ms.zip(spent).map(|(total, spent)| total + spent);
    }
    let rate = answers.rate() / 2.0;
    say("measuring latencies at half of saturation");
    let span = Duration::from_secs(u64::from(args.seconds));
    let mut half = load::open(today, OPEN_CONNECTIONS, rate, span, 1 << 40)?;
    half.latencies.sort_unstable();
    Ok(Measured { floor, floor_connections, today: answers, connections, own_cpu_ms, server_cpu_ms, half, rate })
}

/// The number of connections with the most answers a second.
fn best(target: Target<'_>) -> Result<usize, Error> {
    // The first answers pay for the connections to the database.
    load::closed(target, CONNECTIONS[CONNECTIONS.len() - 1], TRIAL / 2, 7)?;
    let mut best = (0.0, CONNECTIONS[0]);
    for connections in CONNECTIONS {
        let rate = load::closed(target, connections, TRIAL, 7)?.rate();
        if rate > best.0 {
            best = (rate, connections);
        }
    }
    Ok(best.1)
}

fn report(measured: Measured, learners: i64, version: String) -> ApiReport {
    let Measured { floor, floor_connections, today, connections, own_cpu_ms, server_cpu_ms, half, rate } = measured;
    let requests = today.latencies.len() as f64;
    let micros = |ms: f64| ms * 1000.0 / requests;
    ApiReport {
        rows: learners + learners / 2,
        learners,
        saturation_per_second: today.rate(),
        connections,
        floor_per_second: floor.rate(),
        floor_connections,
        ratio_to_floor: today.rate() / floor.rate(),
        rate,
        p50_ms: load::percentile(&half.latencies, 0.5),
        p99_ms: load::percentile(&half.latencies, 0.99),
        max_ms: load::percentile(&half.latencies, 1.0),
        cpu_us_per_request: micros(own_cpu_ms - today.client_cpu_ms),
        postgres_cpu_us_per_request: server_cpu_ms.map(micros),
        client_cpu_us_per_request: micros(today.client_cpu_ms),
        bytes_per_answer: today.bytes as f64 / requests,
        max_rss_bytes: meter::max_rss_bytes(),
        build: if cfg!(debug_assertions) { "dev" } else { "release" },
        version: env!("CARGO_PKG_VERSION"),
        machine: meter::machine(&version),
    }
}
