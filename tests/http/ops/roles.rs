//! Who may see and do what, at every address there is: the list is read from where they are
//! registered, so that a new one is held to the same rules.

use reqwest::{Method, Response};

use super::support::{Browser, OPERATOR, VIEWER, start};
use crate::http::support::{OPS_TOKEN, TOKEN, TestServer};

const REGISTERED: &str = include_str!("../../../src/http/ops/mod.rs");

/// Every address with whether it changes something. Audio is neither: `podcast.rs` asks who hears it.
fn addresses() -> Vec<(String, bool)> {
    let views = REGISTERED.split("fn views(").nth(1).unwrap();
    let routes = views.split(".at(").skip(1).filter(|route| !route.contains("pages::podcast::play"));
    let routes: Vec<&str> = routes.collect();
    let read = |route: &&str| {
        let mut parts = route.trim_start().splitn(3, '"');
        let path = parts.nth(1).expect("an address in quotes").to_owned();
        let kind = parts.next().unwrap().trim_start_matches([',', ' ', '\n']);
        match kind.split('(').next().unwrap() {
            "sheet" => vec![(path, false)],
            "deed" => vec![(path, true)],
            "view_or_deed" => vec![(path.clone(), false), (path, true)],
            _ => panic!("{path} is neither a view nor a deed: who may come there?"),
        }
    };
    let all: Vec<_> = routes.iter().flat_map(read).collect();
    assert!(all.len() >= 16 && all.iter().any(|(_, is_deed)| *is_deed), "{all:?}");
    all
}

/// An address with its parts filled in.
fn filled(path: &str, podcast: i64) -> String {
    let part = |part: &str| match part.strip_prefix(':') {
        Some("id") => podcast.to_string(),
        Some("name") => "openai".to_owned(),
        Some("date") => "2026-11-22".to_owned(),
        Some(_) => "1".to_owned(),
        None => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/").trim_end_matches('/').to_owned()
}

async fn ask(server: &TestServer, is_deed: bool, path: &str, authorization: Option<&str>) -> Response {
    let mut request = server.request(if is_deed { Method::POST } else { Method::GET }, path);
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn at_every_address_each_may_do_what_his_role_allows() {
    let server = start().await;
    let podcast = server.podcast(7, "2026-11-22", "completed").await;
    let token = |token: &str| format!("Token {token}");
    let (learner, viewer, operator) = (token(TOKEN), token(VIEWER.1), token(OPERATOR.1));
    let machines = [token(OPS_TOKEN), format!("Bearer {OPS_TOKEN}")];
    for (path, is_deed) in addresses() {
        for side in ["/ops", "/api/ops"] {
            let address = format!("{side}{}", filled(&path, podcast));
            let is_page = side == "/ops";
            let at = async |who: Option<&str>| ask(&server, is_deed, &address, who).await.status().as_u16();

            let anonymous = ask(&server, is_deed, &address, None).await;
            assert_eq!(anonymous.status(), if is_page { 303 } else { 401 }, "anonymous at {address}");
            if is_page {
                let location = anonymous.headers()["location"].to_str().unwrap();
                assert!(location.starts_with("/ops/login"), "{address} leads to {location}");
            } else {
                assert_eq!(anonymous.headers()["www-authenticate"], "Token");
                let words = "{\"detail\":\"Authentication credentials were not provided.\"}";
                assert_eq!(anonymous.text().await.unwrap(), words);
            }
            assert_eq!(at(Some(&learner)).await, 403, "a learner at {address}");
            let as_viewer = at(Some(&viewer)).await;
            if is_deed {
                assert_eq!(as_viewer, 403, "a viewer does {address}");
            } else {
                let (is_of_one, is_of_a_wish) = (path.contains(':'), path.starts_with("/operations/"));
                let is_fine = as_viewer == 200 || is_of_one && as_viewer == 404 || is_of_a_wish && as_viewer == 400;
                assert!(is_fine, "a viewer at {address}: {as_viewer}");
            }
            for who in machines.iter().chain([&operator]) {
                let status = at(Some(who)).await;
                assert!(
                    ![303, 401, 403, 405, 500, 503].contains(&status) || is_deed && status == 303,
                    "{who} at {address}: {status}"
                );
            }
        }
    }
}

/// With a session, too; and no view can be posted to, no deed be read.
#[tokio::test]
async fn a_session_of_a_viewer_changes_nothing_and_a_get_does_no_deed() {
    let server = start().await;
    let browser = Browser::of(&server, VIEWER.1).await;
    let all = addresses();
    for (path, is_deed) in &all {
        let address = format!("/ops{}", filled(path, 1));
        let is_both = all.contains(&(path.clone(), !is_deed));
        if *is_deed {
            assert_eq!(browser.send(&address, &[]).await.status(), 403, "{address}");
            assert!(is_both || browser.status(&address).await == 405, "{address} is no page");
        } else if !is_both {
            assert_eq!(browser.send(&address, &[]).await.status(), 405, "{address} is no deed");
        }
    }
}

/// No page holds what proves who somebody is, nor what a learner is called.
#[tokio::test]
async fn no_page_holds_a_token_or_the_key_of_the_session() {
    let server = start().await;
    let podcast = server.podcast(7, "2026-11-22", "completed").await;
    let browser = Browser::of(&server, OPERATOR.1).await;
    let key = browser.cookie.split_once('=').unwrap().1;
    assert_eq!(key.len(), 64);
    for (path, _) in addresses().into_iter().filter(|(_, is_deed)| !is_deed) {
        let address = format!("/ops{}", filled(&path, podcast));
        let answer = browser.request(Method::GET, &address).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store", "{address}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self'"), "{address}");
        let page = answer.text().await.unwrap();
        for secret in [key, OPERATOR.1, VIEWER.1, TOKEN, OPS_TOKEN] {
            assert!(!page.contains(secret), "{address} holds {secret}");
        }
    }
}
