//! When nights start, in words, and what an operator does about it: run one now, skip a date, pause
//! everything, resume.
//!
//! Times are UTC. Where the schedule is meant in another zone, its own time stands beside, and a
//! night before which the clocks change says so. Deadlines never move.

mod words;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::Serialize;

use super::{Desk, actor::Actor, reason};
use crate::{
    explain::Pause,
    store::{
        self,
        night::{self, NewNight},
        pause::{self, Ran, Skip, Skipped},
    },
    worker::scheduler::Schedule,
};

pub use words::{at, describe};

/// Starts that are shown.
const STARTS: usize = 7;

/// Starts among which the next one is looked for that is neither skipped nor begun.
const LOOKED_AT: usize = 31;

/// How far ahead a date may be skipped, in days.
const AHEAD: i64 = 366;

/// The schedule as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// When nights start and end, in a sentence.
    pub words: String,
    /// As it is set.
    pub cron: String,
    /// The zone in which it is meant.
    pub time_zone: String,
    /// That zone is UTC.
    pub is_utc: bool,
    /// Who paused everything, since when, and why.
    pub pause: Option<Pause>,
    /// What a pause does, or did, in words.
    pub pause_effect: String,
    /// The night that runs, or that `run` would start.
    pub tonight: Tonight,
    /// The next starts, the earliest first; one that is due and has not begun comes before them.
    pub starts: Vec<Start>,
}

/// The date that an operator may start now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tonight {
    /// Its date.
    pub date: NaiveDate,
    /// Its night has begun.
    pub has_begun: bool,
    /// The deadline that a start now would give it.
    pub deadline_at: DateTime<Utc>,
    /// What a start now does, in words.
    pub effect: String,
}

/// A start of a night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    /// The night's date.
    pub date: NaiveDate,
    /// When it starts.
    pub starts_at: DateTime<Utc>,
    /// When what is unfinished is given up.
    pub deadline_at: DateTime<Utc>,
    /// Start and deadline in the schedule's own zone, like `03:00 CEST`; null where that is UTC.
    pub local: Option<(String, String)>,
    /// What is unusual about it, in a sentence.
    pub note: Option<String>,
    /// It is past and has not begun.
    pub is_due: bool,
    /// Its night was started by hand, and does not start again.
    pub has_begun: bool,
    /// Who skips it, if somebody does.
    pub skip: Option<Skip>,
}

/// A wish that is not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// That cannot be meant.
    #[error("{what}")]
    Unclear {
        /// The field.
        field: &'static str,
        /// What is wrong and what would do.
        what: &'static str,
    },
    /// The database did not answer.
    #[error("the schedule could not be changed")]
    Store(#[from] store::Error),
}

const fn unclear(field: &'static str, what: &'static str) -> Refused {
    Refused::Unclear { field, what }
}

/// The schedule at this moment.
///
/// # Errors
/// When the database does not answer.
pub async fn view(desk: &Desk) -> Result<View, store::Error> {
    let (pool, schedule) = (desk.store.desk(), &desk.schedule);
    let now = night::now(pool).await?;
    let pause = pause::current(pool).await?;
    let due = schedule.due(now);
    let has_begun = async |date| night::exists(pool, date).await;
    let missed = match due {
        Some(due) if !has_begun(due.date).await? => Some(due),
        _ => None,
    };
    let date = missed.as_ref().map_or_else(|| schedule.date(now), |due| due.date);
    let mut starts: Vec<Start> =
        missed.iter().map(|due| Start { is_due: true, ..start(schedule, due.scheduled_for) }).collect();
    starts.extend(next_starts(schedule, now, STARTS));
    mark(&desk.store, &mut starts).await?;
    Ok(View {
        words: describe(schedule, now),
        cron: schedule.cron.to_string(),
        time_zone: schedule.zone.to_string(),
        is_utc: schedule.zone == chrono_tz::UTC,
        pause_effect: pause_effect(schedule, now),
        tonight: tonight(schedule, date, has_begun(date).await?, pause.is_some(), now),
        pause,
        starts,
    })
}

fn tonight(schedule: &Schedule, date: NaiveDate, has_begun: bool, is_paused: bool, now: DateTime<Utc>) -> Tonight {
    let deadline_at = schedule.deadline_by_hand(now);
    let what = match has_begun {
        true => "Its learners are gone through again: who has no podcast gets one, who has one keeps it.",
        false => "Every learner who was seen lately gets a podcast, at the usual cost; who has one keeps it.",
    };
    let when = if is_paused { " It begins when the pause ends." } else { "" };
    let effect = format!("{what} What is not done by {} is given up.{when}", at(schedule, deadline_at, now));
    Tonight { date, has_begun, deadline_at, effect }
}

fn pause_effect(schedule: &Schedule, now: DateTime<Utc>) -> String {
    format!(
        "Within a second no worker begins anything new: each finishes the step in hand and hands its podcasts back, with \
         no attempt used and nothing billed twice. No night starts and no learner is enqueued. Deadlines do not move: \
         what is not done by {} is given up. A night that is missed is made up when it is resumed before then.",
        at(schedule, schedule.deadline_after(now), now),
    )
}

/// Says of each start whether its night is skipped or has begun.
async fn mark(store: &store::Store, starts: &mut [Start]) -> Result<(), store::Error> {
    let Some(first) = starts.first().map(|start| start.date) else { return Ok(()) };
    let (skips, begun) = (pause::skips(store.desk(), first).await?, night::begun_from(store.desk(), first).await?);
    for start in starts {
        start.skip = skips.iter().find(|skip| skip.date == start.date).cloned();
        start.has_begun = begun.contains(&start.date);
    }
    Ok(())
}

/// The next start by itself: of a date that is not skipped and whose night has not begun.
///
/// # Errors
/// When the database does not answer.
pub async fn next(
    store: &store::Store,
    schedule: &Schedule,
    now: DateTime<Utc>,
) -> Result<Option<Start>, store::Error> {
    let mut starts = next_starts(schedule, now, LOOKED_AT);
    mark(store, &mut starts).await?;
    Ok(starts.into_iter().find(|start| start.skip.is_none() && !start.has_begun))
}

/// The next starts behind `now`, one for each date.
pub fn next_starts(schedule: &Schedule, now: DateTime<Utc>, count: usize) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::with_capacity(count);
    let mut last = now;
    while starts.len() < count {
        let Some(next) = schedule.next(last).filter(|next| *next > last) else { break };
        last = next;
        if starts.last().is_none_or(|start| start.date != schedule.date(next)) {
            starts.push(start(schedule, next));
        }
    }
    starts
}

fn start(schedule: &Schedule, starts_at: DateTime<Utc>) -> Start {
    let deadline_at = schedule.deadline_after(starts_at);
    let is_utc = schedule.zone == chrono_tz::UTC;
    let local = |at: DateTime<Utc>| at.with_timezone(&schedule.zone).format("%H:%M %Z").to_string();
    Start {
        date: schedule.date(starts_at),
        starts_at,
        deadline_at,
        local: (!is_utc).then(|| (local(starts_at), local(deadline_at))),
        note: words::clock_change(schedule.zone, starts_at, deadline_at),
        is_due: false,
        has_begun: false,
        skip: None,
    }
}

/// Lets the leader start the night of a date now; without a date, the one of [`View::tonight`].
///
/// # Errors
/// [`Refused`].
pub async fn run(desk: &Desk, actor: &Actor, date: Option<NaiveDate>) -> Result<(NaiveDate, Ran), Refused> {
    let (pool, schedule) = (desk.store.desk(), &desk.schedule);
    let now = night::now(pool).await?;
    let date = date.unwrap_or_else(|| schedule.due(now).map_or_else(|| schedule.date(now), |due| due.date));
    if (date - schedule.date(now)).num_days().abs() > 1 {
        return Err(unclear("date", "Only tonight, yesterday's or tomorrow's night is started here."));
    }
    let deadline_at = schedule.deadline_by_hand(now);
    let started_by = actor.name.clone();
    let new = NewNight { date, scheduled_for: now, deadline_at, started_by };
    Ok((date, pause::start_by_hand(pool, &new).await?))
}

/// Skips a date: its night does not start by itself. False when it was skipped before.
///
/// # Errors
/// [`Refused`], also for a date that is past or whose night has begun.
pub async fn skip(desk: &Desk, actor: &Actor, date: NaiveDate, why: &str) -> Result<bool, Refused> {
    let (pool, schedule) = (desk.store.desk(), &desk.schedule);
    let now = night::now(pool).await?;
    let today = schedule.date(now);
    let why = kept(why)?;
    if date < today && schedule.due(now).is_none_or(|due| due.date != date) {
        return Err(unclear("date", "That date is over: its night can no longer be skipped."));
    }
    if date - today > Duration::days(AHEAD) {
        return Err(unclear("date", "That date is more than a year ahead."));
    }
    match pause::skip(pool, date, &actor.name, why).await? {
        Skipped::Now => Ok(true),
        Skipped::Before => Ok(false),
        Skipped::HasBegun => Err(unclear(
            "date",
            "The night of that date has begun, so it cannot be skipped. Pause everything, or cancel its podcasts.",
        )),
    }
}

/// Takes back a skip. False when there was none.
///
/// # Errors
/// When the database does not answer.
pub async fn unskip(desk: &Desk, actor: &Actor, date: NaiveDate) -> Result<bool, store::Error> {
    pause::unskip(desk.store.desk(), date, &actor.name).await
}

/// Pauses everything. False when it was paused before, by whoever did.
///
/// # Errors
/// [`Refused`].
pub async fn pause_all(desk: &Desk, actor: &Actor, why: &str) -> Result<bool, Refused> {
    Ok(pause::pause(desk.store.desk(), &actor.name, kept(why)?).await?)
}

/// Ends the pause. `None` when there was none.
///
/// # Errors
/// When the database does not answer.
pub async fn resume(desk: &Desk, actor: &Actor) -> Result<Option<Pause>, store::Error> {
    pause::resume(desk.store.desk(), &actor.name).await
}

/// What an operator is told who has paused: `deadline stays 09:00 UTC`.
///
/// # Errors
/// When the database does not answer.
pub async fn deadline_in_words(desk: &Desk) -> Result<String, store::Error> {
    let now = night::now(desk.store.desk()).await?;
    Ok(format!("deadline stays {}", at(&desk.schedule, desk.schedule.deadline_after(now), now)))
}

/// A reason that can be kept.
fn kept(text: &str) -> Result<&str, Refused> {
    reason::read(text).map_err(|what| unclear("reason", what))
}
