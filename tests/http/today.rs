//! What a learner finds today.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use super::support::{FOREIGN, TOKEN, TestServer};

#[tokio::test]
async fn every_status_is_told_truthfully() {
    let server = TestServer::start().await;
    let nothing = json!({
        "status": "coming tomorrow", "podcast": null, "latest": null, "late": false, "next_available_at": null,
    });
    assert_eq!(server.today().await, nothing);
    let statuses = [
        ("pending", false),
        ("script_generated", false),
        ("audio_generating", false),
        ("failed", false),
        ("pending_upload", true),
        ("completed", true),
        ("completed_with_fallback", true),
    ];
    for (status, has_audio) in statuses {
        sqlx::query("delete from dailycast.daily_podcast").execute(&server.db).await.unwrap();
        server.podcast(7, "2026-11-22", status).await;
        let today = server.today().await;
        assert_eq!(today["status"], status);
        assert_eq!(today["podcast"].is_object(), has_audio, "{today}");
        assert_eq!(today["latest"], Value::Null);
    }
}

#[tokio::test]
async fn a_finished_podcast_has_every_promised_field() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed_with_fallback").await;
    let today = server.today().await;
    assert_eq!(
        today["podcast"],
        json!({
            "id": id,
            "date": "2026-11-22",
            "status": "completed_with_fallback",
            "title": "A title",
            "topic": "A topic",
            "script": "Good morning.",
            "audio_url": "https://store.example/podcasts/x.mp3?ttl=3600&signature=of-the-store",
            "audio_url_expires_at": "2026-11-22T11:00:00Z",
            "download_url": today["podcast"]["download_url"],
            "duration": 242,
            "duration_display": "4:02",
            "language": "en",
            "ai_model_used": "template",
            "tts_provider": "local",
            "tts_voice_gender": "female",
            "is_fallback": true,
            "liked": false,
            "shared": false,
            "position": 0.0,
            "transcript_url": format!("{}/api/dailycast/episodes/{id}/transcript.vtt", server.url),
        })
    );
}

#[tokio::test]
async fn the_latest_finished_episode_is_there_when_todays_is_not() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-19", "completed").await;
    let latest = server.podcast(7, "2026-11-20", "completed").await;
    server.podcast(7, "2026-11-21", "failed").await;
    server.podcast(8, "2026-11-21", "completed").await;
    server.podcast(7, "2026-11-22", "pending").await;
    let today = server.today().await;
    assert_eq!((&today["status"], &today["podcast"]), (&json!("pending"), &Value::Null));
    assert_eq!(today["latest"]["id"], latest);
}

#[tokio::test]
async fn an_episode_that_was_replaced_is_not_shown() {
    let server = TestServer::start().await;
    let old = server.podcast(7, "2026-11-22", "completed").await;
    server.set(old, "completed", "is_active = false").await;
    let new = server.podcast(7, "2026-11-22", "completed").await;
    assert_eq!(server.today().await["podcast"]["id"], new);
}

#[tokio::test]
async fn today_is_the_date_of_the_night_in_its_zone() {
    let server = TestServer::start_with(|settings| settings.time_zone = chrono_tz::Asia::Tokyo, None).await;
    let id = server.podcast(7, "2026-11-23", "completed").await;
    server.clock.set("2026-11-22T14:59:59Z");
    assert_eq!(server.today().await["status"], "coming tomorrow");
    server.clock.set("2026-11-22T15:00:00Z");
    assert_eq!(server.today().await["podcast"]["id"], id);
}

#[tokio::test]
async fn while_the_upload_waits_the_address_is_ours_and_plays() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    server.spooled(id, b"the whole episode");
    let today = server.today().await;
    let address = today["podcast"]["audio_url"].as_str().unwrap();
    assert!(address.starts_with(&server.url), "{address}");
    let response = server.request(Method::GET, address).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "the whole episode");
}

#[tokio::test]
async fn a_store_that_cannot_sign_does_not_take_the_page_with_it() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    server.store.refuses.store(true, Ordering::SeqCst);
    let today = server.today().await;
    assert!(today["podcast"]["audio_url"].as_str().unwrap().starts_with(&server.url));
}

/// The address says when it ends also when what signs it ends first, and a client that has it asks
/// again in time: after that end the tag is another one, and the address is ours.
#[tokio::test]
async fn no_address_outlives_what_signs_it() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    *server.store.ends.lock().unwrap() = Some("2026-11-22T10:20:00Z".parse().unwrap());
    let first = server.get("/api/dailycast/today/").await;
    let tag = first.headers()["etag"].clone();
    let podcast = first.json::<Value>().await.unwrap()["podcast"].take();
    assert_eq!(podcast["audio_url_expires_at"], "2026-11-22T10:20:00Z");
    assert_eq!(podcast["audio_url"], "https://store.example/podcasts/x.mp3?ttl=1200&signature=of-the-store");

    for (now, is_same) in [("2026-11-22T10:19:59Z", true), ("2026-11-22T10:20:00Z", false)] {
        server.clock.set(now);
        let again = server.get("/api/dailycast/today/").await;
        assert_eq!(again.headers()["etag"] == tag, is_same, "{now}");
    }
    let podcast = server.today().await["podcast"].take();
    assert_eq!(podcast["audio_url_expires_at"], "2026-11-22T11:00:00Z");
    assert!(podcast["audio_url"].as_str().unwrap().starts_with(&server.url), "{podcast}");
}

#[tokio::test]
async fn an_answer_that_is_known_is_not_sent_again_until_something_changes() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    let tag = async || server.get("/api/dailycast/today/").await.headers()["etag"].to_str().unwrap().to_owned();
    let asked = async |tag: &str| {
        let request = server.request(Method::GET, "/api/dailycast/today/");
        let request = request.header("Authorization", format!("Token {TOKEN}")).header("If-None-Match", tag);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap().is_empty())
    };

    let first = tag().await;
    assert_eq!(asked(&first).await, (304, true));
    assert_eq!(asked(&format!("\"other\", {first}")).await, (304, true));
    assert_eq!(asked("\"other\"").await, (200, false));

    server.set(id, "completed", "finished_at = now(), object_key = 'k', audio_url = 's3://b/k'").await;
    let second = tag().await;
    assert_eq!(asked(&first).await, (200, false));
    assert_eq!(asked(&second).await, (304, true));
}

#[tokio::test]
async fn a_known_answer_is_sent_again_before_its_addresses_end() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    let look = async || {
        let response = server.get("/api/dailycast/today/").await;
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        (tag, body["podcast"]["audio_url_expires_at"].as_str().unwrap().to_owned())
    };
    let (first, ends) = look().await;
    assert_eq!(ends, "2026-11-22T11:00:00Z");
    server.clock.set("2026-11-22T10:29:59Z");
    assert_eq!(look().await, (first.clone(), ends));
    server.clock.set("2026-11-22T10:30:00Z");
    let (second, ends) = look().await;
    assert_ne!(second, first);
    assert_eq!(ends, "2026-11-22T11:30:00Z");
}

/// Nothing is written when an episode becomes late: only the time tells.
#[tokio::test]
async fn an_episode_that_takes_longer_than_usual_is_late_for_who_has_the_answer_too() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "audio_generating").await;
    server.set(id, "audio_generating", "created_at = '2026-11-22T09:40:00Z'").await;
    let first = server.get("/api/dailycast/today/").await;
    let tag = first.headers()["etag"].clone();
    assert_eq!(first.json::<Value>().await.unwrap()["late"], false);
    for (now, status) in [("2026-11-22T10:10:00Z", 304), ("2026-11-22T10:10:00.001Z", 200)] {
        server.clock.set(now);
        let request = server.request(Method::GET, "/api/dailycast/today/").header("If-None-Match", &tag);
        let again = request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
        assert_eq!(again.status(), status, "{now}");
    }
    assert_eq!(server.today().await["late"], true);

    // What can be heard is not late any more, and what failed does not come.
    for status in ["pending_upload", "completed", "failed"] {
        sqlx::query("delete from dailycast.daily_podcast").execute(&server.db).await.unwrap();
        let id = server.podcast(7, "2026-11-22", status).await;
        server.set(id, status, "created_at = '2026-11-22T09:00:00Z'").await;
        let today = server.today().await;
        assert_eq!((&today["status"], &today["late"]), (&json!(status), &json!(false)));
    }
    let yesterdays = server.podcast(8, "2026-11-21", "pending").await;
    server.set(yesterdays, "pending", "created_at = '2026-11-21T10:00:00Z'").await;
    let request = server.request(Method::GET, "/api/dailycast/today/");
    let answer = request.header("Authorization", format!("Token {FOREIGN}")).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["late"], false, "only today's is today's");
}

#[tokio::test]
async fn who_asked_for_an_episode_is_told_when_that_is_possible_again() {
    let server = TestServer::start().await;
    let ask = "insert into dailycast.generation values (7, '2026-11-21T10:10:00Z'), (8, '2026-11-21T10:00:00Z')";
    sqlx::raw_sql(ask).execute(&server.db).await.unwrap();
    // Once with a token that has to be looked up, once with one that is known; without any row, and with some.
    for date in ["2026-10-01", "2026-10-02", "2026-11-20", "2026-11-21", "2026-11-22"] {
        server.podcast(7, date, "completed").await;
        assert_eq!(server.today().await["next_available_at"], "2026-11-22T10:10:00Z", "{date}");
    }
    let other =
        server.request(Method::GET, "/api/dailycast/today/").header("Authorization", format!("Token {FOREIGN}"));
    let other: Value = other.send().await.unwrap().json().await.unwrap();
    assert_eq!((&other["status"], &other["next_available_at"]), (&json!("coming tomorrow"), &Value::Null));

    let tag = server.get("/api/dailycast/today/").await.headers()["etag"].clone();
    server.clock.set("2026-11-22T10:10:00Z");
    assert_ne!(server.get("/api/dailycast/today/").await.headers()["etag"], tag, "the answer is another one");
    assert_eq!(server.today().await["next_available_at"], Value::Null);
}

#[tokio::test]
async fn both_forms_of_the_path_answer_and_head_has_no_body() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-22", "completed").await;
    let asked = async |method: Method, path: &str| {
        let request = server.request(method, path).header("Authorization", format!("Token {TOKEN}"));
        let response = request.send().await.unwrap();
        let tag = response.headers()["etag"].clone();
        (
            response.status().as_u16(),
            tag,
            response.headers().get("content-length").cloned(),
            response.text().await.unwrap(),
        )
    };
    let with = asked(Method::GET, "/api/dailycast/today/").await;
    let without = asked(Method::GET, "/api/dailycast/today").await;
    let head = asked(Method::HEAD, "/api/dailycast/today/").await;
    assert_eq!(with, without);
    assert_eq!((head.0, &head.1, &head.2), (with.0, &with.1, &with.2));
    assert_eq!(head.3, "");
}

#[tokio::test]
async fn the_statements_read_by_one_index_however_large_the_table() {
    let server = TestServer::start().await;
    let source = include_str!("../../src/store/today.rs");
    let mut connection = server.db.acquire().await.unwrap();
    let fill = "insert into dailycast.daily_podcast (user_id, date, deadline_at)
         select learner, date '2026-11-01' + day, now() from generate_series(1, 1000) learner, generate_series(0, 19) day;
         insert into dailycast.generation select learner from generate_series(1, 5000) learner;
         insert into dailycast.listening (podcast_id) select id from dailycast.daily_podcast;
         insert into academy.learner select learner, true from generate_series(10, 5000) learner;
         insert into academy.learner_token select 'token ' || learner, learner from generate_series(10, 5000) learner;
         analyze;
         set enable_bitmapscan = off; -- as all connections for reading have it
         set plan_cache_mode = force_generic_plan";
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    for (name, types, values) in [("today", "bigint[]", "'{7}'"), ("visit", "text[]", "'{token 77}'")] {
        let (_, rest) = source.split_once(&format!("r#\"/* {name} */")).unwrap();
        let (statement, _) = rest.split_once("\"#").unwrap();
        let prepare = format!("prepare {name} ({types}, date[], date[]) as {statement}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
        let explain = format!("explain execute {name} ({values}, '{{2026-11-15}}', '{{2026-10-15}}')");
        let plan = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let lines = |word: &str| plan.iter().filter(|line| line.contains(word)).count();
        assert_eq!(lines("Index Scan Backward using daily_podcast_one_per_day"), 1, "{plan:#?}");
        assert_eq!(lines("Index Scan using generation_pkey"), 1, "{plan:#?}");
        assert_eq!((lines("Seq Scan"), lines("Sort"), lines("Hash")), (0, 0, 0), "{plan:#?}");
    }
}

#[tokio::test]
async fn a_learner_without_todays_row_finds_the_newest_of_two_earlier_ones() {
    let server = TestServer::start().await;
    server.podcast(7, "2026-11-19", "completed").await;
    let newest = server.podcast(7, "2026-11-21", "completed_with_fallback").await;
    server.podcast(7, "2026-11-23", "completed").await;
    // Once with a token that has to be looked up, once with one that is known.
    for _ in 0..2 {
        let today = server.today().await;
        assert_eq!((&today["status"], &today["podcast"]), (&json!("coming tomorrow"), &Value::Null));
        assert_eq!(today["latest"]["id"], newest);
    }
}
