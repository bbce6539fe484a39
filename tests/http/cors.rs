//! What a page of the academy may ask for and read.

use reqwest::{Method, Response};

use super::support::{TOKEN, TestServer};

const ORIGIN: &str = "https://academy.example";

async fn server() -> TestServer {
    TestServer::start_with(|settings| settings.cors_origins = vec![ORIGIN.to_owned()], None).await
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told_all_that_a_player_does() {
    let server = server().await;
    for (path, method) in [
        ("today/", "GET"),
        ("episodes/", "GET"),
        ("episodes/1/position/", "PUT"),
        ("episodes/1/like/", "DELETE"),
        ("episodes/1/share/", "POST"),
        ("generate/", "POST"),
        ("feed/rotate/", "POST"),
    ] {
        let request = server.request(Method::OPTIONS, &format!("/api/dailycast/{path}")).header("Origin", ORIGIN);
        let request = request.header("Access-Control-Request-Method", method);
        let response = request.header("Access-Control-Request-Headers", "authorization,content-type").send().await;
        let response = response.unwrap();
        assert_eq!(response.status(), 204, "{path}");
        assert_eq!(header(&response, "access-control-allow-origin"), ORIGIN);
        assert_eq!(header(&response, "access-control-allow-credentials"), "true");
        assert!(header(&response, "access-control-allow-methods").split(", ").any(|one| one == method), "{path}");
        let headers = header(&response, "access-control-allow-headers");
        for name in ["Authorization", "Content-Type", "If-None-Match", "Range"] {
            assert!(headers.split(", ").any(|one| one == name), "{headers}");
        }
        assert!(!header(&response, "x-request-id").is_empty());
    }
}

/// An error too, wherever it was met: else the page would show "network error".
#[tokio::test]
async fn every_answer_can_be_read_with_credentials() {
    let server = server().await;
    server.podcast(7, "2026-11-22", "completed").await;
    let large = vec![b'x'; 100_000];
    for (method, path, status, body) in [
        (Method::GET, "/api/dailycast/today/", 200, vec![]),
        (Method::GET, "/api/dailycast/episodes/?limit=0", 400, vec![]),
        (Method::GET, "/api/dailycast/episodes/424242/", 404, vec![]),
        (Method::GET, "/api/dailycast/nowhere/", 404, vec![]),
        (Method::POST, "/api/dailycast/today/", 405, vec![]),
        (Method::PUT, "/api/dailycast/episodes/1/position/", 413, large),
    ] {
        let request = server.request(method, path).header("Origin", ORIGIN).body(body);
        let response = request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(header(&response, "access-control-allow-origin"), ORIGIN, "{path}");
        assert_eq!(header(&response, "access-control-allow-credentials"), "true", "{path}");
        let vary: Vec<_> = response.headers().get_all("vary").iter().map(|one| one.to_str().unwrap()).collect();
        assert!(vary.iter().any(|one| one.contains("Origin")), "{path}: {vary:?}");
        for name in ["ETag", "Retry-After", "X-Request-Id", "Content-Range"] {
            assert!(header(&response, "access-control-expose-headers").contains(name), "{path}");
        }
    }
    let nobody = server.request(Method::GET, "/api/dailycast/today/").header("Origin", ORIGIN).send().await.unwrap();
    assert_eq!((nobody.status().as_u16(), header(&nobody, "access-control-allow-origin")), (401, ORIGIN));
}
