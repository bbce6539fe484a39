//! One gate for all workers: what one process learns holds for the others and outlives it, limits
//! are the fleet's, and who asks for too much is refused in bounded time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use dailycast::{
    machine::FailureKind,
    podcast::{Call, Failure},
    provider::{
        breaker::PROBE_TAKES,
        gate::{Gate, Pass, Wish},
    },
    store::{
        alerts::{self, Alert},
        providers::{self, Spacing},
    },
    worker::fleet::{self, Fleet, Settings},
    workflow::{BreakerRules, Limits},
};
use futures_util::future::join_all;

mod away;

use crate::{store::claim::register, support::engine::TestNight};

/// Limits that no test here meets by accident.
const WIDE: Limits = Limits {
    calls_per_minute: 1_000_000,
    burst: 1_000,
    at_once: 1_000,
    breaker: BreakerRules {
        open_after: 3,
        first_rest: Duration::from_secs(3_000),
        longest_rest: Duration::from_secs(9_000),
    },
};

/// A process that knows one provider, and has no budget.
fn settings(limits: Limits) -> Settings {
    Settings {
        name: "test".to_owned(),
        limits: BTreeMap::from([("openai".to_owned(), limits)]),
        micro_usd_per_night: None,
        longest_call: Duration::from_secs(60),
        turn: Duration::from_secs(5),
    }
}

fn idle(night: &TestNight, limits: Limits, budget: Option<i64>) -> Arc<Fleet> {
    Fleet::idle(night.store.another(), Settings { micro_usd_per_night: budget, ..settings(limits) })
}

/// Two processes that know what there is.
async fn two(night: &TestNight, limits: Limits) -> (Arc<Fleet>, Arc<Fleet>) {
    let (a, b) = (idle(night, limits, None), idle(night, limits, None));
    sync(&[&a, &b]).await;
    (a, b)
}

async fn sync(fleets: &[&Arc<Fleet>]) {
    for fleet in fleets {
        fleet.sync().await.unwrap();
    }
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

async fn admit(fleet: &Fleet) -> Result<Box<dyn Pass>, Failure> {
    fleet.admit(&Wish { provider: "openai", night: date(), is_paid: true }).await
}

/// What it was refused with.
async fn refusal(fleet: &Fleet) -> Failure {
    admit(fleet).await.err().expect("it should be refused")
}

fn end_costing(pass: Box<dyn Pass>, kind: Option<FailureKind>, cost_micro_usd: i64) {
    let failure = kind.map(|kind| Failure::new(kind, "a test said so").at("openai"));
    let call = Call {
        provider: "openai".to_owned(),
        model: "gpt-1".to_owned(),
        operation: "script",
        units: serde_json::json!({}),
        cost_micro_usd,
        latency_ms: 100,
        outcome: kind.map_or("ok", FailureKind::as_str),
        request_id: None,
    };
    pass.ended(failure.as_ref().map_or(Ok(()), Err), &call);
}

fn end(pass: Box<dyn Pass>, kind: Option<FailureKind>) {
    end_costing(pass, kind, 0);
}

async fn calls_fail(fleet: &Fleet, times: usize, kind: FailureKind) {
    for _ in 0..times {
        end(admit(fleet).await.unwrap(), Some(kind));
    }
}

/// The rest of an open breaker is over.
async fn rest_is_over(night: &TestNight) {
    night.execute("update dailycast.provider_state set open_until = now() - interval '1 second'").await;
}

async fn all_alerts(night: &TestNight) -> Vec<Alert> {
    alerts::list(night.pool(), true, 100).await.unwrap()
}

async fn shown(night: &TestNight) -> fleet::Provider {
    let limits = BTreeMap::from([("openai".to_owned(), WIDE)]);
    fleet::list(&night.store, &limits).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_one_worker_learns_the_others_know_after_one_round() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    assert_eq!(refusal(&a).await.kind, FailureKind::BreakerOpen, "the one who saw it knows at once");
    sync(&[&a, &b]).await;
    let refused = refusal(&b).await;
    assert_eq!(refused.kind, FailureKind::BreakerOpen);
    assert!(refused.retry_after.is_some_and(|wait| wait <= WIDE.breaker.first_rest));
    assert!(refused.message.contains("a test said so"), "{}", refused.message);
    let state = shown(&night).await;
    assert_eq!((state.state, state.calls, state.failures), ("open", 3, 3));
    assert_eq!((state.failures_in_a_row, state.latency_ms), (3, Some(100.0)));
    let alerts = all_alerts(&night).await;
    assert_eq!((alerts.len(), alerts[0].kind.as_str()), (1, "provider_down"));
}

#[tokio::test]
async fn failures_in_a_row_are_those_of_all_workers_together() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 2, FailureKind::Timeout).await;
    sync(&[&a, &b]).await;
    calls_fail(&b, 1, FailureKind::BadAnswer).await;
    assert_eq!(refusal(&b).await.kind, FailureKind::BreakerOpen);
    sync(&[&b, &a]).await;
    assert_eq!(refusal(&a).await.kind, FailureKind::BreakerOpen);
}

#[tokio::test]
async fn one_probe_in_the_fleet_decides_for_all() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    for (end_of_probe, doors) in [(Some(FailureKind::Timeout), 0), (None, 2)] {
        sync(&[&a, &b]).await;
        rest_is_over(&night).await;
        sync(&[&a, &b]).await;
        let tries = join_all((0..20).map(|n| admit(if n % 2 == 0 { &a } else { &b }))).await;
        let mut passes: Vec<_> = tries.into_iter().filter_map(Result::ok).collect();
        assert_eq!(passes.len(), 1, "one probe in the fleet");
        sync(&[&a, &b]).await;
        for fleet in [&a, &b] {
            let refused = refusal(fleet).await;
            assert_eq!(refused.kind, FailureKind::BreakerOpen, "one probe at a time");
            assert!(refused.retry_after.is_some_and(|wait| wait <= PROBE_TAKES), "it is asked for again soon");
        }
        end(passes.remove(0), end_of_probe);
        sync(&[&a, &b, &a]).await;
        assert_eq!(usize::from(admit(&a).await.is_ok()) + usize::from(admit(&b).await.is_ok()), doors);
        let state = shown(&night).await;
        assert_eq!(state.state, if doors == 0 { "open" } else { "closed" });
    }
    let alerts = all_alerts(&night).await;
    assert_eq!((alerts.len(), alerts[0].times), (1, 2), "one alert for one illness");
    assert!(alerts[0].resolved_at.is_some(), "it is over when the breaker closes");
}

#[tokio::test]
async fn a_probe_that_was_broken_off_is_made_again() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    sync(&[&a]).await;
    rest_is_over(&night).await;
    sync(&[&a, &b]).await;
    drop(admit(&a).await.unwrap());
    sync(&[&a, &b]).await;
    assert!(admit(&b).await.is_ok());
}

#[tokio::test]
async fn a_worker_that_starts_knows_what_the_fleet_knew() {
    let night = TestNight::new().await;
    let (a, _) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    a.sync().await.unwrap();
    drop(a);
    let patient = Settings { turn: Duration::from_secs(60), ..settings(WIDE) };
    let heir = Fleet::start(night.store.another(), patient);
    assert_eq!(refusal(&heir).await.kind, FailureKind::BreakerOpen, "its first call waits until it knows");
    heir.end().await;
}

#[tokio::test]
async fn without_credit_no_call_begins_until_an_operator_says_so() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    let late = admit(&b).await.unwrap();
    let under_way = join_all((0..10).map(|_| admit(&a))).await;
    for pass in under_way {
        end(pass.unwrap(), Some(FailureKind::OutOfCredit));
    }
    sync(&[&a, &b]).await;
    let refused = refusal(&b).await;
    assert_eq!((refused.kind, refused.retry_after), (FailureKind::BreakerOpen, None));
    let state = shown(&night).await;
    assert_eq!((state.state, state.until, state.cause.as_deref()), ("open", None, Some("out_of_credit")));
    let alerts = all_alerts(&night).await;
    assert_eq!((alerts.len(), alerts[0].kind.as_str(), alerts[0].times), (1, "provider_out_of_credit", 1));

    assert!(fleet::close(&night.store, "openai", "a test").await.unwrap());
    assert!(!fleet::close(&night.store, "openai", "a test").await.unwrap(), "it was closed already");
    sync(&[&a, &b]).await;
    end(late, Some(FailureKind::OutOfCredit));
    sync(&[&b, &a]).await;
    assert!(admit(&a).await.is_ok() && admit(&b).await.is_ok(), "a call from before does not open it again");
    assert!(all_alerts(&night).await[0].resolved_at.is_some());
    assert_eq!(shown(&night).await.changed_by.as_deref(), Some("a test"));
}

#[tokio::test]
async fn opened_by_hand_it_stays_so_for_its_time() {
    let night = TestNight::new().await;
    let (a, _) = two(&night, WIDE).await;
    fleet::open(&night.store, "openai", None, ("a test", "")).await.unwrap();
    a.sync().await.unwrap();
    assert_eq!(refusal(&a).await.retry_after, None);
    fleet::open(&night.store, "openai", Some(Duration::from_secs(3_600)), ("a test", "it is slow")).await.unwrap();
    a.sync().await.unwrap();
    assert!(refusal(&a).await.retry_after.is_some_and(|wait| wait <= Duration::from_secs(3_600)));
    assert_eq!(shown(&night).await.message.as_deref(), Some("it is slow"));
    rest_is_over(&night).await;
    a.sync().await.unwrap();
    end(admit(&a).await.unwrap(), None);
    a.sync().await.unwrap();
    assert_eq!(shown(&night).await.state, "closed");
    assert!(all_alerts(&night).await.is_empty(), "an operator knows what an operator did");
}

/// A call ends with the wish for a pause.
async fn asks_for_a_pause(fleet: &Fleet, pause: Duration) {
    let pass = admit(fleet).await.unwrap();
    let mut failure = Failure::new(FailureKind::RateLimited, "slow down").at("openai");
    failure.retry_after = Some(pause);
    let call = Call {
        provider: "openai".to_owned(),
        model: "gpt-1".to_owned(),
        operation: "script",
        units: serde_json::json!({}),
        cost_micro_usd: 0,
        latency_ms: 1,
        outcome: "rate_limited",
        request_id: None,
    };
    pass.ended(Err(&failure), &call);
}

/// Nobody goes elsewhere for a second's sake.
#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    asks_for_a_pause(&a, Duration::from_millis(400)).await;
    sync(&[&a, &b]).await;
    for fleet in [&a, &b] {
        end(admit(fleet).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_pause_that_the_provider_asks_for_holds_for_all() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    asks_for_a_pause(&a, Duration::from_secs(1_000)).await;
    sync(&[&a, &b]).await;
    for fleet in [&a, &b] {
        let refused = refusal(fleet).await;
        assert_eq!(refused.kind, FailureKind::OwnLimit, "nothing is broken, its turn comes");
        assert!(refused.retry_after.is_some_and(|wait| wait > Duration::from_secs(500)));
    }
    let state = shown(&night).await;
    assert_eq!((state.state, state.failures_in_a_row), ("paused", 0));
    assert!(all_alerts(&night).await.is_empty());
    assert!(fleet::close(&night.store, "openai", "a test").await.unwrap(), "an operator ends a pause, too");
    assert_eq!(shown(&night).await.changed_by.as_deref(), Some("a test"));
    sync(&[&a]).await;
    assert!(admit(&a).await.is_ok());
}

#[tokio::test]
async fn an_alert_is_raised_once_though_many_calls_fail() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 7, FailureKind::ModelRetired).await;
    calls_fail(&b, 5, FailureKind::ModelRetired).await;
    sync(&[&a, &b]).await;
    let alerts = all_alerts(&night).await;
    assert_eq!((alerts.len(), alerts[0].times), (1, 12));
    assert_eq!((alerts[0].kind.as_str(), alerts[0].subject.as_str()), ("model_retired", "openai gpt-1"));
    assert!(admit(&a).await.is_ok(), "the provider has other models");

    let seen = alerts::acknowledge(night.pool(), &[alerts[0].id, -1], "a test").await.unwrap();
    assert_eq!(seen, [alerts[0].id]);
    night.execute("update dailycast.alert set last_at = now() - interval '2 days'").await;
    alerts::prune(&night.store, &fleet::SILENT_KINDS, 30).await.unwrap();
    assert!(alerts::list(night.pool(), false, 10).await.unwrap().is_empty(), "not seen for a day, so it is over");
    calls_fail(&a, 1, FailureKind::ModelRetired).await;
    sync(&[&a]).await;
    assert_eq!(alerts::list(night.pool(), false, 10).await.unwrap().len(), 1, "and raised anew when it comes back");
}

#[tokio::test]
async fn reserved_slots_never_exceed_the_rate() {
    let night = TestNight::new().await;
    let every = Duration::from_millis(40);
    let spacing = Spacing { every, burst: 4, within: Duration::from_secs(3_600) };
    let stores = [night.store.another(), night.store.another()];
    let reserve = |n: u32| providers::reserve(&stores[n as usize % 2], "openai", n % 7 + 1, spacing);
    let mut begins: Vec<DateTime<Utc>> = Vec::new();
    for given in join_all((0..60).map(reserve)).await {
        let given = given.unwrap();
        // A slot that lies in the past is used now.
        begins.extend((0..given.given).map(|n| (given.first_at + every * n).max(given.now)));
    }
    begins.sort();
    assert_eq!(begins.len() as u32, (0..60).map(|n| n % 7 + 1).sum::<u32>());
    for (first, start) in begins.iter().enumerate() {
        for (last, end) in begins.iter().enumerate().skip(first) {
            let allowed = 4.0 + (*end - *start).as_seconds_f64() / every.as_secs_f64() + 1e-3;
            assert!((last - first + 1) as f64 <= allowed, "{} slots from {start} to {end}", last - first + 1);
        }
    }
}

#[tokio::test]
async fn a_rate_that_was_raised_holds_at_once() {
    let night = TestNight::new().await;
    let slow = Spacing { every: Duration::from_secs(600), burst: 50, within: Duration::ZERO };
    assert_eq!(providers::reserve(&night.store, "openai", 60, slow).await.unwrap().given, 50);
    let fast = Spacing { every: Duration::from_secs(1), burst: 5, within: Duration::ZERO };
    let slots = providers::reserve(&night.store, "openai", 1, fast).await.unwrap();
    assert_eq!(slots.given, 0, "what was given counts");
    assert!(slots.first_at <= slots.now + fast.every, "but not for hours");
}

#[tokio::test]
async fn who_comes_too_often_is_refused_and_told_when_to_come_again() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, Limits { calls_per_minute: 1, burst: 3, ..WIDE }).await;
    let tries = join_all((0..40).map(|n| admit(if n % 2 == 0 { &a } else { &b }))).await;
    let refused: Vec<Failure> = tries.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 37, "the burst is the fleet's");
    for failure in refused {
        assert_eq!(failure.kind, FailureKind::OwnLimit);
        assert!(failure.retry_after.is_some_and(|wait| wait <= Duration::from_secs(60)), "{:?}", failure.retry_after);
    }
}

#[tokio::test]
async fn no_call_begins_before_its_slot() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, Limits { calls_per_minute: 300, burst: 1, ..WIDE }).await;
    let start = tokio::time::Instant::now();
    let begun = join_all((0..5).map(|n| admit(if n % 2 == 0 { &a } else { &b }))).await;
    assert!(begun.iter().all(Result::is_ok));
    // Four times 200 ms between five calls; clocks may differ by a little.
    assert!(start.elapsed() > Duration::from_millis(780), "{:?}", start.elapsed());
}

#[tokio::test]
async fn calls_that_meet_no_limit_cost_few_statements() {
    let night = TestNight::new().await;
    let (a, _) = two(&night, WIDE).await;
    night
        .execute(
            "create sequence public.counted;
             create function public.count_it() returns trigger language plpgsql as
             $$ begin perform nextval('public.counted'); return new; end $$;
             create trigger counted after insert or update on dailycast.provider_state
             for each row execute function public.count_it();",
        )
        .await;
    for _ in 0..400 {
        end(admit(&a).await.unwrap(), None);
    }
    a.sync().await.unwrap();
    let counted: i64 =
        sqlx::query_scalar("select last_value from public.counted").fetch_one(night.pool()).await.unwrap();
    assert!(counted < 100, "{counted} writes for 400 calls");
}

#[tokio::test]
async fn calls_at_once_are_shared_out_among_the_living() {
    let night = TestNight::new().await;
    register(&night).await;
    register(&night).await;
    let hasty = Settings { turn: Duration::from_millis(300), ..settings(Limits { at_once: 5, ..WIDE }) };
    let a = Fleet::idle(night.store.another(), hasty);
    a.sync().await.unwrap();
    let mut passes = vec![admit(&a).await.unwrap(), admit(&a).await.unwrap()];
    let refused = refusal(&a).await;
    assert_eq!(refused.kind, FailureKind::OwnLimit, "half of five is two");
    passes.pop();
    assert!(admit(&a).await.is_ok(), "a place that is free again is taken");
}

#[tokio::test]
async fn the_budget_of_a_night_is_what_all_workers_spend() {
    let night = TestNight::new().await.enqueued(1).await;
    night.execute("update dailycast.daily_podcast set cost_micro_usd = 100, date = '2026-11-22'").await;
    let (a, b) = (idle(&night, WIDE, Some(1_000)), idle(&night, WIDE, Some(1_000)));
    sync(&[&a, &b]).await;
    let first = async |fleet: &Arc<Fleet>| {
        // What the night has cost is asked for when it is needed first.
        let (pass, synced) = tokio::join!(admit(fleet), fleet.sync());
        synced.unwrap();
        pass.unwrap()
    };
    end_costing(first(&a).await, None, 600);
    sync(&[&a]).await;
    end_costing(first(&b).await, None, 299);
    let last = admit(&b).await.unwrap();
    end_costing(last, None, 1);
    assert_eq!(refusal(&b).await.kind, FailureKind::BudgetReached, "its own spending counts at once");
    sync(&[&b, &a]).await;
    let refused = refusal(&a).await;
    assert_eq!(refused.kind, FailureKind::BudgetReached);
    assert!(a.admit(&Wish { provider: "openai", night: date(), is_paid: false }).await.is_ok(), "what is free goes on");
    sync(&[&a, &b]).await;
    let alerts = all_alerts(&night).await;
    assert_eq!((alerts.len(), alerts[0].kind.as_str(), alerts[0].times), (1, "budget_reached", 2));
    let spent: i64 =
        sqlx::query_scalar("select micro_usd from dailycast.night_spending").fetch_one(night.pool()).await.unwrap();
    assert_eq!(spent, 1_000, "with what its podcasts had cost before");

    let raised = idle(&night, WIDE, Some(1_001));
    raised.sync().await.unwrap();
    drop(first(&raised).await);
    night.until("the alert is over", async || all_alerts(&night).await[0].resolved_at.is_some()).await;
}

#[tokio::test]
async fn the_last_news_of_a_process_are_told() {
    let night = TestNight::new().await;
    let patient = Settings { turn: Duration::from_secs(60), ..settings(WIDE) };
    let fleet = Fleet::start(night.store.another(), patient);
    end(admit(&fleet).await.unwrap(), Some(FailureKind::ContentRefused));
    fleet.end().await;
    let state = shown(&night).await;
    assert_eq!((state.calls, state.failures, state.failures_in_a_row), (1, 1, 0));
}
