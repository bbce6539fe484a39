//! Calls: who admits them, how often they are tried in place, and that each has its line in the
//! ledger, whatever becomes of its step.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dailycast::{
    machine::{FailureKind, RetryPolicy, Status},
    podcast::{Attempt, Bill, Call, Failure, Intent, Outcome, Podcast},
    provider::gate::{Gate, Pass, Wish},
    step::call::{Answered, Calls, IN_PLACE, LONGEST_CALL, Missed, Wanted},
    worker::Work,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::samples::{self, Ground};
use crate::support::engine::{TestNight, success};

/// Makes a call whose tries end as `answers` say, the last one again and again. Answers with what
/// came of it, its ledger, the tries and the seconds that it took.
async fn call(ground: &Ground, answers: &[Result<u32, Failure>]) -> (Result<u32, Missed>, Vec<Call>, usize, f64) {
    let (tries, begun) = (AtomicUsize::new(0), Instant::now());
    let step = async |calls: Calls<'_>| {
        let ask = || async {
            let number = tries.fetch_add(1, Ordering::Relaxed);
            let result = answers.get(number).or(answers.last()).unwrap().clone();
            Answered { result, bill: Bill { cost_micro_usd: 3, ..Bill::default() } }
        };
        calls.make(&wanted(&json!({"characters": 0})), ask).await
    };
    let (result, calls) = ground.attempt(&samples::podcast(Status::Pending), step).await;
    (result, calls, tries.load(Ordering::Relaxed), begun.elapsed().as_secs_f64())
}

fn wanted(units: &Value) -> Wanted<'_> {
    let (provider, model) = ("polly", "neural");
    Wanted { provider, model, operation: "speech", units, is_gated: true, is_budgeted: true, is_still_wanted: &|| true }
}

fn failure(kind: FailureKind, after: Option<f64>) -> Failure {
    Failure { retry_after: after.map(Duration::from_secs_f64), ..Failure::new(kind, "no") }
}

#[tokio::test(start_paused = true)]
async fn what_passes_soon_is_tried_twice_more_with_growing_waits() {
    let down = Err(failure(FailureKind::Unavailable, None));
    let (result, calls, tries, seconds) = call(&Ground::default(), &[down.clone(), down.clone(), Ok(7)]).await;
    assert!(matches!(result, Ok(7)), "{result:?}");
    assert_eq!(tries, 3);
    assert!((1.5..1.51).contains(&seconds), "half a second and a whole one, not {seconds}");
    assert_eq!(calls.iter().map(|call| call.outcome).collect::<Vec<_>>(), ["unavailable", "unavailable", "ok"]);
    assert!(calls.iter().all(|call| call.cost_micro_usd == 3), "what failed may be billed: {calls:?}");

    let (result, calls, tries, _) = call(&Ground::default(), &[down]).await;
    assert!(matches!(result, Err(Missed::Failed(failure)) if failure.provider.as_deref() == Some("polly")));
    assert_eq!((tries, calls.len()), (IN_PLACE.max_attempts as usize, 3));
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_was_asked_for_is_kept_when_it_is_short() {
    for (asked, tries_made, took) in [(0.1, 2, 0.5), (3.0, 2, 3.0), (8.0, 2, 8.0), (8.1, 1, 0.0), (3600.0, 1, 0.0)] {
        let busy = Err(failure(FailureKind::RateLimited, Some(asked)));
        let (result, _, tries, seconds) = call(&Ground::default(), &[busy, Ok(1)]).await;
        assert_eq!((result.is_ok(), tries), (tries_made == 2, tries_made), "asked to wait {asked} s");
        assert!((seconds - took).abs() < 0.01, "asked to wait {asked} s, waited {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_billed_or_would_not_help_is_tried_once() {
    let tried_again = [FailureKind::Unavailable, FailureKind::RateLimited];
    for kind in FailureKind::ALL.into_iter().filter(|kind| !tried_again.contains(kind)) {
        let (result, calls, tries, _) = call(&Ground::default(), &[Err(failure(kind, None)), Ok(1)]).await;
        assert!(matches!(result, Err(Missed::Failed(failure)) if failure.kind == kind));
        assert_eq!((tries, calls[0].outcome), (1, kind.as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_without_time_for_it() {
    let answers = [Err(failure(FailureKind::Unavailable, None)), Ok(1)];
    let ground = |limit| Ground { limit, ..Ground::default() };
    let enough = LONGEST_CALL + IN_PLACE.first_delay;
    assert_eq!(call(&ground(enough), &answers).await.2, 2);
    assert_eq!(call(&ground(enough - Duration::from_millis(1)), &answers).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_gate_refuses_is_no_call() {
    let ground = Ground::default();
    ground.gate.refuse("polly", FailureKind::OwnLimit, Some(5));
    let (result, calls, tries, _) = call(&ground, &[Ok(1)]).await;
    let Err(Missed::Refused(refusal)) = result else { panic!("{result:?}") };
    assert_eq!((refusal.kind, refusal.retry_after), (FailureKind::OwnLimit, Some(Duration::from_secs(5))));
    assert_eq!((refusal.provider.as_deref(), calls.len(), tries), (Some("polly"), 0, 0));
}

/// The outcome of a call's line, and the kind of its failure.
type Ended = (String, Option<FailureKind>);

/// A gate that writes down what it is told.
#[derive(Default)]
struct Watching {
    told: Arc<Mutex<Vec<Ended>>>,
}

#[async_trait]
impl Gate for Watching {
    async fn admit(&self, _: &Wish<'_>) -> Result<Box<dyn Pass>, Failure> {
        Ok(Box::new(Watching { told: Arc::clone(&self.told) }))
    }
}

impl Pass for Watching {
    fn ended(self: Box<Self>, result: Result<(), &Failure>, call: &Call) {
        self.told.lock().unwrap().push((call.outcome.to_owned(), result.err().map(|failure| failure.kind)));
    }
}

/// A gate that makes the lease uncertain while one waits before it.
struct Slow<'g>(&'g Ground);

#[async_trait]
impl Gate for Slow<'_> {
    async fn admit(&self, _: &Wish<'_>) -> Result<Box<dyn Pass>, Failure> {
        self.0.may_call.store(false, Ordering::Relaxed);
        Ok(Box::new(Watching::default()))
    }
}

#[tokio::test(start_paused = true)]
async fn whether_calls_may_begin_is_asked_behind_the_gate() {
    let ground = Ground::default();
    let step = async |calls: Calls<'_>| {
        let calls = Calls { gate: &Slow(&ground), ..calls };
        calls.make(&wanted(&json!({})), || async { Answered { result: Ok(()), bill: Bill::default() } }).await
    };
    let (result, calls) = ground.attempt(&samples::podcast(Status::Pending), step).await;
    assert!(matches!(result, Err(Missed::Barred)) && calls.is_empty(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn the_gate_learns_how_every_try_ended() {
    let (ground, gate) = (Ground::default(), Watching::default());
    let tries = AtomicUsize::new(0);
    let step = async |calls: Calls<'_>| {
        let ask = || async {
            let is_first = tries.fetch_add(1, Ordering::Relaxed) == 0;
            let result = if is_first { Err(failure(FailureKind::Unavailable, None)) } else { Ok(()) };
            Answered { result, bill: Bill::default() }
        };
        Calls { gate: &gate, ..calls }.make(&wanted(&json!({})), ask).await
    };
    ground.attempt(&samples::podcast(Status::Pending), step).await.0.unwrap();
    let told = gate.told.lock().unwrap().clone();
    assert_eq!(told, [("unavailable".to_owned(), Some(FailureKind::Unavailable)), ("ok".to_owned(), None)]);
}

/// Steps whose first attempt begins a call and never ends it.
struct Broken {
    panics: bool,
}

impl Work for Broken {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        if podcast.status != Status::Pending || podcast.attempt > 0 {
            return success(podcast);
        }
        let units = json!({"input_tokens": 0});
        let intent = |provider| Intent { provider, model: "m", operation: "script", units: &units, number: 1 };
        let bill = Bill { units: Some(json!({"input_tokens": 9})), cost_micro_usd: 2, ..Bill::default() };
        attempt.ledger.begin(&intent("openai")).ended(Err(&failure(FailureKind::BadAnswer, None)), bill);
        let _under_way = attempt.ledger.begin(&intent("gemini"));
        assert!(!self.panics, "a panic that the test wants");
        std::future::pending().await
    }

    fn retry_policy(&self, _: Status) -> RetryPolicy {
        RetryPolicy { first_delay: Duration::from_millis(5), ..IN_PLACE }
    }

    fn time_limit(&self, _: Status) -> Duration {
        Duration::from_millis(if self.panics { 60_000 } else { 50 })
    }

    async fn clean_up(&self, _: i64) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_step_that_was_broken_off_are_in_the_ledger() {
    for (panics, outcome) in [(false, "timeout"), (true, "internal")] {
        let night = TestNight::new().await.enqueued(1).await;
        let worker = night.worker(&Arc::new(Broken { panics }));
        night.done().await;
        worker.stop().await;
        night.assert_all_is_well().await;
        let lines: Vec<(String, String, Value, i64)> =
            sqlx::query_as("select provider, outcome, units, cost_micro_usd from dailycast.provider_call order by id")
                .fetch_all(night.pool())
                .await
                .unwrap();
        let line = |provider: &str, outcome: &str, tokens: u32, cost| {
            (provider.to_owned(), outcome.to_owned(), json!({"input_tokens": tokens}), cost)
        };
        assert_eq!(lines, [line("openai", "bad_answer", 9, 2), line("gemini", outcome, 0, 0)]);
        assert_eq!(night.count("cost_micro_usd = 2").await, 1);
        let failed: (String, String) =
            sqlx::query_as("select error_kind, provider from dailycast.podcast_event where event = 'attempt_failed'")
                .fetch_one(night.pool())
                .await
                .unwrap();
        assert_eq!(failed, (outcome.to_owned(), "gemini".to_owned()));
    }
}
