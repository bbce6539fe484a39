//! Alerts and the death of who would send them.

use crate::support::{
    ground::Ground,
    process::Process,
    until,
    vendor::{Pace, Reply, Vendor},
};

fn ok() -> Reply {
    Reply::text(200, "text/plain", "ok")
}

async fn ground(vendor: &Vendor) -> Ground {
    let mut ground = Ground::new(8).await;
    ground.set("alerts.webhook_url", &format!("{}/hunter2", vendor.url()));
    ground
}

/// A worker that leads and knows of its sinks.
async fn leader(ground: &Ground, name: &str) -> Process {
    let worker = ground.worker(name);
    until("the sink is known", async || ground.count("alert_sink", "true").await == 1).await;
    worker
}

async fn raise(ground: &Ground, subject: &str) {
    let sql = format!("insert into dailycast.alert (kind, subject, message) values ('test', '{subject}', 'a test')");
    assert_eq!(ground.execute(&sql).await, 1);
}

async fn until_sent(ground: &Ground, messages: i64) {
    until("all is sent", async || ground.count("alert_delivery", "sent_at is not null").await == messages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_before_it_sends_or_while_it_does_loses_no_alert() {
    let vendor = Vendor::playing(vec![ok().at(Pace::Never), ok()]).await;
    let ground = ground(&vendor).await;
    let first = leader(&ground, "first").await;
    raise(&ground, "while").await;
    until("it is being sent", async || vendor.asked().len() == 1).await;
    raise(&ground, "before").await;
    first.kill().await;
    let second = ground.worker("second");
    until("somebody else leads", async || second.log().contains("worker started")).await;
    // The time of the lease passes.
    ground.execute("update dailycast.alert_sink set leased_until = now()").await;
    until_sent(&ground, 2).await;
    ground.stop(second).await;
    let key = |n: usize| vendor.asked()[n].header("idempotency-key").unwrap().to_owned();
    assert_eq!(vendor.asked().len(), 3, "the one that was under way comes twice, nothing else");
    assert_eq!(key(0), key(1), "and can be told by its key");
    assert_ne!(key(1), key(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_tell_it_once_and_no_log_tells_the_secret() {
    let vendor = Vendor::playing(vec![Reply::text(500, "text/plain", "ill"), ok()]).await;
    let ground = ground(&vendor).await;
    let (one, two) = (leader(&ground, "one").await, ground.worker("two"));
    until("both work", async || two.log().contains("worker started")).await;
    for subject in ["a", "b"] {
        raise(&ground, subject).await;
    }
    until_sent(&ground, 2).await;
    assert_eq!(vendor.asked().len(), 3, "one failed, two arrived");
    for worker in [&one, &two] {
        assert!(!worker.log().contains("hunter2"));
    }
    let list = ground.run(&["alert", "list"]).await;
    let shown = String::from_utf8(list.stdout).unwrap();
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.join(" ").contains("raised to webhook: sent"), "{shown}");
    let test = ground.run(&["alert", "test"]).await;
    assert!(test.status.success() && String::from_utf8_lossy(&test.stdout) == "webhook: sent\n", "{test:?}");
    ground.stop(one).await;
    ground.stop(two).await;
}
