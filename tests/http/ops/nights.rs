//! The nights that were, and what is kept of one that is over.

use dailycast::store::{Address, Store, board, night};
use serde_json::json;

use super::{data, page};
use crate::{
    http::support::{TestServer, migrate},
    support::database::TestDatabase,
};

async fn execute(server: &TestServer, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&server.db).await.unwrap();
}

#[tokio::test]
async fn what_is_kept_of_a_night_is_written_at_its_end_and_again_after_it_ran_again() {
    let database = TestDatabase::migrated_by("http_learners", migrate).await;
    let address = Address { url: database.url.clone(), academy_schema: "academy".to_owned(), max_connections: 4 };
    let store = Store::new(&address).unwrap();
    let server = TestServer::start_on(database, |_| {}, None).await;
    let date = "2026-11-22".parse().unwrap();
    server.podcast(1, "2026-11-22", "completed").await;
    let failed = server.podcast(2, "2026-11-22", "failed").await;
    execute(
        &server,
        "insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, enqueued_at)
         values ('2026-11-22', 'running', 'schedule', now(), now() + interval '6 hours', now());
         insert into dailycast.provider_call (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
         select id, 'polly', 'standard', 'speech', '{}', 700, 9, 'ok' from dailycast.daily_podcast;",
    )
    .await;
    assert_eq!(night::finish(&server.db).await.unwrap(), [date]);
    assert_eq!(board::without_summary(&server.db).await.unwrap(), Some(date));
    board::summarise(&store, date).await.unwrap();
    assert_eq!(board::without_summary(&server.db).await.unwrap(), None);
    let kept = async || board::frame(&server.db, date).await.unwrap().night.unwrap().summary;
    let first = kept().await.unwrap();
    assert_eq!((first.tally.by_status["completed"], first.tally.by_status["failed"]), (1, 1));
    assert_eq!(first.ledger.spent[0].cost_micro_usd, 1400);
    let row = &data(&server, "/nights").await["nights"][0];
    assert_eq!((&row["figures"]["ready"], &row["figures"]["failed"]), (&json!(1), &json!(1)));
    assert_eq!((&row["figures"]["failed_share"], &row["figures"]["cost_micro_usd"]), (&json!(0.5), &json!(1400)));

    server.set(failed, "pending", "finished_at = null, error_kind = null").await;
    assert_eq!(kept().await, None, "what is kept is not shown while a podcast goes on");
    assert_eq!(board::reopen(&server.db).await.unwrap(), [date]);
    assert_eq!(night::finish(&server.db).await.unwrap(), []);
    server.set(failed, "failed", "finished_at = now(), error_kind = 'timeout'").await;
    assert_eq!(board::reopen(&server.db).await.unwrap(), []);
    assert_eq!(night::finish(&server.db).await.unwrap(), [date]);
    assert_eq!(kept().await, None, "what was kept is from before");
    board::summarise(&store, date).await.unwrap();
    assert_eq!(kept().await.unwrap().tally.failures[0].kind, "timeout");
    store.close().await;
}

#[tokio::test]
async fn nights_come_thirty_at_a_time_and_skipped_dates_are_named() {
    let server = TestServer::start().await;
    execute(
        &server,
        "insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, enqueued_at, started_at, finished_at, summary)
         select '2026-11-21'::date - n, 'finished', 'schedule', now(), now(), now(), now() - interval '40 minutes', now(),
                '{\"tally\": {\"counted_at\": \"2026-11-22T03:00:00Z\", \"podcasts\": 4, \"by_status\": {\"completed\": 3, \"failed\": 1},
                  \"failures\": [], \"stuck\": 0, \"stuck_since\": null, \"lately\": 0, \"born_at\": null, \"finished_at\": null,
                  \"cost_micro_usd\": 5, \"finished_cost_micro_usd\": 5, \"makers\": [], \"curve_from\": null, \"slot_seconds\": 1,
                  \"slots\": []}, \"ledger\": {\"spent\": [], \"made\": []}}'
         from generate_series(0, 34) n;
         insert into dailycast.night_skip (date, skipped_by, reason) values ('2026-11-22', 'user 7', 'holiday');",
    )
    .await;
    let first = data(&server, "/nights").await;
    let nights = first["nights"].as_array().unwrap();
    assert_eq!((nights.len(), &nights[0]["state"], &nights[1]["date"]), (31, &json!("skipped"), &json!("2026-11-21")));
    assert_eq!(nights[1]["duration_seconds"], 2400);
    let next = first["next"].as_str().unwrap();
    let second = data(&server, &format!("/nights?before={next}")).await;
    assert_eq!((second["nights"].as_array().unwrap().len(), &second["next"]), (5, &json!(null)));
    let html = page(&server, "/ops/nights").await;
    assert!(html.contains("skipped by user 7, “holiday”"), "{html}");
    assert!(html.contains("href=\"/ops?date=2026-11-21\"") && html.contains("25.0\u{202f}%"), "{html}");
}

#[tokio::test]
async fn without_a_night_the_page_says_what_would_be_there() {
    let server = TestServer::start().await;
    assert!(page(&server, "/ops/nights").await.contains("There was no night yet."));
    assert!(page(&server, "/ops/nights?before=2001-01-01").await.contains("There was no night before that date."));
}
