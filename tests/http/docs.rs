//! What the API says of itself: the document, the page, and that both are true.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio, time::Duration};

use reqwest::Method;
use serde_json::Value;
use tokio::process::Command;

use super::support::TestServer;
use crate::support::python;

/// Addresses that no program of a learner's asks for: pages, what they load, what operators see.
const ASIDE: [&str; 6] = ["/docs/", "/floor/", "/metrics", "/ops", "/static", "/study"];

/// The longest that one of the readers may take; Python alone needs seconds to read them.
const PATIENCE: Duration = Duration::from_secs(240);

/// A program of the readers' environment.
pub fn reader() -> Command {
    let mut command = Command::new(python("readers"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", std::env::temp_dir());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a reader to its end, which has to be a good one.
pub async fn content(what: &str, mut reader: Command) {
    let ended = tokio::time::timeout(PATIENCE, reader.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{what}: the reader does not end")).unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {said}\n{errors}");
}

/// The document of a server.
pub async fn document(server: &TestServer) -> Value {
    server.request(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// Every operation of the document: path, method, what is said of it.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, Method, &Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters");
        operations.map(|(method, operation)| {
            (path.as_str(), Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), operation)
        })
    })
}

/// A path with the examples of its parameters in their places.
pub fn filled(document: &Value, path: &str) -> String {
    let key = if path.starts_with("/feed") { "FeedKey" } else { "ShareKey" };
    let parameters = &document["components"]["parameters"];
    let id = parameters["EpisodeId"]["example"].to_string();
    path.replace("{id}", &id).replace("{key}", parameters[key]["example"].as_str().unwrap())
}

/// Every address that the sources name, as poem writes it.
fn routed() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            // The operators' side has addresses of its own.
            if entry.is_dir() && !entry.ends_with("ops") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(entry).unwrap();
                let routes = text.split(".at(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(routes.map(str::to_owned));
            }
        }
    }
    // It only leads to a page.
    found.remove("/");
    found.retain(|path| !ASIDE.iter().any(|aside| path.starts_with(aside)));
    found
}

/// True when poem leads a request for `path` to the route.
fn leads(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.trim_end_matches('/').split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(rest), Some(_)) if rest.starts_with('*') => return true,
            (Some(any), Some(_)) if any.starts_with(':') => {}
            (Some(same), Some(name)) if same == name => {}
            _ => return false,
        }
    }
}

#[tokio::test]
async fn the_document_names_every_address_and_no_other() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let told: Vec<_> = document["paths"].as_object().unwrap().keys().map(|path| filled(&document, path)).collect();
    let routed = routed();
    assert!(routed.len() > 15, "{routed:?}");
    let untold: Vec<_> = routed.iter().filter(|route| !told.iter().any(|path| leads(route, path))).collect();
    assert!(untold.is_empty(), "not in the document: {untold:?}");
    let unrouted: Vec<_> = told.iter().filter(|path| !routed.iter().any(|route| leads(route, path))).collect();
    assert!(unrouted.is_empty(), "no such address: {unrouted:?}");
}

#[tokio::test]
async fn the_document_names_the_methods_of_each_address() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let mut wrong = Vec::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let told = operations(&document).filter(|(other, ..)| other == path);
        let mut told: BTreeSet<_> = told.map(|(_, method, _)| method.to_string()).collect();
        if told.contains("GET") {
            told.insert("HEAD".to_owned());
        }
        let response = server.request(Method::PATCH, &filled(&document, path)).send().await.unwrap();
        let allowed = response.headers().get("allow").map(|allowed| allowed.to_str().unwrap()).unwrap_or_default();
        let allowed: BTreeSet<_> = allowed.split(", ").map(str::to_owned).collect();
        if response.status() != 405 || allowed != told {
            wrong.push(format!("{path}: {} allows {allowed:?}, told are {told:?}", response.status()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_document_names_the_page_that_a_person_reads_where_there_is_nothing() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let (mut pages, mut untold) = (0, Vec::new());
    for (path, method, operation) in operations(&document) {
        let request = server.request(method, &filled(&document, path)).header("Accept", "text/html");
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers());
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let told = &operation["responses"][status.as_str()];
        let named = told["$ref"].as_str().and_then(|place| document.pointer(place.trim_start_matches('#')));
        pages += u32::from(status == 404 && kind == "text/html");
        if named.unwrap_or(told)["content"].get(kind).is_none() {
            untold.push(format!("{path}: {status} {kind}"));
        }
    }
    assert!(pages > 8 && untold.is_empty(), "{pages} pages, {untold:?}");
}

#[tokio::test]
async fn the_document_is_valid_and_its_examples_fit() {
    let server = TestServer::start().await;
    let mut reader = reader();
    reader.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/document.py"));
    reader.arg(format!("{}/openapi.json", server.url));
    content("the document", reader).await;
}

#[tokio::test]
async fn the_document_speaks_of_this_server_to_any_page() {
    let ours = "https://podcasts.academy.example";
    let server = TestServer::start_with(|settings| settings.public_url = ours.to_owned(), None).await;
    let response = server.request(Method::GET, "/openapi.json").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let tag = response.headers()["etag"].clone();
    let text = response.text().await.unwrap();
    assert!(!text.contains("podcasts.example"), "an address of nobody is left");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["servers"][0]["url"], ours);
    let again = server.request(Method::GET, "/openapi.json").header("If-None-Match", tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["access-control-allow-origin"].to_str().unwrap()), (304, "*"));
    let other = TestServer::start().await;
    assert_ne!(other.request(Method::GET, "/openapi.json").send().await.unwrap().text().await.unwrap(), text);
}

#[tokio::test]
async fn the_page_tells_every_operation_and_loads_nothing_but_its_style() {
    let server = TestServer::start().await;
    let document = document(&server).await;
    let response = server.request(Method::GET, "/docs/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    let page = response.text().await.unwrap();
    for (path, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{path}: {id}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"{name}\"")), "{name}");
    }
    let anchors = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for anchor in anchors {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor} leads nowhere");
    }
    assert!(!page.contains("<script src") && !page.contains(" style="), "something the policy forbids");
    let style = server.request(Method::GET, "/docs/style.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}
