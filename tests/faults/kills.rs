//! `kill -9`, and who takes over; `soak.rs` kills at random.

use crate::support::{ground::Ground, until};

/// Nothing but the death of the process, proved on its own host, lets anybody take its podcasts:
/// the lease lasts an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_gone_keeps_no_lease() {
    taken_over(async |_, _| {}, "its process is gone").await;
}

/// The same from another host, where only the lock of the session can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_keeps_no_lease() {
    let elsewhere = async |ground: &Ground, pid: u32| {
        let moved = format!("update dailycast.worker set boot_id = 'elsewhere' where pid = {pid}");
        assert_eq!(ground.execute(&moved).await, 1);
    };
    taken_over(elsewhere, "its session ended and its heartbeat stopped").await;
}

async fn taken_over(before_the_kill: impl AsyncFnOnce(&Ground, u32), reason: &str) {
    let mut ground = Ground::new(40).await;
    ground.set("worker.lease", "1h");
    ground.set("worker.concurrency", "4");
    ground.start_night().await;
    let heir = ground.worker("heir");
    ground.until_busy(&heir).await;
    let victim = ground.worker("victim");
    ground.until_busy(&victim).await;
    before_the_kill(&ground, victim.pid()).await;
    victim.kill().await;
    ground.until_finished().await;
    ground.stop(heir).await;
    assert_eq!(ground.count("worker", &format!("name = 'victim' and stop_reason = '{reason}'")).await, 1);
    assert!(ground.count("podcast_event", &format!("event = 'rescued' and detail = '{reason}'")).await > 0);
    ground.tidy().await;
    ground.assert_all_is_well(40).await;
}

/// The one who is restarted takes back what it held before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_restarted_takes_its_podcasts_back() {
    let mut ground = Ground::new(8).await;
    ground.set("worker.lease", "1h");
    ground.start_night().await;
    let first = ground.worker("same");
    ground.until_busy(&first).await;
    first.kill().await;
    let second = ground.worker("same");
    ground.until_finished().await;
    ground.stop(second).await;
    assert!(ground.count("podcast_event", "event = 'rescued'").await > 0);
    ground.tidy().await;
    ground.assert_all_is_well(8).await;
}

/// Two workers, nothing goes wrong: not one step is done twice, and none is told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_night() {
    let mut ground = Ground::new(100).await;
    ground.shorten_episodes();
    ground.start_night().await;
    let (one, two) = (ground.worker("one"), ground.worker("two"));
    until("both have worked", async || {
        let worked =
            "exists (select from dailycast.podcast_event e where e.worker_id = worker.id and e.event = 'uploaded')";
        ground.count("worker", worked).await == 2 || ground.count("daily_podcast", "finished_at is null").await == 0
    })
    .await;
    ground.until_finished().await;
    ground.stop(one).await;
    ground.stop(two).await;
    ground.assert_all_is_well(100).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned);
    // On a machine that keeps a worker waiting, one may be taken for dead, which does nothing twice.
    let lines = ground.count("podcast_event", "event not in ('rescued', 'attempt_failed')").await;
    assert_eq!(lines, 500, "five lines each: enqueued, and one for each of four moves");
}
