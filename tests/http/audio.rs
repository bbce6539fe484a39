//! Listening to one episode.

use std::sync::atomic::Ordering;

use reqwest::{Method, Response};

use super::support::{FOREIGN, TOKEN, TestServer};

const MP3: &[u8] = b"0123456789";

/// A server with an episode of learner 7 that waits for its upload.
async fn waiting() -> (TestServer, i64) {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    server.spooled(id, MP3);
    (server, id)
}

fn path(id: i64) -> String {
    format!("/api/dailycast/episodes/{id}/audio")
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_finished_episode_is_a_redirect_to_the_store() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let response = server.get(&path(id)).await;
    assert_eq!(response.status(), 302);
    assert_eq!(header(&response, "location"), "https://store.example/podcasts/x.mp3?ttl=3600&signature=of-the-store");
    assert_eq!(header(&response, "cache-control"), "no-store");
}

/// An episode of ten bytes in the store, shared; and the key in its link.
async fn shared() -> (TestServer, i64, String) {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let share = format!("/api/dailycast/episodes/{id}/share/");
    let token = format!("Token {TOKEN}");
    let answer = server.request(Method::POST, &share).header("Authorization", token).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let key = answer["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    (server, id, key)
}

#[tokio::test]
async fn a_shared_episode_is_heard_without_the_stores_address_that_names_the_learner() {
    let (server, _, key) = shared().await;
    let path = format!("/listen/{key}/audio");
    let whole = server.request(Method::GET, &path).send().await.unwrap();
    assert_eq!((whole.status().as_u16(), header(&whole, "content-length").as_str()), (200, "10"));
    assert!(whole.headers().get("location").is_none());
    assert_eq!(whole.text().await.unwrap(), "xxxxxxxxxx");
    let part = server.request(Method::GET, &path).header("Range", "bytes=4-").send().await.unwrap();
    assert_eq!((part.status().as_u16(), header(&part, "content-range").as_str()), (206, "bytes 4-9/10"));
    assert_eq!(part.text().await.unwrap(), "xxxxxx");
    let head = server.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length").as_str()), (200, "10"));
    let behind = server.request(Method::GET, &path).header("Range", "bytes=10-").send().await.unwrap();
    assert_eq!(behind.status(), 416);
    server.store.refuses.store(true, Ordering::SeqCst);
    assert_eq!(server.request(Method::GET, &path).send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn an_episode_is_kept_as_a_file_by_an_address_of_its_own() {
    let (server, _, _) = shared().await;
    let today = server.today().await;
    let address = today["podcast"]["download_url"].as_str().unwrap();
    let file = server.request(Method::GET, address).send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(header(&file, "content-disposition"), "attachment; filename=\"daily-podcast-2026-11-22.mp3\"");
    assert_eq!(file.text().await.unwrap(), "xxxxxxxxxx");
    server.clock.set("2026-11-22T12:00:00Z");
    assert_eq!(server.request(Method::GET, address).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_store_that_cannot_sign_is_a_503_that_says_when_to_come_back() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    server.store.refuses.store(true, Ordering::SeqCst);
    let response = server.get(&path(id)).await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "retry-after"), "5");
}

#[tokio::test]
async fn ranges_are_served_as_the_standard_says() {
    let (server, id) = waiting().await;
    let cases: [(&str, u16, &str, &str); 14] = [
        ("bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=4-", 206, "bytes 4-9/10", "456789"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=8-99", 206, "bytes 8-9/10", "89"),
        ("bytes=9-9", 206, "bytes 9-9/10", "9"),
        ("bytes=0-99999999999999999999999", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=5-2", 200, "", "0123456789"),
        ("bytes=0-1,4-5", 200, "", "0123456789"),
        ("bytes=a-b", 200, "", "0123456789"),
        ("bytes=-", 200, "", "0123456789"),
        ("seconds=0-3", 200, "", "0123456789"),
    ];
    for (range, status, content_range, body) in cases {
        let request = server.request(Method::GET, &path(id)).header("Authorization", format!("Token {TOKEN}"));
        let response = request.header("Range", range).send().await.unwrap();
        assert_eq!(response.status(), status, "{range}");
        assert_eq!(header(&response, "content-range"), content_range, "{range}");
        assert_eq!(header(&response, "accept-ranges"), "bytes");
        assert_eq!(header(&response, "content-type"), "audio/mpeg");
        assert_eq!(header(&response, "content-length"), body.len().to_string());
        assert_eq!(response.text().await.unwrap(), body, "{range}");
    }
}

#[tokio::test]
async fn a_range_of_another_recording_is_the_whole() {
    let (server, id) = waiting().await;
    for (tag, status) in [("\"abc\"", 206), ("\"other\"", 200)] {
        let request = server.request(Method::GET, &path(id)).header("Authorization", format!("Token {TOKEN}"));
        let response = request.header("Range", "bytes=0-1").header("If-Range", tag).send().await.unwrap();
        assert_eq!(response.status(), status, "{tag}");
    }
}

#[tokio::test]
async fn head_tells_the_length_without_the_bytes() {
    let (server, id) = waiting().await;
    let request = server.request(Method::HEAD, &path(id)).header("Authorization", format!("Token {TOKEN}"));
    let response = request.send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "content-length").as_str()), (200, "10"));
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_signed_address_needs_no_token_and_ends() {
    let (server, id) = waiting().await;
    let expires = 1_795_345_200; // 2026-11-22T11:00:00Z
    let address =
        |id: i64, expires: i64, signature: &str| format!("{}?expires={expires}&signature={signature}", path(id));
    let signature = server.key.sign(id, expires);
    let asked = async |path: String| {
        let response = server.request(Method::GET, &path).send().await.unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };

    assert_eq!(asked(address(id, expires, &signature)).await.0, 200);

    let other = server.podcast(8, "2026-11-22", "pending_upload").await;
    server.spooled(other, MP3);
    let mut damaged = signature.clone().into_bytes();
    damaged[0] ^= 1;
    let tampered = [
        address(other, expires, &signature),
        address(id, expires + 1, &signature),
        address(id, expires, &String::from_utf8(damaged).unwrap()),
        address(id, expires, &signature[..62]),
        address(id, expires, "zz"),
        address(id, expires, ""),
    ];
    for address in tampered {
        assert_eq!(asked(address.clone()).await, (403, "signature".to_owned()), "{address}");
    }

    server.clock.set("2026-11-22T10:59:59Z");
    assert_eq!(asked(address(id, expires, &signature)).await.0, 200);
    server.clock.set("2026-11-22T11:00:00Z");
    assert_eq!(asked(address(id, expires, &signature)).await, (403, "expired".to_owned()));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let (server, id) = waiting().await;
    for (query, field) in
        [("expires=soon&signature=00", "expires"), ("expires=1", "signature"), ("signature=00", "expires")]
    {
        let response = server.get(&format!("{}?{query}", path(id))).await;
        assert_eq!(response.status(), 400, "{query}");
        let body: serde_json::Value = response.json().await.unwrap();
        assert!(body["errors"][field][0].is_string() && body["detail"].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_foreign_episode_is_not_found_like_one_that_is_not() {
    let (server, id) = waiting().await;
    let request = server.request(Method::GET, &path(id)).header("Authorization", format!("Token {FOREIGN}"));
    let foreign = request.send().await.unwrap();
    let unknown = server.get(&path(id + 1)).await;
    let absurd = server.get("/api/dailycast/episodes/99999999999999999999/audio").await;
    let word = server.get("/api/dailycast/episodes/first/audio").await;
    for response in [foreign, unknown, absurd, word] {
        assert_eq!(response.status(), 404);
        assert_eq!(response.text().await.unwrap(), r#"{"code":"not_found","detail":"Not found."}"#);
    }
}

#[tokio::test]
async fn an_episode_without_audio_says_so() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "script_generated").await;
    let response = server.get(&path(id)).await;
    assert_eq!(response.status(), 404);
    assert!(response.text().await.unwrap().contains("no_audio"));
}

#[tokio::test]
async fn audio_that_another_host_keeps_is_a_503() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    let response = server.get(&path(id)).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after").as_str()), (503, "5"));
}
