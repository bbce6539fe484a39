//! How often one may ask.

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::support::{FOREIGN, TOKEN, TestServer};

const TODAY: &str = "/api/dailycast/today/";
const ORIGIN: &str = "https://academy.example";

async fn limited(per_minute: u32) -> TestServer {
    let change = |settings: &mut dailycast::http::Settings| {
        settings.rate_per_minute = per_minute;
        settings.cors_origins = vec![ORIGIN.to_owned()];
    };
    TestServer::start_with(change, None).await
}

async fn ask(server: &TestServer, token: &str, client: &str) -> Response {
    let request = server.request(Method::GET, TODAY).header("Authorization", format!("Token {token}"));
    request.header("X-Forwarded-For", client).header("Origin", ORIGIN).send().await.unwrap()
}

async fn statuses(server: &TestServer, token: &str, client: &str, times: usize) -> Vec<u16> {
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(ask(server, token, client).await.status().as_u16());
    }
    all
}

#[tokio::test]
async fn a_learner_may_ask_a_minutes_worth_at_once_and_then_evenly() {
    let server = limited(3).await;
    assert_eq!(statuses(&server, TOKEN, "192.0.2.1", 5).await, [200, 200, 200, 429, 429]);
    let response = ask(&server, TOKEN, "192.0.2.2").await;
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"20".parse().unwrap())
    );
    assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
    let body: Value = response.json().await.unwrap();
    assert!(body["code"] == "too_many" && body["detail"].is_string(), "{body}");
    assert_eq!(statuses(&server, FOREIGN, "192.0.2.1", 1).await, [200], "another learner at the same address");
    for (now, wanted) in [
        ("2026-11-22T10:00:19.9Z", [429, 429]),
        ("2026-11-22T10:00:20Z", [200, 429]),
        ("2026-11-22T10:01:00Z", [200, 200]),
        ("2026-11-22T10:02:10Z", [200, 200]),
        ("2026-11-22T09:00:00Z", [200, 200]), // a clock that was set back locks nobody out
    ] {
        server.clock.set(now);
        assert_eq!(statuses(&server, TOKEN, "192.0.2.1", 2).await, wanted, "{now}");
    }
}

/// And nobody with a good one pays for it.
#[tokio::test]
async fn bad_tokens_are_counted_by_address() {
    let server = limited(2).await;
    let unknown = "0".repeat(40);
    assert_eq!(statuses(&server, &unknown, "192.0.2.1", 2).await, [401, 401]);
    assert_eq!(statuses(&server, "nonsense", "192.0.2.1", 1).await, [429]);
    assert_eq!(statuses(&server, TOKEN, "192.0.2.1", 1).await, [200]);
    assert_eq!(statuses(&server, &unknown, "192.0.2.2", 1).await, [401]);
    // A customer has all addresses of a network.
    let network = (1..=3).map(|n| format!("2001:db8::{n}"));
    let mut all = Vec::new();
    for client in network {
        all.extend(statuses(&server, &unknown, &client, 1).await);
    }
    assert_eq!(all, [401, 401, 429]);
    assert_eq!(statuses(&server, &unknown, "2001:db8:0:1::1", 1).await, [401]);
}

/// A proxy may write what it saw into a line of its own; the one above is what the client made up.
#[tokio::test]
async fn the_last_line_tells_where_somebody_is() {
    let server = limited(2).await;
    let mut all = Vec::new();
    for made_up in 1..=3 {
        let request = server.request(Method::GET, TODAY).header("X-Forwarded-For", format!("198.51.100.{made_up}"));
        let request = request.header("X-Forwarded-For", "203.0.113.9, 192.0.2.1");
        all.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(all, [401, 401, 429]);
    assert_eq!(statuses(&server, "nonsense", "192.0.2.1", 1).await, [429]);
    assert_eq!(statuses(&server, "nonsense", "198.51.100.1", 1).await, [401]);
}

#[tokio::test]
async fn nought_is_no_limit() {
    let server = limited(0).await;
    assert_eq!(statuses(&server, TOKEN, "192.0.2.1", 400).await, [200; 400]);
}
