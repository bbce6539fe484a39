//! The operators' side from outside: who may come in, what the pages say, what deeds do.

mod audit;
mod board;
mod costs;
mod door;
mod failures;
mod input;
mod nights;
mod operations;
mod pages;
mod podcast;
mod podcasts;
mod roles;
mod schedule;
mod snapshot;
mod support;
mod tonight;

use reqwest::{Method, Response};
use serde_json::Value;

use super::support::{OPS_TOKEN, TestServer};

/// `GET` by a machine.
async fn get(server: &TestServer, path: &str) -> Response {
    let request = server.request(Method::GET, path).header("Authorization", format!("Token {OPS_TOKEN}"));
    request.send().await.unwrap()
}

/// The JSON at `/api/ops…`, which has to be there.
async fn data(server: &TestServer, path: &str) -> Value {
    let response = get(server, &format!("/api/ops{path}")).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// A view as a page; it has to be there.
async fn page(server: &TestServer, path: &str) -> String {
    let response = get(server, path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.unwrap()
}

/// A podcast that was given up, with the line that says so.
async fn failed(server: &TestServer, user_id: i64, date: &str, kind: &str, provider: &str) -> i64 {
    let id = server.podcast(user_id, date, "pending").await;
    server.set(id, "failed", &format!("error_kind = '{kind}', error_message = 'no', finished_at = now()")).await;
    let line = format!(
        "insert into dailycast.podcast_event (podcast_id, at, event, from_status, to_status, provider, error_kind)
         values ({id}, '2026-11-22 03:10Z', 'gave_up', 'pending', 'failed', '{provider}', '{kind}')"
    );
    run(server, &line).await;
    id
}

async fn run(server: &TestServer, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&server.db).await.unwrap();
}

/// The ids of a list.
fn ids(list: &Value) -> Vec<i64> {
    list["results"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}
