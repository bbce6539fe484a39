//! Providers, workers and alerts, as pages and as JSON.

use reqwest::Method;
use serde_json::Value;

use super::support::{Browser, OPERATOR, VIEWER, header, start};
use crate::http::support::TestServer;

async fn json(server: &TestServer, path: &str) -> Value {
    let request = server.request(Method::GET, &format!("/api/ops/{path}"));
    let answer = request.header("Authorization", format!("Token {}", VIEWER.1)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

async fn page(browser: &Browser<'_>, path: &str) -> String {
    let answer = browser.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap().replace("&#x2f;", "/")
}

async fn execute(server: &TestServer, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&server.db).await.unwrap();
}

fn find<'v>(all: &'v Value, name: &str) -> &'v Value {
    all["providers"].as_array().unwrap().iter().find(|one| one["provider"] == name).unwrap()
}

#[tokio::test]
async fn a_provider_is_opened_with_a_reason_and_closed_again() {
    let server = start().await;
    let (browser, viewer) = (Browser::of(&server, OPERATOR.1).await, Browser::of(&server, VIEWER.1).await);
    let openai = "/ops/providers/openai";
    assert_eq!(find(&json(&server, "providers").await, "openai")["state_words"], "Gets calls");
    let answer = browser.send(&format!("{openai}/open"), &[("for", "15m"), ("reason", "it bills double")]).await;
    assert_eq!((answer.status().as_u16(), header(answer.headers(), "location").as_str()), (303, "/ops/providers"));
    let all = json(&server, "providers").await;
    let open = find(&all, "openai");
    assert_eq!((open["state"].as_str(), open["cause"].as_str()), (Some("open"), Some("operator")));
    assert_eq!(open["sentence"], "Opened by user 21: it bills double.");
    assert_eq!(open["instead"], "gemini writes");
    assert!(open["until"].is_string());
    let shown = page(&browser, "/ops/providers").await;
    assert!(shown.contains("it bills double") && shown.contains("Close the breaker"));
    assert!(!page(&viewer, "/ops/providers").await.contains("/close"), "a viewer is offered nothing");

    // Opened for good, in its place; and everybody behind it, too.
    assert_eq!(browser.send(&format!("{openai}/open"), &[]).await.status(), 303);
    browser.send("/ops/providers/gemini/open", &[]).await;
    let all = json(&server, "providers").await;
    assert!(find(&all, "openai")["until"].is_null());
    assert_eq!(find(&all, "openai")["instead"], "the template writes");
    assert_eq!(browser.send(&format!("{openai}/close"), &[]).await.status(), 303);
    assert_eq!(find(&json(&server, "providers").await, "openai")["state"], "closed");

    for (path, fields, status) in [
        ("/ops/providers/nobody/open", &[][..], 404),
        ("/ops/providers/nobody/close", &[], 404),
        ("/ops/providers/openai/open", &[("for", "soon")], 400),
        ("/ops/providers/openai/open", &[("reason", &"x".repeat(201))], 400),
    ] {
        assert_eq!(browser.send(path, fields).await.status(), status, "{path} {fields:?}");
    }
    assert_eq!(find(&json(&server, "providers").await, "openai")["state"], "closed");
}

#[tokio::test]
async fn who_waited_for_a_provider_is_due_when_it_is_closed_by_hand() {
    let server = start().await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    for user in 1..=4 {
        server.podcast(user, "2026-11-22", if user == 4 { "script_generated" } else { "pending" }).await;
    }
    execute(
        &server,
        "update dailycast.daily_podcast
         set next_attempt_at = now() + interval '1 hour',
             error_kind = case user_id when 2 then 'unavailable' else 'breaker_open' end;
         update dailycast.daily_podcast set worker_id = 1, lease_token = 1 where user_id = 3;
         select dailycast.arm_jobs(array_agg(id), array_agg(next_attempt_at), 0) from dailycast.daily_podcast",
    )
    .await;
    let due = "select array_agg(p.user_id order by p.user_id) from dailycast.daily_podcast p
               join apalis.jobs j on j.idempotency_key = p.id::text
               where greatest(p.next_attempt_at, j.run_at) < now() + interval '1 minute'";
    browser.send("/ops/providers/openai/open", &[]).await;
    browser.send("/ops/providers/openai/close", &[]).await;
    let moved: Option<Vec<i64>> = sqlx::query_scalar(due).fetch_one(&server.db).await.unwrap();
    assert_eq!(moved, Some(vec![1]), "not who waits for something else, is in hand, or is at another step");
}

#[tokio::test]
async fn why_a_provider_gets_no_calls_is_told_in_words() {
    let server = start().await;
    for (set, state, words, sentence) in [
        ("failures_in_a_row = 2", "closed", "Gets calls", "Calls may begin. The last 2 failed in a row."),
        ("failures_in_a_row = 3", "closed", "Calls fail", "Calls may begin. The last 3 failed in a row."),
        (
            "paused_until = now() + interval '1 hour'",
            "paused",
            "Asked for a pause",
            "It answered that it is called too often.",
        ),
        (
            "cause = 'failures', message = 'timed out', opened_at = now(), open_until = now() + interval '1 hour'",
            "open",
            "Gets no calls",
            "Its calls failed: timed out. When its rest is over one call tries it out.",
        ),
        (
            "cause = 'failures', message = 'timed out', opened_at = now(), open_until = now() - interval '1 second'",
            "half_open",
            "On trial",
            "The next call tries it out, one at a time. It rested because: timed out.",
        ),
        (
            "cause = 'out_of_credit', message = 'quota', opened_at = now()",
            "open",
            "Gets no calls",
            "It wants to be paid: quota. Add credit there, then close the breaker. It does not mend by itself.",
        ),
        (
            "cause = 'key_refused', message = 'no', opened_at = now()",
            "open",
            "Gets no calls",
            "It refuses our key: no. Set a valid key, then close the breaker. It does not mend by itself.",
        ),
    ] {
        let sql = format!(
            "delete from dailycast.provider_state; insert into dailycast.provider_state (provider) values ('openai');
             update dailycast.provider_state set {set}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&server.db).await.unwrap();
        let all = json(&server, "providers").await;
        let shown = find(&all, "openai");
        assert_eq!((shown["state"].as_str(), shown["state_words"].as_str()), (Some(state), Some(words)), "{set}");
        assert!(shown["sentence"].as_str().unwrap().starts_with(sentence), "{}", shown["sentence"]);
    }
    assert_eq!(find(&json(&server, "providers").await, "polly")["state_words"], "Not set up", "it is in no chain here");
}

#[tokio::test]
async fn workers_are_shown_with_what_they_hold_and_the_dead_with_the_reason() {
    let server = start().await;
    let none = json(&server, "workers").await;
    assert_eq!((none["living"].as_u64(), none["workers"].as_array().unwrap().len()), (Some(0), 0));
    assert!(none["sentence"].as_str().unwrap().contains("`dailycast run`"));
    execute(
        &server,
        "insert into dailycast.worker (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
         select name, 'h', '', 7, 7, '0.1.0', 16, 30000, 1000
         from unnest(array['alive', 'silent', 'stopped', 'dead', 'long gone']) with ordinality as w (name, n) order by n;
         update dailycast.worker set heartbeat_at = now() - interval '31 seconds' where name = 'silent';
         update dailycast.worker set stopped_at = now() - interval '1 hour', stop_reason = 'stopped in order' where name = 'stopped';
         update dailycast.worker set stopped_at = now() - interval '1 minute', stop_reason = 'its process is gone' where name = 'dead';
         update dailycast.worker set stopped_at = now() - interval '25 hours', stop_reason = 'x' where name = 'long gone';
         insert into apalis.workers (id, worker_type, storage_name, layers, last_seen, started_at)
         select 'dailycast-' || id, 'dailycast.podcast', 'dailycast', '', now(), now() from dailycast.worker;
         insert into dailycast.daily_podcast (user_id, date, deadline_at) select n, '2026-11-22', now() from generate_series(1, 12) n;
         select dailycast.arm_jobs(array_agg(id), array_agg(now()), 0) from dailycast.daily_podcast;
         update apalis.jobs set status = 'Running',
             lock_by = 'dailycast-' || (select id from dailycast.worker where name = 'alive')",
    )
    .await;
    let shown = json(&server, "workers").await;
    let of = |name: &str| shown["workers"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
    let states = ["alive", "silent", "stopped", "dead"].map(|name| of(name).unwrap()["state"].clone());
    assert_eq!(states, ["alive", "silent", "stopped", "dead"]);
    assert!(of("long gone").is_none());
    let alive = of("alive").unwrap();
    assert_eq!((alive["held"].as_i64(), alive["podcasts"].as_array().unwrap().len()), (Some(12), 10));
    assert_eq!((alive["leads"].as_bool(), shown["held"].as_i64()), (Some(false), Some(12)));
    assert_eq!(shown["sentence"], "One worker lives and holds 12 of the 16 podcasts that it takes at once.");
    let browser = Browser::of(&server, OPERATOR.1).await;
    let html = page(&browser, "/ops/workers").await;
    assert!(html.contains("its process is gone") && html.contains("and 2 more"));
    let first = alive["podcasts"][0].as_i64().unwrap();
    assert!(html.contains(&format!("/ops/podcasts/{first}\"")));
}

#[tokio::test]
async fn who_leads_is_read_from_the_locks() {
    let night = crate::support::engine::TestNight::new().await;
    let worker = crate::store::claim::register(&night).await;
    let mut session = dailycast::store::workers::Session::open(&night.store, worker).await.unwrap();
    let leads = async || dailycast::store::workers::list(night.pool(), 10).await.unwrap()[0].leads;
    assert!(!leads().await);
    assert!(session.lead().await.unwrap());
    assert!(leads().await);
    session.close().await;
}

#[tokio::test]
async fn alerts_are_shown_with_whom_they_were_told_to_until_somebody_takes_note() {
    let server = start().await;
    assert_eq!(json(&server, "alerts").await["sentence"], "Nothing is wrong that anybody watches for.");
    execute(
        &server,
        "insert into dailycast.alert_sink (name) values ('webhook');
         insert into dailycast.alert (kind, subject, message, times) values
             ('provider_out_of_credit', 'openai', 'openai wants to be paid', 3),
             ('upload_failed', '2026-11-22', '2 episodes <b>', 2);
         update dailycast.alert_delivery set tries = 4, error = 'it answered 500' where alert_id =
             (select id from dailycast.alert where kind = 'upload_failed');
         insert into dailycast.alert (kind, subject, message, times, raised_at, resolved_at)
         select 'stuck', n::text, 'm', 1, now() - interval '2 days', now() - interval '1 day'
         from generate_series(1, 60) n;
         insert into dailycast.alert (kind, subject, message, times, raised_at, resolved_at)
         values ('stuck', 'old', 'm', 1, now() - interval '40 days', now() - interval '31 days')",
    )
    .await;
    let shown = json(&server, "alerts").await;
    assert_eq!(shown["sentence"], "2 open; 2 that nobody took note of yet.");
    let of = |shown: &Value, kind: &str| {
        shown["open"].as_array().unwrap().iter().find(|one| one["kind"] == kind).cloned().unwrap()
    };
    let upload = of(&shown, "upload_failed");
    assert_eq!(
        (upload["state"].as_str(), upload["page"].as_str()),
        (Some("new"), Some("/ops/failures?date=2026-11-22"))
    );
    assert_eq!(upload["deliveries"][0]["error"], "it answered 500");
    let id = upload["id"].as_i64().unwrap();

    let (browser, viewer) = (Browser::of(&server, OPERATOR.1).await, Browser::of(&server, VIEWER.1).await);
    let html = page(&browser, "/ops/alerts").await;
    assert!(html.contains("2 episodes &lt;b&gt;") && html.contains("tried 4 times"));
    assert!(!page(&viewer, "/ops/alerts").await.contains("/acknowledge"));
    assert_eq!(browser.send(&format!("/ops/alerts/{id}/acknowledge"), &[]).await.status(), 303);
    assert_eq!(browser.send("/ops/alerts/999/acknowledge", &[]).await.status(), 404);
    assert_eq!(browser.send("/ops/alerts/x/acknowledge", &[]).await.status(), 404);
    let shown = json(&server, "alerts").await;
    let upload = of(&shown, "upload_failed");
    assert_eq!((upload["state"].as_str(), upload["acknowledged_by"].as_str()), (Some("seen"), Some("user 21")));

    // Many ended in the same instant: no page leaves one out or shows one twice.
    let (mut path, mut seen) = ("alerts".to_owned(), Vec::new());
    loop {
        let shown = json(&server, &path).await;
        seen.extend(shown["over"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()));
        let Some(next) = shown["next"].as_str() else { break };
        path = format!("alerts?behind={next}");
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((all, seen.len()), (60, 60));
    let request = server.request(Method::GET, "/api/ops/alerts?behind=x_y");
    let answer = request.header("Authorization", format!("Token {}", VIEWER.1)).send().await.unwrap();
    assert_eq!(answer.status(), 400);
}
