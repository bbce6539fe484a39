//! What the tests of the steps begin with.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::NaiveDate;
use dailycast::{
    machine::{FailureKind, Lease, Status},
    podcast::{Artefacts, Attempt, Call, Failure, Ledger, Podcast},
    provider::gate::{Gate, Open, Pass, Wish},
    step::call::Calls,
    workflow::Workflow,
};
use tokio::time::Instant;

/// The workflow that the program brings along.
pub fn workflow() -> Workflow {
    Workflow::builtin().unwrap_or_else(|error| panic!("{error}"))
}

/// The date of every sample.
pub fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

/// Podcast 7 of learner 42, leased, six hours before its deadline and with nothing made yet.
pub fn podcast(status: Status) -> Podcast {
    Podcast {
        lease: Lease { podcast_id: 7, token: 1 },
        id: 7,
        user_id: 42,
        date: date(),
        status,
        attempt: 0,
        moves: 0,
        deadline_at: "2026-11-22T09:00:00Z".parse().unwrap(),
        now: "2026-11-22T03:00:00Z".parse().unwrap(),
        plan: "free".to_owned(),
        made: Artefacts::default(),
    }
}

/// Texts that own themselves.
pub fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A gate that refuses whom it is told to, and remembers whom it was asked for.
#[derive(Default)]
pub struct ScriptedGate {
    refusals: Mutex<HashMap<&'static str, (FailureKind, Option<u64>)>>,
    /// Who asked, in order.
    pub asked: Mutex<Vec<String>>,
}

impl ScriptedGate {
    /// Refuses calls to `provider` with this kind, and says to come again after so many seconds.
    pub fn refuse(&self, provider: &'static str, kind: FailureKind, after: Option<u64>) {
        self.refusals.lock().unwrap().insert(provider, (kind, after));
    }

    /// Lets everybody through again.
    pub fn open(&self) {
        self.refusals.lock().unwrap().clear();
    }
}

#[async_trait]
impl Gate for ScriptedGate {
    async fn admit(&self, wish: &Wish<'_>) -> Result<Box<dyn Pass>, Failure> {
        assert_eq!(wish.night, date());
        self.asked.lock().unwrap().push(wish.provider.to_owned());
        let refusal = self.refusals.lock().unwrap().get(wish.provider).copied();
        let refusal = refusal.filter(|(kind, _)| *kind != FailureKind::BudgetReached || wish.is_paid);
        let Some((kind, after)) = refusal else { return Ok(Box::new(Open)) };
        Err(Failure { retry_after: after.map(Duration::from_secs), ..Failure::new(kind, "not now") })
    }
}

/// All that an attempt at a step takes besides its podcast.
pub struct Ground {
    /// Admits the calls.
    pub gate: ScriptedGate,
    /// Whether calls may begin.
    pub may_call: AtomicBool,
    /// How long an attempt may last, and the time until the deadline.
    pub limit: Duration,
    pub to_deadline: Duration,
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            gate: ScriptedGate::default(),
            may_call: AtomicBool::new(true),
            limit: Duration::from_secs(300),
            to_deadline: Duration::from_secs(6 * 3600),
        }
    }
}

impl Ground {
    /// Runs a step once; answers with what came of it and its calls.
    pub async fn attempt<T>(&self, podcast: &Podcast, step: impl AsyncFnOnce(Calls<'_>) -> T) -> (T, Vec<Call>) {
        let ledger = Ledger::of(podcast.id);
        let now = Instant::now();
        let attempt = Attempt {
            ledger: &ledger,
            may_call: &|| self.may_call.load(Ordering::Relaxed),
            chance: || 0.0,
            ends_at: now + self.limit,
            deadline: now + self.to_deadline,
        };
        let outcome = step(Calls { podcast, attempt: &attempt, gate: &self.gate }).await;
        (outcome, ledger.take())
    }
}
