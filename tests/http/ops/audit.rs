//! What operators did is written down, and found again.

use dailycast::{
    ops::{actor::Actor, audit},
    store,
};
use reqwest::Method;
use serde_json::Value;

use super::support::{Browser, OPERATOR, VIEWER, log_in, start};
use crate::http::support::{TOKEN, TestServer};

async fn json(server: &TestServer, query: &str) -> Value {
    let request = server.request(Method::GET, &format!("/api/ops/audit?{query}"));
    let answer = request.header("Authorization", format!("Token {}", VIEWER.1)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer.json().await.unwrap()
}

fn words(page: &Value) -> Vec<String> {
    let lines = page["lines"].as_array().unwrap().iter();
    lines.map(|line| format!("{} {}", line["actor"].as_str().unwrap(), line["words"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn log_ins_and_deeds_are_written_down_and_refused_ones_are_not() {
    let server = start().await;
    log_in(&server, TOKEN, "").await;
    let viewer = Browser::of(&server, VIEWER.1).await;
    viewer.send("/ops/providers/openai/open", &[]).await;
    viewer.send("/ops/logout", &[]).await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    browser.send("/ops/providers/openai/open", &[("for", "1h"), ("reason", "it is <slow>")]).await;
    browser.send("/ops/providers/openai/close", &[]).await;
    browser.send("/ops/providers/openai/close", &[]).await;
    browser.send("/ops/alerts/99/acknowledge", &[]).await;
    let page = json(&server, "").await;
    assert_eq!(
        words(&page),
        [
            "user 21 lets calls go to provider openai again",
            "user 21 lets no call go to provider openai",
            "user 21 logged in",
            "user 22 logged out",
            "user 22 logged in",
        ]
    );
    assert_eq!(page["lines"][1]["detail"], "for 60 min: it is <slow>");
    let html = browser.request(Method::GET, "/ops/audit").send().await.unwrap().text().await.unwrap();
    assert!(html.contains("it is &lt;slow&gt;") && !html.contains("<slow>"));
    assert_eq!(words(&json(&server, "actor=user+22").await).len(), 2);
    assert_eq!(words(&json(&server, "action=log_in&actor=user+21").await), ["user 21 logged in"]);
    assert!(words(&json(&server, "actor='+or+1=1").await).is_empty());
}

#[tokio::test]
async fn what_the_database_cannot_store_is_refused_by_name() {
    let server = TestServer::start().await;
    for (page, field) in [
        ("audit?actor=%00", "actor"),
        ("audit?day=-9999-01-01", "day"),
        ("podcasts?plan=%00", "plan"),
        ("podcasts?provider=%00", "provider"),
        ("podcasts?date=-9999-01-01", "date"),
    ] {
        let response = super::get(&server, &format!("/api/ops/{page}")).await;
        assert_eq!(response.status(), 400, "{page}");
        assert!(response.json::<Value>().await.unwrap()["errors"][field].is_array(), "{page}");
    }
}

/// Each action that a statement or a deed writes down is one that is told in words.
#[test]
fn every_action_that_is_written_is_known() {
    let known: Vec<&str> = dailycast::ops::audit::actions().map(|(action, _)| action).collect();
    let mut files = vec![std::path::PathBuf::from("src")];
    let mut written = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // In a statement: `insert into dailycast.audit (actor, action, …) select $1, 'pause', …`.
        for statement in text.split("insert into dailycast.audit ").skip(1) {
            let values = statement.split("select").nth(1).unwrap_or_default();
            let second = values.split(',').nth(1).unwrap_or_default().trim();
            written.extend(second.strip_prefix('\'').and_then(|word| word.split('\'').next()).map(str::to_owned));
        }
        written.extend(text.split(" action: \"").skip(1).filter_map(|deed| deed.split('"').next()).map(str::to_owned));
        written
            .extend(text.split("audit::record(").skip(1).filter_map(|deed| deed.split('"').nth(1)).map(str::to_owned));
    }
    assert!(written.len() >= 10, "{written:?}");
    let unknown: Vec<&String> = written.iter().filter(|action| !known.contains(&action.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn lines_are_read_page_by_page_and_day_by_day_and_go_with_time() {
    let server = start().await;
    sqlx::raw_sql(
        "insert into dailycast.audit (at, actor, action, subject)
         select timestamptz '2026-11-01 23:59:59Z' + n * interval '1 second', 'user 3', 'requeue', 'podcast ' || n
         from generate_series(0, 119) n",
    )
    .execute(&server.db)
    .await
    .unwrap();
    let mut seen = Vec::new();
    let mut query = String::new();
    for _ in 0..3 {
        let page = json(&server, &query).await;
        seen.extend(words(&page));
        query = page["older"].as_str().unwrap_or("end").to_owned();
    }
    assert_eq!((seen.len(), query.as_str()), (120, "end"));
    assert_eq!((seen[0].as_str(), seen[119].as_str()), ("user 3 requeued podcast 119", "user 3 requeued podcast 0"));
    assert_eq!(words(&json(&server, "day=2026-11-01").await), ["user 3 requeued podcast 0"]);
    for (query, field) in [("day=yesterday", "day"), ("before=x", "before"), ("before=99999999999999999999", "before")]
    {
        let request = server.request(Method::GET, &format!("/api/ops/audit?{query}"));
        let answer = request.header("Authorization", format!("Token {}", VIEWER.1)).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}");
        let body: Value = answer.json().await.unwrap();
        assert!(body["errors"][field].is_array(), "{body}");
    }

    let old = "update dailycast.audit set at = now() - interval '31 days' where subject <> 'podcast 5'";
    sqlx::raw_sql(old).execute(&server.db).await.unwrap();
    assert_eq!(store::audit::prune(&server.db, 30).await.unwrap(), 119);
    let actor = Actor::machine();
    audit::record(&server.db, &actor, "of_a_newer_version", "moon 3", "").await.unwrap();
    assert_eq!(words(&json(&server, "").await), ["ops.token of a newer version moon 3", "user 3 requeued podcast 5"]);
}
