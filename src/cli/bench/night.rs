//! `bench night`: a night of many learners at once, or one as slow as a real one.

use std::path::PathBuf;

use super::{CLUSTER, Figures, mib, on_own_database, or_unknown, tell};
use crate::{
    bench::{self, NightArgs, NightReport, SlowArgs, SlowReport},
    cli::{args, context::Context, exit::Exit, output},
};

/// Podcasts in flight of a slow night unless flags say otherwise, and podcasts for each of them.
const SLOW_CONCURRENCY: usize = 2_000;
const ROUNDS: u32 = 4;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchNight, context: &Context) -> anyhow::Result<Exit> {
    let concurrency = args.concurrency.map(usize::try_from).transpose()?;
    if let Some(latency) = args.latency {
        let concurrency = concurrency.unwrap_or(SLOW_CONCURRENCY);
        let podcasts =
            args.learners.map_or_else(|| u32::try_from(concurrency).map(|n| n.saturating_mul(ROUNDS)), Ok)?;
        return slow(SlowArgs { latency, concurrency, podcasts }, context).await;
    }
    let wanted = NightArgs {
        learners: args.learners.unwrap_or(1_000_000),
        concurrency: concurrency.map_or_else(|| usize::try_from(context.config.worker.concurrency), Ok)?,
        only_enqueue: args.only_enqueue,
    };
    let report = on_own_database(async |store| {
        bench::night(store, wanted, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    tell(context, &report, print)
}

fn print(report: &NightReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    figures.add("seconds to enqueue", format!("{:.1}", report.enqueue_seconds));
    figures.add("batches, each one commit", report.batches.to_string());
    figures.add("learners a second", format!("{:.0}", f64::from(report.learners) / report.enqueue_seconds));
    figures.add("CPU seconds of that, this process", format!("{:.1}", report.enqueue_cpu_seconds));
    figures.add("CPU seconds of that, Postgres", or_unknown(report.enqueue_postgres_cpu_seconds, 1));
    figures.add("memory of this process before, MiB", mib(report.idle_rss_bytes));
    figures.add("most above that while enqueuing, MiB", mib(report.enqueue_rss_over_idle_bytes));
    if let Some(drain) = &report.drain {
        figures.add("seconds to drain", format!("{:.1}", drain.seconds));
        figures.add("podcasts a second", format!("{:.0}", drain.podcasts_per_second));
        figures.add("over the first tenth", format!("{:.0}", drain.first_tenth_per_second));
        figures.add("over the last tenth", format!("{:.0}", drain.last_tenth_per_second));
        figures.add("memory after the first tenth, MiB", mib(drain.rss_after_first_tenth_bytes));
        figures.add("most memory after that, MiB", mib(drain.most_rss_bytes));
    }
    figures.print()?;
    output::line(format!("{} learners, {} build on {}", report.learners, report.build, report.machine))?;
    Ok(())
}

async fn slow(wanted: SlowArgs, context: &Context) -> anyhow::Result<Exit> {
    let folder = PathBuf::from(format!("{CLUSTER}-spool-{}", std::process::id()));
    let report = on_own_database(async |store| {
        bench::slow(store, wanted, &folder, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await;
    // A folder that was never made need not go.
    let _ = std::fs::remove_dir_all(&folder);
    let report = report?;
    if context.json {
        output::json(&report)?;
    } else {
        print_slow(&report)?;
    }
    Ok(Exit::Done)
}

fn print_slow(report: &SlowReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    figures.add("mean latency of a podcast, s", format!("{:.2}", report.mean_latency_seconds));
    figures.add("concurrency / latency, podcasts a second", format!("{:.2}", report.expected_per_second));
    figures.add("podcasts a second on the plateau", format!("{:.2}", report.podcasts_per_second));
    figures.add("share", format!("{:.1} %", report.share_of_expected * 100.0));
    figures.add("podcasts of the plateau", report.plateau_podcasts.to_string());
    figures.add("seconds of the plateau", format!("{:.1}", report.plateau_seconds));
    figures.add("most memory of this process, MiB", mib(report.max_rss_bytes));
    figures.add("audio uploaded, MiB", mib(report.uploaded_bytes));
    figures.add("CPU ms per podcast, this process", format!("{:.2}", report.cpu_ms_per_podcast));
    figures.print()?;
    output::line(format!(
        "{} podcasts, {} in flight, latency {}, {} build on {}",
        report.podcasts, report.concurrency, report.latency, report.build, report.machine
    ))?;
    Ok(())
}
