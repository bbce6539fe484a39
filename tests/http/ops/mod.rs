//! The operators' pages, as pages and as JSON.

mod board;
mod costs;
mod nights;
mod snapshot;
mod tonight;

use reqwest::{Method, Response};
use serde_json::Value;

use super::support::{OPS_TOKEN, TestServer};

/// `GET` by a machine with `ops.token`.
async fn get(server: &TestServer, path: &str) -> Response {
    server.request(Method::GET, path).header("Authorization", format!("Token {OPS_TOKEN}")).send().await.unwrap()
}

/// A view as data; it has to be there.
async fn data(server: &TestServer, path: &str) -> Value {
    let response = get(server, path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

/// A view as a page; it has to be there.
async fn page(server: &TestServer, path: &str) -> String {
    let response = get(server, path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.unwrap()
}
