//! Requests that no honest player makes, at every address of the document.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::{
    docs::{document, filled, operations},
    support::{TOKEN, TestServer},
};

/// What somebody may write where an id or a key belongs. None of these is one.
const ODD: [&str; 16] = [
    "0",
    "-1",
    "1e3",
    "1.0",
    "0x1",
    "%31%2e",
    "%00",
    "%FF",
    "%2F",
    "..%2f..%2fetc",
    "%0d%0aX-Injected:%20yes",
    "%D9%A1",
    "null",
    "99999999999999999999999999",
    "'or'1'='1",
    "%F0%9F%8E%A7",
];

/// A server that may be asked as often as one likes.
async fn patient() -> TestServer {
    TestServer::start_with(|settings| settings.rate_per_minute = 0, None).await
}

#[tokio::test]
async fn a_path_that_cannot_be_meant_is_not_found_in_words_of_ours() {
    let server = patient().await;
    let document = document(&server).await;
    let mut wrong = Vec::new();
    for (path, method, _) in operations(&document).filter(|(path, ..)| path.contains('{')) {
        for odd in ODD {
            let asked = path.replace("{id}", odd).replace("{key}", odd);
            let request = server.request(method.clone(), &asked).header("Authorization", format!("Token {TOKEN}"));
            let response =
                request.header("Content-Type", "application/json").body("{\"position\":1}").send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
            let is_page = kind.starts_with("text/html") && path == "/listen/{key}";
            let text = response.text().await.unwrap();
            let is_ours = is_page || serde_json::from_str::<Value>(&text).is_ok_and(|body| body["detail"].is_string());
            if status != 404 || !is_ours || headers.contains_key("x-injected") {
                wrong.push(format!("{method} {asked}: {status} {kind} {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let server = patient().await;
    let id = server.podcast(7, "2026-11-22", "pending_upload").await;
    server.spooled(id, b"0123456789");
    let document = document(&server).await;
    for (path, _, _) in operations(&document).filter(|(_, method, _)| method == Method::GET) {
        for id in [id.to_string(), "999999".to_owned()] {
            let asked = filled(&document, &path.replace("{id}", &id));
            let answer = async |method: Method| {
                let request = server.request(method, &asked).header("Authorization", format!("Token {TOKEN}"));
                let response = request.send().await.unwrap();
                let headers = response.headers().iter();
                let headers: BTreeSet<_> = headers
                    .filter(|(name, _)| !["date", "x-request-id", "transfer-encoding"].contains(&name.as_str()))
                    .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
                    .collect();
                (response.status(), headers, response.bytes().await.unwrap())
            };
            let (got, head) = (answer(Method::GET).await, answer(Method::HEAD).await);
            assert_eq!((head.0, &head.1), (got.0, &got.1), "{asked}");
            assert!(head.2.is_empty(), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_method_that_is_none_of_ours_is_told_which_there_are() {
    let server = patient().await;
    let document = document(&server).await;
    for path in document["paths"].as_object().unwrap().keys() {
        for method in ["TRACE", "OPTIONS", "PROPFIND", "get", "QUERY"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let response = server.request(method.clone(), &filled(&document, path)).send().await.unwrap();
            assert_eq!(response.status(), 405, "{method} {path}");
            assert!(response.headers().contains_key("allow"), "{method} {path}");
            let body: Value = response.json().await.unwrap();
            assert_eq!(body["code"], "method_not_allowed");
        }
    }
}
