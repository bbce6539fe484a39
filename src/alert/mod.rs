//! Alerts: what is raised, once per cause, and how it reaches an operator.
//!
//! Two rounds run in the worker that leads. The watch asks what the rules need ([`rules`]) and
//! writes what is news; alerts of providers and of the budget are written by the fleet's gate.
//! The delivery ([`deliver`]) sends what is written. Between them lies the database alone: news and
//! its deliveries are one transaction, so a crash in between loses nothing.
//!
//! What would surprise: where no worker lives nobody watches. That is for whoever watches the
//! process from outside.

pub mod deliver;
pub mod message;
pub mod rules;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    explain::{Tone, explain, most_frequent},
    provider::alert_sink::AlertSink,
    store::{
        self, Store,
        alerts::{self, Notice},
        night, pause, situation, watch,
    },
};

use rules::{Facts, Limits, NightFacts};

/// The pause between two rounds of delivery.
const DELIVER: Duration = Duration::from_secs(1);

/// The pause between two rounds of the watch, and how many times longer than the round itself it
/// is at least: the watch takes a small share of one connection's time, however large the night.
const WATCH: Duration = Duration::from_secs(10);
const LEISURE: u32 = 30;

/// Unfinished podcasts that are looked at in one round. What is stuck in a large night is found by
/// the time a whole walk is over.
const PAGE: i64 = 20_000;

/// The longest wait for a round.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is watched for and who is told.
#[derive(Clone)]
pub struct Settings {
    /// Who is told; may be nobody.
    pub sinks: Vec<Arc<dyn AlertSink>>,
    /// Which failure rates are too high.
    pub limits: Limits,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.sinks.iter().map(|sink| sink.kind()).collect();
        f.debug_struct("Settings").field("sinks", &kinds).field("limits", &self.limits).finish()
    }
}

/// Sends what is due while `leads` says so, until `ending`.
pub async fn deliver(store: Store, settings: Settings, leads: impl Fn() -> bool, ending: CancellationToken) {
    let mut is_away = false;
    while tokio::time::timeout(DELIVER, ending.cancelled()).await.is_err() {
        if leads() {
            let sent = tokio::time::timeout(PATIENCE, deliver::round(store.pool(), &settings.sinks)).await;
            complain_once(&mut is_away, sent.map(|sent| sent.map(drop)));
        }
    }
}

/// Watches while `leads` says so, until `ending`. `last_night` names the date of the newest night
/// whose deadline is past at a moment, if this worker starts nights.
pub async fn watch(
    store: Store,
    settings: Settings,
    last_night: impl Fn(DateTime<Utc>) -> Option<NaiveDate>,
    leads: impl Fn() -> bool,
    ending: CancellationToken,
) {
    let (mut eye, mut is_away, mut pause) = (Eye::default(), false, WATCH);
    while tokio::time::timeout(pause, ending.cancelled()).await.is_err() {
        if !leads() {
            (eye, pause) = (Eye::default(), WATCH);
            continue;
        }
        let began = Instant::now();
        let looked = tokio::time::timeout(PATIENCE, eye.look(&store, &settings.limits, &last_night)).await;
        complain_once(&mut is_away, looked.map(|looked| looked.map(drop)));
        pause = WATCH.max(began.elapsed() * LEISURE);
    }
}

fn complain_once(is_away: &mut bool, round: Result<Result<(), store::Error>, tokio::time::error::Elapsed>) {
    match round {
        Ok(Ok(())) => *is_away = false,
        Ok(Err(error)) if !*is_away => {
            deliver::complain(&error);
            *is_away = true;
        }
        Err(_) if !*is_away => {
            tracing::warn!(timeout_s = PATIENCE.as_secs(), "alerts: no answer from the database, trying again");
            *is_away = true;
        }
        _ => {}
    }
}

/// What the watch remembers between its rounds.
#[derive(Debug, Clone, Default)]
pub struct Eye {
    /// How far the walk over the unfinished podcasts has come.
    after: i64,
    /// The stuck ones that this walk has found so far.
    found: Vec<(NaiveDate, i64)>,
    /// Some of these.
    sample: BTreeMap<NaiveDate, Vec<i64>>,
    /// Since when every walk has found some.
    since: Option<Instant>,
}

impl Eye {
    /// One look at everything. Writes what is news and returns it.
    ///
    /// # Errors
    /// When the database does not answer. Then nothing that was found before is forgotten: the next
    /// look begins where this one did.
    pub async fn look(
        &mut self,
        store: &Store,
        limits: &Limits,
        last_night: impl Fn(DateTime<Utc>) -> Option<NaiveDate>,
    ) -> Result<Vec<Notice>, store::Error> {
        let pool = store.pool();
        let open = alerts::open(pool, &rules::KINDS).await?;
        let now = night::now(pool).await?;
        let given_up = watch::given_up(store).await?;
        let mut nights = Vec::new();
        for night in watch::nights(pool).await? {
            let failed = rules::failed(&given_up, night.date);
            let most = rules::enough(failed, limits, night.finished_at.is_some());
            let finished = if failed == 0 { 0 } else { watch::finished(store, night.date, most).await? };
            let is_late = night.finished_at.is_none() && night.deadline_at < now;
            let late = if is_late { watch::late(store, night.date).await? } else { 0 };
            nights.push(NightFacts { night, finished, late });
        }
        let left_out = match last_night(now) {
            Some(date) if watch::was_left_out(pool, date).await? => Some(date),
            _ => None,
        };
        let mut ahead = self.clone();
        let (stuck, why_stuck) = ahead.walk(store).await?;
        let facts = Facts {
            nights: Some((now, nights)),
            is_paused: pause::current(pool).await?.is_some(),
            left_out,
            given_up: Some(given_up),
            stuck,
            why_stuck,
            without_room: Some(watch::without_room(store).await?),
        };
        let notices = rules::judge(&facts, limits, &open);
        let news = if notices.is_empty() { notices } else { alerts::write(store, notices).await? };
        *self = ahead;
        shout(&news);
        Ok(news)
    }

    /// Looks through one page of the unfinished podcasts. At the end of a walk it tells the stuck
    /// ones by date, since when there are some, and why most of them are.
    async fn walk(&mut self, store: &Store) -> Result<(Option<Stuck>, BTreeMap<NaiveDate, String>), store::Error> {
        let page = watch::stuck_page(store, self.after, PAGE).await?;
        for (date, podcasts) in page.stuck {
            match self.found.iter_mut().find(|(known, _)| *known == date) {
                Some((_, sum)) => *sum += podcasts,
                None => self.found.push((date, podcasts)),
            }
        }
        for (date, ids) in page.sample {
            self.sample.entry(date).or_insert(ids);
        }
        self.after = page.next_after.unwrap_or(0);
        if page.next_after.is_some() {
            return Ok((None, BTreeMap::new()));
        }
        let (found, sample) = (std::mem::take(&mut self.found), std::mem::take(&mut self.sample));
        self.since = if found.is_empty() { None } else { Some(self.since.unwrap_or_else(Instant::now)) };
        let mut why = BTreeMap::new();
        for (date, ids) in sample {
            why.extend(why_stuck(store, &ids).await?.map(|why| (date, why)));
        }
        Ok((Some((found, self.since.map(|since| since.elapsed()).unwrap_or_default())), why))
    }
}

/// Stuck podcasts by date, and for how long some have been.
type Stuck = (Vec<(NaiveDate, i64)>, Duration);

/// Why most of these are stuck. One that is not any more says nothing.
async fn why_stuck(store: &Store, ids: &[i64]) -> Result<Option<String>, store::Error> {
    let Some(situations) = situation::facts(store.walks(), ids).await? else { return Ok(None) };
    let explained = situations.facts.values().map(|facts| explain(facts, situations.now));
    let most = most_frequent(explained.filter(|explanation| explanation.tone == Tone::Stuck));
    Ok(most.map(|explanation| explanation.sentence))
}

/// One line per alert that is news.
pub fn shout(news: &[Notice]) {
    for notice in news {
        match notice {
            Notice::Raise { kind, subject, message, .. } => {
                tracing::warn!(alert.kind = kind, alert.subject = subject, alert.message = message, "alert raised");
            }
            Notice::Resolve { kind, subject } => {
                tracing::info!(alert.kind = kind, alert.subject = subject, "alert resolved");
            }
        }
    }
}
