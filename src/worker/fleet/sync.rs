//! Tells the fleet what the calls of this process showed, and learns what the others know.
//!
//! What cannot be told now is kept and told later. A telling whose answer was lost is told twice: the
//! calls of that round, their failures in a row and their costs then count twice. A breaker may open
//! early for it, and a budget be reached early; neither is ever late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    desk::{Desk, News},
    row,
};
use crate::{
    alert::shout,
    provider::breaker::Change,
    store::{
        self,
        alerts::{self, Notice},
        chain,
        providers::{self, State},
    },
};

/// The time between two rounds, and between two that were urgent.
const ROUND: Duration = Duration::from_secs(1);
const URGENT: Duration = Duration::from_millis(100);

/// After so long every worker that reaches the database knows what was done to a provider.
pub const KNOWN_WITHIN: Duration = Duration::from_secs(2 * ROUND.as_secs());

/// The longest a round may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one more call weighs in the average latency, so that it speaks of about the last twenty.
const FRESH: f64 = 0.05;

/// Shares until it is told to end; the last round tells what is left.
pub(super) async fn run(shared: Arc<Shared>, ending: CancellationToken) {
    let mut is_away = false;
    loop {
        let next = Instant::now() + ROUND;
        match tokio::time::timeout(PATIENCE, once(&shared)).await {
            Ok(Ok(())) if is_away => {
                is_away = false;
                tracing::info!("the state of the providers is shared with the fleet again");
            }
            Ok(Ok(())) => {}
            Ok(Err(error)) => away(&mut is_away, &chain(&error)),
            Err(_) => away(&mut is_away, "no answer"),
        }
        if ending.is_cancelled() {
            return;
        }
        let urgent = async {
            shared.urgent.notified().await;
            tokio::time::sleep(URGENT).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = urgent => {}
            () = ending.cancelled() => {}
        }
    }
}

/// Told once per outage; until it is over the last known state holds.
fn away(is_away: &mut bool, error: &str) {
    if !*is_away {
        tracing::warn!(error, "the state of the providers cannot be shared, what was known last holds");
    }
    *is_away = true;
}

/// One round.
pub(super) async fn once(shared: &Arc<Shared>) -> Result<(), store::Error> {
    let mut failed = None;
    for desk in shared.desks.values() {
        if let Err(error) = tell(shared, desk).await {
            // One row may be locked; the others are told.
            if matches!(error, store::Error::Database { statement: "connect", .. }) {
                return Err(error);
            }
            failed.get_or_insert(error);
        }
    }
    let nights: Vec<_> = shared.budget.unsaid().iter().map(|said| said.night).collect();
    let numbers: BTreeMap<&str, u64> = shared.desks.iter().map(|(name, desk)| (name.as_str(), desk.ask())).collect();
    let fleet = providers::read(&shared.store, &nights).await?;
    shared.set_clock(fleet.now);
    for desk in shared.desks.values() {
        desk.share_among(u32::try_from(fleet.workers).unwrap_or(u32::MAX));
    }
    for state in &fleet.states {
        let name = state.provider.as_str();
        if let Some((desk, number)) = shared.desks.get(name).zip(numbers.get(name)) {
            desk.learn(*number, state, fleet.now);
        }
    }
    for (night, spent) in fleet.spent {
        shared.budget.learn(night, spent);
    }
    shared.learned.notify_waiters();
    spend(shared).await?;
    failed.map_or(Ok(()), Err)
}

/// Tells what the calls of this process have cost, and whom the budget stopped.
async fn spend(shared: &Arc<Shared>) -> Result<(), store::Error> {
    let mut first = Vec::new();
    for said in shared.budget.unsaid() {
        if said.is_first {
            // What it has cost before goes first: who finds a row takes it for the whole.
            first.push(said.night);
            continue;
        }
        if said.spent > 0 {
            providers::spend(&shared.store, said.night, said.spent).await?;
            shared.budget.said(&said);
        }
        if let Some(limit) = shared.budget.limit().filter(|_| said.refused > 0) {
            let notice = row::budget(said.night, limit, said.refused);
            shout(&alerts::write(&shared.store, vec![notice]).await?);
            shared.budget.alerted(&said);
        }
    }
    if first.is_empty() {
        return Ok(());
    }
    if let Ok(alone) = Arc::clone(&shared.meeting).try_lock_owned() {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let _alone = alone;
            for night in first {
                if let Err(error) = meet(&shared, night).await {
                    tracing::warn!(error = chain(&error), "it is not known what the night of {night} has cost");
                }
            }
        });
    }
    Ok(())
}

/// Meets a night, off the path of the round: the sum over a night may be slow. Bounded by its
/// statement.
async fn meet(shared: &Shared, night: NaiveDate) -> Result<(), store::Error> {
    let spent = providers::meet(&shared.store, night).await?;
    let is_within = shared.budget.met(night, spent);
    shared.learned.notify_waiters();
    if is_within {
        shout(&alerts::write(&shared.store, vec![row::within_budget(night)]).await?);
    }
    Ok(())
}

/// Tells the news of one provider, if there are any.
async fn tell(shared: &Shared, desk: &Desk) -> Result<(), store::Error> {
    let news = Unsaid { desk, news: Some(desk.take_news()) };
    let Some(told) = news.news.as_ref().filter(|news| !news.is_empty()) else { return Ok(()) };
    let mut moves = Vec::new();
    let number = desk.ask();
    let changed = providers::change(&shared.store, &desk.name, |state, now| {
        apply(desk, told, state, &shared.name, now, &mut moves)
    })
    .await?;
    news.said();
    for (change, message) in moves {
        log(&changed.state, change, &message);
    }
    shout(&changed.news);
    desk.learn(number, &changed.state, changed.now);
    Ok(())
}

/// News on their way. Dropped before they are said, they are put back.
struct Unsaid<'d> {
    desk: &'d Desk,
    news: Option<News>,
}

impl Unsaid<'_> {
    fn said(mut self) {
        self.news = None;
    }
}

impl Drop for Unsaid<'_> {
    fn drop(&mut self) {
        if let Some(news) = self.news.take().filter(|news| !news.is_empty()) {
            self.desk.put_back(news);
        }
    }
}

/// Applies news to the row that is locked.
fn apply(
    desk: &Desk,
    news: &News,
    state: &mut State,
    who: &str,
    now: DateTime<Utc>,
    moves: &mut Vec<(Change, String)>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut breaker = row::breaker(state);
    for seen in &news.seen {
        let change = breaker.note(&seen.sighting(now), &desk.limits.breaker);
        row::keep(&breaker, state);
        if let Some(change) = change {
            notices.extend(row::record(state, change, &seen.message, who, now));
            moves.push((change, seen.message.clone()));
        }
    }
    notices.extend(news.retired.iter().map(|(model, times)| row::retired(&desk.name, model, *times)));
    if news.calls > 0 {
        let mean = news.latency_ms as f64 / f64::from(news.calls);
        let old = (1.0 - FRESH).powf(f64::from(news.calls));
        state.latency_ms = Some(state.latency_ms.map_or(mean, |average| average * old + mean * (1.0 - old)));
        state.calls += i64::from(news.calls);
        state.failures += i64::from(news.failures);
        state.last_call_at = state.last_call_at.max(news.last.map(|last| now - last.elapsed()));
    }
    notices
}

fn log(state: &State, change: Change, message: &str) {
    match change {
        Change::Opened(cause) => tracing::warn!(
            provider = state.provider,
            breaker.cause = cause.as_str(),
            breaker.until = state.open_until.map(|until| until.to_rfc3339()),
            error = message,
            "breaker opened"
        ),
        Change::Closed => tracing::info!(provider = state.provider, "breaker closed"),
    }
}
