//! Verbs by page and by JSON: what a preview says is what is done, once, by whom it may.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{
    http::support::{OPS_TOKEN, TestServer},
    support::until,
};

const VIEWER: &str = "1111111111111111111111111111111111111111";

fn ask(server: &TestServer, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).header("Authorization", format!("Bearer {OPS_TOKEN}"))
}

async fn get(server: &TestServer, path: &str) -> Value {
    let response = ask(server, Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn post(server: &TestServer, path: &str, fields: &Value) -> Response {
    ask(server, Method::POST, path).json(fields).send().await.unwrap()
}

async fn execute(server: &TestServer, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&server.db).await.unwrap();
}

async fn over(server: &TestServer, id: &Value) -> Value {
    let path = format!("/api/ops/operations/{id}");
    until("the operation is over", async || get(server, &path).await["finished_at"].is_string()).await;
    get(server, &path).await
}

/// Three podcasts that failed, one that is made, one that waits and one that a worker holds.
async fn some(server: &TestServer) -> Vec<i64> {
    let mut ids = Vec::new();
    for (user, status) in
        [(1, "failed"), (2, "failed"), (3, "failed"), (4, "completed"), (5, "pending"), (6, "script_generated")]
    {
        ids.push(server.podcast(user, "2026-11-22", status).await);
    }
    execute(server, "insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, error_kind)
                     select id, 'gave_up', 'pending', 'failed', error_kind from dailycast.daily_podcast where status = 'failed'")
    .await;
    execute(server, "insert into dailycast.worker (id, name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
                     overriding system value values (7, 'w', 'h', 'b', 1, 1, '0', 1, 3600000, 800);
                     update dailycast.daily_podcast set lease_token = 1, worker_id = 7 where status = 'script_generated'")
    .await;
    ids
}

#[tokio::test]
async fn what_a_preview_says_is_what_is_done() {
    let server = TestServer::start().await;
    some(&server).await;
    for (verb, from, words, touches, skips) in [
        ("regenerate", "speech", "plan=free&date=2026-11-22", 4, 2),
        ("requeue", "", "date=2026-11-22", 5, 5),
        ("cancel", "", "date=2026-11-22", 6, 4),
    ] {
        let query = format!("verb={verb}&from={from}&{words}");
        let said = get(&server, &format!("/api/ops/operations/preview?{query}")).await;
        let response = ask(&server, Method::POST, "/api/ops/operations")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(query)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 202);
        let place = response.headers()["location"].to_str().unwrap().to_owned();
        let begun: Value = response.json().await.unwrap();
        assert_eq!(place, format!("/api/ops/operations/{}", begun["id"]));
        let over = over(&server, &begun["id"]).await;
        assert_eq!((&over["done"], &over["skipped"]), (&said["touches"], &said["skips"]), "{verb}: {said}");
        assert_eq!((&over["done"], &over["skipped"]), (&json!(touches), &json!(skips)), "{verb}: {said}");
        assert_eq!(over["expected"], json!(touches + skips));
    }
}

#[tokio::test]
async fn a_key_begins_one_operation_and_nothing_else() {
    let server = TestServer::start().await;
    let ids = some(&server).await;
    let begin = async |fields: Value| {
        let request = ask(&server, Method::POST, "/api/ops/operations").header("Idempotency-Key", "k-1");
        request.json(&fields).send().await.unwrap()
    };
    let first: Value = begin(json!({"verb": "requeue", "id": [ids[0], ids[1]]})).await.json().await.unwrap();
    let second: Value = begin(json!({"verb": "requeue", "id": [ids[1], ids[0]]})).await.json().await.unwrap();
    assert_eq!((&first["id"], &second["is_joined"]), (&second["id"], &json!(true)));
    let other = begin(json!({"verb": "cancel", "id": [ids[0]]})).await;
    assert_eq!(other.status(), 422);
    assert_eq!(other.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    assert_eq!(over(&server, &first["id"]).await["done"], 2);
}

#[tokio::test]
async fn one_podcast_is_moved_by_its_address() {
    let server = TestServer::start().await;
    let ids = some(&server).await;
    let answer = async |id: i64, verb: &str, fields: Value| {
        let response = post(&server, &format!("/api/ops/podcasts/{id}/{verb}"), &fields).await;
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (code, requeued) = answer(ids[0], "requeue", json!({})).await;
    assert_eq!((code, &requeued["requeued"], &requeued["skipped"]), (200, &json!(1), &json!(0)));
    let (_, held) = answer(ids[5], "cancel", json!({"reason": "wrong voice"})).await;
    assert_eq!(held["cancelled"], 1);
    let why: String = sqlx::query_scalar("select error_message from dailycast.daily_podcast where id = $1")
        .bind(ids[5])
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert_eq!(why, "cancelled by ops.token: wrong voice");
    let (_, anew) = answer(ids[3], "regenerate", json!({"from": "speech"})).await;
    assert_eq!(anew["regenerated"], 1);
    assert_eq!(answer(999_999, "requeue", json!({})).await.0, 404);
    assert_eq!(answer(ids[0], "requeue", json!({"status": "failed"})).await.0, 400);
    assert_eq!(answer(ids[0], "explode", json!({})).await.0, 404);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_by_name() {
    let server = TestServer::start().await;
    let long = format!("verb=cancel&id=1&reason={}", "x".repeat(501));
    for (query, field) in [
        ("status=failed", "verb"),
        ("verb=explode&status=failed", "verb"),
        ("verb=requeue", "filter"),
        ("verb=requeue&status=", "filter"),
        ("verb=requeue&state=failed", "state"),
        ("verb=requeue&status=bad", "status"),
        ("verb=requeue&id=seven", "id"),
        ("verb=requeue&from=speech&id=1", "from"),
        ("verb=regenerate&from=upload&id=1", "from"),
        ("verb=regenerate&date=yesterday", "date"),
        (&long, "reason"),
    ] {
        let refused = |body: &Value| assert!(body["errors"][field].is_array(), "{query}: {body}");
        let shown = ask(&server, Method::GET, &format!("/api/ops/operations/preview?{query}")).send().await.unwrap();
        assert_eq!(shown.status(), 400, "{query}");
        refused(&shown.json().await.unwrap());
        let request = ask(&server, Method::POST, "/api/ops/operations").body(query.to_owned());
        let done = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(done.status(), 400, "{query}");
        refused(&done.json().await.unwrap());
    }
    let before = ask(&server, Method::GET, "/api/ops/operations?before=x").send().await.unwrap();
    assert_eq!(before.status(), 400);
    assert_eq!(get(&server, "/api/ops/operations").await["operations"], json!([]), "nothing was begun");
}

#[tokio::test]
async fn who_may_only_look_sees_what_it_would_do_and_does_nothing() {
    let server = TestServer::start().await;
    let ids = some(&server).await;
    execute(&server, &format!("insert into academy.learner values (20, true, true, false); insert into academy.learner_token values ('{VIEWER}', 20)")).await;
    let by_viewer =
        |method, path: &str| server.request(method, path).header("Authorization", format!("Token {VIEWER}"));
    let page = by_viewer(Method::GET, "/ops/operations/new?verb=cancel&status=failed").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(!page.text().await.unwrap().contains("<form method=\"post\""));
    for path in ["/api/ops/operations".to_owned(), format!("/api/ops/podcasts/{}/cancel", ids[0])] {
        let refused =
            by_viewer(Method::POST, &path).json(&json!({"verb": "cancel", "id": ids[0]})).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
    }
    assert_eq!(get(&server, "/api/ops/operations").await["operations"], json!([]));
}

#[tokio::test]
async fn pages_lead_from_the_wish_to_what_became_of_it() {
    let server = TestServer::start().await;
    some(&server).await;
    let page = async |path: &str| {
        let response = ask(&server, Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    assert!(page("/ops/operations").await.contains("Nobody has done anything"));
    let asked = page("/ops/operations/new?verb=requeue&status=failed").await;
    assert!(asked.contains("Requeue 3 podcasts") && asked.contains("starts from the beginning"), "{asked}");
    assert!(page("/ops/operations/new?verb=cancel&status=failed").await.contains("There is nothing to do"));
    let form = "verb=requeue&status=failed&reason=%3Cb%3Ewhy&csrf=";
    let request = ask(&server, Method::POST, "/ops/operations").body(form);
    let sent = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(sent.status(), 303);
    let place = sent.headers()["location"].to_str().unwrap().to_owned();
    over(&server, &place.rsplit('/').next().unwrap().parse::<i64>().unwrap().into()).await;
    let shown = page(&place).await;
    assert!(shown.contains("Finished") && shown.contains("&lt;b&gt;why"), "{shown}");
    assert!(page("/ops/operations").await.contains(&format!("href=\"{place}\"")));
    assert_eq!(ask(&server, Method::GET, "/ops/operations/999").send().await.unwrap().status(), 404);
    let stopped = post(&server, &format!("/api{place}/stop"), &json!({})).await;
    assert_eq!(
        (stopped.status().as_u16(), stopped.json::<Value>().await.unwrap()["state"].clone()),
        (200, json!("finished"))
    );
}
