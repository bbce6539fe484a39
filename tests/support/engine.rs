//! A night on a database of its own, with steps that do what a test tells them.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use dailycast::{
    machine::{Event, RetryPolicy, Status},
    podcast::{Artefacts, Attempt, Bill, ChunkPlan, Intent, Ledger, Outcome, Podcast},
    store::{self, Address, Store, night},
    worker::{self, Settings, Work, shutdown::Shutdown},
};
use sqlx::PgPool;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{checker, database::TestDatabase, until};

/// A database with `learners` learners in its academy and no podcast yet.
pub struct TestNight {
    pub store: Store,
    pub deadline_at: DateTime<Utc>,
    database: TestDatabase,
}

impl TestNight {
    pub async fn new() -> Self {
        let database = TestDatabase::migrated_by("engine", async |pool| {
            store::migrate(pool).await.unwrap();
            sqlx::raw_sql(
                "create schema academy;
                 create table academy.learner (user_id bigint primary key, plan text, is_active boolean, last_seen_at timestamptz)",
            )
            .execute(pool)
            .await
            .map(|_| ())
        })
        .await;
        let store = Store::new(&Address {
            url: database.url.clone(),
            academy_schema: "academy".to_owned(),
            max_connections: 8,
        })
        .unwrap();
        let deadline_at = night::now(store.pool()).await.unwrap() + chrono::Duration::hours(6);
        Self { store, deadline_at, database }
    }

    pub fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    pub fn url(&self) -> &str {
        &self.database.url
    }

    /// Adds the learners `1..=learners`, active and seen now.
    pub async fn with_learners(self, learners: i64) -> Self {
        self.execute(&format!(
            "insert into academy.learner select n, 'free', true, now() from generate_series(1, {learners}) n"
        ))
        .await;
        self
    }

    /// Enqueues a podcast for each of the learners `1..=learners`, today.
    pub async fn enqueued(self, learners: i64) -> Self {
        let this = self.with_learners(learners).await;
        let ids: Vec<i64> = (1..=learners).collect();
        let date = this.deadline_at.date_naive();
        let made = night::enqueue_learners(this.pool(), date, this.deadline_at, &ids).await.unwrap();
        assert_eq!(made, learners);
        this
    }

    /// Enqueues podcasts for more learners, today.
    pub async fn with_more_learners(self, first: i64, last: i64) -> Self {
        self.execute(&format!(
            "insert into academy.learner select n, 'free', true, now() from generate_series({first}, {last}) n"
        ))
        .await;
        let ids: Vec<i64> = (first..=last).collect();
        let date = self.deadline_at.date_naive();
        night::enqueue_learners(self.pool(), date, self.deadline_at, &ids).await.unwrap();
        self
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(self.pool()).await.unwrap().rows_affected()
    }

    pub async fn count(&self, condition: &str) -> i64 {
        let query = format!("select count(*) from dailycast.daily_podcast where {condition}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(self.pool()).await.unwrap()
    }

    /// Waits until no podcast is unfinished.
    pub async fn done(&self) {
        self.until("every podcast is finished", async || self.count("finished_at is null").await == 0).await;
    }

    pub async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        until(what, holds).await;
    }

    /// Waits until a statement waits for a lock.
    pub async fn until_waiting(&self, statement: &str) {
        let waiting = "select exists (select from pg_stat_activity where datname = current_database()
                       and wait_event_type = 'Lock' and query like '%/* ' || $1 || ' */%')";
        let waits = async || sqlx::query_scalar(waiting).bind(statement).fetch_one(self.pool()).await.unwrap();
        self.until("the statement waits for a lock", waits).await;
    }

    /// Starts a worker.
    pub fn worker<W: Work>(&self, work: &Arc<W>) -> TestWorker {
        self.worker_with(work, |_| {})
    }

    pub fn worker_with<W: Work>(&self, work: &Arc<W>, change: impl FnOnce(&mut Settings)) -> TestWorker {
        let mut settings = settings();
        change(&mut settings);
        let shutdown = Shutdown::new();
        let running = tokio::spawn(worker::run(self.store.clone(), settings, Arc::clone(work), shutdown.clone()));
        TestWorker { shutdown, running }
    }

    pub async fn assert_all_is_well(&self) {
        checker::assert_all_is_well(self.pool()).await;
    }
}

pub fn settings() -> Settings {
    Settings {
        name: "test".to_owned(),
        concurrency: 16,
        lease: Duration::from_secs(2),
        grace: Duration::from_secs(5),
        poll: Duration::from_millis(100),
        crash_limit: 3,
        schedule: None,
        retention_days: 30,
        alerts: None,
    }
}

/// A running worker.
pub struct TestWorker {
    pub shutdown: Shutdown,
    pub running: JoinHandle<Result<(), worker::Error>>,
}

impl TestWorker {
    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        self.shutdown.ask();
        self.running.await.unwrap().unwrap();
    }
}

type Step = Box<dyn Fn(&Podcast) -> Option<Outcome> + Send + Sync>;
type Gate = Box<dyn Fn(&Podcast) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Steps that succeed at once, except where a test says otherwise; every execution is counted.
pub struct Scripted {
    step: Step,
    gate: Gate,
    pub policy: RetryPolicy,
    pub limit: Duration,
    pub executions: Mutex<HashMap<(i64, Status), usize>>,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
}

impl Scripted {
    pub fn well() -> Self {
        Self {
            step: Box::new(|_| None),
            gate: Box::new(|_| Box::pin(std::future::ready(()))),
            policy: RetryPolicy {
                max_attempts: 3,
                first_delay: Duration::from_millis(10),
                factor: 1.0,
                max_delay: Duration::from_millis(10),
                jitter: 0.0,
            },
            limit: Duration::from_secs(30),
            executions: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    /// Where `step` answers, its answer counts; elsewhere the step succeeds.
    pub fn stepping(mut self, step: impl Fn(&Podcast) -> Option<Outcome> + Send + Sync + 'static) -> Self {
        self.step = Box::new(step);
        self
    }

    /// Every step waits for this first.
    pub fn waiting<F: Future<Output = ()> + Send + 'static>(
        mut self,
        gate: impl Fn(&Podcast) -> F + Send + Sync + 'static,
    ) -> Self {
        self.gate = Box::new(move |podcast| Box::pin(gate(podcast)));
        self
    }

    /// Every step waits for a permit of the gate first; the gate is closed.
    pub fn gated() -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let wait = Arc::clone(&gate);
        let work = Self::well().waiting(move |_| {
            let wait = Arc::clone(&wait);
            async move { wait.acquire().await.unwrap().forget() }
        });
        (work, gate)
    }

    pub fn total(&self) -> usize {
        self.executions.lock().unwrap().values().sum()
    }

    /// Steps that were executed more than once for the same podcast.
    pub fn repeated(&self) -> Vec<(i64, Status)> {
        let executions = self.executions.lock().unwrap();
        executions.iter().filter(|(_, times)| **times > 1).map(|(key, _)| *key).collect()
    }
}

/// What a step that succeeds makes of a podcast.
pub fn success(podcast: &Podcast) -> Outcome {
    let text = |text: &str| Some(text.to_owned());
    let (event, made) = match podcast.status {
        Status::Pending => (
            Event::ScriptReady,
            Artefacts { script_text: text("Hello."), is_fallback: Some(true), ..Artefacts::default() },
        ),
        Status::ScriptGenerated => (
            Event::SpeechStarted,
            Artefacts {
                tts_provider: text("local"),
                chunk_plan: Some(ChunkPlan {
                    ends: vec![6],
                    round: 1,
                    losses: podcast.made.chunk_plan.as_ref().map_or(0, |plan| plan.losses),
                    ..ChunkPlan::default()
                }),
                ..Artefacts::default()
            },
        ),
        Status::AudioGenerating => (
            Event::AudioReady,
            Artefacts { spool_ref: text("spooled"), duration_seconds: Some(240), ..Artefacts::default() },
        ),
        _ => (
            Event::Uploaded(podcast.script()),
            Artefacts { audio_url: text("s3://bucket/key"), object_key: text("key"), ..Artefacts::default() },
        ),
    };
    Outcome::done(event, made)
}

/// Writes one call down that costs a micro-dollar.
pub fn one_call(ledger: &Ledger) {
    let units = serde_json::json!({"characters": 6});
    let intent = Intent { provider: "test", model: "test", operation: "script", units: &units, number: 1 };
    ledger.begin(&intent).ended(Ok(()), Bill { cost_micro_usd: 1, ..Bill::default() });
}

impl Work for Scripted {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        struct Leaving<'a>(&'a AtomicUsize);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        *self.executions.lock().unwrap().entry((podcast.id, podcast.status)).or_default() += 1;
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let _leaving = Leaving(&self.in_flight);
        (self.gate)(podcast).await;
        (self.step)(podcast).unwrap_or_else(|| {
            one_call(attempt.ledger);
            success(podcast)
        })
    }

    fn retry_policy(&self, _: Status) -> RetryPolicy {
        self.policy
    }

    fn time_limit(&self, _: Status) -> Duration {
        self.limit
    }

    async fn clean_up(&self, _: i64) {}
}
