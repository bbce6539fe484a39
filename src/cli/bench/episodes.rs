//! `bench episodes`: a line per check and a column per language, then the worst figures, then what
//! failed, in words.

use std::{fs, path::Path};

use anyhow::Context as _;

use crate::{
    bench::{self, Column, EpisodesArgs, EpisodesReport, Offline},
    cli::{args, context::Context, exit::Exit, neighbours, output},
    clock::{Clock as _, SystemClock},
    provider::spool::DiskSpool,
};

/// Where chunks and episodes are kept, as long as it runs.
const AUDIO: &str = ".dailycast/bench-episodes";

/// The most audio that waits at a time.
const SPOOL_BYTES: u64 = 1 << 30;

/// Runs the command. Ends with [`Exit::Attention`] when a check failed.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchEpisodes, context: &Context) -> anyhow::Result<Exit> {
    let mut workflow = context.workflow()?;
    let date = SystemClock.now().with_timezone(&context.config.night.time_zone).date_naive();
    let wanted = EpisodesArgs { learners: args.learners, seed: args.seed, date };
    let report = if args.only_text {
        bench::episodes(&workflow, wanted, None, |_| {}).await
    } else {
        let local = neighbours::local(&context.config.providers.local_tts);
        neighbours::install(&local, &mut workflow);
        let spool = DiskSpool::open(Path::new(AUDIO), SPOOL_BYTES).with_context(|| format!("cannot use {AUDIO}"))?;
        let offline = Offline { local: &local, spool: &spool };
        let report = bench::episodes(&workflow, wanted, Some(offline), |step| eprintln!("{step}")).await;
        fs::remove_dir_all(AUDIO).with_context(|| format!("cannot remove {AUDIO}"))?;
        report
    };
    if context.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(if report.failures.is_empty() { Exit::Done } else { Exit::Attention })
}

fn print(report: &EpisodesReport) -> anyhow::Result<()> {
    let heads = report.columns.iter().map(|column| (head(column), output::Side::Right));
    let mut table = output::Table::new([("check", output::Side::Left)].into_iter().chain(heads));
    for (check, line) in report.checks() {
        let cells = report.columns.iter().map(|column| match column.checks.get(&check) {
            Some((passed, of)) => format!("{passed}/{of}"),
            None => "-".to_owned(),
        });
        table.row([line.to_owned()].into_iter().chain(cells));
    }
    output::line(table)?;
    if let Some(worst) = &report.worst {
        let mut figures = output::Table::new([
            ("worst", output::Side::Left),
            ("figure", output::Side::Right),
            ("learner", output::Side::Right),
        ]);
        let minutes = |seconds: f64| output::minutes(seconds.round() as i32);
        figures.row(["shortest".to_owned(), minutes(worst.shortest.0), worst.shortest.1.to_string()]);
        figures.row(["longest".to_owned(), minutes(worst.longest.0), worst.longest.1.to_string()]);
        for (name, (figure, learner), unit) in [
            ("quietest", worst.quietest, "LUFS"),
            ("loudest", worst.loudest, "LUFS"),
            ("highest true peak", worst.peak, "dBTP"),
            ("longest silence", worst.silence, "s"),
        ] {
            figures.row([name.to_owned(), format!("{figure:.2} {unit}"), learner.to_string()]);
        }
        output::line(figures)?;
    }
    for column in report.columns.iter().filter(|column| column.asked != column.language) {
        let what = format!(
            "no offline voice speaks {}: {} learners of it hear {}, their next language",
            column.asked, column.episodes, column.language
        );
        output::line(output::hanging("note:", &what))?;
    }
    for flaw in &report.failures {
        let what = format!("learner {}, {}, {}: {}", flaw.learner, flaw.language, flaw.check.as_str(), flaw.why);
        output::line(output::hanging("failed:", &what))?;
    }
    output::line(summary(report))?;
    Ok(())
}

fn summary(report: &EpisodesReport) -> String {
    let count = |of: fn(&Column) -> u32| report.columns.iter().map(of).sum::<u32>();
    format!(
        "{} learners of seed {} on {}: {} episodes, {} of them spoken, {} checks failed; {:.0} s",
        report.learners,
        report.seed,
        report.date,
        count(|column| column.episodes),
        count(|column| column.spoken),
        report.failures.len(),
        report.seconds,
    )
}

/// The head of a column: a language, or the one that takes its place.
fn head(column: &Column) -> &'static str {
    const HEADS: [(&str, &str, &str); 6] = [
        ("en", "en", "en"),
        ("es", "es", "es"),
        ("fr", "fr", "fr"),
        ("de", "de", "de"),
        ("ja", "ja", "ja"),
        ("ja", "en", "ja in en"),
    ];
    let known = HEADS.into_iter().find(|(asked, language, _)| *asked == column.asked && *language == column.language);
    known.map_or("other", |(_, _, head)| head)
}
