//! `/metrics`: what it says after odd requests, after a night, and when it is off.

use std::{collections::BTreeSet, path::Path};

use dailycast::store::academy;
use reqwest::Method;

use super::support::TestServer;
use crate::support::{
    ground::Ground,
    prometheus::{flaws, lines, promtool, value},
    web,
};

/// Where the wide lines of the log are documented.
const LOGS: &str = include_str!("../../src/telemetry/mod.rs");

async fn scrape(server: &TestServer) -> String {
    let response = server.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    response.text().await.unwrap()
}

fn assert_in_order(scrape: &str) {
    assert_eq!(flaws(scrape), Vec::<String>::new());
    let (is_content, said) = promtool(&["check", "metrics"], Path::new("."), scrape);
    assert!(is_content && said.is_empty(), "{said}\n{scrape}");
}

#[tokio::test]
async fn it_is_there_only_where_it_is_wished_for() {
    let server = TestServer::start_with(|settings| settings.metrics = false, None).await;
    assert_eq!(server.request(Method::GET, "/metrics").send().await.unwrap().status(), 404);
    let server = TestServer::start().await;
    assert_eq!(server.request(Method::POST, "/metrics").send().await.unwrap().status(), 405);
    let asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let response = server.request(Method::GET, "/metrics").header("Accept", asked).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = response.text().await.unwrap();
    assert!(text.ends_with("\n# EOF\n") && text.contains("\n# TYPE dailycast_commits counter\n"), "{text}");
    assert!(text.contains("\ndailycast_commits_total ") && !text.contains("# HELP dailycast_commits_total"), "{text}");
}

/// Whatever is asked for, the number of series stays the same.
#[tokio::test]
async fn odd_requests_make_no_odd_labels() {
    let server = TestServer::start().await;
    let odd = [
        ("GET", "/api/dailycast/today/?token=hunter2"),
        ("GET", "/api/dailycast/episodes/4711/audio?signature=hunter2"),
        ("GET", "/hunter2/4711"),
        ("GET", "/ops/podcasts/4711?user=hunter2"),
        ("GET", "/api/ops/podcasts/nobody%40example.org"),
        ("GET", "/ops/assets/../../hunter2"),
        ("BREW", "/readyz"),
        ("DELETE", "/%2e%2e/4711"),
    ];
    let ask = async || {
        for (method, path) in odd {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            server.request(method, path).send().await.unwrap();
        }
        let scrape = scrape(&server).await;
        assert_in_order(&scrape);
        // Not in the values, whose digits may be any.
        let names: Vec<&str> = scrape.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
        let is_told = |word: &&str| names.iter().any(|name| name.contains(*word));
        assert!(!["hunter2", "4711", "example"].iter().any(is_told), "{scrape}");
        let ours = |name: &str| name.starts_with("http_server_request_duration_seconds_count");
        let of = |route: &str| {
            let lines = lines(&scrape).into_iter().filter(|line| ours(&line.name) && line.labels["route"] == route);
            lines.map(|line| line.labels["status_class"].clone()).collect::<Vec<_>>()
        };
        assert!(of("/api/dailycast/episodes/:id/audio").contains(&"4xx".to_owned()), "{scrape}");
        assert!(of("none").contains(&"4xx".to_owned()), "{scrape}");
    };
    ask().await;
    ask().await;
}

/// The figures of the fleet are those of the database; without it they are missing, not nought.
#[tokio::test]
async fn the_fleet_is_told_as_the_database_has_it() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    server.podcast(8, "2026-11-22", "pending").await;
    let night = "insert into dailycast.night (date, started_by, scheduled_for, deadline_at, eligible, started_at)
                 values ('2026-11-22', 'test', now(), now() + interval '1 hour', 2, now() - interval '10 minutes')";
    sqlx::raw_sql(night).execute(&server.db).await.unwrap();
    let told = scrape(&server).await;
    assert_in_order(&told);
    let of = |name: &str, labels: &[(&str, &str)]| value(&told, name, labels);
    assert_eq!(of("dailycast_fleet_up", &[]), Some(1.0));
    assert_eq!(of("dailycast_night_podcasts", &[("status", "completed")]), Some(1.0));
    assert_eq!(of("dailycast_night_podcasts", &[("status", "failed")]), Some(0.0));
    assert_eq!(of("dailycast_night_queue_podcasts", &[("state", "due")]), Some(1.0));
    assert_eq!(of("dailycast_night_running", &[]), Some(1.0));
    assert_eq!(of("dailycast_workers", &[("state", "alive")]), Some(0.0));
    assert_eq!(of("dailycast_last_success_timestamp_seconds", &[]), None);
    assert!(of("dailycast_oldest_due_timestamp_seconds", &[]).is_some());
    // Half of the night was finished within the last five minutes.
    let (at, eta) =
        (of("dailycast_fleet_read_timestamp_seconds", &[]), of("dailycast_night_eta_timestamp_seconds", &[]));
    assert!((eta.unwrap() - at.unwrap() - 300.0).abs() < 1.0, "{told}");

    let away = TestServer::start().await;
    sqlx::raw_sql("drop schema dailycast cascade").execute(&away.db).await.unwrap();
    let told = scrape(&away).await;
    assert_eq!(value(&told, "dailycast_fleet_up", &[]), Some(0.0));
    assert!(!told.contains("dailycast_night_podcasts"), "{told}");
}

/// The wide lines have the fields that the documentation lists, and no others.
fn assert_logs_are_as_documented(log: &str) {
    let always = ["timestamp", "level", "target", "message"];
    let mut seen = BTreeSet::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        let message = line["message"].as_str().unwrap_or_default();
        let Some(listed) = LOGS.lines().find(|row| row.starts_with(&format!("//! | `{message}` |"))) else { continue };
        seen.insert(message.to_owned());
        for field in line.as_object().unwrap().keys().filter(|field| !always.contains(&field.as_str())) {
            assert!(listed.contains(&format!("`{field}`")), "{field} of {message} is not documented");
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["attempt", "call", "request"]);
}

/// A process that only works tells what it did, and nothing else is served there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_tells_what_it_did() {
    let ground = Ground::new(3).await;
    ground.start_night().await;
    let (worker, address) = ground.serving(&["work", "--listen", "127.0.0.1:0"]).await;
    ground.until_finished().await;
    let get = async |path: &str| web().build().unwrap().get(format!("{address}{path}")).send().await.unwrap();
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/api/dailycast/today", 404), ("/ops", 404)] {
        assert_eq!(get(path).await.status(), status, "{path}");
    }
    let told = get("/metrics").await.text().await.unwrap();
    assert_in_order(&told);
    let of = |name: &str, labels: &[(&str, &str)]| value(&told, name, labels).unwrap_or_default();
    let fallback = [("status", "completed_with_fallback")];
    assert_eq!(of("dailycast_podcasts_total", &fallback), 3.0, "{told}");
    let of_the_fleet = ["dailycast_night_podcasts", "dailycast_fleet_up", "dailycast_workers"];
    assert!(of_the_fleet.iter().all(|name| !told.contains(name)), "the fleet is told by those who serve: {told}");
    let upload = [("step", "upload"), ("outcome", "done"), ("cause", "none")];
    assert_eq!(of("dailycast_step_attempts_total", &upload), 3.0, "{told}");
    assert_eq!(of("dailycast_step_duration_seconds_count", &[("step", "script"), ("outcome", "done")]), 3.0);
    let stored = [("provider", "s3"), ("operation", "upload"), ("outcome", "ok")];
    assert_eq!(of("dailycast_provider_requests_total", &stored), 3.0, "{told}");
    assert!(of("dailycast_claimed_podcasts_total", &[]) >= 3.0 && of("dailycast_commits_total", &[]) >= 1.0, "{told}");
    assert_logs_are_as_documented(&worker.log());
    for learner in academy::with_tokens(ground.pool(), 10).await.unwrap() {
        assert!(!worker.log().contains(&learner.token) && !worker.log().contains(&learner.name), "{}", learner.name);
    }
    let scripts = "select split_part(script_text, '.', 1) from dailycast.daily_podcast";
    let scripts: Vec<String> = sqlx::query_scalar(scripts).fetch_all(ground.pool()).await.unwrap();
    assert!(scripts.len() == 3 && scripts.iter().all(|script| !worker.log().contains(script)));
    ground.stop(worker).await;
}
