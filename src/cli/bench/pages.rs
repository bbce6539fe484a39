//! `bench pages`: the figures as a table, or as JSON.

use std::{path::Path, sync::Arc};

use super::{api, on_own_database, tell};
use crate::{
    bench::{self, PagesArgs, PagesReport, World},
    cli::{
        args,
        context::Context,
        exit::Exit,
        neighbours,
        output::{self, Side, Table},
    },
    clock::{Clock as _, SystemClock},
    config::Secret,
    provider::spool::DiskSpool,
};

/// The token of machines at the server under test.
const TOKEN: &str = "the token of machines in the benchmark of pages";

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchPages, context: &Context) -> anyhow::Result<Exit> {
    let wanted = PagesArgs {
        rows: args.rows,
        nights: args.nights,
        waiting: args.waiting,
        span: args.each,
        token: TOKEN.to_owned(),
    };
    let date = SystemClock.now().with_timezone(&context.config.night.time_zone).date_naive();
    let spool = Arc::new(DiskSpool::open(Path::new(api::SPOOL), 0)?);
    let report = on_own_database(async |store| {
        let mut desk = neighbours::desk(context, store)?;
        desk.settings.token = Some(Secret::new(TOKEN.to_owned()));
        let desk = Arc::new(desk);
        let app = |address| Arc::new(api::app(context, store, Arc::clone(&desk), Arc::clone(&spool), address));
        bench::pages(store, wanted, date, app, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await?;
    tell(context, &report, print)
}

fn print(report: &PagesReport) -> anyhow::Result<()> {
    for world in &report.worlds {
        print_world(report, world)?;
    }
    output::line(format!("{} build of {} on {}", report.build, report.version, report.machine))?;
    Ok(())
}

fn print_world(report: &PagesReport, world: &World) -> anyhow::Result<()> {
    let mut table = Table::new([
        ("p50 ms", Side::Right),
        ("p95 ms", Side::Right),
        ("slowest", Side::Right),
        ("first", Side::Right),
        ("page", Side::Left),
    ]);
    for page in &world.pages {
        let times = [page.p50_ms, page.p95_ms, page.max_ms, page.first_ms].map(|ms| format!("{ms:.1}"));
        table.row(times.into_iter().chain([page.page.clone()]));
    }
    output::line(table.to_string().trim_end())?;
    output::line(format!(
        "{} podcasts in {} nights, {} of them wait in the newest; the slowest page answers within {:.1} ms at p95",
        output::count(world.rows),
        report.nights,
        output::count(i64::from(world.waiting)),
        world.worst_p95_ms
    ))?;
    Ok(())
}
