//! `podcast requeue`, `cancel` and `regenerate`: their flags, and what they do. Each is a tracked
//! operation: should this process be killed, the workers go on with it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use chrono::NaiveDate;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    neighbours, output,
};
use crate::{
    machine::{FailureKind, Status},
    ops::{
        actor::Actor,
        operations::{self, Preview, Wish},
    },
    store::{
        operations::Operation,
        podcasts::Filter,
        verbs::{FromStep, Verb},
    },
};

/// Which podcasts: by number, or all that match.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true)]
pub struct Which {
    /// These podcasts
    #[arg(value_name = "ID", conflicts_with_all = ["stuck", "failed", "status", "date", "cause", "users", "plan", "provider", "language"])]
    pub ids: Vec<i64>,
    /// All that nothing will move
    #[arg(long, conflicts_with_all = ["failed", "status", "date", "cause"])]
    pub stuck: bool,
    /// All that have failed
    #[arg(long, conflicts_with = "status")]
    pub failed: bool,
    /// In this status
    #[arg(long)]
    pub status: Option<Status>,
    /// Of this date
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = args::date)]
    pub date: Option<NaiveDate>,
    /// With this cause, like timeout or no_voice
    #[arg(long, value_name = "KIND", value_parser = args::failure_kind)]
    pub cause: Option<FailureKind>,
    /// Of this learner; may be given again
    #[arg(long = "user", value_name = "ID")]
    pub users: Vec<i64>,
    /// On this plan
    #[arg(long)]
    pub plan: Option<String>,
    /// Written or spoken by this provider or model
    #[arg(long)]
    pub provider: Option<String>,
    /// In this language, like en
    #[arg(long)]
    pub language: Option<String>,
}

/// How it is done.
#[derive(Debug, Args)]
pub struct How {
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    pub reason: Option<String>,
    /// Only say what it would do
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Flags of `podcast requeue`.
#[derive(Debug, Args)]
pub struct Requeue {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
}

/// Flags of `podcast cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
}

/// Flags of `podcast regenerate`.
#[derive(Debug, Args)]
pub struct Regenerate {
    #[command(flatten)]
    which: Which,
    /// Where the new episode begins
    #[arg(long, value_enum, default_value_t = From::Script)]
    from: From,
    #[command(flatten)]
    how: How,
}

/// Where a new episode begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// A new script, then its speech
    Script,
    /// The old script, spoken anew
    Speech,
}

/// Runs `podcast requeue`.
///
/// # Errors
/// What it could not do.
pub async fn requeue(args: Requeue, context: Context) -> anyhow::Result<Exit> {
    run(Verb::Requeue, args.which, args.how, context).await
}

/// Runs `podcast cancel`.
///
/// # Errors
/// What it could not do.
pub async fn cancel(args: Cancel, context: Context) -> anyhow::Result<Exit> {
    run(Verb::Cancel, args.which, args.how, context).await
}

/// Runs `podcast regenerate`.
///
/// # Errors
/// What it could not do.
pub async fn regenerate(args: Regenerate, context: Context) -> anyhow::Result<Exit> {
    let from = match args.from {
        From::Script => FromStep::Script,
        From::Speech => FromStep::Speech,
    };
    run(Verb::Regenerate(from), args.which, args.how, context).await
}

impl Which {
    fn filter(mut self) -> Filter {
        for numbers in [&mut self.ids, &mut self.users] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        Filter {
            ids: (!self.ids.is_empty()).then_some(self.ids),
            date: self.date,
            status: if self.failed { Some(Status::Failed) } else { self.status },
            user_ids: (!self.users.is_empty()).then_some(self.users),
            cause: self.cause.map(|kind| kind.as_str().to_owned()),
            stuck: self.stuck,
            plan: self.plan,
            provider: self.provider,
            language: self.language,
        }
    }
}

async fn run(verb: Verb, which: Which, how: How, context: Context) -> anyhow::Result<Exit> {
    let filter = which.filter();
    let named = filter.ids.as_ref().map(Vec::len);
    let wish = Wish { reason: how.reason.unwrap_or_default(), ..Wish::new(verb, filter) };
    let (is_many, costs) = (named.is_none_or(|named| named > 1), matches!(verb, Verb::Regenerate(_)));
    let has_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let is_asked = !how.yes && (is_many || costs) && has_terminal;
    if !how.yes && !how.dry_run && !has_terminal && is_many && verb != Verb::Requeue {
        let what = format!("{} of many podcasts is not begun without a yes", verb.as_str());
        return Err(Advice::usage(what, "see what `--dry-run` says, then say --yes").into());
    }
    let store = context.migrated_database().await?;
    if how.dry_run || is_asked {
        let preview = operations::preview(&store, &wish).await?;
        if how.dry_run {
            tell(&preview, context.json)?;
            return Ok(Exit::Done);
        }
        let is_worth_asking = preview.touches > i64::from(!costs) || preview.is_capped;
        if is_worth_asking && !agrees(&preview)? {
            eprintln!("nothing was done");
            return Ok(Exit::Failed);
        }
    }
    let schedule = neighbours::schedule(&context.config);
    let actor = Actor::at_the_command_line();
    let done = operations::complete(&store, &schedule, &wish, &actor.name, show_progress).await?;
    let Some(done) = done else { return Ok(Exit::Failed) };
    report(verb, &done, named, &context)
}

/// A line for each page but the last, which the report tells of.
fn show_progress(operation: &Operation) {
    if operation.is_running() {
        let Operation { id, done, skipped, .. } = operation;
        eprintln!("operation {id}: {} {}, {skipped} left as they are", done, said(&operation.verb));
    }
}

fn said(verb: &str) -> &'static str {
    Verb::named(verb, None).map_or("moved", Verb::done)
}

fn report(verb: Verb, done: &Operation, named: Option<usize>, context: &Context) -> anyhow::Result<Exit> {
    let met = usize::try_from(done.done + done.skipped).unwrap_or_default();
    let unknown = named.unwrap_or_default().saturating_sub(met);
    if context.json {
        let mut document = json!({ "operation": done.id, "skipped": done.skipped, "unknown": unknown });
        document[verb.done()] = json!(done.done);
        output::json(&document)?;
    } else {
        let left = if done.skipped == 0 { String::new() } else { "; `--dry-run` says why".to_owned() };
        output::line(format!("{} {}, {} left as they are{left}", done.done, verb.done(), done.skipped))?;
    }
    if done.state == "stopped" {
        let what = format!("operation {} was stopped before its end", done.id);
        return Err(Advice::failed(what, "the same command goes on with what is left").into());
    }
    if unknown > 0 {
        let what = format!("{unknown} of the podcasts named do not exist");
        return Err(Advice::failed(what, "`dailycast podcast list` shows those there are").into());
    }
    Ok(Exit::Done)
}

/// A preview as JSON or in words.
fn tell(preview: &Preview, json: bool) -> io::Result<()> {
    if json { output::json(preview) } else { output::line(in_words(preview).trim_end()) }
}

fn in_words(preview: &Preview) -> String {
    let more = if preview.is_capped { " at least" } else { "" };
    let mut text = format!("{} {}:\n", preview.verb, preview.subject);
    let mut table = output::Table::new([("podcasts", output::Side::Right), ("what", output::Side::Left)]);
    for share in &preview.effects {
        table.row([share.count.to_string(), share.words.to_owned()]);
    }
    for share in &preview.reasons {
        table.row([share.count.to_string(), format!("left as it is: {}", share.words)]);
    }
    if preview.touches + preview.skips > 0 {
        text.push_str(&table.to_string());
    }
    text.push_str(&format!("touches{more} {}, leaves{more} {}", preview.touches, preview.skips));
    if let Some(cost) = preview.about_micro_usd {
        text.push_str(&format!("; costs about {}", output::dollars(cost)));
    }
    text
}

/// Asks whoever sits at the terminal.
fn agrees(preview: &Preview) -> io::Result<bool> {
    eprint!("{}\ngo ahead? [y/N] ", in_words(preview));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
