//! One podcast: its page, its audio, its learner's name.

use reqwest::Method;

use super::{data, failed, get, run};
use crate::http::support::{OPS_TOKEN, TestServer};

#[tokio::test]
async fn the_story_has_the_row_its_moves_and_the_calls_of_each() {
    let server = TestServer::start().await;
    let id = failed(&server, 7, "2026-11-22", "timeout", "openai").await;
    run(&server, &format!(
        "insert into dailycast.podcast_event (podcast_id, at, event, to_status, duration_ms)
         values ({id}, '2026-11-22 03:20Z', 'requeued', 'pending', 2000);
         insert into dailycast.provider_call (podcast_id, at, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
         values ({id}, '2026-11-22 03:10Z', 'openai', 'm', 'script', '{{\"input_tokens\": 3}}', 5, 100, 'timeout'),
                ({id}, '2026-11-22 03:20Z', 'gemini', 'm', 'script', '{{}}', 5, 100, 'ok')"
    )).await;
    let story = data(&server, &format!("/podcasts/{id}")).await;
    assert_eq!((story["id"].as_i64(), story["user_id"].as_i64()), (Some(id), Some(7)));
    assert_eq!(story["events"].as_array().unwrap().len(), 2);
    assert_eq!(story["calls"].as_array().unwrap().len(), 2);
    assert_eq!(story["steps"][0]["calls"][0]["provider"], "openai");
    assert_eq!(story["steps"][1]["calls"][0]["provider"], "gemini");
    assert_eq!(story["totals"]["failed_calls"], 1);
    assert_eq!(story["explanation"]["tone"], "failed");
    let page = get(&server, &format!("/ops/podcasts/{id}")).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<svg class=\"chart gantt\""));
}

#[tokio::test]
async fn what_replaces_what_is_said() {
    let server = TestServer::start().await;
    let old = server.podcast(7, "2026-11-22", "completed").await;
    run(&server, "update dailycast.daily_podcast set is_active = false").await;
    let new = server.podcast(7, "2026-11-22", "pending").await;
    assert_eq!(data(&server, &format!("/podcasts/{old}")).await["replaced_by"], new);
    assert_eq!(data(&server, &format!("/podcasts/{new}")).await["replaces"], old);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    for path in ["/api/ops/podcasts/9", "/api/ops/podcasts/x", "/ops/podcasts/9/audio", "/ops/podcasts/-1"] {
        assert_eq!(get(&server, path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_page_with_the_way_back() {
    let server = TestServer::start().await;
    let ask = async |path: &str, from: &str| {
        let request = server.request(Method::GET, path).header("Authorization", format!("Token {OPS_TOKEN}"));
        request.header("Referer", from).send().await.unwrap()
    };
    let back = "href=\"&#x2f;ops&#x2f;podcasts?status=failed\">Back<";
    for (path, status, words) in [
        ("/ops/nope", 404, "There is no such page"),
        ("/ops/podcasts/9", 404, "There is no such page"),
        ("/ops/operations/new?verb=requeue", 400, "No podcast was chosen"),
        ("/ops/failures?days=x", 400, "<code>days</code>"),
    ] {
        let page = ask(path, "http://desk.example/ops/podcasts?status=failed").await;
        assert_eq!(page.status(), status, "{path}");
        let page = page.text().await.unwrap();
        assert!(page.contains(words) && page.contains(back), "{path}: {page}");
    }
    let page = ask("/ops/nope", "http://desk.example/elsewhere").await.text().await.unwrap();
    assert!(!page.contains("elsewhere") && !page.contains(">Back<"), "{page}");
}

#[tokio::test]
async fn an_operator_hears_what_any_learner_can() {
    let server = TestServer::start().await;
    let done = server.podcast(7, "2026-11-22", "completed").await;
    let waiting = server.podcast(8, "2026-11-22", "pending_upload").await;
    server.spooled(waiting, b"0123456789");
    let response = get(&server, &format!("/ops/podcasts/{done}/audio")).await;
    assert_eq!(response.status(), 302);
    assert!(response.headers()["location"].to_str().unwrap().starts_with("https://store.example/podcasts/x.mp3"));
    let request = server.request(Method::GET, &format!("/ops/podcasts/{waiting}/audio"));
    let request = request.header("Authorization", format!("Token {OPS_TOKEN}")).header("Range", "bytes=2-4");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 206);
    assert_eq!(response.text().await.unwrap(), "234");
    let nobody = server.request(Method::GET, &format!("/api/ops/podcasts/{done}/audio")).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn a_name_is_told_to_who_asks_and_the_asking_is_recorded() {
    let server = TestServer::start().await;
    run(&server, "update academy.learner set display_name = 'Ana' where user_id = 7").await;
    let id = server.podcast(7, "2026-11-22", "pending").await;
    let path = format!("/api/ops/podcasts/{id}/reveal");
    let ask = |path: &str| server.request(Method::POST, path).header("Authorization", format!("Token {OPS_TOKEN}"));
    assert_eq!(get(&server, &path).await.status(), 405);
    let told: serde_json::Value = ask(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(told, serde_json::json!({ "user_id": 7, "name": "Ana" }));
    assert_eq!(ask("/api/ops/podcasts/99/reveal").send().await.unwrap().status(), 404);
    let lines: Vec<(String, String, String)> =
        sqlx::query_as("select actor, action, subject from dailycast.audit").fetch_all(&server.db).await.unwrap();
    assert_eq!(lines, [("ops.token".to_owned(), "reveal".to_owned(), "learner 7".to_owned())]);
}

#[tokio::test]
async fn who_may_not_look_may_not_listen() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for (side, anonymous) in [("/ops", 303), ("/api/ops", 401)] {
        let path = format!("{side}/podcasts/{id}/audio");
        assert_eq!(server.request(Method::GET, &path).send().await.unwrap().status(), anonymous, "{path}");
        assert_eq!(server.get(&path).await.status(), 403, "a learner at {path}");
    }
}
