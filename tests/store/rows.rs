//! The database refuses every row and every move that the machine does not know.

use std::collections::BTreeSet;

use dailycast::{
    machine::{BIRTHS, Status, TABLE},
    store::{Address, Store},
};

use crate::support::engine::TestNight;

/// A row that satisfies what `status` demands.
fn insert(status: Status) -> String {
    let finished = if status.is_final() { "now()" } else { "null" };
    let fallback = status == Status::CompletedWithFallback;
    format!(
        "insert into dailycast.daily_podcast
            (user_id, date, deadline_at, status, finished_at, is_fallback, script_text, tts_provider, chunk_plan,
             spool_ref, duration_seconds, object_key, audio_url, error_kind)
         values (1, '2026-01-01', now(), '{status}', {finished}, {fallback}, 'Hello.', 'local', '{{}}', 'ref', 240,
                 'key', 's3://bucket/key', 'internal')"
    )
}

async fn is_refused(night: &TestNight, sql: &str) -> bool {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(night.pool()).await.is_err()
}

#[tokio::test]
async fn the_database_knows_the_moves_of_the_table_and_no_others() {
    let night = TestNight::new().await;
    let ours: BTreeSet<(String, String)> = TABLE
        .iter()
        .filter(|arrow| arrow.from != arrow.to)
        .map(|arrow| (arrow.from.to_string(), arrow.to.to_string()))
        .collect();
    let names: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let theirs: Vec<(String, String)> = sqlx::query_as(
        "select a, b from unnest($1::text[]) a, unnest($1::text[]) b where dailycast.is_legal_move(a, b)",
    )
    .bind(&names)
    .fetch_all(night.pool())
    .await
    .unwrap();
    assert_eq!(theirs.into_iter().collect::<BTreeSet<_>>(), ours);
}

#[tokio::test]
async fn every_update_to_another_status_obeys_the_table() {
    let night = TestNight::new().await;
    for from in Status::ALL {
        for to in Status::ALL.into_iter().filter(|to| *to != from) {
            night.execute("truncate dailycast.daily_podcast cascade").await;
            night.execute("alter table dailycast.daily_podcast disable trigger born_by_the_table").await;
            night.execute(&insert(from)).await;
            night.execute("alter table dailycast.daily_podcast enable trigger born_by_the_table").await;
            let update = format!(
                "update dailycast.daily_podcast set status = '{to}', finished_at = {}, is_fallback = {}",
                if to.is_final() { "now()" } else { "null" },
                to == Status::CompletedWithFallback,
            );
            let legal = TABLE.iter().any(|arrow| arrow.from == from && arrow.to == to);
            assert_eq!(is_refused(&night, &update).await, !legal, "{from} -> {to}");
        }
    }
}

#[tokio::test]
async fn podcasts_are_born_where_the_machine_says() {
    let night = TestNight::new().await;
    for status in Status::ALL {
        let refused = is_refused(&night, &insert(status)).await;
        assert_eq!(refused, !BIRTHS.contains(&status), "{status}");
        night.execute("truncate dailycast.daily_podcast cascade").await;
    }
}

#[tokio::test]
async fn a_row_that_lacks_what_its_status_means_is_refused() {
    let night = TestNight::new().await;
    let row = insert(Status::Pending);
    assert!(!is_refused(&night, &row).await);
    assert!(is_refused(&night, &row).await, "a second active podcast for the same learner and date");
    for (what, change) in [
        ("an unknown status", "status = 'paused'"),
        ("finished before its end", "finished_at = now()"),
        ("a lease without a worker", "lease_token = 1"),
        ("a worker without a lease", "worker_id = 1"),
        ("an attempt below zero", "attempt = -1"),
        ("a script step that left no script", "status = 'script_generated', script_text = null"),
        ("a failure without a reason", "status = 'failed', finished_at = now(), error_kind = null"),
        ("a finished row that is held", "status = 'failed', finished_at = now(), lease_token = 1, worker_id = 1"),
    ] {
        assert!(is_refused(&night, &format!("update dailycast.daily_podcast set {change}")).await, "{what}");
    }
}

/// Whoever logs one of them logs no password.
#[tokio::test]
async fn what_leads_to_the_database_does_not_show_its_password() {
    let url = "postgres://app:hunter2@127.0.0.1:1/nowhere".to_owned();
    let address = Address { url, academy_schema: "academy".to_owned(), max_connections: 4 };
    let store = Store::new(&address).unwrap();
    let shown = format!("{address:?} {store:?} {:?} {:?}", store.reads(), store.pool());
    assert!(!shown.contains("hunter2"), "{shown}");
}
