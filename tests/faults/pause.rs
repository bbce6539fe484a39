//! `kill -9` while everything is paused.

use crate::support::{ground::Ground, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_held_that_died_in_a_pause_waits_for_its_end() {
    let mut ground = Ground::new(20).await;
    ground.set("worker.concurrency", "4");
    ground.start_night().await;
    let victim = ground.worker("victim");
    ground.until_busy(&victim).await;
    let told = ground.run(&["night", "pause", "--reason", "bad prompt"]).await;
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    victim.kill().await;
    let heir = ground.worker("heir");
    let dead = "name = 'victim' and stopped_at is not null";
    until("the death is noticed", async || ground.count("worker", dead).await == 1).await;
    assert_eq!(ground.count("daily_podcast", "lease_token is not null").await, 0, "the heir took nothing");
    assert_eq!(ground.count("daily_podcast p", "dailycast.is_stuck(p)").await, 0);
    let calls = ground.count("provider_call", "true").await;

    let told = ground.run(&["night", "status"]).await;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.starts_with("paused by ") && told.contains("@") && told.contains("bad prompt"), "{told}");
    assert_eq!(ground.count("provider_call", "true").await, calls);
    assert!(ground.count("daily_podcast", "finished_at is null").await > 0);

    let told = ground.run(&["night", "resume", "--json"]).await;
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["changed"], &told["was"]["reason"]), (&true.into(), &"bad prompt".into()));
    ground.until_finished().await;
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(20).await;
    assert_eq!(ground.count("audit", "action in ('pause', 'resume')").await, 2);
}
