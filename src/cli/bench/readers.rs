//! `bench readers`: the engine under long readers, over time.

use super::{on_own_database, or_unknown, tell};
use crate::{
    bench::{self, ReadersArgs, ReadersReport},
    cli::{args, context::Context, exit::Exit, output},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchReaders, context: &Context) -> anyhow::Result<Exit> {
    let wanted = ReadersArgs {
        time: args.time,
        reading: args.reading,
        podcasts: args.podcasts,
        concurrency: usize::try_from(context.config.worker.concurrency)?,
    };
    let report = on_own_database(async |store| {
        bench::readers(store, wanted, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    tell(context, &report, print)
}

fn print(report: &ReadersReport) -> anyhow::Result<()> {
    let columns = ["second", "backlog", "a second", "claim ms", "jobs MiB", "indexes MiB", "podcasts MiB"];
    let mut table = output::Table::new(columns.map(|column| (column, output::Side::Right)));
    let mib = |bytes: i64| (bytes >> 20).to_string();
    for moment in &report.moments {
        table.row([
            format!("{:.0}", moment.second),
            moment.backlog.to_string(),
            format!("{:.0}", moment.finished_per_second),
            or_unknown(moment.claim_ms, 2),
            mib(moment.jobs_bytes),
            mib(moment.jobs_index_bytes),
            mib(moment.podcasts_bytes),
        ]);
    }
    output::line(table.to_string().trim_end())?;
    output::line(format!(
        "{:.0} podcasts a second offered ({:.0} saturate), three readers of {:.0} s, {} build on {}",
        report.offered_per_second, report.saturation_per_second, report.reading_seconds, report.build, report.machine
    ))?;
    Ok(())
}
