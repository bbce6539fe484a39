//! `/ops/schedule` and what is done there.

use chrono::{Days, NaiveDate};
use dailycast::store::night;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::http::support::{OPS_TOKEN, TOKEN, TestServer};

/// The token of learner 20, who is staff and may look.
const VIEWER: &str = "77777777777777777777777777777777777777aa";

async fn server() -> TestServer {
    let server = TestServer::start().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "insert into academy.learner values (20, true, true, false);
         insert into academy.learner_token values ('{VIEWER}', 20)"
    )))
    .execute(&server.db)
    .await
    .unwrap();
    server
}

async fn get(server: &TestServer, path: &str) -> Response {
    server.request(Method::GET, path).bearer_auth(OPS_TOKEN).send().await.unwrap()
}

async fn view(server: &TestServer) -> Value {
    let response = get(server, "/api/ops/schedule").await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn post_as(server: &TestServer, token: &str, verb: &str, body: Value) -> Response {
    let path = format!("/api/ops/schedule/{verb}");
    server
        .request(Method::POST, &path)
        .header("Authorization", format!("Token {token}"))
        .json(&body)
        .send()
        .await
        .unwrap()
}

async fn post(server: &TestServer, verb: &str, body: Value) -> Value {
    let response = post_as(server, OPS_TOKEN, verb, body).await;
    assert_eq!(response.status(), 200, "{verb}");
    response.json().await.unwrap()
}

async fn page(server: &TestServer) -> String {
    let response = get(server, "/ops/schedule").await;
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

async fn today(server: &TestServer) -> NaiveDate {
    night::now(&server.db).await.unwrap().date_naive()
}

#[tokio::test]
async fn the_page_says_when_nights_start_and_what_holds_them_back() {
    let server = server().await;
    let shown = view(&server).await;
    assert_eq!(shown["words"], "Every day at 03:00 UTC; unfinished work is given up at 09:00 UTC.");
    assert_eq!((&shown["pause"], &shown["is_utc"]), (&Value::Null, &true.into()));
    assert!(shown["starts"].as_array().unwrap().len() >= 7);
    let html = page(&server).await;
    for words in ["Every day at 03:00 UTC", "Run the night now", "Pause everything", "Deadlines do not move"] {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert!(!html.contains("Resume"));
}

#[tokio::test]
async fn a_pause_is_shown_with_who_and_why_until_it_is_resumed() {
    let server = server().await;
    let why = "bad prompt <b>";
    assert_eq!(post(&server, "pause", json!({ "reason": why })).await, json!({ "paused": true, "changed": true }));
    assert_eq!(post(&server, "pause", json!({})).await["changed"], false);
    let paused = &view(&server).await["pause"];
    assert_eq!((&paused["paused_by"], &paused["reason"]), (&"ops.token".into(), &why.into()));
    let html = page(&server).await;
    assert!(html.contains("Paused by ops.token") && html.contains("bad prompt &lt;b&gt;"), "{html}");
    assert!(html.contains("Resume"));
    assert_eq!(post(&server, "resume", json!({})).await, json!({ "paused": false, "changed": true }));
    assert_eq!(post(&server, "resume", json!({})).await["changed"], false);
    assert_eq!(view(&server).await["pause"], Value::Null);
}

#[tokio::test]
async fn a_browser_is_sent_back_and_told() {
    let server = server().await;
    let form = server.request(Method::POST, "/ops/schedule/pause").bearer_auth(OPS_TOKEN);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("reason=why");
    let response = form.send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/ops/schedule".parse().unwrap()));
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("deadline+stays+") || cookie.contains("deadline%20stays%20"), "{cookie}");
}

#[tokio::test]
async fn a_date_is_skipped_and_not_skipped_again() {
    let server = server().await;
    let date = today(&server).await + Days::new(2);
    let skipped = post(&server, "skip", json!({ "date": date, "reason": "holiday" })).await;
    assert_eq!(skipped, json!({ "date": date, "skipped": true, "changed": true }));
    let start =
        |shown: &Value| shown["starts"].as_array().unwrap().iter().find(|start| start["date"] == json!(date)).cloned();
    assert_eq!(start(&view(&server).await).unwrap()["skip"]["reason"], "holiday");
    let html = page(&server).await;
    assert!(html.contains("Skipped") && html.contains("holiday") && html.contains("Do not skip"), "{html}");
    assert_eq!(post(&server, "unskip", json!({ "date": date })).await["changed"], true);
    assert_eq!(post(&server, "unskip", json!({ "date": date })).await["changed"], false);
    assert_eq!(start(&view(&server).await).unwrap()["skip"], Value::Null);
}

#[tokio::test]
async fn a_night_is_run_by_hand_also_on_a_skipped_date_and_then_not_skipped() {
    let server = server().await;
    let date: NaiveDate = view(&server).await["tonight"]["date"].as_str().unwrap().parse().unwrap();
    post(&server, "skip", json!({ "date": date })).await;
    assert_eq!(post(&server, "run", json!({})).await, json!({ "date": date, "night": "started" }));
    assert_eq!(post(&server, "run", json!({ "date": date })).await["night"], "under_way");
    night::close(&server.db, date).await.unwrap();
    assert_eq!(post(&server, "run", json!({})).await["night"], "again");
    post(&server, "unskip", json!({ "date": date })).await;
    let refused = post_as(&server, OPS_TOKEN, "skip", json!({ "date": date })).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("has begun, so it cannot be skipped"));
    assert_eq!(view(&server).await["tonight"]["has_begun"], true);
    assert!(page(&server).await.contains("Go through its learners again"));
}

#[tokio::test]
async fn who_may_look_only_changes_nothing() {
    let server = server().await;
    for verb in ["run", "skip", "unskip", "pause", "resume"] {
        for (token, status) in [(VIEWER, 403), (TOKEN, 403), ("unknown", 401)] {
            assert_eq!(post_as(&server, token, verb, json!({})).await.status(), status, "{verb}");
        }
        let looked = get(&server, &format!("/api/ops/schedule/{verb}")).await;
        assert_eq!(looked.status(), 405, "{verb}");
    }
    let seen = server
        .request(Method::GET, "/ops/schedule")
        .header("Authorization", format!("Token {VIEWER}"))
        .send()
        .await
        .unwrap();
    assert_eq!(seen.status(), 200);
    let html = seen.text().await.unwrap();
    assert!(!html.contains("<form method=\"post\""), "{html}");
    let untouched: i64 = sqlx::query_scalar(
        "select (select count(*) from dailycast.pause) + (select count(*) from dailycast.night_skip)
              + (select count(*) from dailycast.night) + (select count(*) from dailycast.audit)",
    )
    .fetch_one(&server.db)
    .await
    .unwrap();
    assert_eq!(untouched, 0);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_the_name_of_its_field() {
    let server = server().await;
    let today = today(&server).await;
    for (verb, body, field) in [
        ("skip", json!({}), "date"),
        ("skip", json!({ "date": "tomorrow" }), "date"),
        ("skip", json!({ "date": "2026-02-30" }), "date"),
        ("skip", json!({ "date": "+262142-12-31" }), "date"),
        ("skip", json!({ "date": "-262143-01-01" }), "date"),
        ("skip", json!({ "date": today - Days::new(2) }), "date"),
        ("skip", json!({ "date": today + Days::new(400) }), "date"),
        ("skip", json!({ "date": today + Days::new(3), "reason": "x".repeat(201) }), "reason"),
        ("unskip", json!({}), "date"),
        ("unskip", json!({ "date": 7 }), "date"),
        ("run", json!({ "date": "soon" }), "date"),
        ("run", json!({ "date": today + Days::new(9) }), "date"),
        ("pause", json!({ "reason": "two\nlines" }), "reason"),
        ("pause", json!({ "reason": "a zero \u{0} byte" }), "reason"),
    ] {
        let refused = post_as(&server, OPS_TOKEN, verb, body.clone()).await;
        assert_eq!(refused.status(), 400, "{verb} {body}");
        let told: Value = refused.json().await.unwrap();
        assert!(told.to_string().contains(field), "{verb} {body}: {told}");
    }
}
