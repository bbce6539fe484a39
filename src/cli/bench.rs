//! `bench engine`: on a database of its own, made for it and left behind no longer than it runs.

use std::path::Path;

use super::{args, context::Context, exit::Exit, output};
use crate::{
    bench::{self, EngineArgs, EngineReport},
    local::postgres::{Cluster, Durability},
    store::{self, Address, Store},
};

/// Where the private cluster of the benchmarks is kept.
const CLUSTER: &str = ".dailycast/bench";

/// Connections of the pool under test, as `database.max_connections` has them by default.
const CONNECTIONS: u32 = 10;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Bench, context: Context) -> anyhow::Result<Exit> {
    let args::Bench::Engine(args) = args;
    let cluster = tokio::task::spawn_blocking(|| Cluster::open(Path::new(CLUSTER), Durability::On)).await??;
    let database = format!("bench_{}", std::process::id());
    cluster.create_database(&database, None).await?;
    let store = Store::new(&Address {
        url: cluster.url(&database),
        academy_schema: "academy".to_owned(),
        max_connections: CONNECTIONS,
    })?;
    store::migrate(store.pool()).await?;
    let wanted = EngineArgs {
        podcasts: args.podcasts,
        concurrency: usize::try_from(args.concurrency.unwrap_or(context.config.worker.concurrency))?,
        workers: usize::try_from(args.workers)?,
    };
    let report = bench::engine(&store, wanted, |step| eprintln!("{step}")).await;
    store.close().await;
    cluster.drop_database(&database).await?;
    let report = report?;
    if context.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Exit::Done)
}

fn print(report: &EngineReport) -> anyhow::Result<()> {
    let mut table = output::Table::new([("figure", output::Side::Left), ("value", output::Side::Right)]);
    let or_unknown = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    table.row(["podcasts a second".to_owned(), format!("{:.0}", report.podcasts_per_second)]);
    table.row([
        format!("floor: one commit per move, {} connections", report.floor_connections),
        format!("{:.0}", report.floor_per_second),
    ]);
    table.row(["ratio to the floor".to_owned(), format!("{:.2}", report.ratio_to_floor)]);
    table.row(["CPU ms per podcast, this process".to_owned(), format!("{:.3}", report.cpu_ms_per_podcast)]);
    table.row(["CPU ms per podcast, Postgres".to_owned(), or_unknown(report.postgres_cpu_ms_per_podcast, 3)]);
    table.row(["commits per podcast".to_owned(), format!("{:.3}", report.commits_per_podcast)]);
    table.row(["statements per podcast".to_owned(), or_unknown(report.statements_per_podcast, 3)]);
    table.row(["most memory of this process, MiB".to_owned(), (report.max_rss_bytes >> 20).to_string()]);
    output::line(table.to_string().trim_end())?;
    output::line(format!(
        "{} podcasts, {} workers with {} in flight each, {} build on {}",
        report.podcasts, report.workers, report.concurrency, report.build, report.machine
    ))?;
    Ok(())
}
