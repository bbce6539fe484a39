//! `night start`, `status`, `pause`, `resume` and `skip`.

use std::{io::IsTerminal as _, time::Duration};

use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    args::{self, NightPause, NightSkip, NightStart, NightStatus},
    context::Context,
    exit::{Advice, Exit},
    neighbours, output,
};
use crate::{
    explain::{Explanation, Pause},
    machine::Status,
    ops::{actor::Actor, operations, schedule, situation},
    store::{
        PgPool, Store, chain,
        night::{self, NewNight, Night},
        pause,
        podcasts::Filter,
    },
    worker::scheduler::{Schedule, enqueue},
};

/// How often a watched night is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Without a terminal a line is printed when this many more podcasts are finished, as a share.
const PLAIN_STEPS: i64 = 10;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Night, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Night::Start(start) => start_night(start, context).await,
        args::Night::Status(status) => show_status(status, context).await,
        args::Night::Pause(pause) => pause_all(pause, context).await,
        args::Night::Resume => resume(context).await,
        args::Night::Skip(skip) => skip_date(skip, context).await,
    }
}

async fn pause_all(args: NightPause, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let desk = neighbours::desk(&context, &store)?;
    let is_new = schedule::pause_all(&desk, &Actor::at_the_command_line(), &args.reason).await?;
    let pause = pause::current(desk.store.desk()).await?;
    if context.json {
        output::json(&json!({ "paused": pause, "changed": is_new }))?;
    } else if is_new {
        let deadline = schedule::deadline_in_words(&desk).await?;
        output::line("paused: nothing new begins, the steps in hand are finished")?;
        output::line(format!("the {deadline}; `dailycast night resume` ends it"))?;
    } else if let Some(pause) = pause {
        output::line(format!("it was paused before: {}", told(&pause)))?;
    }
    Ok(Exit::Done)
}

async fn resume(context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let gone = pause::resume(store.desk(), &Actor::at_the_command_line().name).await?;
    if context.json {
        output::json(&json!({ "paused": null, "changed": gone.is_some(), "was": gone }))?;
    } else {
        let was = gone.map(|pause| format!("resumed: workers go on at once; it was {}", told(&pause)));
        output::line(was.unwrap_or_else(|| "nothing was paused".to_owned()))?;
    }
    Ok(Exit::Done)
}

async fn skip_date(args: NightSkip, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let desk = neighbours::desk(&context, &store)?;
    let actor = Actor::at_the_command_line();
    let now = night::now(store.pool()).await?;
    let next = schedule::next_starts(&desk.schedule, now, 1).pop().map(|start| start.date);
    let Some(date) = args.date.or(next) else {
        return Err(Advice::usage("no night starts by itself", "name a --date, or set night.cron").into());
    };
    let done = match args.undo {
        true => schedule::unskip(&desk, &actor, date).await.map_err(schedule::Refused::from),
        false => schedule::skip(&desk, &actor, date, &args.reason).await,
    };
    let is_new = done.map_err(|refused| match refused {
        schedule::Refused::Unclear { what, .. } => {
            Advice::usage(what, "name another --date; `dailycast night status` tells of the newest").into()
        }
        refused => anyhow::Error::new(refused),
    })?;
    if context.json {
        output::json(&json!({ "date": date, "skipped": !args.undo, "changed": is_new }))?;
        return Ok(Exit::Done);
    }
    output::line(match (args.undo, is_new) {
        (false, true) => {
            format!("the night of {date} is skipped; `dailycast night start --date {date}` runs it by hand")
        }
        (false, false) => format!("the night of {date} was skipped before"),
        (true, true) => format!("the night of {date} starts by itself again"),
        (true, false) => format!("the night of {date} was not skipped"),
    })?;
    Ok(Exit::Done)
}

fn told(pause: &Pause) -> String {
    let why = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
    format!("paused by {} at {}{why}", pause.paused_by, pause.paused_at.format("%Y-%m-%d %H:%M UTC"))
}

async fn start_night(mut args: NightStart, context: Context) -> anyhow::Result<Exit> {
    args.users.sort_unstable();
    args.users.dedup();
    let store = context.migrated_database().await?;
    let pool = store.pool();
    let schedule = neighbours::schedule(&context.config);
    let now = night::now(pool).await?;
    let date = args.date.unwrap_or_else(|| schedule.date(now));
    let actor = Actor::at_the_command_line();
    if args.users.is_empty() {
        start(pool, &schedule, date, &actor.name).await?;
    } else {
        let (deadline_at, started_by) = (schedule.deadline_by_hand(now), actor.name.clone());
        let wanted = NewNight { date, scheduled_for: now, deadline_at, started_by };
        let made = pause::enqueue_by_hand(pool, &wanted, &args.users).await?;
        let left_out = args.users.len().saturating_sub(usize::try_from(made)?);
        if left_out > 0 {
            eprintln!(
                "{left_out} of the learners named were not enqueued: they have a podcast, or are unknown or inactive"
            );
        }
    }
    if args.requeue_failed {
        let user_ids = (!args.users.is_empty()).then_some(args.users);
        let meant = Filter { date: Some(date), user_ids, ..Filter::default() };
        operations::requeue_failed(&store, &schedule, meant, &actor.name).await?;
    }
    let beside = Beside::of(&context, &store, date, 0).await?;
    if beside.pause.is_some() {
        eprintln!("it begins when the pause ends");
    }
    print(&night::status(pool, date).await?, &beside, context.json)?;
    Ok(Exit::Done)
}

/// Starts the night of a date by hand, or goes through its learners again, and enqueues who has no
/// podcast yet; during a pause the workers do that when it ends. Doing it twice changes nothing.
///
/// # Errors
/// When the database, or the academy behind it, cannot be used.
pub async fn start(pool: &PgPool, schedule: &Schedule, date: NaiveDate, by: &str) -> anyhow::Result<()> {
    let now = night::now(pool).await?;
    let new =
        NewNight { date, scheduled_for: now, deadline_at: schedule.deadline_by_hand(now), started_by: by.to_owned() };
    pause::start_by_hand(pool, &new).await?;
    if pause::current(pool).await?.is_some() {
        return Ok(());
    }
    for open in night::open(pool).await?.into_iter().filter(|open| open.date == date) {
        enqueue(pool, open, schedule, |_| {}).await?;
    }
    Ok(())
}

async fn show_status(args: NightStatus, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let pool = store.pool();
    let date = match args.date {
        Some(date) => Some(date),
        None => night::newest_date(pool).await?,
    };
    let date = date.unwrap_or(neighbours::schedule(&context.config).date(night::now(pool).await?));
    let night = if args.watch {
        watch(pool, date, if context.json { Progress::json() } else { Progress::for_people() }).await?
    } else {
        night::status(pool, date).await?
    };
    if !(context.json && args.watch) {
        print(&night, &Beside::of(&context, &store, date, night.stuck).await?, context.json)?;
    }
    let failed = night.with_status(Status::Failed) > 0;
    Ok(match night.unfinished() {
        0 if failed => Exit::Failed,
        _ if failed || night.stuck > 0 => Exit::Attention,
        _ => Exit::Done,
    })
}

/// How the progress of a night is shown.
pub struct Progress {
    bar: Option<ProgressBar>,
    json: bool,
    told: i64,
}

impl Progress {
    /// A bar on a terminal, now and then a line elsewhere; both on standard error.
    pub fn for_people() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix("night")
        });
        Self { bar, json: false, told: -1 }
    }

    /// One JSON document per change, on standard output.
    pub fn json() -> Self {
        Self { bar: None, json: true, told: -1 }
    }

    fn show(&mut self, night: &Night) -> std::io::Result<()> {
        let (done, all) = (night.finished(), night.enqueued);
        let failed = night.with_status(Status::Failed);
        if self.json {
            if done != self.told {
                self.told = done;
                output::json(night)?;
            }
        } else if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(all).unwrap_or_default());
            bar.set_position(u64::try_from(done).unwrap_or_default());
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            bar.set_message(format!("{:.1} a minute{failed}", night.rate_per_minute));
        } else {
            let step = done * PLAIN_STEPS / all.max(1);
            if step != self.told {
                self.told = step;
                eprintln!("night {}: {done} of {all} podcasts finished, {failed} failed", night.date);
            }
        }
        Ok(())
    }
}

/// Follows a night until nothing is left to do.
///
/// # Errors
/// When the database cannot be read.
pub async fn watch(pool: &PgPool, date: NaiveDate, mut progress: Progress) -> anyhow::Result<Night> {
    loop {
        let night = night::status(pool, date).await?;
        progress.show(&night)?;
        if night.unfinished() == 0 && night.state != "enqueuing" {
            if let Some(bar) = progress.bar {
                bar.finish();
            }
            return Ok(night);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What an operator should know beside the figures.
struct Beside {
    pause: Option<Pause>,
    stuck: Option<Explanation>,
}

impl Beside {
    async fn of(context: &Context, store: &Store, date: NaiveDate, stuck: i64) -> anyhow::Result<Self> {
        let stuck = match stuck {
            0 => None,
            // The figures are worth showing when nobody can say why.
            _ => situation::most_stuck(&neighbours::desk(context, store)?, date).await.unwrap_or_else(|error| {
                tracing::warn!(error = chain(&error), "why podcasts are stuck is not known");
                None
            }),
        };
        Ok(Self { pause: pause::current(store.desk()).await?, stuck })
    }
}

/// Prints a night as JSON or in words.
fn print(night: &Night, beside: &Beside, json: bool) -> anyhow::Result<()> {
    if json {
        let mut document = serde_json::to_value(night)?;
        document["pause"] = json!(beside.pause);
        document["stuck_because"] = json!(beside.stuck);
        output::json(&document)?;
        return Ok(());
    }
    if let Some(pause) = &beside.pause {
        output::line(format!("{}; `dailycast night resume` ends it", told(pause)))?;
    }
    output::line(format!("night of {}: {}", night.date, night.state))?;
    let mut table = output::Table::new([("status", output::Side::Left), ("podcasts", output::Side::Right)]);
    for status in Status::ALL {
        table.row([status.to_string(), night.with_status(status).to_string()]);
    }
    output::line(table.to_string().trim_end())?;
    let eta = night.eta.map(|eta| format!(", done about {}", eta.format("%H:%M UTC"))).unwrap_or_default();
    output::line(format!(
        "{} eligible, {} enqueued, {:.1} finished a minute{eta}, {} spent",
        night.eligible,
        night.enqueued,
        night.rate_per_minute,
        output::dollars(night.cost_micro_usd)
    ))?;
    for failure in &night.failures {
        output::line(format!("failed: {} of {}", failure.count, failure.kind))?;
    }
    if night.stuck > 0 {
        output::line(format!("stuck: {}; `dailycast podcast list --stuck` names them", night.stuck))?;
        if let Some(cause) = &beside.stuck {
            output::line(format!("most of them: {}", cause.sentence))?;
        }
    }
    Ok(())
}
