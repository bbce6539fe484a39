//! Private feeds: the address and its end, what apps read at it, and the bytes behind it.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use dailycast::http::SigningKey;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::support::{FOREIGN, TOKEN, TestServer};
use crate::support::python;

const MP3: &[u8] = b"0123456789";

/// The longest that the readers may take; Python alone needs seconds to read them.
const PATIENCE: Duration = Duration::from_secs(180);

/// What no XML may hold, and what means something in it.
const HOSTILE: &str = "]]> \u{0}\u{1}\u{8}\u{b}\u{1b}\u{FFFE}<script>alert(\"1 & 2\")</script> 'é' 日本語 🎧";

async fn send(server: &TestServer, method: Method, path: &str, token: &str) -> Response {
    server.request(method, path).header("Authorization", format!("Token {token}")).send().await.unwrap()
}

async fn url_of(answer: Response) -> String {
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    body["url"].as_str().unwrap().to_owned()
}

/// The address of learner 7's feed.
pub async fn address(server: &TestServer) -> String {
    url_of(server.get("/api/dailycast/feed/").await).await
}

async fn rotate(server: &TestServer) -> String {
    url_of(send(server, Method::POST, "/api/dailycast/feed/rotate/", TOKEN).await).await
}

/// What anybody gets, who brings no token.
pub async fn open(server: &TestServer, path: &str) -> Response {
    server.request(Method::GET, path).send().await.unwrap()
}

pub fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The address of a file of an episode, beside that of the feed.
pub fn file(url: &str, rest: &str) -> String {
    format!("{}/{rest}", url.trim_end_matches(".xml"))
}

async fn execute(server: &TestServer, statement: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&server.db).await.unwrap();
}

/// An episode of learner 7 with the facts that a feed tells.
pub async fn episode(server: &TestServer, date: &str, status: &str, title: &str, script: &str) -> i64 {
    let id = server.podcast(7, date, status).await;
    sqlx::query(
        "update dailycast.daily_podcast set title = $2, topic = 'Why?', script_text = $3, language = 'ja',
             created_at = (date + time '03:04:05') at time zone 'UTC', audio_bytes = 900000 + id,
             updated_at = '2026-11-22T06:00:00Z', object_etag = 'etag-' || id
         where id = $1",
    )
    .bind(id)
    .bind(title)
    .bind(script)
    .execute(&server.db)
    .await
    .unwrap();
    id
}

async fn guid(server: &TestServer) -> String {
    let kept = sqlx::query_scalar("select guid::text from dailycast.feed where user_id = 7");
    kept.fetch_one(&server.db).await.unwrap()
}

/// The guids of a feed, its own first.
async fn guids(server: &TestServer, url: &str) -> Vec<String> {
    let text = open(server, url).await.text().await.unwrap();
    let after = |mark: &str| {
        let found = text.split(mark).skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    [after("<podcast:guid>"), after("<guid isPermaLink=\"false\">")].concat()
}

/// Lets programs that are not ours read a feed; they have to find what is expected.
async fn is_read(url: &str, expected: &Value) {
    let mut command = Command::new(python("readers"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/feed.py")).args([url, &expected.to_string()]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended.expect("the readers end").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn apps_read_what_there_is_and_nothing_else() {
    let server = TestServer::start().await;
    let texts = [
        ("2026-11-22", "pending_upload", "おはようございます", "一つ目。\n\n二つ目。"),
        ("2026-11-21", "completed", HOSTILE, HOSTILE),
        ("2026-11-20", "completed_with_fallback", " two\n lines ", "Only one."),
        // The first date that is not gone.
        ("2026-10-24", "completed", "An old one", "Old."),
    ];
    let mut items = Vec::new();
    let url = address(&server).await;
    for (date, status, title, script) in texts {
        // Postgres takes no zero.
        let (title, script) = (title.replace('\0', ""), script.replace('\0', ""));
        let id = episode(&server, date, status, &title, &script).await;
        let told = |text: &str| text.replace(['\u{1}', '\u{8}', '\u{b}', '\u{1b}', '\u{FFFE}'], "");
        let date: chrono::DateTime<chrono::Utc> = format!("{date}T03:04:05Z").parse().unwrap();
        items.push(json!({
            "title": told(&title).split_whitespace().collect::<Vec<_>>().join(" "),
            "guid": format!("{}/{id}", guid(&server).await),
            "url": file(&url, &format!("{id}.mp3")),
            "length": 900_000 + id,
            "duration": 242,
            "date": date.timestamp(),
            "language": "ja",
            "topic": "Why?",
            "script": told(&script).split("\n\n").collect::<Vec<_>>(),
        }));
    }
    episode(&server, "2026-10-23", "completed", "Gone", "Gone.").await;
    episode(&server, "2026-11-23", "completed", "Tomorrow's", "Too early.").await;
    episode(&server, "2026-11-19", "failed", "Failed", "Failed.").await;
    let replaced = episode(&server, "2026-11-18", "completed", "Replaced", "Replaced.").await;
    execute(&server, format!("update dailycast.daily_podcast set is_active = false where id = {replaced}")).await;
    server.podcast(8, "2026-11-22", "completed").await;

    let expected = json!({
        "title": "あなたのデイリーポッドキャスト",
        "language": "ja",
        "cover": format!("{}/static/cover.png", server.url),
        "guid": guid(&server).await,
        "items": items,
    });
    is_read(&url, &expected).await;
}

#[tokio::test]
async fn a_feed_without_episodes_and_one_without_words_are_feeds() {
    let server = TestServer::start().await;
    let url = address(&server).await;
    let mut expected = json!({
        "title": "Your daily podcast",
        "language": "en",
        "cover": format!("{}/static/cover.png", server.url),
        "guid": guid(&server).await,
        "items": [],
    });
    is_read(&url, &expected).await;

    let id = episode(&server, "2026-11-22", "completed", "", "").await;
    execute(&server, "update dailycast.daily_podcast set title = null, topic = null, language = 'de-AT'".to_owned())
        .await;
    expected["title"] = json!("Dein täglicher Podcast");
    expected["language"] = json!("de-AT");
    let text = open(&server, &url).await.text().await.unwrap();
    assert!(text.contains("<title>Dein täglicher Podcast, 2026-11-22</title>"), "{text}");
    assert!(text.contains(&format!("/{id}.mp3\" length=\"{}\"", 900_000 + id)), "{text}");
}

#[tokio::test]
async fn a_description_says_what_is_said_when_if_that_is_known() {
    let server = TestServer::start().await;
    let url = address(&server).await;
    let script = "Good morning.\n\nA week\n has passed.\n\nGood & bye.";
    let id = episode(&server, "2026-11-22", "completed", "A title", script).await;
    for (starts, told) in [
        (
            "[0, 61500, 3600000]",
            "\n\n00:00 Good morning.\n01:01 A week has passed.\n60:00 Good &amp; bye.</description>",
        ),
        ("[0, 61500]", "</description>"),
        ("[0, 3, 2]", "</description>"),
        ("[0, -1, \"2\"]", "</description>"),
        ("{}", "</description>"),
    ] {
        let metadata = format!("{{\"speech\": {{\"paragraph_ms\": {starts}}}}}");
        execute(&server, format!("update dailycast.daily_podcast set metadata = '{metadata}' where id = {id}")).await;
        let text = open(&server, &url).await.text().await.unwrap();
        assert!(text.contains(&format!("<description>Why?\n\nGood morning.{told}")), "{starts}: {text}");
    }
}

#[tokio::test]
async fn the_date_of_an_episode_lies_within_its_day_where_the_nights_are() {
    let server = TestServer::start_with(|settings| settings.time_zone = chrono_tz::Asia::Tokyo, None).await;
    server.clock.set("2026-11-22T20:00:00Z");
    let url = address(&server).await;
    for (date, ordered, told) in [
        ("2026-11-23", "2026-11-22 13:00", "Sun, 22 Nov 2026 15:00:00 +0000"),
        ("2026-11-22", "2026-11-21 18:00", "Sat, 21 Nov 2026 18:00:00 +0000"),
        ("2026-11-21", "2026-11-22 18:00", "Sat, 21 Nov 2026 14:59:59 +0000"),
    ] {
        let id = episode(&server, date, "completed", "A title", "Words.").await;
        execute(&server, format!("update dailycast.daily_podcast set created_at = '{ordered}Z' where id = {id}")).await;
        let text = open(&server, &url).await.text().await.unwrap();
        assert!(text.contains(&format!("<pubDate>{told}</pubDate>")), "{date}: {text}");
    }
}

#[tokio::test]
async fn an_address_stays_until_it_is_replaced_and_guids_stay_for_ever() {
    let server = TestServer::start().await;
    let id = episode(&server, "2026-11-22", "pending_upload", "A title", "Words.").await;
    server.spooled(id, MP3);
    let first = address(&server).await;
    assert_eq!(address(&server).await, first);
    let before = guids(&server, &first).await;
    assert_eq!(before.len(), 2);

    let second = rotate(&server).await;
    assert_ne!(second, first);
    assert_eq!(address(&server).await, second);
    assert_eq!(guids(&server, &second).await, before);
    for path in [first.clone(), file(&first, &format!("{id}.mp3"))] {
        let gone = open(&server, &path).await;
        assert_eq!((gone.status(), header(&gone, "x-robots-tag").as_str()), (StatusCode::GONE, "noindex, nofollow"));
        assert!(gone.text().await.unwrap().contains("\"gone\""));
    }
    assert_eq!(open(&server, &file(&second, &format!("{id}.mp3"))).await.status(), 200);

    for _ in 0..2 {
        assert_eq!(send(&server, Method::DELETE, "/api/dailycast/feed/", TOKEN).await.status(), 204);
        assert_eq!(open(&server, &second).await.status(), 410);
    }
    let third = address(&server).await;
    assert!(third != second && open(&server, &third).await.status() == 200);
    assert_eq!(open(&server, &second).await.status(), 410);
    assert_ne!(guids(&server, &third).await, before, "whoever ended a feed begins another one");
}

#[tokio::test]
async fn of_many_at_once_all_get_one_address_or_each_their_own() {
    let server = TestServer::start().await;
    let same: BTreeSet<String> =
        futures_util::future::join_all((0..8).map(|_| address(&server))).await.into_iter().collect();
    assert_eq!(same.len(), 1, "{same:?}");

    let many = futures_util::future::join_all((0..8).map(|_| rotate(&server))).await;
    let last = address(&server).await;
    for url in many.iter().chain(&same) {
        let expected = if *url == last { 200 } else { 410 };
        assert_eq!(open(&server, url).await.status(), expected, "{url}");
    }
    assert!(many.contains(&last));

    // A feed that nobody asked for yet is replaced by several.
    let fresh = futures_util::future::join_all(
        (0..4).map(async |_| url_of(send(&server, Method::POST, "/api/dailycast/feed/rotate/", FOREIGN).await).await),
    )
    .await;
    let last = url_of(send(&server, Method::GET, "/api/dailycast/feed/", FOREIGN).await).await;
    for url in &fresh {
        assert_eq!(open(&server, url).await.status(), if *url == last { 200 } else { 410 }, "{url}");
    }
}

#[tokio::test]
async fn another_signing_secret_replaces_the_address_when_it_is_asked_for() {
    let server = TestServer::start().await;
    let right = address(&server).await;
    let before = guids(&server, &right).await;
    let seed: Vec<u8> = sqlx::query_scalar("select seed from dailycast.feed").fetch_one(&server.db).await.unwrap();
    let key = SigningKey::new(b"the secret of last year").link_key("feed", &seed);
    sqlx::query("update dailycast.feed set key_hash = $1")
        .bind(Sha256::digest(format!("feed {key}")).to_vec())
        .execute(&server.db)
        .await
        .unwrap();

    let old = format!("{}/feed/{key}.xml", server.url);
    assert_eq!(
        (open(&server, &old).await.status(), open(&server, &right).await.status()),
        (StatusCode::OK, StatusCode::NOT_FOUND)
    );
    let answers = futures_util::future::join_all((0..6).map(|_| address(&server))).await;
    assert!(answers.iter().all(|url| *url == right), "{answers:?}");
    assert_eq!(
        (open(&server, &old).await.status(), open(&server, &right).await.status()),
        (StatusCode::GONE, StatusCode::OK)
    );
    assert_eq!(guids(&server, &right).await, before);
}

#[tokio::test]
async fn nobody_gets_in_with_another_key_and_nothing_else_with_this_one() {
    let server = TestServer::start().await;
    let url = address(&server).await;
    let foreign = server.podcast(8, "2026-11-22", "pending_upload").await;
    let (gone, own) =
        (server.podcast(7, "2026-10-23", "completed").await, server.podcast(7, "2026-11-22", "failed").await);
    server.spooled(foreign, MP3);
    for id in
        [foreign.to_string(), gone.to_string(), "999999".to_owned(), "+1".to_owned(), "9".repeat(30), String::new()]
    {
        for rest in [format!("{id}.mp3"), format!("{id}.vtt"), format!("{id}/chapters.json"), format!("{id}.exe"), id] {
            assert_eq!(open(&server, &file(&url, &rest)).await.status(), 404, "{rest}");
        }
    }
    let silent = open(&server, &file(&url, &format!("{own}.mp3"))).await;
    assert_eq!((silent.status(), silent.text().await.unwrap().contains("no_audio")), (StatusCode::NOT_FOUND, true));
    let key = url.rsplit('/').next().unwrap().trim_end_matches(".xml");
    for wrong in
        ["0".repeat(40), key.to_uppercase(), key[..39].to_owned(), format!("{key}0"), "%00".to_owned(), "ü".repeat(40)]
    {
        assert_eq!(open(&server, &format!("/feed/{wrong}.xml")).await.status(), 404, "{wrong}");
    }
    assert_eq!(open(&server, &format!("/feed/{key}")).await.status(), 404);
    assert_eq!(server.request(Method::POST, &url).send().await.unwrap().status(), 405);

    // The account comes back, and the feed with it.
    for (change, status) in [
        ("is_active = false", 404),
        ("is_active = null", 404),
        ("user_id = 70", 404),
        ("user_id = 7", 404),
        ("is_active = true", 200),
    ] {
        execute(&server, format!("update academy.learner set {change} where user_id in (7, 70)")).await;
        assert_eq!(open(&server, &url).await.status(), status, "{change}");
    }
    for token in ["0".repeat(40), "x".to_owned()] {
        assert_eq!(send(&server, Method::GET, "/api/dailycast/feed/", &token).await.status(), 401);
        assert_eq!(send(&server, Method::POST, "/api/dailycast/feed/rotate/", &token).await.status(), 401);
    }
}

#[tokio::test]
async fn who_has_the_feed_is_told_so() {
    let server = TestServer::start().await;
    let id = episode(&server, "2026-11-22", "completed", "A title", "Words.").await;
    let url = address(&server).await;
    execute(&server, "update dailycast.feed set created_at = '2026-11-01T00:00:00Z'".to_owned()).await;
    let asked =
        async |name: &str, value: &str| server.request(Method::GET, &url).header(name, value).send().await.unwrap();
    let plain = open(&server, &url).await;
    let (tag, modified) = (header(&plain, "etag"), header(&plain, "last-modified"));
    assert_eq!(modified, "Sun, 22 Nov 2026 06:00:00 GMT");
    assert_eq!(header(&plain, "cache-control"), "private, no-cache");
    assert_eq!(header(&plain, "referrer-policy"), "no-referrer");
    assert_eq!(header(&plain, "x-robots-tag"), "noindex, nofollow");
    assert!(header(&plain, "vary").contains("Accept-Encoding"));
    let text = plain.text().await.unwrap();

    let zipped = asked("Accept-Encoding", "gzip").await;
    let zipped_tag = header(&zipped, "etag");
    assert_eq!((header(&zipped, "content-encoding").as_str(), zipped_tag != tag), ("gzip", true));
    assert!(zipped.bytes().await.unwrap().len() < text.len());
    let head = server.request(Method::HEAD, &url).send().await.unwrap();
    assert_eq!(
        (head.status(), header(&head, "etag"), head.text().await.unwrap()),
        (StatusCode::OK, tag.clone(), String::new())
    );

    let known = [("If-None-Match", &tag), ("If-None-Match", &zipped_tag), ("If-Modified-Since", &modified)];
    for (name, value) in known {
        let answer = asked(name, value).await;
        assert_eq!((answer.status(), header(&answer, "etag")), (StatusCode::NOT_MODIFIED, tag.clone()), "{name}");
    }
    for (name, value) in [
        ("If-None-Match", "\"other\""),
        ("If-Modified-Since", "Sun, 22 Nov 2026 05:59:59 GMT"),
        ("If-Modified-Since", "soon"),
    ] {
        assert_eq!(asked(name, value).await.status(), 200, "{name}: {value}");
    }
    let both =
        server.request(Method::GET, &url).header("If-None-Match", "\"other\"").header("If-Modified-Since", &modified);
    assert_eq!(both.send().await.unwrap().status(), 200, "tags count more than times");

    execute(
        &server,
        format!("update dailycast.daily_podcast set title = 'B', updated_at = '2026-11-22T06:00:01Z' where id = {id}"),
    )
    .await;
    for (name, value) in known {
        assert_eq!(asked(name, value).await.status(), 200, "{name}");
    }
}

/// Apps ask every hour, and have it nearly always: what is long is read for nobody then.
#[tokio::test]
async fn to_find_that_an_app_has_the_feed_no_words_are_read() {
    let server = TestServer::start().await;
    episode(&server, "2026-11-22", "completed", "A title", "Words.").await;
    let url = address(&server).await;
    let tag = header(&open(&server, &url).await, "etag");
    execute(&server, "alter table dailycast.daily_podcast rename column script_text to lost".to_owned()).await;
    let known = server.request(Method::GET, &url).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!((known.status().as_u16(), header(&known, "etag")), (304, tag.clone()));
    assert_eq!(open(&server, &url).await.status(), 503, "nothing is kept that would hide it");
    execute(&server, "alter table dailycast.daily_podcast rename column lost to script_text".to_owned()).await;

    let mut last = tag;
    for change in
        ["title = 'B', updated_at = updated_at + interval '1 microsecond'", "is_active = false", "is_active = true"]
    {
        execute(&server, format!("update dailycast.daily_podcast set {change}")).await;
        let answer = server.request(Method::GET, &url).header("If-None-Match", &last).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "etag") != last), (200, true), "{change}");
        last = header(&answer, "etag");
    }
}
