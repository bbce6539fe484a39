//! Staff of the academy, and a browser that keeps its cookie.

use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};

use crate::http::support::TestServer;

/// A superuser, who may change things, and his token.
pub const OPERATOR: (i64, &str) = (21, "2100000000000000000000000000000000000021");

/// Staff that may look, and its token.
pub const VIEWER: (i64, &str) = (22, "2200000000000000000000000000000000000022");

/// A server whose academy has staff.
pub async fn start() -> TestServer {
    let server = TestServer::start().await;
    hire(&server).await;
    server
}

/// Adds the staff.
pub async fn hire(server: &TestServer) {
    for ((user_id, token), is_superuser) in [(OPERATOR, true), (VIEWER, false)] {
        sqlx::query("insert into academy.learner values ($1, true, true, $2)")
            .bind(user_id)
            .bind(is_superuser)
            .execute(&server.db)
            .await
            .unwrap();
        sqlx::query("insert into academy.learner_token values ($1, $2)")
            .bind(token)
            .bind(user_id)
            .execute(&server.db)
            .await
            .unwrap();
    }
}

/// A header of an answer; empty when there is none.
pub fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Tries to log in with a token.
pub async fn log_in(server: &TestServer, token: &str, next: &str) -> Response {
    let form = serde_urlencoded::to_string([("token", token), ("next", next)]).unwrap();
    from_here(server.request(Method::POST, "/ops/login"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap()
}

/// As a browser sends what a page of ours does.
pub fn from_here(request: RequestBuilder) -> RequestBuilder {
    request.header("Sec-Fetch-Site", "same-origin")
}

/// Somebody who is logged in.
pub struct Browser<'s> {
    server: &'s TestServer,
    /// The cookie of the session, name and value.
    pub cookie: String,
    /// What forms carry.
    pub csrf: String,
}

impl<'s> Browser<'s> {
    /// Logs in.
    pub async fn of(server: &'s TestServer, token: &str) -> Self {
        let answer = log_in(server, token, "").await;
        assert_eq!(answer.status(), 303);
        Self::with(server, &header(answer.headers(), "set-cookie")).await
    }

    /// Keeps a cookie, and reads what its forms carry.
    pub async fn with(server: &'s TestServer, set_cookie: &str) -> Self {
        let cookie = set_cookie.split(';').next().unwrap().to_owned();
        let mut browser = Self { server, cookie, csrf: String::new() };
        let page = browser.request(Method::GET, "/ops/alerts").send().await.unwrap().text().await.unwrap();
        let field = page.split("name=\"csrf\" value=\"").nth(1).expect("a form with the field");
        browser.csrf = field.split('"').next().unwrap().to_owned();
        assert_eq!(browser.csrf.len(), 64);
        browser
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).header("Cookie", &self.cookie)
    }

    pub async fn status(&self, path: &str) -> u16 {
        self.request(Method::GET, path).send().await.unwrap().status().as_u16()
    }

    /// Sends a form as a page of ours does.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields = fields.iter().copied().chain([("csrf", self.csrf.as_str())]);
        let form = serde_urlencoded::to_string(fields.collect::<Vec<_>>()).unwrap();
        from_here(self.request(Method::POST, path))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap()
    }
}
