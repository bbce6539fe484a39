//! What is said when, as a learner's player gets it, and as programs read it that we did not write.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::support::{FOREIGN, INACTIVE, TOKEN, TestServer};
use crate::{provider::audio::Scratch, support::read_by_others};

/// An episode of today with this script and these facts about its speech.
async fn episode(server: &TestServer, script: &str, plan: &Value, speech: &Value) -> i64 {
    let id = server.podcast(7, "2026-11-22", "completed").await;
    sqlx::query(
        "update dailycast.daily_podcast set script_text = $2, chunk_plan = $3, metadata = jsonb_build_object('speech', $4) \
         where id = $1",
    )
    .bind(id)
    .bind(script)
    .bind(plan)
    .bind(speech)
    .execute(&server.db)
    .await
    .unwrap();
    id
}

fn path(id: i64, kind: &str) -> String {
    format!("/api/dailycast/episodes/{id}/transcript.{kind}")
}

async fn read(server: &TestServer, id: i64) -> Value {
    let response = server.get(&path(id, "json")).await;
    assert_eq!((response.status(), kind_of(&response)), (StatusCode::OK, "application/json"));
    response.json().await.unwrap()
}

fn kind_of(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

const SCRIPT: &str = "Good morning.\nHow are you?\n\n  \nThe week.\n\nGoodbye.\n";

#[tokio::test]
async fn measured_times_are_told_as_they_are() {
    let server = TestServer::start().await;
    let speech = json!({ "chunk_ms": [40_000, 20_500], "paragraph_ms": [0, 12_345, 40_001] });
    let id = episode(&server, SCRIPT, &json!({ "ends": [42, SCRIPT.len()], "round": 1 }), &speech).await;
    let paragraphs = json!([
        { "start": 0.0, "end": 12.345, "text": "Good morning. How are you?" },
        { "start": 12.345, "end": 40.001, "text": "The week." },
        { "start": 40.001, "end": 60.5, "text": "Goodbye." },
    ]);
    assert_eq!(read(&server, id).await, json!({ "language": "en", "duration": 60.5, "paragraphs": paragraphs }));
    let response = server.get(&format!("{}/", path(id, "vtt"))).await;
    assert_eq!(kind_of(&response), "text/vtt; charset=utf-8");
    let vtt = response.text().await.unwrap();
    assert!(vtt.starts_with("WEBVTT\nLanguage: en\n\n00:00:00.000 --> 00:00:12.345\nGood morning. How"), "{vtt}");
    let cues = read_by_others("vtt", Scratch::new(vtt.as_bytes()).path())["cues"].take();
    let expected =
        json!([[0, 12_345, "Good morning. How are you?"], [12_345, 40_001, "The week."], [40_001, 60_500, "Goodbye."]]);
    assert_eq!(cues, expected);
}

#[tokio::test]
async fn without_measured_times_the_text_says_where_a_paragraph_is() {
    let server = TestServer::start().await;
    let plan = json!({ "ends": [42, SCRIPT.len()], "round": 1 });
    let chunks = json!([40_000, 20_000]);
    let wrong = [
        json!({ "chunk_ms": chunks }),
        json!({ "chunk_ms": chunks, "paragraph_ms": [0, 1] }),
        json!({ "chunk_ms": chunks, "paragraph_ms": [0, 9, 9] }),
        json!({ "chunk_ms": chunks, "paragraph_ms": [0, 9, 60_000] }),
    ];
    for speech in wrong {
        let id = episode(&server, SCRIPT, &plan, &speech).await;
        let read = read(&server, id).await;
        let start = |n: usize| read["paragraphs"][n]["start"].as_f64().unwrap();
        // Thirty-five letters share the first chunk: twenty-six, then nine.
        assert!((25.0..35.0).contains(&start(1)) && start(2) == 40.0 && read["duration"] == 60.0, "{read}");
        sqlx::query("delete from dailycast.daily_podcast").execute(&server.db).await.unwrap();
    }
    for speech in
        [json!(null), json!("x"), json!({ "chunk_ms": [1] }), json!({ "chunk_ms": [-1, 2], "paragraph_ms": 3 })]
    {
        let id = episode(&server, SCRIPT, &json!({ "ends": "none" }), &speech).await;
        let read = read(&server, id).await;
        assert_eq!((&read["duration"], read["paragraphs"].as_array().unwrap().len()), (&json!(242.0), 3), "{read}");
        sqlx::query("delete from dailycast.daily_podcast").execute(&server.db).await.unwrap();
    }
}

#[tokio::test]
async fn no_text_breaks_a_transcript() {
    let server = TestServer::start().await;
    let long = "A very long paragraph & more. ".repeat(2_000);
    let hostile = [
        "00:00:01.000 --> 00:00:02.000",
        "NOTE nothing",
        "WEBVTT",
        "STYLE\n::cue { color: red }",
        "<c.loud>Half & half</c> &amp; <00:00:09.000>",
        "今日は\u{7}化学です。 -->",
        long.trim(),
    ];
    let id = episode(&server, &hostile.join("\n\n"), &json!(null), &json!(null)).await;
    let vtt = server.get(&path(id, "vtt")).await.text().await.unwrap();
    let cues = read_by_others("vtt", Scratch::new(vtt.as_bytes()).path())["cues"].take();
    let texts: Vec<_> = cues.as_array().unwrap().iter().map(|cue| cue[2].as_str().unwrap()).collect();
    let lines = hostile.map(|text| text.replace('\n', " ").replace('\u{7}', ""));
    assert_eq!(texts, lines);
    assert_eq!(cues[6][1], 242_000, "the last cue ends with the episode");
    let read = read(&server, id).await;
    assert!((0..7).all(|n| read["paragraphs"][n]["text"] == lines[n].as_str()), "{read}");
}

#[tokio::test]
async fn only_the_own_learner_reads_it_while_there_is_audio() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    let asked = async |token: Option<&str>, path: &str| {
        let request = server.request(Method::GET, path);
        let request = match token {
            Some(token) => request.header("Authorization", format!("Token {token}")),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    for kind in ["vtt", "json"] {
        assert_eq!(asked(Some(TOKEN), &path(id, kind)).await, 200);
        assert_eq!(asked(Some(FOREIGN), &path(id, kind)).await, 404);
        assert_eq!(asked(Some(INACTIVE), &path(id, kind)).await, 401);
        assert_eq!(asked(None, &path(id, kind)).await, 401);
        assert_eq!(asked(Some(TOKEN), &path(id + 1, kind)).await, 404);
    }
    assert_eq!(asked(Some(TOKEN), "/api/dailycast/episodes/x/transcript.vtt").await, 404);
    assert_eq!(asked(Some(TOKEN), &path(id, "srt")).await, 404);
    let silent = server.podcast(7, "2026-11-21", "audio_generating").await;
    assert_eq!(asked(Some(TOKEN), &path(silent, "vtt")).await, 404);
    server.clock.set("2026-12-22T10:00:00Z");
    assert_eq!(asked(Some(TOKEN), &path(id, "vtt")).await, 404, "its days are over");
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    for kind in ["vtt", "json"] {
        let first = server.get(&path(id, kind)).await;
        let asked = async |method: Method, tag: &str| {
            let request = server.request(method, &path(id, kind)).header("If-None-Match", tag);
            let response = request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap();
            (response.status().as_u16(), response.bytes().await.unwrap().is_empty())
        };
        let tag = first.headers()["etag"].to_str().unwrap();
        assert_eq!(asked(Method::GET, tag).await, (304, true));
        assert_eq!(asked(Method::GET, "\"other\"").await, (200, false));
        assert_eq!(asked(Method::HEAD, "\"other\"").await, (200, true));
        server.set(id, "completed", &format!("script_text = 'Other words: {kind}.'")).await;
        assert_eq!(asked(Method::GET, tag).await, (200, false));
    }
}
