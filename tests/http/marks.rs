//! What learners do with an episode: where they stopped, what they like.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::support::{FOREIGN, INACTIVE, TOKEN, TestServer};

fn ask(server: &TestServer, method: Method, id: i64, what: &str) -> RequestBuilder {
    let request = server.request(method, &format!("/api/dailycast/episodes/{id}/{what}/"));
    request.header("Authorization", format!("Token {TOKEN}"))
}

async fn put(server: &TestServer, id: i64, body: &str) -> Response {
    let request = ask(server, Method::PUT, id, "position").header("Content-Type", "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

async fn lines(server: &TestServer) -> i64 {
    sqlx::query_scalar("select count(*) from dailycast.listening").fetch_one(&server.db).await.unwrap()
}

#[tokio::test]
async fn a_position_is_kept_for_every_device() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for (sent, kept) in
        [("83.5", 83.5), ("0", 0.0), ("-0.0", 0.0), ("241.9996", 242.0), ("1e1", 10.0), ("86400", 242.0)]
    {
        let response = put(&server, id, &format!("{{\"position\": {sent}}}")).await;
        assert_eq!(response.status(), 200, "{sent}");
        assert_eq!(response.json::<Value>().await.unwrap(), json!({ "position": kept }), "{sent}");
        assert_eq!(server.today().await["podcast"]["position"], json!(kept), "{sent}");
    }
    assert_eq!(lines(&server).await, 1);
}

#[tokio::test]
async fn what_is_no_position_is_refused_in_the_academys_words() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for (body, words) in [
        ("", "This field is required."),
        ("{}", "This field is required."),
        ("{\"Position\": 1}", "This field is required."),
        ("{\"position\": null}", "This field may not be null."),
        ("{\"position\": \"83\"}", "A valid number is required."),
        ("{\"position\": true}", "A valid number is required."),
        ("{\"position\": [1]}", "A valid number is required."),
        ("{\"position\": {}}", "A valid number is required."),
        ("{\"position\": -0.001}", "Ensure this value is greater than or equal to 0."),
        ("{\"position\": -1e300}", "Ensure this value is greater than or equal to 0."),
        ("{\"position\": 86400.001}", "Ensure this value is less than or equal to 86400."),
        ("{\"position\": 18446744073709551616}", "Ensure this value is less than or equal to 86400."),
    ] {
        let response = put(&server, id, body).await;
        assert_eq!(response.status(), 400, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer, json!({ "detail": words, "code": "invalid", "errors": { "position": [words] } }), "{body}");
    }
    for body in ["[]", "7", "null", "true", "\"position\""] {
        let answer: Value = put(&server, id, body).await.json().await.unwrap();
        assert!(answer["errors"]["non_field_errors"][0].is_string(), "{body}: {answer}");
    }
    let deep = "[".repeat(2000);
    for body in ["{", "position=1", "{\"position\": NaN}", "{\"position\": Infinity}", "{\"position\": 1e999}", &deep] {
        let response = put(&server, id, body).await;
        assert_eq!(response.status(), 400, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["detail"].as_str().unwrap().starts_with("JSON parse error - "), "{answer}");
        assert_eq!(answer["code"], "parse_error");
    }
    assert_eq!(lines(&server).await, 0);
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for kind in ["text/plain", "application/x-www-form-urlencoded; charset=utf-8", "application/jsonp", ""] {
        let request = ask(&server, Method::PUT, id, "position").header("Content-Type", kind);
        let response = request.body("{\"position\": 1}").send().await.unwrap();
        assert_eq!(response.status(), 415, "{kind}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["detail"], format!("Unsupported media type \"{kind}\" in request."));
        assert_eq!(answer["code"], "unsupported_media_type");
    }
    let request = ask(&server, Method::PUT, id, "position").header("Content-Type", "Application/JSON; charset=utf-8");
    assert_eq!(request.body("{\"position\": 1}").send().await.unwrap().status(), 200);
    // Without a length nobody can refuse it at once.
    let mut line = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 20 << 10, " ".repeat(20 << 10));
    let head = format!(
        "PUT /api/dailycast/episodes/{id}/position/ HTTP/1.1\r\nHost: x\r\nAuthorization: Token {TOKEN}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    line.read_exact(&mut start).await.unwrap();
    assert_eq!(start, *b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_like_is_put_and_taken_back_as_often_as_one_likes() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    for (method, is_liked) in [
        (Method::DELETE, false),
        (Method::PUT, true),
        (Method::PUT, true),
        (Method::DELETE, false),
        (Method::PUT, true),
    ] {
        // The body is nobody's business.
        let response = ask(&server, method, id, "like").body("not { json").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap(), json!({ "liked": is_liked }));
        assert_eq!(server.today().await["podcast"]["liked"], is_liked);
    }
    put(&server, id, "{\"position\": 7}").await;
    assert_eq!(server.today().await["podcast"]["liked"], true, "a position takes no like away");
}

/// Also one that is made again: it begins at its start.
#[tokio::test]
async fn nothing_can_be_done_to_what_cannot_be_heard() {
    let server = TestServer::start().await;
    let foreign = server.podcast(8, "2026-11-22", "completed").await;
    let not_yet = server.podcast(7, "2026-11-20", "script_generated").await;
    let old = server.podcast(7, "2026-10-23", "completed").await;
    let replaced = server.podcast(7, "2026-11-22", "completed").await;
    put(&server, replaced, "{\"position\": 7}").await;
    ask(&server, Method::PUT, replaced, "like").send().await.unwrap();
    server.set(replaced, "completed", "is_active = false").await;
    let new = server.podcast(7, "2026-11-22", "completed").await;
    let podcast = server.today().await["podcast"].take();
    assert_eq!((&podcast["id"], &podcast["position"], &podcast["liked"]), (&json!(new), &json!(0.0), &json!(false)));
    for id in [foreign, not_yet, old, replaced, 424_242] {
        assert_eq!(put(&server, id, "{\"position\": 9}").await.status(), 404);
        for (method, what) in [(Method::PUT, "like"), (Method::DELETE, "like"), (Method::POST, "share")] {
            assert_eq!(ask(&server, method, id, what).send().await.unwrap().status(), 404, "{id} {what}");
        }
    }
    for id in [foreign, 424_242] {
        assert_eq!(ask(&server, Method::DELETE, id, "share").send().await.unwrap().status(), 404);
    }
    assert_eq!(lines(&server).await, 1);
}

#[tokio::test]
async fn only_a_learner_may_and_only_by_these_methods() {
    let server = TestServer::start().await;
    let id = server.podcast(9, "2026-11-22", "completed").await;
    for (what, method, allowed) in [
        ("position", Method::PUT, "PUT"),
        ("like", Method::PUT, "PUT, DELETE"),
        ("share", Method::POST, "POST, DELETE"),
    ] {
        let path = format!("/api/dailycast/episodes/{id}/{what}");
        let nobody = server.request(method.clone(), &path).send().await.unwrap();
        assert_eq!(nobody.status(), 401);
        let closed = server.request(method, &path).header("Authorization", format!("Token {INACTIVE}"));
        let closed = closed.send().await.unwrap();
        assert_eq!(closed.status(), 401);
        assert_eq!(closed.text().await.unwrap(), "{\"detail\":\"User inactive or deleted.\"}");
        let wrong = server.request(Method::PATCH, &path).header("Authorization", format!("Token {FOREIGN}"));
        let wrong = wrong.send().await.unwrap();
        assert_eq!((wrong.status().as_u16(), wrong.headers()["allow"].to_str().unwrap()), (405, allowed));
    }
    assert_eq!(lines(&server).await, 0);
}

#[tokio::test]
async fn many_devices_at_once_leave_one_line() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let all = (0..20).map(async |n| {
        if n % 2 == 0 {
            put(&server, id, &format!("{{\"position\": {n}}}")).await.status()
        } else {
            ask(&server, Method::PUT, id, "like").send().await.unwrap().status()
        }
    });
    assert!(futures_util::future::join_all(all).await.iter().all(|status| *status == 200));
    let podcast = server.today().await["podcast"].take();
    assert!(podcast["liked"] == true && podcast["position"].as_f64().unwrap() < 20.0, "{podcast}");
    assert_eq!(lines(&server).await, 1);
}
