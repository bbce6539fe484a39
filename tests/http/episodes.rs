//! A learner's own episodes: all of them, page by page, and one.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::Row;

use super::support::{FOREIGN, TOKEN, TestServer};

const LIST: &str = "/api/dailycast/episodes/";

fn ids(page: &Value) -> Vec<i64> {
    page["results"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

async fn page(server: &TestServer, path: &str) -> Value {
    let response = server.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn they_are_listed_newest_first_when_they_can_be_heard() {
    let server = TestServer::start().await;
    assert_eq!(page(&server, LIST).await, json!({ "results": [], "next": null }));
    let mut wanted = Vec::new();
    for (date, status) in [
        ("2026-10-24", "completed"),
        ("2026-11-19", "completed_with_fallback"),
        ("2026-11-21", "completed"),
        ("2026-11-22", "pending_upload"),
    ] {
        wanted.insert(0, server.podcast(7, date, status).await);
    }
    for (user, date, status) in [
        (7, "2026-10-23", "completed"), // too old by a day
        (7, "2026-11-18", "audio_generating"),
        (7, "2026-11-17", "failed"),
        (8, "2026-11-21", "completed"),
    ] {
        server.podcast(user, date, status).await;
    }
    let replaced = server.podcast(7, "2026-11-16", "completed").await;
    server.set(replaced, "completed", "is_active = false").await;

    let all = page(&server, LIST).await;
    assert_eq!((ids(&all), &all["next"]), (wanted.clone(), &Value::Null));
    assert_eq!(all["results"][0], server.today().await["podcast"]);
    assert_eq!(page(&server, &format!("{LIST}{}/", wanted[1])).await, all["results"][1]);
}

#[tokio::test]
async fn pages_follow_one_another_whatever_is_made_meanwhile() {
    let server = TestServer::start().await;
    let mut wanted = Vec::new();
    for day in 10..=14 {
        wanted.insert(0, server.podcast(7, &format!("2026-11-{day}"), "completed").await);
    }
    let first = page(&server, &format!("{LIST}?limit=2")).await;
    assert_eq!(ids(&first), wanted[..2]);
    let next = first["next"].as_str().unwrap();
    assert!(next.starts_with(&format!("{}{LIST}?", server.url)), "{next}");
    // A new one, and one that is made again on the page that was shown.
    server.podcast(7, "2026-11-20", "completed").await;
    server.set(wanted[1], "completed", "is_active = false").await;
    server.podcast(7, "2026-11-13", "completed").await;
    let second = page(&server, next).await;
    assert_eq!(ids(&second), wanted[2..4]);
    let third = page(&server, second["next"].as_str().unwrap()).await;
    assert_eq!((ids(&third), &third["next"]), (wanted[4..].to_vec(), &Value::Null));
}

#[tokio::test]
async fn a_page_that_cannot_be_meant_is_refused_by_its_name() {
    let server = TestServer::start().await;
    let year_0 = hex::encode("-004-01-01");
    let far = hex::encode("+20000-01-01");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=%00", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=", "cursor"),
        ("cursor=7", "cursor"),
        ("cursor=00", "cursor"),
        ("cursor=fffe", "cursor"),
        ("limit=5&cursor=2026-11-20", "cursor"),
        (&format!("cursor={year_0}"), "cursor"),
        (&format!("cursor={far}"), "cursor"),
    ] {
        let response = server.get(&format!("{LIST}?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        let body: Value = response.json().await.unwrap();
        assert!(body["errors"][field][0].is_string() && body["detail"].is_string(), "{query}: {body}");
    }
    for query in ["limit=1", "limit=100", "limit=100&limit=0", "unknown=1&&=&x", "%ff=%ff"] {
        assert_eq!(server.get(&format!("{LIST}?{query}")).await.status(), 200, "{query}");
    }
}

#[tokio::test]
async fn an_episode_that_is_not_ones_own_or_not_there_is_not_found() {
    let server = TestServer::start().await;
    let foreign = server.podcast(8, "2026-11-22", "completed").await;
    let not_yet = server.podcast(7, "2026-11-22", "pending").await;
    let old = server.podcast(7, "2026-10-23", "completed").await;
    let replaced = server.podcast(7, "2026-11-21", "completed").await;
    server.set(replaced, "completed", "is_active = false").await;
    let ids = [foreign, not_yet, old, replaced].map(|id| id.to_string());
    let other = ["0", "-1", "424242", "9223372036854775808", "abc", "1.0", "%00"];
    for id in ids.iter().map(String::as_str).chain(other) {
        let response = server.get(&format!("{LIST}{id}/")).await;
        assert_eq!(response.status(), 404, "{id}");
        assert_eq!(response.json::<Value>().await.unwrap(), json!({ "detail": "Not found.", "code": "not_found" }));
    }
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_until_something_changes() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let asked = async |path: &str, tag: &str| -> Response {
        let request = server.request(Method::GET, path).header("Authorization", format!("Token {TOKEN}"));
        request.header("If-None-Match", tag).header("Accept-Encoding", "gzip").send().await.unwrap()
    };
    for path in [LIST.to_owned(), format!("{LIST}{id}")] {
        let whole = asked(&path, "\"x\"").await;
        assert_eq!((whole.status().as_u16(), &whole.headers()["content-encoding"]), (200, &"gzip".parse().unwrap()));
        assert_eq!(whole.headers()["cache-control"], "private, no-cache");
        let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(asked(&path, &tag).await.status(), 304, "{path}");
        server.clock.set("2026-11-22T10:30:00Z");
        assert_eq!(asked(&path, &tag).await.status(), 200, "{path}: the addresses are others");
        server.clock.set("2026-11-22T10:00:00Z");
        let like = server.request(Method::PUT, &format!("{LIST}{id}/like/"));
        like.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
        assert_eq!(asked(&path, &tag).await.status(), 200, "{path}: it is liked");
        let unlike = server.request(Method::DELETE, &format!("{LIST}{id}/like/"));
        unlike.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
    }
    // One learner's tag is not good for another one.
    let own = server.get(LIST).await.headers()["etag"].clone();
    let foreign = server.request(Method::GET, LIST).header("Authorization", format!("Token {FOREIGN}"));
    assert_eq!(foreign.header("If-None-Match", own).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn head_answers_as_get_without_a_body_and_strangers_not_at_all() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for path in [LIST.to_owned(), format!("{LIST}{id}/")] {
        for path in [path.clone(), path.trim_end_matches('/').to_owned()] {
            let get = server.get(&path).await;
            let head = server.request(Method::HEAD, &path).header("Authorization", format!("Token {TOKEN}"));
            let head = head.send().await.unwrap();
            assert_eq!((head.status(), head.headers()["etag"].clone()), (get.status(), get.headers()["etag"].clone()));
            assert_eq!(head.headers().get("content-length"), get.headers().get("content-length"));
            assert_eq!(head.text().await.unwrap(), "");
        }
        assert_eq!(server.request(Method::GET, &path).send().await.unwrap().status(), 401);
        let post = server.request(Method::POST, &path).send().await.unwrap();
        assert_eq!((post.status().as_u16(), &post.headers()["allow"]), (405, &"GET, HEAD".parse().unwrap()));
    }
}

#[tokio::test]
async fn the_statements_read_by_index_however_large_the_table() {
    let server = TestServer::start().await;
    let mut connection = server.db.acquire().await.unwrap();
    let fill = "insert into dailycast.daily_podcast (user_id, date, deadline_at)
         select learner, date '2026-11-01' + day, now() from generate_series(1, 1000) learner, generate_series(0, 19) day;
         insert into dailycast.listening (podcast_id, share_seed, share_hash, shared_at)
         select id, id::text::bytea, sha256(id::text::bytea), now() from dailycast.daily_podcast;
         insert into dailycast.revoked_link (key_hash) select sha256(n::text::bytea) from generate_series(1, 20000) n;
         insert into dailycast.generation (user_id) select generate_series(1, 20000);
         analyze;
         set enable_bitmapscan = off; -- as all connections for reading have it
         set plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    let (reading, writing) =
        (include_str!("../../src/store/listeners.rs"), include_str!("../../src/store/listening.rs"));
    let asking = include_str!("../../src/store/generation.rs");
    for (source, name, types, values) in [
        (reading, "episodes", "bigint, date, date, bigint", "7, '2026-11-15', '2026-10-15', 21"),
        (reading, "episode", "bigint, bigint, date", "77, 7, '2026-10-15'"),
        (writing, "keep_position", "bigint, bigint, date, integer", "77, 7, '2026-10-15', 1000"),
        (writing, "keep_like", "bigint, bigint, date, boolean", "77, 7, '2026-10-15', true"),
        (writing, "share_episode", "bigint, bigint, date, bytea, bytea, bytea", "77, 7, '2026-10-15', 'a', 'b', ''"),
        (writing, "unshare_episode", "bigint, bigint", "77, 7"),
        (writing, "shared_link", "bytea", "'a'"),
        (asking, "may_generate", "bigint, integer", "7, 24"),
    ] {
        let (_, rest) = source.split_once(&format!("r#\"/* {name} */")).unwrap();
        let (statement, _) = rest.split_once("\"#").unwrap();
        let prepare = format!("prepare {name} ({types}) as {statement}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
        let explain = format!("explain execute {name} ({values})");
        let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let lines = |word: &str| plan.iter().filter(|line| line.contains(word)).count();
        assert!(lines("Index") > 0, "{name}: {plan:#?}");
        assert_eq!((lines("Seq Scan"), lines("Sort"), lines("Hash")), (0, 0, 0), "{name}: {plan:#?}");
    }
}
