//! `bench api`: the figures as a table, or as JSON.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use super::{Figures, on_own_database, or_unknown, tell};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{self, ApiArgs, ApiReport},
    cli::{args, context::Context, exit::Exit, neighbours, output},
    clock::{Clock as _, SystemClock},
    http::{App, Door, Rates, Settings, SigningKey, Tokens},
    ops::Desk,
    provider::{
        object_store::s3::{self, S3Store},
        spool::DiskSpool,
    },
    store::Store,
};

/// A spool that stays empty.
pub(super) const SPOOL: &str = ".dailycast/bench.spool";

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchApi, context: &Context) -> anyhow::Result<Exit> {
    let wanted = ApiArgs { rows: args.rows, seconds: args.seconds };
    let date = SystemClock.now().with_timezone(&context.config.night.time_zone).date_naive();
    let spool = Arc::new(DiskSpool::open(Path::new(SPOOL), 0)?);
    let report = on_own_database(async |store| {
        let desk = Arc::new(neighbours::desk(context, store)?);
        let app = |address| Arc::new(app(context, store, Arc::clone(&desk), Arc::clone(&spool), address));
        bench::api(store, wanted, date, app, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    tell(context, &report, print)
}

/// What the server knows in production; the store of episodes signs and is never asked.
pub(super) fn app(
    context: &Context,
    store: &Store,
    desk: Arc<Desk>,
    spool: Arc<DiskSpool>,
    address: SocketAddr,
) -> App {
    App {
        reads: store.reads().clone(),
        tokens: Tokens::default(),
        door: Door::default(),
        // Each request is counted; no limit is in reach.
        rates: Rates::new(u32::MAX, Arc::new(SystemClock)),
        store: Arc::new(S3Store::new(s3::Settings {
            bucket: context.config.storage.s3.bucket.clone(),
            region: context.config.storage.s3.region.clone(),
            endpoint_url: None,
            force_path_style: false,
            access_key_id: "AKIDBENCHMARK".to_owned(),
            secret_access_key: "benchmark".to_owned(),
            session_token: None,
            credentials_expire_at: None,
            create_bucket: false,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
        })),
        spool,
        clock: Arc::new(SystemClock),
        signing_key: SigningKey::new(b"benchmark"),
        desk,
        ending: CancellationToken::new(),
        settings: Settings::new(&context.config, address),
    }
}

fn print(report: &ApiReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    figures.add(
        &format!("saturation: answers a second, {} connections", report.connections),
        format!("{:.0}", report.saturation_per_second),
    );
    figures.add(
        &format!("floor: a bare select, {} connections", report.floor_connections),
        format!("{:.0}", report.floor_per_second),
    );
    figures.add("ratio to the floor", format!("{:.2}", report.ratio_to_floor));
    figures.add(&format!("p50 ms at {:.0} a second", report.rate), format!("{:.2}", report.p50_ms));
    figures.add("p99 ms", format!("{:.2}", report.p99_ms));
    figures.add("slowest ms", format!("{:.2}", report.max_ms));
    figures.add("CPU microseconds per request, server", format!("{:.0}", report.cpu_us_per_request));
    figures.add("CPU microseconds per request, Postgres", or_unknown(report.postgres_cpu_us_per_request, 0));
    figures.add("CPU microseconds per request, clients", format!("{:.0}", report.client_cpu_us_per_request));
    figures.add("bytes per answer", format!("{:.0}", report.bytes_per_answer));
    figures.add("most memory of this process, MiB", (report.max_rss_bytes >> 20).to_string());
    figures.print()?;
    output::line(format!(
        "{} podcasts of {} learners, {} build of {} on {}",
        report.rows, report.learners, report.build, report.version, report.machine
    ))?;
    Ok(())
}
