//! The fleet in figures, for metrics: read from the database when somebody asks, and kept for some
//! seconds, so that no number of scrapers costs more than one.
//!
//! What would surprise: who asks waits only a moment for a new look, and then gets what was read
//! before; only who comes after a long time waits for all of it. A look that took long is followed by a
//! longer pause, so that a night of a million podcasts is counted no more than now and then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Desk;
use crate::{
    machine::Status,
    store::{
        chain,
        figures::{self, Facts},
    },
    telemetry::{
        exposition::Sample,
        metrics::{self, Metric},
    },
};

/// Figures are looked up anew when they are older than this.
const KEPT: Duration = Duration::from_secs(5);

/// And when they are older than so many times what the last look took.
const SHARE: u32 = 20;

/// Figures that are older than this are shown no more.
const TOO_OLD: Duration = Duration::from_secs(120);

/// The longest wait for a new look when there are figures that will do.
const MOMENT: Duration = Duration::from_millis(50);

/// The longest wait when there are none.
const FIRST: Duration = Duration::from_secs(6);

/// Finished podcasts from which on a forecast is made.
const ENOUGH: i64 = 20;

/// Millionths of a dollar in a dollar.
const MICRO: f64 = 1e6;

/// See the module. Clones share what they know.
#[derive(Clone)]
pub struct Figures(Arc<Shared>);

struct Shared {
    desk: Arc<Desk>,
    tells_of_the_fleet: bool,
    latest: Mutex<Option<Look>>,
    looking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Look {
    samples: Arc<Vec<Sample>>,
    at: Instant,
    took: Duration,
}

impl Figures {
    /// Nothing is read before somebody asks.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self::telling(desk, true)
    }

    /// Tells of this process alone: nothing is read.
    pub fn of_this_process(desk: Arc<Desk>) -> Self {
        Self::telling(desk, false)
    }

    fn telling(desk: Arc<Desk>, tells_of_the_fleet: bool) -> Self {
        Self(Arc::new(Shared { desk, tells_of_the_fleet, latest: Mutex::new(None), looking: Arc::default() }))
    }

    /// The figures of the fleet, if it is told of, and the connections of this process.
    pub async fn read(&self) -> Vec<Sample> {
        let mut samples = if self.0.tells_of_the_fleet { self.of_the_fleet().await } else { Vec::new() };
        for (pool, open, idle, most) in self.0.desk.store.connections() {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
            for (state, number) in [("idle", idle), ("used", open - idle)] {
                samples.push(sample(&metrics::CONNECTIONS, &[pool, state], number.into()));
            }
            samples.push(sample(&metrics::CONNECTIONS_MOST, &[pool], most.into()));
        }
        samples
    }

    async fn of_the_fleet(&self) -> Vec<Sample> {
        let latest = self.0.latest();
        if let Some(look) = latest.as_ref().filter(|look| look.at.elapsed() < KEPT.max(look.took * SHARE)) {
            return look.samples.to_vec();
        }
        let begun = Arc::clone(&self.0.looking).try_lock_owned().map(|alone| {
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move {
                shared.look().await;
                drop(alone);
            })
        });
        let over = async {
            match begun {
                Ok(task) => drop(task.await),
                // It is another's look, and over when the lock is free.
                Err(_) => drop(self.0.looking.lock().await),
            }
        };
        let will_do = latest.is_some_and(|look| look.at.elapsed() < TOO_OLD);
        // Too late is no error: what was read before is shown, or that nothing could be read.
        let _ = tokio::time::timeout(if will_do { MOMENT } else { FIRST }, over).await;
        match self.0.latest().filter(|look| look.at.elapsed() < TOO_OLD) {
            Some(look) => look.samples.to_vec(),
            None => vec![sample(&metrics::FLEET_UP, &[], 0.0)],
        }
    }
}

impl Shared {
    fn latest(&self) -> Option<Look> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks once.
    async fn look(&self) {
        let began = Instant::now();
        let read = figures::read(&self.desk.store).await;
        let took = began.elapsed();
        let samples = read.map(|facts| samples(&facts, &self.desk)).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "the figures of the fleet cannot be read");
            vec![sample(&metrics::FLEET_UP, &[], 0.0)]
        });
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Look { samples: Arc::new(samples), at: Instant::now(), took });
    }
}

fn sample(metric: &'static Metric, labels: &[&'static str], value: f64) -> Sample {
    Sample { metric, labels: labels.to_vec(), value }
}

fn seconds(moment: DateTime<Utc>) -> f64 {
    moment.timestamp_millis() as f64 / 1e3
}

fn samples(facts: &Facts, desk: &Desk) -> Vec<Sample> {
    let mut samples = vec![sample(&metrics::FLEET_UP, &[], 1.0), sample(&metrics::FLEET_READ, &[], seconds(facts.now))];
    let mut add = |metric: &'static Metric, labels: &[&'static str], value: f64| {
        samples.push(sample(metric, labels, value));
    };
    if let Some(next) = desk.schedule.next(facts.now) {
        add(&metrics::NEXT_START, &[], seconds(next));
    }
    if let Some(last) = facts.last_success {
        add(&metrics::LAST_SUCCESS, &[], seconds(last));
    }
    add(&metrics::STUCK, &[], facts.stuck as f64);
    if let Some(oldest) = facts.oldest_due {
        add(&metrics::OLDEST_DUE, &[], seconds(oldest));
    }
    add(&metrics::PAUSED, &[], f64::from(u8::from(facts.is_paused)));
    for (state, number) in metrics::WORKERS.into_iter().zip([facts.alive, facts.silent]) {
        add(&metrics::FLEET_WORKERS, &[state], number as f64);
    }
    add(&metrics::OPEN_ALERTS, &[], facts.open_alerts as f64);
    add(&metrics::SINKS_FAILING, &[], facts.sinks_failing as f64);
    if let Some(budget) = desk.settings.budget_micro_usd {
        add(&metrics::NIGHT_BUDGET, &[], budget as f64 / MICRO);
    }
    for (name, state) in &facts.breakers {
        let Some(provider) = metrics::PROVIDERS.into_iter().find(|known| known == name) else { continue };
        for each in metrics::BREAKER {
            add(&metrics::BREAKERS, &[provider, each], f64::from(u8::from(each == *state)));
        }
    }
    if let Some(night) = &facts.night {
        of_the_night(night, facts.now, &mut add);
    }
    samples
}

fn of_the_night(
    night: &figures::Night,
    now: DateTime<Utc>,
    add: &mut impl FnMut(&'static Metric, &[&'static str], f64),
) {
    let (mut finished, mut unfinished) = (0, 0);
    for status in Status::ALL {
        let podcasts = night.by_status.get(status.as_str()).copied().unwrap_or_default();
        *(if status.is_final() { &mut finished } else { &mut unfinished }) += podcasts;
        add(&metrics::NIGHT_PODCASTS, &[status.as_str()], podcasts as f64);
    }
    for (state, podcasts) in metrics::QUEUE.into_iter().zip([night.due, night.waiting, night.held]) {
        add(&metrics::NIGHT_QUEUE, &[state], podcasts as f64);
    }
    let spent = night.spent_micro_usd as f64 / MICRO;
    add(&metrics::NIGHT_ELIGIBLE, &[], night.eligible.max(finished + unfinished) as f64);
    add(&metrics::NIGHT_RUNNING, &[], f64::from(u8::from(night.finished_at.is_none())));
    add(&metrics::NIGHT_STARTED, &[], seconds(night.started_at));
    add(&metrics::NIGHT_DEADLINE, &[], seconds(night.deadline_at));
    add(&metrics::NIGHT_SPENT, &[], spent);
    if finished >= ENOUGH {
        let all = night.eligible.max(finished + unfinished) as f64;
        add(&metrics::NIGHT_FORECAST, &[], spent * all / finished as f64);
    }
    let time = (now - night.started_at).as_seconds_f64().clamp(1.0, figures::LATELY_SECONDS);
    let rate = night.lately as f64 / time;
    if unfinished > 0 && rate > 0.0 {
        add(&metrics::NIGHT_ETA, &[], seconds(now) + unfinished as f64 / rate);
    }
}
