//! The server held against its own document by a program that we did not write: schemathesis makes
//! requests that the document allows, and ones that it forbids, and looks at every answer.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    docs::{content, document, reader},
    support::{FOREIGN, TOKEN, TestServer},
};
use crate::support::Folder;

const MP3: &[u8] = b"not an MP3, but bytes enough to ask for parts of them";

/// Requests for each operation and kind of request.
const EXAMPLES: &str = "12";

/// A server, and its document with ids and keys in it that are there: of learner 7, who asks, and of
/// learner 8, whose feed and link stay open whatever learner 7 does.
async fn prepared() -> (TestServer, Value) {
    let server = TestServer::start_with(|settings| settings.rate_per_minute = 0, None).await;
    // Whoever makes an episode at once asks for the plan.
    sqlx::raw_sql("alter table academy.learner add plan text").execute(&server.db).await.unwrap();
    let mut ids = Vec::new();
    for (user_id, date, status) in [
        (7, "2026-11-22", "pending_upload"),
        (7, "2026-11-21", "completed"),
        (7, "2026-11-20", "completed_with_fallback"),
        (7, "2026-11-19", "failed"),
        (8, "2026-11-22", "pending_upload"),
        (8, "2026-11-21", "completed"),
    ] {
        let id = server.podcast(user_id, date, status).await;
        server.spooled(id, MP3);
        ids.push(id);
    }
    let mut document = document(&server).await;
    let parameters = &mut document["components"]["parameters"];
    let mut known = |name: &str, values: Value| {
        parameters[name]["example"] = values[0].clone();
        parameters[name]["schema"]["enum"] = values;
    };
    let nobody = "0".repeat(40);
    let taken_back = key(&server, Method::POST, "/api/dailycast/feed/rotate/", FOREIGN).await;
    let open = key(&server, Method::POST, "/api/dailycast/feed/rotate/", FOREIGN).await;
    known("FeedKey", json!([open, taken_back, nobody]));
    let share = |id: i64| format!("/api/dailycast/episodes/{id}/share/");
    let taken_back = key(&server, Method::POST, &share(ids[5]), FOREIGN).await;
    let request = server.request(Method::DELETE, &share(ids[5])).header("Authorization", format!("Token {FOREIGN}"));
    assert_eq!(request.send().await.unwrap().status(), 204);
    let waiting = key(&server, Method::POST, &share(ids[4]), FOREIGN).await;
    let stored = key(&server, Method::POST, &share(ids[5]), FOREIGN).await;
    known("ShareKey", json!([waiting, stored, taken_back, nobody]));
    ids.push(999_999);
    known("EpisodeId", json!(ids));
    (server, document)
}

/// The key in the link that a request makes.
async fn key(server: &TestServer, method: Method, path: &str, token: &str) -> String {
    let request = server.request(method, path).header("Authorization", format!("Token {token}"));
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    let url = body["url"].as_str().unwrap_or_else(|| panic!("{path}: {body}"));
    url.rsplit('/').next().unwrap().trim_end_matches(".xml").to_owned()
}

/// Lets schemathesis loose, with every check that it has.
async fn withstands(server: &TestServer, document: &Value, token: Option<&str>, seed: &str) {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/schemathesis.toml"),
        folder.0.join("schemathesis.toml"),
    )
    .unwrap();
    let mut reader = reader();
    reader.current_dir(&folder.0).env("SCHEMATHESIS_HOOKS", "hooks");
    reader.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers"));
    reader.env("PYTHONDONTWRITEBYTECODE", "1");
    reader.args(["-m", "schemathesis.cli", "run"]).arg(&file).args(["--url", &server.url]);
    reader.args(["--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--mode", "all"]);
    reader.args(["--max-examples", EXAMPLES, "--seed", seed, "--no-color", "--generation-database", "none"]);
    reader.args(["--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"]);
    if let Some(token) = token {
        reader.args(["--header", &format!("Authorization: Token {token}")]);
    }
    content(&format!("schemathesis, seed {seed}"), reader).await;
}

#[tokio::test]
async fn what_a_learner_may_ask_is_answered_as_the_document_says() {
    let (server, document) = prepared().await;
    withstands(&server, &document, Some(TOKEN), "1").await;
}

#[tokio::test]
async fn who_brings_no_token_is_answered_as_the_document_says() {
    let (server, document) = prepared().await;
    withstands(&server, &document, None, "2").await;
}
