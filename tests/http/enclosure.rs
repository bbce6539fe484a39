//! What podcast apps do with the audio of a feed: they ask for its length, for parts, again and
//! again; and what a log tells of that. The cover, too.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::{
    feed::{address, episode, file, header, open},
    log::Log,
    support::{TOKEN, TestServer},
};

const MP3: &[u8] = b"0123456789";

/// A server, an episode of learner 7, and the two addresses of its audio.
async fn audio_of(status: &str) -> (TestServer, i64, [String; 2]) {
    let server = TestServer::start().await;
    let id = episode(&server, "2026-11-22", status, "A title", "Words.").await;
    server.spooled(id, MP3);
    let own = file(&address(&server).await, &format!("{id}.mp3"));
    (server, id, [own, format!("/api/dailycast/episodes/{id}/audio")])
}

/// A request with the token, which the feed's address does not need.
fn request(server: &TestServer, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).header("Authorization", format!("Token {TOKEN}"))
}

#[tokio::test]
async fn parts_of_what_waits_for_its_upload_are_served() {
    let (server, _, addresses) = audio_of("pending_upload").await;
    let cases: [(&str, u16, &str, &str); 7] = [
        ("bytes=0-0", 206, "bytes 0-0/10", "0"),
        ("bytes=3-5", 206, "bytes 3-5/10", "345"),
        ("bytes=4-", 206, "bytes 4-9/10", "456789"),
        ("bytes=-1", 206, "bytes 9-9/10", "9"),
        ("bytes=9-100", 206, "bytes 9-9/10", "9"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
    ];
    for path in &addresses {
        for (range, status, place, body) in cases {
            let answer = request(&server, Method::GET, path).header("Range", range).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), header(&answer, "content-range").as_str()),
                (status, place),
                "{range}"
            );
            assert_eq!(header(&answer, "content-length"), body.len().to_string(), "{range}");
            assert_eq!(
                (header(&answer, "etag").as_str(), header(&answer, "accept-ranges").as_str()),
                ("\"abc\"", "bytes")
            );
            assert_eq!(answer.text().await.unwrap(), body, "{range}");
        }
        for (tag, status) in
            [("\"abc\"", 206), ("W/\"abc\"", 200), ("\"other\"", 200), ("Sun, 22 Nov 2026 06:00:00 GMT", 200)]
        {
            let asked = request(&server, Method::GET, path).header("Range", "bytes=0-0").header("If-Range", tag);
            assert_eq!(asked.send().await.unwrap().status(), status, "{tag}");
        }
        let known = request(&server, Method::GET, path).header("If-None-Match", "\"abc\"").header("Range", "bytes=0-0");
        assert_eq!(known.send().await.unwrap().status(), 304);
    }
}

#[tokio::test]
async fn head_tells_length_and_type_itself_wherever_the_bytes_are() {
    for (status, tag, is_redirect) in [("pending_upload", "abc", false), ("completed", "etag-", true)] {
        let (server, id, addresses) = audio_of(status).await;
        let tag = if is_redirect { format!("\"{tag}{id}\"") } else { format!("\"{tag}\"") };
        let length = if is_redirect { (900_000 + id).to_string() } else { "10".to_owned() };
        for path in &addresses {
            for range in ["bytes=0-0", "bytes=99999999-"] {
                let head = request(&server, Method::HEAD, path).header("Range", range).send().await.unwrap();
                assert_eq!(head.status(), StatusCode::OK, "{status} {path}");
                for (name, value) in [
                    ("content-type", "audio/mpeg"),
                    ("content-length", &length),
                    ("accept-ranges", "bytes"),
                    ("etag", &tag),
                ] {
                    assert_eq!(header(&head, name), value, "{status} {path}");
                }
                assert_eq!(head.text().await.unwrap(), "");
            }
            for method in [Method::HEAD, Method::GET] {
                let known = request(&server, method, path).header("If-None-Match", &tag).send().await.unwrap();
                assert_eq!((known.status(), header(&known, "etag")), (StatusCode::NOT_MODIFIED, tag.clone()));
            }
            let get = request(&server, Method::GET, path).header("If-None-Match", "\"other\"").send().await.unwrap();
            assert_eq!(get.status(), if is_redirect { 302 } else { 200 });
            if is_redirect {
                assert!(header(&get, "location").starts_with("https://store.example/podcasts/x.mp3?"));
                assert_eq!(header(&get, "cache-control"), "no-store");
            }
        }
    }
}

#[tokio::test]
async fn a_length_that_nobody_knows_is_not_told() {
    let (server, _, addresses) = audio_of("completed").await;
    sqlx::raw_sql("update dailycast.daily_podcast set audio_bytes = null, object_etag = null")
        .execute(&server.db)
        .await
        .unwrap();
    for path in &addresses {
        let head = request(&server, Method::HEAD, path).send().await.unwrap();
        assert_eq!((head.status(), header(&head, "content-type").as_str()), (StatusCode::OK, "audio/mpeg"));
        assert_eq!((header(&head, "content-length"), header(&head, "etag")), (String::new(), String::new()));
    }
}

#[tokio::test]
async fn an_address_in_a_feed_outlives_the_upload() {
    let (server, id, [own, _]) = audio_of("pending_upload").await;
    assert_eq!(open(&server, &own).await.text().await.unwrap(), "0123456789");
    let stored = "finished_at = now(), object_key = 'podcasts/x.mp3', audio_url = 's3://b/podcasts/x.mp3'";
    server.set(id, "completed", stored).await;
    assert_eq!(open(&server, &own).await.status(), 302);
}

/// Apple asks for a square of 1400 to 3000 points without alpha.
#[tokio::test]
async fn the_cover_is_what_directories_ask_for() {
    let server = TestServer::start().await;
    let cover = open(&server, "/static/cover.png").await;
    assert_eq!(header(&cover, "content-type"), "image/png");
    assert!(header(&cover, "cache-control").starts_with("public, max-age="));
    let tag = header(&cover, "etag");
    let again = server.request(Method::GET, "/static/cover.png").header("If-None-Match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let png = cover.bytes().await.unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    // Width, height, then eight bits each of red, green and blue.
    assert_eq!((number(16), number(20), &png[24..26]), (1400, 1400, &[8, 2][..]));
    assert!(png.len() < 300_000 && png.windows(4).any(|chunk| chunk == b"sRGB"));
}

#[tokio::test]
async fn no_log_line_names_the_key_of_a_feed() {
    let log = Log::of(tracing::Level::TRACE);
    let (server, id, [own, _]) = audio_of("pending_upload").await;
    let url = address(&server).await;
    log.clear();

    for path in [&url, &own, &file(&url, &format!("{id}/chapters.json")), &format!("{url}x"), &format!("{own}x")] {
        open(&server, path).await;
    }
    // A database that fails, too.
    sqlx::raw_sql("alter table dailycast.revoked_link rename to gone").execute(&server.db).await.unwrap();
    assert_eq!(open(&server, &url).await.status(), 503);

    let (text, mut of_ours) = log.read();
    of_ours.retain(|line| line["target"].as_str().unwrap().starts_with("dailycast"));
    let routes: Vec<&str> = of_ours.iter().filter_map(|line| line["http.route"].as_str()).collect();
    let expected =
        ["/feed/:key", "/feed/:key/:id", "/feed/:key/:id/chapters.json", "/feed/:key", "/feed/:key/:id", "/feed/:key"];
    assert_eq!(routes, expected, "{text}");
    let key = url.rsplit('/').next().unwrap().trim_end_matches(".xml");
    let told: Vec<&Value> = of_ours.iter().filter(|line| line.to_string().contains(key)).collect();
    assert!(told.is_empty(), "{told:?}");
}
