//! The front page.

use serde_json::json;

use super::{data, get, page};
use crate::{
    http::support::{OPS_TOKEN, TestServer},
    support::until,
};

/// A night of six podcasts, one of each kind that matters.
async fn night(server: &TestServer) {
    for (user, status) in [
        (1, "completed"),
        (2, "completed"),
        (3, "completed_with_fallback"),
        (4, "failed"),
        (5, "pending"),
        (6, "audio_generating"),
    ] {
        server.podcast(user, "2026-11-22", status).await;
    }
    sqlx::raw_sql(
        "update dailycast.daily_podcast set cost_micro_usd = 10000, created_at = now() - interval '10 minutes';
         update dailycast.daily_podcast set next_attempt_at = now() - interval '5 minutes' where user_id = 5;
         update dailycast.daily_podcast set next_attempt_at = now() + interval '5 minutes' where user_id = 6;
         insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, eligible, enqueued, started_at, enqueued_at)
         values ('2026-11-22', 'running', 'schedule', now(), now() + interval '6 hours', 7, 6, now() - interval '10 minutes', now());
         insert into dailycast.worker (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
         values ('w-1', 'h', 'b', 1, 1, 'v', 1, 3600000, 1000);
         insert into dailycast.alert (kind, subject, message) values ('provider_down', 'gemini', 'calls to gemini fail');",
    )
    .execute(&server.db)
    .await
    .unwrap();
}

/// Looks until the figures are there.
async fn counted(server: &TestServer, path: &str) -> serde_json::Value {
    let mut seen = serde_json::Value::Null;
    until("the date is counted", async || {
        seen = data(server, path).await;
        !seen["figures"].is_null()
    })
    .await;
    seen
}

#[tokio::test]
async fn the_night_is_shown_in_figures_with_what_wants_attention() {
    let server = TestServer::start().await;
    night(&server).await;
    let seen = counted(&server, "").await;
    assert_eq!(
        (&seen["date"], &seen["state"], &seen["started_by"]),
        (&json!("2026-11-22"), &json!("running"), &json!("schedule"))
    );
    let figures = &seen["figures"];
    let numbers = ["eligible", "enqueued", "ready", "finished", "left", "stuck", "cost_micro_usd"];
    assert_eq!(numbers.map(|name| figures[name].as_i64().unwrap()), [7, 6, 3, 4, 2, 1, 60_000]);
    assert_eq!(figures["by_status"]["completed"], 2);
    assert_eq!(figures["by_status"]["audio_generating"], 1);
    assert_eq!(figures["failures"], json!([{ "kind": "internal", "count": 1 }]));
    assert_eq!(figures["failed"]["share"], 0.25);
    assert_eq!((&figures["failed"]["is_early"], &figures["failed"]["is_too_high"]), (&json!(true), &json!(false)));
    assert_eq!(figures["money"]["forecast"], 60_000);
    assert_eq!(figures["money"]["budget"], json!(null));
    let last = figures["burn_up"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["ready"], &last["failed"]), (&json!(3), &json!(1)));
    let kinds: Vec<_> =
        seen["attention"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["stuck", "failed", "alert", "fallback"]);

    let html = page(&server, "/ops").await.replace("&#x2f;", "/");
    for words in [
        "Night of Sun 22 Nov 2026",
        "Where the podcasts stand",
        "1 podcast stuck",
        "/ops/operations/new?verb=requeue&amp;stuck=yes&amp;date=2026-11-22",
        "/ops/podcasts?date=2026-11-22&amp;status=failed",
        "calls to gemini fail",
        "As a table",
        "role=\"img\"",
    ] {
        assert!(html.contains(words), "{words} is not in {html}");
    }
    assert!(!html.contains("style=\""), "a style would be blocked");
}

#[tokio::test]
async fn without_a_night_the_page_says_when_the_next_one_starts() {
    let server = TestServer::start().await;
    let seen = counted(&server, "").await;
    assert_eq!((&seen["state"], &seen["figures"]["enqueued"]), (&json!("none"), &json!(0)));
    assert_eq!(seen["next_night_at"], "2026-11-23T03:00:00Z");
    let html = page(&server, "/ops").await;
    assert!(html.contains("There is no podcast for this date."), "{html}");
    assert!(html.contains("The next night starts 23 Nov 03:00:00 UTC, in 17 h 0 min"), "{html}");
    assert!(html.contains("Nothing is stuck, nothing has failed and no alert is open."), "{html}");
    let old = counted(&server, "?date=2001-01-01").await;
    assert_eq!(old["figures"]["enqueued"], 0);
}

/// At the server's fixed time the next start is that of 23 November.
#[tokio::test]
async fn a_date_that_is_skipped_or_was_begun_by_hand_is_not_the_next_night() {
    let server = TestServer::start().await;
    sqlx::raw_sql(
        "insert into dailycast.night_skip (date, skipped_by) values ('2026-11-24', 'user 8');
         insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at)
         values ('2026-11-23', 'enqueuing', 'user 8', now(), now() + interval '6 hours');",
    )
    .execute(&server.db)
    .await
    .unwrap();
    for path in ["?date=2026-11-22", "/nights"] {
        assert_eq!(data(&server, path).await["next_night_at"], "2026-11-25T03:00:00Z", "{path}");
    }
}

#[tokio::test]
async fn when_all_that_is_left_waits_the_page_says_until_when() {
    let server = TestServer::start().await;
    night(&server).await;
    let left = counted(&server, "").await;
    assert_eq!(left["figures"]["waits_until"], json!(null), "one of the two is due");
    let server = TestServer::start().await;
    night(&server).await;
    sqlx::raw_sql(
        "update dailycast.daily_podcast set next_attempt_at = now() + interval '9 minutes' where user_id = 5",
    )
    .execute(&server.db)
    .await
    .unwrap();
    let seen = counted(&server, "").await;
    assert!(seen["figures"]["waits_until"].is_string(), "{seen}");
    assert!(page(&server, "/ops").await.contains("Waits until"));
}

#[tokio::test]
async fn a_pause_and_a_skipped_date_are_told() {
    let server = TestServer::start().await;
    sqlx::raw_sql(
        "insert into dailycast.pause (paused_by, reason) values ('user 7', 'a <bad> prompt');
         insert into dailycast.night_skip (date, skipped_by) values ('2026-11-22', 'user 8');",
    )
    .execute(&server.db)
    .await
    .unwrap();
    let html = page(&server, "/ops").await;
    assert!(html.contains("Paused by user 7") && html.contains("a &lt;bad&gt; prompt"), "{html}");
    assert!(html.contains("Skipped by user 8"), "{html}");
}

#[tokio::test]
async fn a_date_or_a_month_that_is_none_is_refused_by_its_name() {
    let server = TestServer::start().await;
    for (path, field) in [
        ("/api/ops?date=yesterday", "date"),
        ("/api/ops?date=-5000-01-01", "date"),
        ("/api/ops?date=+99999-01-01", "date"),
        ("/api/ops/nights?before=2026-13-01", "before"),
        ("/api/ops/costs?month=2026-13", "month"),
        ("/api/ops/costs?month=2026-11-01", "month"),
    ] {
        let refused = get(&server, path).await;
        assert_eq!(refused.status(), 400, "{path}");
        let refused: serde_json::Value = refused.json().await.unwrap();
        assert!(refused["errors"][field].is_array(), "{path}: {refused}");
    }
}

/// What is stuck is what the database's own function says, however it is counted.
#[tokio::test]
async fn what_is_stuck_is_the_same_for_one_and_for_all() {
    let server = TestServer::start().await;
    night(&server).await;
    let date = "2026-11-22".parse().unwrap();
    for change in [
        "select 1",
        "insert into apalis.jobs (id, job_type, job, run_at, idempotency_key)
         select dailycast.job_id(id), 'dailycast.podcast', '', now(), id::text from dailycast.daily_podcast where user_id = 5",
        "update dailycast.daily_podcast set worker_id = (select min(id) from dailycast.worker), lease_token = 1 where user_id = 6",
        "update dailycast.worker set heartbeat_at = now() - interval '2 hours'",
        "update dailycast.daily_podcast set next_attempt_at = now() where user_id = 5",
    ] {
        sqlx::raw_sql(change).execute(&server.db).await.unwrap();
        let one_by_one: i64 =
            sqlx::query_scalar("select count(*) from dailycast.daily_podcast p where dailycast.is_stuck(p)")
                .fetch_one(&server.db)
                .await
                .unwrap();
        let tally = dailycast::store::board::tally(&server.db, date).await.unwrap();
        assert_eq!(tally.stuck, one_by_one, "after {change}");
    }
}

#[tokio::test]
async fn the_token_is_never_in_the_page() {
    let server = TestServer::start().await;
    assert!(!page(&server, "/ops").await.contains(OPS_TOKEN));
}
