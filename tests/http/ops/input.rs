//! What is sent that nobody can mean, and what an answer sends along: cookies, and words said once.

use reqwest::{Method, Response};

use super::{
    get, run,
    support::{Browser, OPERATOR, header, hire, start},
};
use crate::http::support::{OPS_TOKEN, TestServer};

async fn post(server: &TestServer, path: &str, body: &'static str) -> Response {
    let request = server.request(Method::POST, &format!("/api/ops{path}"));
    let request = request.header("Authorization", format!("Token {OPS_TOKEN}")).body(body);
    request.header("Content-Type", "application/json").send().await.unwrap()
}

#[tokio::test]
async fn what_no_database_can_keep_is_refused() {
    let server = TestServer::start().await;
    for path in [
        "/podcasts?plan=%00",
        "/podcasts?provider=a%00b",
        "/podcasts?date=-9999-01-01",
        "/podcasts?date=%2B12026-11-22",
        "/audit?actor=%00",
        "/audit?action=a%0Db",
        "/audit?day=-9999-01-01",
        "/failures?date=-9999-01-01",
        "/nights?before=-9999-01-01",
        "?date=%2B262142-12-31",
        "/costs?month=-999-01",
        "/alerts?behind=-300000000000000000_1",
        "/operations/new?verb=cancel&plan=%00",
    ] {
        for side in ["/ops", "/api/ops"] {
            assert_eq!(get(&server, &format!("{side}{path}")).await.status(), 400, "{side}{path}");
        }
    }
    let words = get(&server, "/api/ops/podcasts?plan=a%00").await.text().await.unwrap();
    assert!(words.contains("plan: write it on one line"), "{words}");
    for (path, body, status) in [
        ("/providers/openai/open", r#"{"reason": "two\u0000 lines"}"#, 400),
        ("/providers/a%00b/close", "{}", 404),
        ("/schedule/pause", r#"{"reason": "two\rlines"}"#, 400),
        ("/schedule/skip", r#"{"date": "-9999-01-01"}"#, 400),
        ("/schedule/unskip", r#"{"date": "-9999-01-01"}"#, 400),
        ("/operations", r#"{"verb": "cancel", "date": "2026-11-22", "reason": "a\rb"}"#, 400),
        ("/operations", r#"{"verb": "cancel", "date": "2026-11-22", "idempotency_key": "a\u0000b"}"#, 400),
    ] {
        assert_eq!(post(&server, path, body).await.status(), status, "{path} {body}");
    }
}

/// To who reads a stream a return ends a line as well, and what follows it would be none of ours.
#[tokio::test]
async fn a_return_in_a_text_leaves_the_stream_whole() {
    let server = start().await;
    run(&server, "insert into dailycast.alert (kind, subject, message, times) values ('stuck', 'x', E'one\\rtwo', 1)")
        .await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    let mut stream = browser.request(Method::GET, "/ops/alerts?live=yes").send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let event = text.split("\n\n").next().unwrap();
    assert!(event.contains("one\n") && event.contains("\ndata: two"), "{event}");
    assert!(event.split(['\n', '\r']).all(|line| line.starts_with("data: ") || line.starts_with("id: ")), "{event}");
}

/// The cookies that an answer sets.
fn cookies(answer: &Response) -> Vec<&str> {
    answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_done_is_said_once() {
    for (address, secure) in [("http://ops.example", ""), ("https://ops.example", "; Secure")] {
        let server = TestServer::start_with(|settings| settings.public_url = address.to_owned(), None).await;
        hire(&server).await;
        let browser = Browser::of(&server, OPERATOR.1).await;
        let done = browser.send("/ops/schedule/pause", &[]).await;
        let said = cookies(&done)[0].to_owned();
        assert!(said.ends_with(&format!("; Path=/ops; Max-Age=30; HttpOnly; SameSite=Strict{secure}")), "{said}");
        let both = format!("{}; {}", browser.cookie, said.split(';').next().unwrap());
        let shown = server.request(Method::GET, "/ops/schedule").header("Cookie", both).send().await.unwrap();
        let taken_back = format!("ops_said=; Path=/ops; Max-Age=0; HttpOnly; SameSite=Strict{secure}");
        assert_eq!(cookies(&shown), [taken_back]);
        assert!(shown.text().await.unwrap().contains("Paused: nothing new begins"));
        let again = browser.request(Method::GET, "/ops/schedule").send().await.unwrap();
        assert!(cookies(&again).is_empty());
    }
}

#[tokio::test]
async fn a_name_is_shown_in_the_answer_and_carried_by_no_cookie() {
    let server = start().await;
    run(&server, "update academy.learner set display_name = 'Ana <3' where user_id = 7").await;
    let id = server.podcast(7, "2026-11-22", "pending").await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    let answer = browser.send(&format!("/ops/podcasts/{id}/reveal"), &[]).await;
    assert_eq!((answer.status().as_u16(), cookies(&answer).len()), (200, 0));
    assert_eq!(header(answer.headers(), "hx-replace-url"), format!("/ops/podcasts/{id}"));
    assert_eq!(header(answer.headers(), "cache-control"), "no-store");
    let page = answer.text().await.unwrap().replace("&#x2f;", "/");
    assert!(page.contains("Learner 7 is called Ana &lt;3."), "{page}");
    assert!(page.contains(&format!("hx-sse:connect=\"/ops/podcasts/{id}?live=yes\"")), "{page}");
}

#[tokio::test]
async fn a_deed_that_prolongs_a_session_sends_its_cookie() {
    let server = start().await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    run(&server, "update dailycast.session set expires_at = now() + interval '30 minutes'").await;
    server.clock.set("2026-11-22T10:00:10Z");
    let done = browser.send("/ops/schedule/pause", &[]).await;
    let prolonged = format!("{}; Path=/; Max-Age=43200", browser.cookie);
    assert!(cookies(&done).iter().any(|cookie| cookie.starts_with(&prolonged)), "{:?}", cookies(&done));
}
