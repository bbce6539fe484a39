//! What holds for every request.

use std::time::Duration;

use dailycast::{
    http,
    store::{Reads, listeners},
};
use reqwest::Method;
use serde_json::Value;

use super::{
    log::Log,
    support::{TOKEN, TestServer},
};

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = http::bind(first.address()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("port {} of 127.0.0.1 is taken", first.address().port())), "{text}");
}

#[tokio::test]
async fn errors_are_json_with_a_detail() {
    let server = TestServer::start().await;
    let cases = [
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/api/dailycast/", 404),
        (Method::POST, "/api/dailycast/today/", 405),
    ];
    for (method, path, status) in cases {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        if status == 405 {
            assert_eq!(response.headers()["allow"], "GET, HEAD");
        }
        let body: Value = response.json().await.unwrap();
        assert!(body["detail"].is_string() && body["code"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let server = TestServer::start().await;
    let request = server.request(Method::GET, "/api/dailycast/today/").body(vec![b'x'; 100_000]);
    assert_eq!(request.send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_that_says_when_to_come_back() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing".parse().unwrap();
    let nowhere = Reads::new(nowhere, 2, Duration::from_secs(3));
    let server = TestServer::start_with(|_| {}, Some(nowhere)).await;
    for path in ["/api/dailycast/today/", "/api/dailycast/episodes/1/audio", "/readyz"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "5");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["detail"], "The service is not available for a moment.");
    }
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_view_that_is_missing_is_a_503_too() {
    let server = TestServer::start().await;
    sqlx::query("drop table academy.learner_token").execute(&server.db).await.unwrap();
    assert_eq!(server.get("/api/dailycast/today/").await.status(), 503);
}

#[tokio::test]
async fn ready_means_migrated() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    sqlx::query("delete from dailycast.migration").execute(&server.db).await.unwrap();
    let response = server.get("/readyz").await;
    assert_eq!(response.status(), 503);
    assert!(response.text().await.unwrap().contains("dailycast migrate"));
}

#[tokio::test]
async fn a_defect_is_a_500_without_a_trace() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/api/dailycast/today/").await.status(), 200);
    server.clock.break_it();
    let response = server.get("/api/dailycast/today/").await;
    assert_eq!(response.status(), 500);
    let text = response.text().await.unwrap();
    assert_eq!(text, r#"{"code":"internal","detail":"An internal error occurred. It was recorded."}"#);
}

#[tokio::test]
async fn every_answer_has_an_id_and_forbids_what_it_does_not_need() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/nowhere", "/api/dailycast/today/"] {
        let response = server.get(path).await;
        let headers = response.headers();
        assert!(!headers["x-request-id"].is_empty());
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    let id_for = async |id: &str| {
        let response = server.request(Method::GET, "/healthz").header("X-Request-Id", id).send().await.unwrap();
        response.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id_for("from-the_proxy.1").await, "from-the_proxy.1");
    assert_ne!(id_for("a b").await, "a b");
    assert_ne!(id_for("").await, id_for("").await);
}

#[tokio::test]
async fn only_known_origins_may_read_with_credentials() {
    let origin = "https://academy.example";
    let server = TestServer::start_with(|settings| settings.cors_origins = vec![origin.to_owned()], None).await;
    let asked = async |method: Method, origin: &str| {
        let request = server.request(method, "/api/dailycast/today/").header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "GET");
        let response = request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
        let allowed = response.headers().get("access-control-allow-origin").cloned();
        let varies = response.headers().get_all("vary").iter().any(|value| value == "Origin");
        (response.status().as_u16(), allowed.map(|value| value.to_str().unwrap().to_owned()), varies)
    };
    assert_eq!(asked(Method::OPTIONS, origin).await, (204, Some(origin.to_owned()), true));
    assert_eq!(asked(Method::GET, origin).await, (200, Some(origin.to_owned()), true));
    assert_eq!(asked(Method::GET, "https://evil.example").await, (200, None, true));
    assert_eq!(asked(Method::OPTIONS, "https://evil.example").await, (405, None, true));
}

#[tokio::test]
async fn a_text_is_compressed_for_who_can_read_it() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    let request =
        server.request(Method::GET, "/api/dailycast/today/").header("Authorization", format!("Token {TOKEN}"));
    let response = request.header("Accept-Encoding", "gzip, br").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.headers()["vary"].to_str().unwrap().contains("Accept-Encoding"));
    assert_eq!(&response.bytes().await.unwrap()[..2], b"\x1f\x8b");
}

#[tokio::test]
async fn the_signing_secret_is_made_once() {
    let server = TestServer::start().await;
    let first = listeners::signing_secret(&server.db, [1; 32]).await.unwrap();
    let second = listeners::signing_secret(&server.db, [2; 32]).await.unwrap();
    assert_eq!((first, second), (vec![1; 32], vec![1; 32]));
}

#[tokio::test]
async fn a_log_line_names_the_route_and_no_secret() {
    let log = Log::of(tracing::Level::INFO);
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    server.spooled(id, b"0123456789");
    let address = server.today().await["podcast"]["audio_url"].as_str().unwrap().to_owned();
    log.clear();

    server.today().await;
    server.request(Method::GET, &address).send().await.unwrap();
    server.request(Method::GET, &format!("{address}0")).send().await.unwrap();

    let (text, mut requests) = log.read();
    requests.retain(|line| line["message"] == "request");
    assert_eq!(requests.len(), 3, "{text}");
    assert_eq!(requests[0]["http.route"], "/api/dailycast/today");
    assert_eq!(requests[1]["http.route"], "/api/dailycast/episodes/:id/audio");
    assert_eq!(requests[1]["http.status"], 200);
    assert_eq!(requests[2]["http.status"], 403);
    let signature = address.rsplit('=').next().unwrap();
    assert!(!text.contains(TOKEN) && !text.contains(signature) && !text.contains("Good morning"), "{text}");
}
