//! The page of costs.

use std::process::Command;

use dailycast::store::{Address, Store, board, night};
use serde_json::{Value, json};

use super::{data, page};
use crate::{
    http::support::{TestServer, migrate},
    store::costs::november,
    support::{Folder, database::TestDatabase, until},
};

fn told_by_the_program(url: &str) -> Value {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dailycast"));
    command.args(["cost", "--month", "2026-11", "--json"]).current_dir(&folder.0).env_clear().env("DATABASE_URL", url);
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

/// The month, when every date of it is counted.
async fn counted(server: &TestServer, path: &str) -> Value {
    let mut seen = Value::Null;
    until("every date is counted", async || {
        seen = data(server, path).await;
        seen["pending"] == json!([])
    })
    .await;
    seen
}

#[tokio::test]
async fn the_page_the_program_and_the_ledger_agree() {
    let database = TestDatabase::migrated_by("http_learners", migrate).await;
    let url = database.url.clone();
    let address = Address { url: url.clone(), academy_schema: "academy".to_owned(), max_connections: 4 };
    let store = Store::new(&address).unwrap();
    let server = TestServer::start_on(database, |_| {}, None).await;
    november(&server.db).await;
    let ledger: i64 = sqlx::query_scalar(
        "select sum(c.cost_micro_usd)::bigint from dailycast.provider_call c join dailycast.daily_podcast p on p.id = c.podcast_id
         where p.date between '2026-11-01' and '2026-11-30'",
    )
    .fetch_one(&server.db)
    .await
    .unwrap();
    let told = told_by_the_program(&url);
    assert_eq!(told["total"]["cost_micro_usd"], ledger);

    let live = counted(&server, "/costs?month=2026-11").await;
    assert_eq!((&live["total"], &live["by_provider"]), (&told["total"], &told["rows"]));
    let costs = |seen: &Value, by: &str| {
        seen[by].as_array().unwrap().iter().map(|row| row["cost_micro_usd"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(costs(&live, "by_day"), [33_562, 16_781]);
    assert_eq!(costs(&live, "by_plan"), [33_562, 16_781]);

    // The same from what is kept of a night that is over.
    sqlx::raw_sql(
        "insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, enqueued_at)
         values ('2026-11-30', 'running', 'schedule', now(), now(), now());
         update dailycast.daily_podcast set status = 'failed', error_kind = 'timeout', finished_at = now();",
    )
    .execute(&server.db)
    .await
    .unwrap();
    let date = "2026-11-30".parse().unwrap();
    assert_eq!(night::finish(&server.db).await.unwrap(), [date]);
    board::summarise(&store, date).await.unwrap();
    let kept = counted(&server, "/costs?month=2026-11").await;
    assert_eq!((&kept["total"], &kept["by_day"]), (&live["total"], &live["by_day"]));
    let html = page(&server, "/ops/costs?month=2026-11").await;
    assert!(html.contains("Costs of November 2026") && html.contains("gpt-4o-mini"), "{html}");
    store.close().await;
}

#[tokio::test]
async fn a_month_without_calls_says_so() {
    let server = TestServer::start().await;
    let html = page(&server, "/ops/costs?month=2001-02").await;
    assert!(html.contains("No call was made for a podcast of this month."), "{html}");
    assert!(html.contains("may be gone: rows are kept 30 days"), "{html}");
}
