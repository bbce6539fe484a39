//! SIGTERM, SIGSTOP and SIGCONT.

use crate::support::{checker, gate::Gate, ground::Ground, until};

use super::calls::{begun, held_back, until_begun};

/// Everything the database knows about podcasts, as one number.
async fn fingerprint(ground: &Ground) -> String {
    sqlx::query_scalar(
        "select md5((select string_agg(p::text, '' order by id) from dailycast.daily_podcast p)
                 || (select string_agg(e::text, '' order by id) from dailycast.podcast_event e)
                 || (select string_agg(c::text, '' order by id) from dailycast.provider_call c))",
    )
    .fetch_one(ground.pool())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_past_its_lease_changes_nothing() {
    let mut ground = Ground::new(30).await;
    ground.set("worker.concurrency", "4");
    ground.start_night().await;
    let stopped = ground.worker("stopped");
    ground.until_busy(&stopped).await;
    let heir = ground.worker("heir");
    stopped.freeze().await;
    let held = ground.count("daily_podcast", "worker_id = 1").await;
    ground.until_finished().await;
    let reason = "stop_reason = 'it was not heard for longer than its lease'";
    assert_eq!(ground.count("worker", reason).await, 1);
    assert_eq!(ground.count("podcast_event", "event = 'rescued' and worker_id = 1").await, held);
    let before = fingerprint(&ground).await;

    stopped.signal("CONT");
    let anew = format!("pid = {} and stopped_at is null", stopped.pid());
    until("it has registered anew", async || ground.count("worker", &anew).await == 1).await;
    assert!(stopped.log().contains("this worker was declared dead"));
    ground.stop(stopped).await;
    ground.stop(heir).await;
    assert_eq!(fingerprint(&ground).await, before);
    ground.tidy().await;
    ground.assert_all_is_well(30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_repeats_nothing() {
    let mut ground = Ground::new(100).await;
    ground.shorten_episodes();
    ground.start_night().await;
    let first = ground.worker("first");
    ground.until_at_least(10, "finished_at is not null").await;
    ground.until_busy(&first).await;
    ground.stop(first).await;
    assert_eq!(ground.count("daily_podcast", "lease_token is not null").await, 0);
    assert!(ground.count("daily_podcast", "finished_at is null").await > 0, "it was under load");
    assert_eq!(ground.count("worker", "stop_reason = 'stopped in order'").await, 1);

    let second = ground.worker("second");
    ground.until_finished().await;
    ground.stop(second).await;
    ground.assert_all_is_well(100).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned);
    assert_eq!(ground.count("podcast_event", "event in ('rescued', 'attempt_failed')").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigterm_ends_it_at_once() {
    let ground = Ground::new(4).await;
    let mut gate = Gate::before(&ground, "audio_ready").await;
    ground.start_night().await;
    let mut hasty = ground.worker("hasty");
    gate.until_reached().await;
    hasty.signal("TERM");
    until("it knows", async || hasty.log().contains("a second signal stops at once")).await;
    assert!(!hasty.has_ended());
    hasty.signal("TERM");
    assert_eq!(hasty.exit_code().await, 1);
    gate.open().await;

    let heir = ground.worker("heir");
    ground.until_finished().await;
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(4).await;
}

/// The vendors answer while it stands still, and another one has taken over. What it had asked for
/// is asked for again by the other, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_wastes_the_calls_it_had_in_flight_and_no_others() {
    const AT_ONCE: u64 = 4;
    let (mut ground, simulator, vendors) = held_back(12, AT_ONCE).await;
    ground.start_night().await;
    let stopped = ground.worker("stopped");
    until_begun(&simulator, AT_ONCE).await;
    stopped.freeze().await;
    ground.point_at(&simulator);
    let heir = ground.worker("heir");
    ground.until_finished().await;
    let (before, calls) = (fingerprint(&ground).await, begun(&simulator));
    assert_eq!(ground.count("podcast_event", "event = 'rescued'").await, AT_ONCE as i64);

    vendors.restore();
    stopped.signal("CONT");
    let anew = format!("pid = {} and stopped_at is null", stopped.pid());
    until("it has registered anew", async || ground.count("worker", &anew).await == 1).await;
    ground.stop(stopped).await;
    ground.stop(heir).await;
    assert_eq!((fingerprint(&ground).await, begun(&simulator)), (before, calls));
    ground.tidy().await;
    ground.assert_all_are_made(12).await;
    let told = ground.count("provider_call", "operation <> 'upload'").await;
    assert_eq!(told, (calls - AT_ONCE) as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_waits_for_the_answers_of_calls_in_flight() {
    const AT_ONCE: u64 = 4;
    let (ground, simulator, vendors) = held_back(10, AT_ONCE).await;
    ground.start_night().await;
    let first = ground.worker("first");
    until_begun(&simulator, AT_ONCE).await;
    first.signal("TERM");
    first.until_it_says("a second signal stops at once", 1).await;
    vendors.restore();
    assert_eq!(first.exit_code().await, 0);
    assert_eq!(begun(&simulator), AT_ONCE, "a call was begun after the signal");
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
    assert_eq!(ground.count("podcast_event", "event = 'script_ready'").await, AT_ONCE as i64);

    let second = ground.worker("second");
    ground.until_finished().await;
    ground.stop(second).await;
    ground.assert_all_are_made(10).await;
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
    ground.assert_none_is_to_blame().await;
    assert_eq!(ground.count("podcast_event", "event = 'rescued'").await, 0);
}

/// The answers do not come within the grace: the calls are told in the ledger and made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_tells_of_the_calls_that_it_could_not_wait_for() {
    const AT_ONCE: u64 = 4;
    let (mut ground, simulator, _vendors) = held_back(10, AT_ONCE).await;
    ground.set("worker.grace", "1s");
    ground.start_night().await;
    let first = ground.worker("first");
    until_begun(&simulator, AT_ONCE).await;
    first.signal("TERM");
    assert_eq!(first.exit_code().await, 0);
    assert_eq!(ground.count("provider_call", "true").await, AT_ONCE as i64);
    assert_eq!(ground.count("daily_podcast", "lease_token is not null or attempt > 0").await, 0);

    ground.point_at(&simulator);
    let second = ground.worker("second");
    ground.until_finished().await;
    ground.stop(second).await;
    ground.assert_all_are_made(10).await;
    assert_eq!(ground.count("provider_call", "operation <> 'upload'").await, begun(&simulator) as i64);
}
