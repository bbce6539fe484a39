//! `bench engine`: the figures as a table, or as JSON.

use super::{Figures, on_own_database, or_unknown};
use crate::{
    bench::{self, EngineArgs, EngineReport},
    cli::{args, context::Context, exit::Exit, output},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchEngine, context: &Context) -> anyhow::Result<Exit> {
    let wanted = EngineArgs {
        podcasts: args.podcasts,
        concurrency: usize::try_from(args.concurrency.unwrap_or(context.config.worker.concurrency))?,
        workers: usize::try_from(args.workers)?,
    };
    let report = on_own_database(async |store| {
        bench::engine(store, wanted, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    if context.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Exit::Done)
}

fn print(report: &EngineReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    figures.add("podcasts a second", format!("{:.0}", report.podcasts_per_second));
    figures.add(
        &format!("floor: one commit per move, {} connections", report.floor_connections),
        format!("{:.0}", report.floor_per_second),
    );
    figures.add("ratio to the floor", format!("{:.2}", report.ratio_to_floor));
    figures.add("CPU ms per podcast, this process", format!("{:.3}", report.cpu_ms_per_podcast));
    figures.add("CPU ms per podcast, Postgres", or_unknown(report.postgres_cpu_ms_per_podcast, 3));
    figures.add("commits per podcast", format!("{:.3}", report.commits_per_podcast));
    figures.add("statements per podcast", or_unknown(report.statements_per_podcast, 3));
    figures.add("most memory of this process, MiB", (report.max_rss_bytes >> 20).to_string());
    figures.print()?;
    output::line(format!(
        "{} podcasts, {} workers with {} in flight each, {} build on {}",
        report.podcasts, report.workers, report.concurrency, report.build, report.machine
    ))?;
    Ok(())
}
