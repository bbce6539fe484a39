//! Who speaks when the gate lets no call to a provider begin, and when nobody may.

use std::{sync::atomic::Ordering, time::Duration};

use dailycast::{
    machine::{FailureKind, Remedy, Status},
    podcast::StepResult,
    provider::spool::ChunkName,
};

use super::stage::{Beeper, READY, Stage, Whim, failure};

/// A podcast that is to be spoken by these, all but one chunk by the first already.
async fn begun(names: &[&'static str]) -> Stage {
    let mut stage = started(names).await;
    stage.run().await;
    let gone = ChunkName { podcast_id: 7, round: stage.round(), index: 3 };
    assert!(stage.shelf.chunks.lock().unwrap().remove(&gone).is_some());
    stage
}

async fn started(names: &[&'static str]) -> Stage {
    Stage::started(names.iter().map(|name| Beeper::new(name, 900)).collect()).await
}

fn passed_over(stage: &Stage) -> Vec<String> {
    let plan = stage.podcast.made.chunk_plan.clone().unwrap();
    plan.passed_over.into_iter().map(|passed| passed.provider).collect()
}

#[tokio::test]
async fn who_may_not_be_called_is_passed_over_when_nothing_is_spoken() {
    let mut stage = started(&["polly", "google"]).await;
    stage.ground.gate.refuse("polly", FailureKind::BreakerOpen, Some(300));
    let outcome = stage.run().await;
    assert!(failure(&outcome).at_once && stage.calls.is_empty());
    assert_eq!((stage.provider(), passed_over(&stage)), ("google", vec!["polly".to_owned()]));
    assert!(matches!(stage.run().await.result, StepResult::Done(_)));
    assert_eq!((stage.chain[0].asked(), stage.chain[1].asked()), (0, 5));
}

#[tokio::test]
async fn spoken_chunks_are_worth_a_short_wait_and_not_a_long_one() {
    for (kind, after, waits) in [
        (FailureKind::OwnLimit, Some(20), true),
        (FailureKind::OwnLimit, None, true),
        (FailureKind::BreakerOpen, Some(60), true),
        (FailureKind::BreakerOpen, Some(61), false),
        (FailureKind::BreakerOpen, None, false),
    ] {
        let mut stage = begun(&["polly", "google"]).await;
        stage.ground.gate.refuse("polly", kind, after);
        let outcome = stage.run().await;
        let said = failure(&outcome);
        assert_eq!((said.at_once, stage.provider() == "polly"), (!waits, waits), "{kind} {after:?}");
        if waits {
            assert_eq!((said.kind, said.retry_after), (kind, after.map(Duration::from_secs)));
            stage.ground.gate.open();
            assert!(matches!(stage.run().await.result, StepResult::Done(_)));
            assert_eq!(stage.calls.len(), 1, "only what was missing is spoken");
        }
    }
}

#[tokio::test]
async fn when_nobody_may_be_called_it_waits_for_the_first_and_uses_no_attempt() {
    let mut stage = started(&["polly", "google", "azure"]).await;
    stage.ground.gate.refuse("polly", FailureKind::BreakerOpen, Some(300));
    stage.ground.gate.refuse("google", FailureKind::BreakerOpen, Some(90));
    stage.ground.gate.refuse("azure", FailureKind::BreakerOpen, None);
    for _ in 0..3 {
        assert!(failure(&stage.run().await).at_once);
        assert!(failure(&stage.run().await).at_once);
        let outcome = stage.run().await;
        let said = failure(&outcome);
        assert_eq!((said.at_once, said.kind.remedy()), (false, Remedy::Snooze));
        assert_eq!(said.retry_after, Some(Duration::from_secs(90)));
        assert_eq!(said.message, "polly: not now; google: not now; azure: not now");
        assert_eq!((stage.provider(), passed_over(&stage).len()), ("polly", 0), "the chain begins again");
    }
    assert!(stage.chain.iter().all(|speaker| speaker.asked() == 0));
}

/// Else a vendor that fails each time would be called until the deadline.
#[tokio::test]
async fn a_chain_in_which_somebody_was_called_uses_an_attempt() {
    let whim = Whim::Fail(FailureKind::OutOfCredit);
    let chain = vec![Beeper::new("polly", 900).with("one", whim), Beeper::new("google", 900)];
    let mut stage = Stage::started(chain).await;
    stage.ground.gate.refuse("google", FailureKind::BreakerOpen, Some(5));
    assert!(failure(&stage.run().await).at_once);
    let outcome = stage.run().await;
    let said = failure(&outcome);
    assert_eq!((said.at_once, said.kind, said.retry_after), (false, FailureKind::OutOfCredit, None));
    assert_eq!(said.message, "polly: a whim; google: not now");
}

#[tokio::test]
async fn a_spent_budget_lets_what_has_begun_be_finished_and_begins_nothing() {
    let mut stage = begun(&["polly", "google", "local"]).await;
    stage.ground.gate.refuse("polly", FailureKind::BudgetReached, None);
    assert_eq!(stage.run().await.result, READY);
    assert_eq!((stage.provider(), stage.calls.len()), ("polly", 1));

    let mut stage = started(&["polly", "google"]).await;
    for provider in ["polly", "google"] {
        stage.ground.gate.refuse(provider, FailureKind::BudgetReached, None);
    }
    let outcome = stage.run().await;
    assert_eq!((failure(&outcome).at_once, failure(&outcome).kind), (false, FailureKind::BudgetReached));
    assert_eq!((stage.provider(), stage.round()), ("polly", 1));
    assert_eq!(*stage.ground.gate.asked.lock().unwrap(), ["polly"], "the budget is the same for all vendors");
}

/// Another vendor's voice may cost four times as much; only a near deadline is worth that.
#[tokio::test]
async fn who_is_only_busy_is_waited_for_while_there_is_time() {
    let mut stage = started(&["polly", "google"]).await;
    stage.ground.gate.refuse("polly", FailureKind::OwnLimit, Some(7));
    let outcome = stage.run().await;
    assert_eq!((failure(&outcome).at_once, failure(&outcome).retry_after), (false, Some(Duration::from_secs(7))));
    assert_eq!(stage.provider(), "polly");
    stage.ground.to_deadline = Duration::from_secs(600);
    assert!(failure(&stage.run().await).at_once);
    assert_eq!(stage.provider(), "google");
}

/// A vendor that asks for fewer calls keeps a podcast it has begun, but not for ever.
#[tokio::test(start_paused = true)]
async fn a_begun_podcast_outlasts_some_limits_of_its_vendor() {
    let whim = Whim::Fail(FailureKind::RateLimited);
    let chain = vec![Beeper::new("polly", 900).with("four", whim), Beeper::new("google", 900)];
    let mut stage = Stage::started(chain).await;
    for attempt in 0..3 {
        stage.podcast.attempt = attempt;
        let outcome = stage.run().await;
        assert_eq!((failure(&outcome).at_once, failure(&outcome).kind), (false, FailureKind::RateLimited));
        assert_eq!(stage.provider(), "polly");
    }
    stage.podcast.attempt = 3;
    assert!(failure(&stage.run().await).at_once);
    assert_eq!(stage.provider(), "google");
}

#[tokio::test]
async fn our_own_voice_fills_in_for_a_spent_budget_and_is_never_refused() {
    let mut stage = started(&["polly", "google", "local"]).await;
    for provider in ["polly", "google", "local"] {
        stage.ground.gate.refuse(provider, FailureKind::BudgetReached, None);
    }
    assert!(failure(&stage.run().await).at_once);
    assert_eq!(stage.provider(), "local");
    assert!(matches!(stage.run().await.result, StepResult::Done(_)));
    assert_eq!(*stage.ground.gate.asked.lock().unwrap(), ["polly"]);
}

#[tokio::test]
async fn our_own_limit_is_no_reason_for_the_plainer_voice() {
    let mut stage = started(&["polly", "local"]).await;
    stage.ground.gate.refuse("polly", FailureKind::OwnLimit, Some(7));
    let outcome = stage.run().await;
    assert_eq!((failure(&outcome).at_once, failure(&outcome).kind), (false, FailureKind::OwnLimit));
    assert_eq!((stage.provider(), stage.podcast.status), ("polly", Status::AudioGenerating));
    stage.ground.gate.refuse("polly", FailureKind::BreakerOpen, Some(7));
    assert!(failure(&stage.run().await).at_once);
    assert_eq!(stage.provider(), "local");
}

#[tokio::test]
async fn a_lost_lease_says_nothing_of_a_provider() {
    let mut stage = started(&["polly", "google"]).await;
    stage.ground.may_call.store(false, Ordering::Relaxed);
    let outcome = stage.run().await;
    assert_eq!((failure(&outcome).kind, failure(&outcome).at_once), (FailureKind::Unavailable, false));
    assert_eq!((stage.provider(), stage.calls.len()), ("polly", 0));
}
