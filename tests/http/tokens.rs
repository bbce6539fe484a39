//! How long a token is believed without asking, and by whom it is asked.

use reqwest::Method;

use super::support::{INACTIVE, TOKEN, TestServer};

const TODAY: &str = "/api/dailycast/today/";
const AUDIO: &str = "/api/dailycast/episodes/1/audio";

/// Statements with a token that the server of `server` has carried out: tables are counted, not
/// waited for.
async fn look_ups(server: &TestServer) -> i64 {
    sqlx::query_scalar("select count(*) from academy.asked").fetch_one(&server.db).await.unwrap()
}

/// A server whose academy counts how often a token is looked up: its view calls a function that
/// writes down each row it gives out.
async fn counted() -> TestServer {
    let server = TestServer::start().await;
    let count = "create table academy.asked (key text);
        alter table academy.learner_token rename to tokens;
        create function academy.noted(key text) returns bigint language sql volatile as
            $$ insert into academy.asked values (key) returning 1::bigint $$;
        create view academy.learner_token as
            select t.key, t.user_id from academy.tokens t where academy.noted(t.key) = 1";
    sqlx::raw_sql(count).execute(&server.db).await.unwrap();
    server
}

async fn status(server: &TestServer, path: &str, token: &str) -> u16 {
    let request = server.request(Method::GET, path).header("Authorization", format!("Token {token}"));
    request.send().await.unwrap().status().as_u16()
}

async fn revoke(server: &TestServer) {
    sqlx::query("delete from academy.learner_token where key = $1").bind(TOKEN).execute(&server.db).await.unwrap();
}

#[tokio::test]
async fn a_revoked_token_stops_working_within_ten_seconds() {
    for path in [TODAY, AUDIO] {
        let server = TestServer::start().await;
        let good = if path == TODAY { 200 } else { 404 };
        assert_eq!(status(&server, path, TOKEN).await, good);
        revoke(&server).await;
        server.clock.set("2026-11-22T10:00:09.999Z");
        assert_eq!(status(&server, path, TOKEN).await, good);
        server.clock.set("2026-11-22T10:00:10Z");
        assert_eq!(status(&server, path, TOKEN).await, 401);
    }
}

#[tokio::test]
async fn using_a_token_does_not_prolong_its_life() {
    let server = TestServer::start().await;
    assert_eq!(status(&server, TODAY, TOKEN).await, 200);
    revoke(&server).await;
    for second in [2, 4, 6, 8] {
        server.clock.set(&format!("2026-11-22T10:00:0{second}Z"));
        assert_eq!(status(&server, TODAY, TOKEN).await, 200);
    }
    server.clock.set("2026-11-22T10:00:10Z");
    assert_eq!(status(&server, TODAY, TOKEN).await, 401);
}

#[tokio::test]
async fn a_clock_that_is_set_back_ends_what_was_believed() {
    let server = TestServer::start().await;
    assert_eq!(status(&server, TODAY, TOKEN).await, 200);
    revoke(&server).await;
    server.clock.set("2026-11-22T09:00:00Z");
    assert_eq!(status(&server, TODAY, TOKEN).await, 401);
}

#[tokio::test]
async fn a_closed_account_is_out_when_its_time_is_over() {
    let server = TestServer::start().await;
    assert_eq!(status(&server, TODAY, TOKEN).await, 200);
    sqlx::query("update academy.learner set is_active = false where user_id = 7").execute(&server.db).await.unwrap();
    server.clock.set("2026-11-22T10:00:10Z");
    let request = server.request(Method::GET, TODAY).header("Authorization", format!("Token {TOKEN}"));
    let body = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(body, r#"{"detail":"User inactive or deleted."}"#);
}

/// Only good news is kept: who was refused is let in as soon as the academy says so.
#[tokio::test]
async fn a_refusal_is_forgotten_at_once() {
    let server = TestServer::start().await;
    let unknown = "1".repeat(40);
    for path in [TODAY, AUDIO] {
        assert_eq!(status(&server, path, INACTIVE).await, 401);
        assert_eq!(status(&server, path, &unknown).await, 401);
    }
    sqlx::query("update academy.learner set is_active = true where user_id = 9").execute(&server.db).await.unwrap();
    let insert = "insert into academy.learner_token values ($1, 8)";
    sqlx::query(insert).bind(&unknown).execute(&server.db).await.unwrap();
    assert_eq!(status(&server, TODAY, INACTIVE).await, 200);
    assert_eq!(status(&server, TODAY, &unknown).await, 200);
}

/// What a page asks for in one go is one look-up, however many requests it is.
#[tokio::test]
async fn many_at_once_with_one_token_are_one_look_up() {
    let server = counted().await;
    let asked = (0..20).map(|n| status(&server, if n % 2 == 0 { TODAY } else { AUDIO }, TOKEN));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|status| [200, 404].contains(status)), "{answers:?}");
    assert_eq!(look_ups(&server).await, 1);
    server.clock.set("2026-11-22T10:00:10Z");
    assert_eq!(status(&server, TODAY, TOKEN).await, 200);
    assert_eq!(look_ups(&server).await, 2);
}
