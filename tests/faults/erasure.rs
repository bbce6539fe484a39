//! Learners leave the academy while something goes wrong: nothing is left of them, of the others
//! nothing is missing.

use std::fs;

use serde_json::Value;

use crate::support::{ground::Ground, traces, until};

const LEARNERS: i64 = 8;

/// A ground whose first learner goes by a number that stands for nothing else.
async fn ground() -> Ground {
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    traces::tell_apart(ground.pool()).await;
    let renamed = format!(
        "update academy.sample_learner set user_id = {}
         where user_id = (select min(user_id) from academy.learner
                          where is_active and last_seen_at > now() - interval '14 days')",
        traces::LEARNER
    );
    assert_eq!(ground.execute(&renamed).await, 1);
    ground
}

/// The learner is gone from the academy, and has been missed for a day.
async fn leave(ground: &Ground) {
    ground
        .execute(&format!(
            "delete from academy.sample_learner where user_id = {0};
             insert into dailycast.erasure (user_id, looks, missed_at, missed_again_at)
             values ({0}, 3, now() - interval '25 hours', now() - interval '2 hours')",
            traces::LEARNER
        ))
        .await;
}

/// The wait between two passes is over.
async fn later(ground: &Ground) {
    ground.execute("update dailycast.erasure set due_at = now(), found_at = found_at - interval '31 minutes'").await;
}

/// Names in the folder of the bucket that have the learner's number in them.
fn objects_of_learner(ground: &Ground) -> usize {
    let bucket = fs::read_dir(ground.folder.0.join("s3/episodes")).unwrap();
    let names = bucket.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(&traces::LEARNER.to_string())).count()
}

async fn alerts_open(ground: &Ground, subject: &str) -> i64 {
    ground.count("alert", &format!("kind = 'erasure_held' and subject = '{subject}' and resolved_at is null")).await
}

async fn until_forgotten(ground: &Ground) {
    until("the learner is forgotten", async || ground.count("erasure", "true").await == 0).await;
}

/// The worker that erases is killed between the rows and the objects, which the store does not
/// give away for a while: the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_goes_on_where_a_killed_worker_left_it() {
    let mut ground = ground().await;
    ground.start_night().await;
    let first = ground.worker("first");
    ground.until_finished().await;
    ground.stop(first).await;
    let podcasts = traces::podcasts(ground.pool()).await;
    assert_eq!((podcasts.len(), objects_of_learner(&ground)), (1, 1));

    ground.stop_s3().await;
    leave(&ground).await;
    let killed = ground.worker("killed");
    until("the rows are gone and the objects are not", async || alerts_open(&ground, "storage").await == 1).await;
    assert_eq!((traces::podcasts(ground.pool()).await.len(), objects_of_learner(&ground)), (0, 1));
    killed.kill().await;

    ground.start_s3().await;
    later(&ground).await;
    let heir = ground.worker("heir");
    until("the object is gone", async || objects_of_learner(&ground) == 0).await;
    until("the alert is resolved", async || alerts_open(&ground, "storage").await == 0).await;
    until("the killed one is buried", async || ground.count("worker", "stopped_at is null").await == 1).await;
    ground.stop(heir).await;
    later(&ground).await;
    let last = ground.worker("last");
    until_forgotten(&ground).await;
    ground.stop(last).await;
    assert_eq!(traces::of_learner(ground.pool(), &podcasts).await, Vec::<String>::new());
    ground.assert_all_is_well(LEARNERS - 1).await;
}

/// The learner leaves in the middle of the night, with chunks in the spool: the worker is killed,
/// and the one who comes after it finds nothing to go on with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_who_leaves_in_the_middle_of_the_night_leaves_nothing() {
    let ground = ground().await;
    ground.start_night().await;
    let podcasts = traces::podcasts(ground.pool()).await;
    let first = ground.worker("first");
    let begun = format!("user_id = {} and status <> 'pending'", traces::LEARNER);
    ground.until_at_least(1, &begun).await;
    first.kill().await;
    leave(&ground).await;
    let second = ground.worker("second");
    ground.until_finished().await;
    until("the rows are gone", async || traces::podcasts(ground.pool()).await.is_empty()).await;
    ground.stop(second).await;
    later(&ground).await;
    let third = ground.worker("third");
    until("nothing is found, or it is over", async || {
        ground.count("erasure", "due_at <= now()").await == 0 && objects_of_learner(&ground) == 0
    })
    .await;
    ground.stop(third).await;
    later(&ground).await;
    let last = ground.worker("last");
    until_forgotten(&ground).await;
    ground.stop(last).await;
    ground.tidy().await;
    assert_eq!(traces::of_learner(ground.pool(), &podcasts).await, Vec::<String>::new());
    ground.assert_all_is_well(LEARNERS - 1).await;
}

/// A request that comes by mail: the learner is still in the academy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_erases_a_learner_at_once() {
    let ground = ground().await;
    ground.start_night().await;
    let worker = ground.worker("one");
    ground.until_finished().await;
    ground.stop(worker).await;
    let podcasts = traces::podcasts(ground.pool()).await;
    let id = traces::LEARNER.to_string();

    let unsure = ground.run(&["learner", "erase", &id]).await;
    assert_eq!(unsure.status.code(), Some(2), "without --yes nothing happens");
    assert_eq!(traces::podcasts(ground.pool()).await, podcasts);
    let erased = ground.run(&["learner", "erase", &id, "--yes", "--json"]).await;
    let told: Value = serde_json::from_slice(&erased.stdout).unwrap();
    let expected = serde_json::json!({
        "learners": 1, "podcasts": 1, "objects": 1, "still_in_academy": [traces::LEARNER]
    });
    assert_eq!((told, erased.status.code()), (expected, Some(3)), "{}", String::from_utf8_lossy(&erased.stderr));
    assert_eq!(objects_of_learner(&ground), 0);
    let listed = ground.run(&["learner", "erasures", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed["on_the_way"][0]["podcasts"], &listed["erased"]), (&1.into(), &serde_json::json!([])));
    later(&ground).await;
    let again = ground.run(&["learner", "erase", &id, "--yes"]).await;
    let words = String::from_utf8(again.stdout).unwrap();
    assert!(words.contains(&format!("the academy still has learner {id}")), "{words}");
    assert_eq!(traces::of_learner(ground.pool(), &podcasts).await, Vec::<String>::new());
    ground.assert_all_is_well(LEARNERS - 1).await;
}

/// A whole academy that is gone from one day to the next is not believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_view_erases_nobody() {
    let ground = ground().await;
    ground.start_night().await;
    let worker = ground.worker("one");
    ground.until_finished().await;
    ground.stop(worker).await;
    let view = "create or replace view academy.learner as
                select user_id, display_name, languages, plan, is_active, now() - seen_ago as last_seen_at, is_staff,
                       is_superuser from academy.sample_learner";
    ground.execute(&format!("{view} where false")).await;
    ground
        .execute(
            "insert into dailycast.erasure (user_id, looks, missed_at, missed_again_at)
             select user_id, 99, now() - interval '9 days', now() - interval '2 hours' from dailycast.daily_podcast",
        )
        .await;
    let worker = ground.worker("two");
    until("the alert is raised", async || alerts_open(&ground, "academy").await == 1).await;
    ground.stop(worker).await;
    assert_eq!(ground.count("erasure", "confirmed_at is not null").await, 0);
    ground.execute(view).await;
    let worker = ground.worker("three");
    until("the alert is resolved", async || alerts_open(&ground, "academy").await == 0).await;
    ground.stop(worker).await;
    assert_eq!(ground.count("erasure", "true").await, 0, "everybody is found again");
    ground.assert_all_is_well(LEARNERS).await;
}
