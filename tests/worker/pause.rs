//! A pause with workers at work: what is in hand is finished, nothing new begins, nothing is lost.

use std::sync::{Arc, atomic::Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use dailycast::{
    store::{night, pause},
    worker::Settings,
};

use crate::{
    store::nights::schedule,
    support::engine::{Scripted, TestNight},
};

async fn until_paused(night: &TestNight) {
    let held = async || night.count("lease_token is not null").await == 0;
    night.until("nothing is held", held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_finishes_the_steps_in_hand_and_a_resume_goes_on() {
    let night = TestNight::new().await.enqueued(40).await;
    let (work, gate) = Scripted::gated();
    let work = Arc::new(work);
    let (a, b) = (night.worker(&work), night.worker(&work));
    night.until("all slots are busy", async || work.in_flight.load(Ordering::SeqCst) == 32).await;
    pause::pause(night.pool(), "amira", "bad prompt").await.unwrap();
    // Each of the two has told the database that it lives after the pause began, and was told of it.
    let told = "select count(*) from dailycast.worker w, dailycast.pause p
                where w.heartbeat_at > p.paused_at + interval '1 second'";
    let beats = async || sqlx::query_scalar::<_, i64>(told).fetch_one(night.pool()).await.unwrap() == 2;
    night.until("both were heard", beats).await;
    gate.add_permits(32);
    until_paused(&night).await;
    assert_eq!(work.total(), 32, "no step begins beside those that were in hand");
    assert_eq!(night.count("status = 'script_generated' and attempt = 0 and next_attempt_at <= now()").await, 32);
    assert_eq!(night.count("dailycast.is_stuck(daily_podcast)").await, 0);

    // A pause outlives those who work.
    a.stop().await;
    b.stop().await;
    let c = night.worker(&work);
    gate.add_permits(1_000);
    let heard = "select count(*) from dailycast.worker where stopped_at is null and heartbeat_at > started_at";
    let beats = async || sqlx::query_scalar::<_, i64>(heard).fetch_one(night.pool()).await.unwrap() == 1;
    night.until("the new one is heard", beats).await;
    assert_eq!((work.total(), night.count("lease_token is not null").await), (32, 0));

    pause::resume(night.pool(), "amira").await.unwrap();
    night.done().await;
    c.stop().await;
    assert!(work.repeated().is_empty(), "nothing was done twice");
    assert_eq!(work.total(), 160);
    night.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_missed_during_a_pause_is_made_up_after_it() {
    let night = TestNight::new().await.with_learners(5).await;
    let work = Arc::new(Scripted::well());
    pause::pause(night.pool(), "amira", "").await.unwrap();
    let now = night::now(night.pool()).await.unwrap();
    let worker = night.worker_with(&work, |settings| at_any_time(settings, now));
    let leads = async || lead(&night).await;
    night.until("the worker leads", leads).await;
    let begun = async || {
        sqlx::query_scalar::<_, i64>("select count(*) from dailycast.night").fetch_one(night.pool()).await.unwrap()
    };
    assert_eq!(begun().await, 0);
    pause::resume(night.pool(), "amira").await.unwrap();
    night.until("the night is made", async || night.count("finished_at is not null").await == 5).await;
    worker.stop().await;
    assert_eq!(begun().await, 1);
}

async fn lead(night: &TestNight) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_locks l where l.locktype = 'advisory' and l.objid = 0 and l.granted
         and l.database = (select oid from pg_database where datname = current_database()))",
    )
    .fetch_one(night.pool())
    .await
    .unwrap()
}

/// A night every minute, whose deadline is not near.
fn at_any_time(settings: &mut Settings, now: DateTime<Utc>) {
    let mut plan = schedule(100);
    plan.cron = "* * * * *".parse().unwrap();
    plan.deadline = (now - TimeDelta::hours(1)).time();
    settings.schedule = Some(plan);
}
