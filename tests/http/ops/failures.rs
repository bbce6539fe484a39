//! Failures by cause.

use std::collections::BTreeSet;

use dailycast::{explain::advice::advice, machine::FailureKind};

use super::{data, failed, get, page, run};
use crate::{http::support::TestServer, support::until};

#[tokio::test]
async fn four_hundred_alike_and_a_hundred_others_are_two_causes() {
    let server = TestServer::start().await;
    run(&server,
        "with made as (
             insert into dailycast.daily_podcast (user_id, date, deadline_at)
             select n, '2026-11-22', now() from generate_series(1, 500) n returning id, user_id
         )
         insert into dailycast.podcast_event (podcast_id, at, event, from_status, to_status, provider)
         select id, '2026-11-22 03:00Z'::timestamptz + user_id * interval '1 second', 'gave_up', 'pending', 'failed', 'openai'
         from made;
         update dailycast.daily_podcast set status = 'failed', finished_at = now(), error_message = 'as it was',
             error_kind = case when user_id <= 400 then 'timeout' else 'bad_answer' end").await;
    for query in ["days=7", "date=2026-11-22"] {
        let page = data(&server, &format!("/failures?{query}")).await;
        let groups: Vec<_> =
            page["results"].as_array().unwrap().iter().map(|group| (&group["kind"], &group["podcasts"])).collect();
        assert_eq!(serde_json::json!(groups), serde_json::json!([["timeout", 400], ["bad_answer", 100]]), "{query}");
        assert_eq!(page["causes"][0]["podcasts"], 400);
        assert_eq!(page["results"][0]["message"], "as it was");
        let bars: i64 = page["results"][0]["bars"].as_array().unwrap().iter().map(|bar| bar.as_i64().unwrap()).sum();
        assert_eq!(bars, 400, "{query}");
    }
    let one = data(&server, "/failures?days=7&cause=bad_answer").await;
    assert_eq!((&one["podcasts"], one["causes"].as_array().unwrap().len()), (&serde_json::json!(100), 1));
    let listed = data(&server, "/podcasts?status=failed&cause=bad_answer").await;
    assert_eq!(listed["count"]["at_least"], 100);
    let html = get(&server, "/ops/failures").await.text().await.unwrap();
    assert!(html.contains("verb=requeue&amp;status=failed&amp;cause=timeout"), "{html}");
    assert!(html.contains(advice(FailureKind::Timeout)), "{html}");
}

#[tokio::test]
async fn what_was_requeued_or_failed_at_another_time_is_not_counted() {
    let server = TestServer::start().await;
    let again = failed(&server, 7, "2026-11-22", "timeout", "openai").await;
    let kept = failed(&server, 8, "2026-11-22", "timeout", "gemini").await;
    server.set(again, "pending", "finished_at = null").await;
    run(
        &server,
        &format!(
            "insert into dailycast.podcast_event (podcast_id, at, event, from_status, to_status, provider)
        values ({kept}, '2026-11-22 04:00Z', 'gave_up', 'pending', 'failed', 'gemini')"
        ),
    )
    .await;
    let page = data(&server, "/failures?days=1").await;
    assert_eq!((page["podcasts"].as_i64(), page["results"][0]["provider"].as_str()), (Some(1), Some("gemini")));
    assert_eq!(data(&server, "/failures?date=2026-11-21").await["podcasts"], 0);
    server.clock.set("2026-12-20T10:00:00Z");
    until("it is counted again", async || data(&server, "/failures?days=1").await["podcasts"] == 0).await;
}

#[tokio::test]
async fn a_range_that_cannot_be_meant_is_refused_by_name() {
    let server = TestServer::start().await;
    for (query, field) in [
        ("days=0", "days"),
        ("days=x", "days"),
        ("days=9999", "days"),
        ("date=x", "date"),
        ("date=-9999-01-01", "date"),
        ("cause=x", "cause"),
    ] {
        let response = get(&server, &format!("/api/ops/failures?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        assert!(response.json::<serde_json::Value>().await.unwrap()["errors"][field].is_array(), "{query}");
    }
}

/// A page does not wait for a count that takes long; a program does.
#[tokio::test]
async fn while_failures_are_counted_the_page_is_there_and_says_so() {
    let server = TestServer::start().await;
    failed(&server, 8, "2026-11-22", "timeout", "gemini").await;
    let mut busy = server.db.begin().await.unwrap();
    sqlx::query("lock table dailycast.podcast_event in access exclusive mode").execute(&mut *busy).await.unwrap();
    let html = page(&server, "/ops/failures?date=2026-11-22").await;
    assert!(html.contains("The failures are being counted.") && !html.contains("Nothing is failed"), "{html}");
    busy.rollback().await.unwrap();
    assert_eq!(data(&server, "/failures?date=2026-11-22").await["podcasts"], 1);
    let html = page(&server, "/ops/failures?date=2026-11-22").await;
    assert!(html.contains("cause-timeout") && !html.contains("being counted"), "{html}");
}

#[tokio::test]
async fn figures_that_could_not_be_counted_again_are_shown_with_a_note() {
    let server = TestServer::start().await;
    failed(&server, 8, "2026-11-22", "timeout", "gemini").await;
    assert_eq!(data(&server, "/failures?days=7").await["podcasts"], 1);
    assert!(!page(&server, "/ops/failures?days=7").await.contains("id=\"stale\""));
    run(&server, "alter table dailycast.podcast_event rename to moved").await;
    until("a count has failed", async || data(&server, "/failures?days=7").await["has_failed"] == true).await;
    let html = page(&server, "/ops/failures?days=7").await;
    assert!(html.contains("id=\"stale\"") && html.contains("cause-timeout"), "{html}");
}

#[test]
fn every_kind_of_failure_has_an_advice_of_its_own() {
    let sentences: BTreeSet<&str> = FailureKind::ALL.into_iter().map(advice).collect();
    assert_eq!(sentences.len(), FailureKind::ALL.len());
    assert!(sentences.iter().all(|sentence| sentence.ends_with('.') && sentence.len() > 20), "{sentences:?}");
}

#[tokio::test]
async fn that_older_failures_were_not_counted_is_said_however_few_are_failed_still() {
    let server = TestServer::start().await;
    let kept = failed(&server, 8, "2026-11-22", "timeout", "gemini").await;
    assert_eq!(data(&server, "/failures?date=2026-11-22").await["is_cut"], false);
    run(
        &server,
        &format!(
            "insert into dailycast.podcast_event (podcast_id, at, event, from_status, to_status, provider)
             select {kept}, '2026-11-22 04:00Z', 'gave_up', 'pending', 'failed', 'gemini' from generate_series(1, 50000)"
        ),
    )
    .await;
    let page = data(&server, "/failures?days=7").await;
    assert_eq!((page["podcasts"].as_i64(), page["is_cut"].as_bool()), (Some(1), Some(true)));
}
