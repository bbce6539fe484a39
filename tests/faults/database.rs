//! The database is cut off, does not answer, or only seems to be there.

use crate::support::{ground::Ground, process::Process, proxy::Proxy};

/// A night of short episodes behind a proxy, under way.
async fn night() -> (Ground, Proxy, Process) {
    let mut ground = Ground::new(100).await;
    ground.shorten_episodes();
    ground.set("worker.concurrency", "4");
    let proxy = ground.behind_a_proxy().await;
    ground.start_night().await;
    let worker = ground.worker("alone");
    ground.until_at_least(5, "finished_at is not null").await;
    ground.until_busy(&worker).await;
    (ground, proxy, worker)
}

/// The night goes on to its end with the same process. The proxy goes first: it may keep open what
/// its clients left long ago.
async fn ends_well(ground: &Ground, proxy: Proxy, mut worker: Process) {
    assert!(!worker.has_ended());
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.tidy().await;
    drop(proxy);
    ground.assert_all_is_well(100).await;
    ground.assert_none_is_to_blame().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_cut_off_is_waited_for() {
    let (ground, proxy, worker) = night().await;
    for _ in 0..2 {
        proxy.cut();
        let told = worker.says("cannot open the worker's session");
        worker.until_it_says("cannot open the worker's session", told + 3).await;
        let finished = ground.count("daily_podcast", "finished_at is not null").await;
        proxy.restore();
        ground.until_at_least(finished + 1, "finished_at is not null").await;
    }
    ends_well(&ground, proxy, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_answer_is_waited_for() {
    let (ground, proxy, worker) = night().await;
    proxy.stall();
    worker.until_it_says("a heartbeat was not answered", 1).await;
    proxy.restore();
    ends_well(&ground, proxy, worker).await;
}

/// A router that failed: the connections are open on both ends, and nothing ever comes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_unnoticed_are_replaced() {
    let (ground, proxy, worker) = night().await;
    proxy.forget_connections();
    ends_well(&ground, proxy, worker).await;
}

/// Nothing can be handed back, so the others have to find out; but it does not hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_the_database_ends_with_its_grace() {
    let mut ground = Ground::new(20).await;
    ground.set("worker.grace", "1s");
    ground.set("worker.concurrency", "4");
    let proxy = ground.behind_a_proxy().await;
    ground.start_night().await;
    let worker = ground.worker("cut off");
    ground.until_busy(&worker).await;
    proxy.cut();
    worker.until_it_says("trying again", 1).await;
    worker.signal("TERM");
    assert_eq!(worker.exit_code().await, 0);
    proxy.restore();
    let heir = ground.worker("heir");
    ground.until_finished().await;
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(20).await;
}
