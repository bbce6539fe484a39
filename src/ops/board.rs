//! A night at a glance: what is ready, when the rest will be, what it costs, what went wrong.
//!
//! [`look`] asks and never waits long; [`Board::new`] makes figures of the answers and is pure.
//! [`attention`] says what wants an operator.
//!
//! What would surprise: while a date is counted for the first time there is a board without figures.

pub mod attention;
pub mod neighbours;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::Desk;
use crate::{
    explain::Pause,
    machine::Status,
    store::{
        self,
        board::{self, Cause, Frame, Makers, NightRow, Skip, Tally},
        night::{Eta, Night},
    },
    worker::fleet::{self, Provider},
    workflow::Workflow,
};

/// Figures that are older say of when they are.
const FRESH: Duration = Duration::from_secs(5);

/// Finished podcasts before which the share of failures says nothing.
pub const LEAST_FINISHED: i64 = crate::alert::rules::LEAST_FINISHED;

/// The name of the writer that fills in.
const TEMPLATE: &str = "template";

/// A date at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct Board {
    /// The date.
    pub date: NaiveDate,
    /// `none`, `enqueuing`, `running` or `finished`.
    pub state: String,
    /// `schedule`, `demo`, or who started it by hand.
    pub started_by: Option<String>,
    /// When the night started.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last podcast was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// After this its unfinished work is given up.
    pub deadline_at: Option<DateTime<Utc>>,
    /// Seconds from its start until now, or until its end.
    pub elapsed_seconds: Option<i64>,
    /// Of when the figures are, when they are older than a moment.
    pub as_of: Option<DateTime<Utc>>,
    /// The last count failed; it is tried again.
    pub has_failed: bool,
    /// The figures; null while they are being counted for the first time.
    pub figures: Option<Figures>,
    /// Everything is on hold.
    pub pause: Option<Pause>,
    /// No night starts by itself on this date.
    pub skip: Option<Skip>,
    /// Workers that are alive.
    pub workers: i64,
}

/// The figures of a date.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// What `night status` says.
    #[serde(flatten)]
    pub night: Night,
    /// Podcasts that can be heard.
    pub ready: i64,
    /// Podcasts in final statuses.
    pub finished: i64,
    /// Podcasts that still have work.
    pub left: i64,
    /// When it will be done, from the best to the worst of two rates.
    pub expected: Option<Eta>,
    /// When the first of those left is tried, where all of them wait for a time to come.
    pub waits_until: Option<DateTime<Utc>>,
    /// When the first of the stuck ones last changed.
    pub stuck_since: Option<DateTime<Utc>>,
    /// What it costs.
    pub money: Money,
    /// Failed among finished podcasts.
    pub failed: Failed,
    /// Why podcasts failed, the most frequent cause first.
    pub causes: Vec<Cause>,
    /// Podcasts that others made than was wished for.
    pub fallback: Fallback,
    /// What was ready at which time.
    pub burn_up: Vec<Point>,
}

/// What a night costs, in micro-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Money {
    /// So far.
    pub spent: i64,
    /// At its end, if the rest costs as much as what is finished; null when that is not known or it
    /// is over.
    pub forecast: Option<i64>,
    /// What it may cost; null: no limit.
    pub budget: Option<i64>,
    /// The budget is used: no paid call begins.
    pub is_used: bool,
    /// The budget will be used before the end.
    pub will_be_used: bool,
    /// What a finished podcast costs on average.
    pub per_podcast: Option<i64>,
}

/// Failed among finished podcasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Failed {
    /// Podcasts.
    pub podcasts: i64,
    /// Their share, 0 to 1; null before anything is finished.
    pub share: Option<f64>,
    /// The share above which an alert is raised, for the state the night is in.
    pub limit: f64,
    /// It is above.
    pub is_too_high: bool,
    /// Too few are finished for an alert.
    pub is_early: bool,
}

/// Podcasts that others made than was wished for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fallback {
    /// Podcasts.
    pub podcasts: i64,
    /// Their share of those that can be heard, 0 to 1.
    pub share: Option<f64>,
    /// By who filled in, the most frequent first; one that two filled in for counts for both.
    pub by: Vec<FilledIn>,
}

/// Who filled in for somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilledIn {
    /// `template`, or a provider.
    pub name: String,
    /// For podcasts.
    pub podcasts: i64,
    /// The filter words of the list of them.
    pub filter: String,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// When.
    pub at: DateTime<Utc>,
    /// Podcasts that could be heard by then.
    pub ready: i64,
    /// Podcasts that had failed by then.
    pub failed: i64,
}

/// What a date is looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'d> {
    /// Who is asked first.
    pub workflow: &'d Workflow,
    /// What a night may cost, in micro-dollars.
    pub budget: Option<i64>,
    /// Share of failed podcasts that raises an alert while a night runs.
    pub failure_rate_running: f64,
    /// The same at its end.
    pub failure_rate_night: f64,
}

impl<'d> Rules<'d> {
    /// Those of a desk.
    pub fn of(desk: &'d Desk) -> Self {
        Self {
            workflow: &desk.workflow,
            budget: desk.settings.budget_micro_usd,
            failure_rate_running: desk.settings.failure_rate_running,
            failure_rate_night: desk.settings.failure_rate_night,
        }
    }
}

/// Looks at a date; waits for its figures at most for `patience`. `called` names the providers that
/// were ever called: who never was is not set up, and nobody fills in for him.
///
/// # Errors
/// When the database cannot tell.
pub async fn look(
    desk: &Desk,
    date: NaiveDate,
    called: &BTreeSet<String>,
    patience: Duration,
) -> Result<Board, store::Error> {
    let mut frame = board::frame(desk.store.desk(), date).await?;
    let kept = frame.night.as_mut().and_then(|night| night.summary.take());
    let (tally, age, has_failed) = match kept {
        Some(summary) => (Some(Arc::new(summary.tally)), Duration::ZERO, false),
        None => {
            let look = count(desk, date, patience).await;
            (look.value, look.age, look.has_failed)
        }
    };
    Ok(Board { has_failed, ..Board::new(date, &frame, tally.as_deref(), age, called, Rules::of(desk)) })
}

/// What is known of a date that is not over.
pub async fn count(desk: &Desk, date: NaiveDate, patience: Duration) -> super::snapshot::Look<Tally> {
    let store = desk.store.clone();
    desk.boards.look(date, patience, async move || board::tally(store.desk(), date).await).await
}

/// Every provider with its breaker.
///
/// # Errors
/// When the database cannot tell.
pub async fn providers(desk: &Desk) -> Result<Vec<Provider>, store::Error> {
    fleet::list(&desk.store, &desk.limits).await
}

/// The providers that were ever called.
pub fn called(providers: &[Provider]) -> BTreeSet<String> {
    providers.iter().filter(|provider| provider.calls > 0).map(|provider| provider.provider.clone()).collect()
}

impl Board {
    /// Makes figures of what was found.
    pub fn new(
        date: NaiveDate,
        frame: &Frame,
        tally: Option<&Tally>,
        age: Duration,
        called: &BTreeSet<String>,
        rules: Rules<'_>,
    ) -> Self {
        let row = frame.night.as_ref();
        let night = tally.map(|tally| Night::of(date, row, tally));
        let started_at = row.map(|row| row.started_at).or(night.as_ref().and_then(|night| night.started_at));
        let finished_at = night.as_ref().and_then(|night| night.finished_at);
        let finished_at = row.and_then(|row| row.finished_at).or(finished_at);
        let end = finished_at.unwrap_or(frame.now);
        let figures = tally.zip(night);
        Self {
            date,
            state: row.map_or("none", |row| row.state.as_str()).to_owned(),
            started_by: row.map(|row| row.started_by.clone()),
            started_at,
            finished_at,
            deadline_at: row.map(|row| row.deadline_at),
            elapsed_seconds: started_at.map(|start| (end - start).num_seconds().max(0)),
            as_of: tally.filter(|_| age > FRESH).map(|tally| tally.counted_at),
            has_failed: false,
            figures: figures.map(|(tally, night)| Figures::new(tally, night, row, frame, called, rules)),
            pause: frame.pause.clone(),
            skip: frame.skip.clone(),
            workers: frame.workers,
        }
    }
}

impl Figures {
    fn new(
        tally: &Tally,
        mut night: Night,
        row: Option<&NightRow>,
        frame: &Frame,
        called: &BTreeSet<String>,
        rules: Rules<'_>,
    ) -> Self {
        let (finished, left) = (night.finished(), night.unfinished());
        let failed = night.with_status(Status::Failed);
        let is_over = row.is_some_and(|row| row.state == "finished") || left == 0;
        // Calls are counted as they end, a podcast's cost when it moves; neither is ever too much.
        night.cost_micro_usd = night.cost_micro_usd.max(frame.spent_micro_usd.unwrap_or(0));
        Self {
            ready: finished - failed,
            finished,
            left,
            expected: night.expected(tally),
            waits_until: night.waits_until(tally).filter(|at| *at > frame.now),
            stuck_since: tally.stuck_since,
            money: money(night.cost_micro_usd, tally, (finished, night.enqueued), is_over, rules.budget),
            failed: failures(failed, finished, is_over, rules),
            causes: tally.failures.clone(),
            fallback: fallback(&tally.makers, rules.workflow, called),
            burn_up: burn_up(tally, night.started_at),
            night,
        }
    }
}

/// What a night costs: what was spent, and what is left if the rest costs as much as what is
/// finished.
fn money(spent: i64, tally: &Tally, (finished, all): (i64, i64), is_over: bool, budget: Option<i64>) -> Money {
    let per_podcast = (finished > 0).then(|| super::costs::share(tally.finished_cost_micro_usd, finished));
    let whole = || i128::from(tally.finished_cost_micro_usd) * i128::from(all) / i128::from(finished.max(1));
    let forecast = (!is_over && finished > 0).then(|| i64::try_from(whole()).unwrap_or(i64::MAX).max(spent));
    let is_used = budget.is_some_and(|budget| spent >= budget);
    let will_be_used = !is_used && forecast.zip(budget).is_some_and(|(forecast, budget)| forecast > budget);
    Money { spent, forecast, budget, is_used, will_be_used, per_podcast }
}

fn failures(podcasts: i64, finished: i64, is_over: bool, rules: Rules<'_>) -> Failed {
    let share = (finished > 0).then(|| podcasts as f64 / finished as f64);
    let limit = if is_over { rules.failure_rate_night } else { rules.failure_rate_running };
    let is_early = !is_over && finished < LEAST_FINISHED;
    Failed { podcasts, share, limit, is_too_high: !is_early && share.is_some_and(|share| share > limit), is_early }
}

/// Who made podcasts that were to be made by somebody else: by the first of the plan's chain that
/// is set up.
fn fallback(makers: &[Makers], workflow: &Workflow, called: &BTreeSet<String>) -> Fallback {
    let (mut podcasts, mut ready) = (0, 0);
    let mut by: BTreeMap<(String, String), i64> = BTreeMap::new();
    for one in makers {
        let plan = workflow.plan(&one.plan);
        let first = |chain: &[String]| chain.iter().find(|name| called.contains(*name)).cloned();
        let is_listed = |name: &&String| *name == &one.model || workflow.lists_model(name, &one.model);
        let writer = plan.script.iter().find(is_listed).filter(|_| !one.model.is_empty());
        let wrote =
            writer.filter(|writer| *writer == TEMPLATE || first(&plan.script).is_some_and(|first| first != **writer));
        let spoke = (!one.speaker.is_empty() && first(&plan.speech).is_some_and(|first| first != one.speaker))
            .then_some(&one.speaker);
        if let Some(writer) = wrote {
            let filter = match writer.as_str() {
                TEMPLATE => format!("status={}", Status::CompletedWithFallback),
                _ => format!("provider={}", one.model),
            };
            *by.entry((writer.clone(), filter)).or_default() += one.count;
        }
        if let Some(speaker) = spoke {
            *by.entry((speaker.clone(), format!("provider={speaker}"))).or_default() += one.count;
        }
        podcasts += if wrote.is_some() || spoke.is_some() { one.count } else { 0 };
        ready += one.count;
    }
    let by = by.into_iter().map(|((name, filter), podcasts)| FilledIn { name, podcasts, filter });
    let mut by: Vec<_> = by.collect();
    by.sort_by_key(|one| std::cmp::Reverse(one.podcasts));
    Fallback { podcasts, share: (ready > 0).then(|| podcasts as f64 / ready as f64), by }
}

/// Podcasts that others made than was wished for, of a night that is over.
pub fn fallback_of(tally: &Tally, desk: &Desk, called: &BTreeSet<String>) -> Fallback {
    fallback(&tally.makers, &desk.workflow, called)
}

/// The curve: from nought at the start, with a point at the end of every slot in which something
/// was finished, and one before a slot that follows a rest. Never later than the count itself.
fn burn_up(tally: &Tally, started_at: Option<DateTime<Utc>>) -> Vec<Point> {
    let Some(from) = tally.curve_from.or(started_at) else { return Vec::new() };
    let end = |at: i32| {
        let end = from + chrono::Duration::seconds(i64::from(at + 1).saturating_mul(tally.slot_seconds));
        end.min(tally.counted_at.max(from))
    };
    let mut last = Point { at: from, ready: 0, failed: 0 };
    let mut points = vec![last];
    for slot in &tally.slots {
        let rested = end(slot.at - 1);
        if rested > last.at {
            points.push(Point { at: rested, ..last });
        }
        last = Point { at: end(slot.at), ready: last.ready + slot.ready, failed: last.failed + slot.failed };
        points.push(last);
    }
    points
}
