//! `bench idle`: what doing nothing costs, and how soon something is done.

use super::{Figures, on_own_database, or_unknown, tell};
use crate::{
    bench::{self, IdleArgs, IdleReport, Spread},
    cli::{args, context::Context, exit::Exit, output},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchIdle, context: &Context) -> anyhow::Result<Exit> {
    let wanted = IdleArgs { watch: args.watch, nudges: args.nudges, take_overs: args.take_overs };
    let report = on_own_database(async |store| {
        bench::idle(store, wanted, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    tell(context, &report, print)
}

fn print(report: &IdleReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    let both = report.postgres_cpu_ms_per_second.map(|postgres| postgres + report.cpu_ms_per_second);
    figures.add("CPU ms a second when idle, both", or_unknown(both, 2));
    figures.add("this process", format!("{:.2}", report.cpu_ms_per_second));
    figures.add("Postgres", or_unknown(report.postgres_cpu_ms_per_second, 2));
    figures.add("statements a second", or_unknown(report.statements_per_second, 1));
    add(&mut figures, "told by notification", &report.nudge_ms);
    add(&mut figures, &format!("found by polling every {} ms", report.poll_ms), &report.quiet_nudge_ms);
    add(&mut figures, "taken over from one that vanished", &report.take_over_ms);
    figures.print()?;
    output::line(format!("idle for {:.0} s, {} build on {}", report.watched_seconds, report.build, report.machine))?;
    Ok(())
}

fn add(figures: &mut Figures, what: &str, spread: &Spread) {
    let Spread { times, p50, p99, max } = spread;
    figures.add(&format!("{what}, ms p50 / p99 / most of {times}"), format!("{p50:.0} / {p99:.0} / {max:.0}"));
}
