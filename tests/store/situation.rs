//! What is said of podcasts agrees with what the database calls stuck.

use std::collections::BTreeMap;

use dailycast::{
    explain::{Tone, explain},
    store::{situation, stuck},
};

use super::claim::register;
use crate::support::engine::TestNight;

/// A podcast for each situation, by learner, with the word for it.
const SITUATIONS: [(i64, &str, &str); 16] = [
    (1, "due", "next_attempt_at = now() - interval '1 hour'"),
    (2, "due", "next_attempt_at = now() - interval '20 seconds'"),
    (3, "job_missing", "next_attempt_at = now() - interval '1 hour'"),
    (4, "job_missing", "next_attempt_at = now() - interval '20 seconds'"),
    (5, "waiting_retry", "next_attempt_at = now() + interval '5 minutes', error_kind = 'timeout', attempt = 1"),
    (6, "breaker_open", "next_attempt_at = now() + interval '5 minutes', error_kind = 'breaker_open'"),
    (7, "budget_stop", "next_attempt_at = now() + interval '5 minutes', error_kind = 'budget_reached'"),
    (8, "working", "lease_token = 1, worker_id = (select id from dailycast.worker where name = 'alive')"),
    (9, "worker_lost", "lease_token = 1, worker_id = (select id from dailycast.worker where name = 'late')"),
    (10, "worker_lost", "lease_token = 1, worker_id = (select id from dailycast.worker where name = 'stopped')"),
    (11, "worker_lost", "lease_token = 1, worker_id = 9999"),
    (12, "worker_silent", "lease_token = 1, worker_id = (select id from dailycast.worker where name = 'silent')"),
    (13, "suspect", "next_attempt_at = now() - interval '1 hour', crashes = 3"),
    (14, "deadline_passed", "next_attempt_at = now() - interval '1 hour', deadline_at = now() - interval '1 minute'"),
    (15, "given_up", "status = 'failed', error_kind = 'bad_request', finished_at = now()"),
    (
        16,
        "cancelled",
        "status = 'failed', error_kind = 'cancelled', error_message = 'cancelled by user 7', finished_at = now()",
    ),
];

async fn night() -> TestNight {
    let night = TestNight::new().await.enqueued(16).await;
    for (name, heard, stopped) in
        [("alive", 0, "null"), ("late", 3_600, "null"), ("stopped", 0, "now()"), ("silent", 10, "null")]
    {
        let worker = register(&night).await;
        night
            .execute(&format!(
                "update dailycast.worker
                 set name = '{name}', lease_ms = 60000, heartbeat_at = now() - interval '{heard} seconds',
                     stopped_at = {stopped}, stop_reason = case when {stopped} is not null then 'test' end
                 where id = {worker}"
            ))
            .await;
    }
    for (learner, _, change) in SITUATIONS {
        night.execute(&format!("update dailycast.daily_podcast set {change} where user_id = {learner}")).await;
    }
    let job_of = |learner: i64| format!("(select id::text from dailycast.daily_podcast where user_id = {learner})");
    night
        .execute(&format!(
            "delete from apalis.jobs where idempotency_key in ({}, {});
             update apalis.jobs set priority = -1 where idempotency_key = {}",
            job_of(3),
            job_of(4),
            job_of(13),
        ))
        .await;
    night
}

/// What is said, and whether the database calls it stuck, by learner.
async fn said(night: &TestNight) -> BTreeMap<i64, (String, Tone, bool)> {
    let rows: Vec<(i64, i64, bool)> =
        sqlx::query_as("select id, user_id, dailycast.is_stuck(p) from dailycast.daily_podcast p")
            .fetch_all(night.pool())
            .await
            .unwrap();
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let situations = situation::facts(night.pool(), &ids).await.unwrap().unwrap();
    let explained = rows.iter().map(|(id, learner, is_stuck)| {
        let said = explain(&situations.facts[id], situations.now);
        (*learner, (said.cause.to_owned(), said.tone, *is_stuck))
    });
    explained.collect()
}

fn assert_agree(said: &BTreeMap<i64, (String, Tone, bool)>) {
    for (learner, (cause, tone, is_stuck)) in said {
        assert_eq!(*tone == Tone::Stuck, *is_stuck, "{learner}: {cause}");
    }
}

#[tokio::test]
async fn stuck_in_words_is_stuck_in_the_database_and_nothing_else_is() {
    let night = night().await;
    let before = said(&night).await;
    for (learner, cause, _) in SITUATIONS {
        assert_eq!(before[&learner].0, cause, "{learner}");
    }
    assert_agree(&before);
    assert_eq!(before.values().filter(|(.., is_stuck)| *is_stuck).count(), 4);

    night.execute("insert into dailycast.pause (paused_by, reason) values ('amira', 'bad prompt')").await;
    let paused = said(&night).await;
    assert_agree(&paused);
    assert!(paused.values().all(|(.., is_stuck)| !is_stuck), "{paused:?}");
    assert_eq!((&*paused[&1].0, &*paused[&8].0, &*paused[&9].0), ("paused", "pausing", "paused"));

    night
        .execute("delete from dailycast.pause; update dailycast.worker set heartbeat_at = now() - interval '1 day'")
        .await;
    let nobody = said(&night).await;
    assert_agree(&nobody);
    assert_eq!((&*nobody[&1].0, &*nobody[&3].0, &*nobody[&8].0), ("no_workers", "no_workers", "worker_lost"));
    assert_eq!(nobody[&2], ("no_workers".to_owned(), Tone::Waiting, false), "due for less than a minute");
}

#[tokio::test]
async fn the_facts_name_who_failed_and_who_was_asked() {
    let night = night().await;
    let id: i64 = sqlx::query_scalar("select id from dailycast.daily_podcast where user_id = 5")
        .fetch_one(night.pool())
        .await
        .unwrap();
    night
        .execute(&format!(
            "insert into dailycast.podcast_event (podcast_id, event, to_status, provider)
             values ({id}, 'attempt_failed', 'pending', 'openai'), ({id}, 'rescued', 'pending', null)"
        ))
        .await;
    let situations = situation::facts(night.pool(), &[id, 77_777]).await.unwrap().unwrap();
    assert_eq!(situations.facts.len(), 1);
    assert_eq!(situations.facts[&id].provider.as_deref(), Some("openai"));
    assert!(situation::facts(night.pool(), &[77_777]).await.unwrap().is_none());
    assert!(situation::facts(night.pool(), &[]).await.unwrap().is_none());
    night.execute(&format!("update dailycast.daily_podcast set status = 'failed', error_kind = 'of tomorrow', finished_at = now() where id = {id}")).await;
    let situations = situation::facts(night.pool(), &[id]).await.unwrap().unwrap();
    assert_eq!(explain(&situations.facts[&id], situations.now).cause, "given_up", "a kind of a newer version");
}

#[tokio::test]
async fn some_of_the_stuck_of_a_date_are_named() {
    let night = night().await;
    let date = night.deadline_at.date_naive();
    assert_eq!(stuck::find(&night.store, Some(date), i64::MAX, 100).await.unwrap().len(), 4);
    assert_eq!(stuck::find(&night.store, Some(date), i64::MAX, 2).await.unwrap().len(), 2);
    assert!(stuck::find(&night.store, date.succ_opt(), i64::MAX, 2).await.unwrap().is_empty());
}
