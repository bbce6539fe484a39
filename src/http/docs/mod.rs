//! The API told: `/openapi.json` for programs, `/docs` for people. Both are made from one document,
//! `openapi.json` beside this file, written by hand and compiled in.
//!
//! The document speaks of `https://podcasts.example` where this server's own address belongs, in
//! examples, too; that is put right when it is asked for. The order of its keys is the order of the page.

use std::sync::Arc;

use poem::{
    EndpointExt as _, Request, Response, Result, Route, handler,
    http::{StatusCode, header},
    web::Data,
};

use super::{
    App, conditional,
    error::Refusal,
    routes::{gzip, read},
};

mod page;

/// The document as it was written.
const DOCUMENT: &str = include_str!("openapi.json");

/// Where the document says that the server is.
const ELSEWHERE: &str = "https://podcasts.example";

/// The look of the page.
const STYLE: &str = include_str!("../../../dashboards/assets/docs.css");

/// What the page may load: its own style.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the addresses of the documents.
pub(super) fn routes(routes: Route) -> Route {
    routes
        .at("/openapi.json", read(document.with(gzip())))
        .at("/docs", read(docs.with(gzip())))
        .at("/docs/style.css", read(style.with(gzip())))
}

/// `GET /openapi.json`: any page may read it, so that tools of other origins can show it.
#[handler]
fn document(request: &Request, Data(app): Data<&Arc<App>>) -> Response {
    let mut response = kept(request, "application/json", &of_here(app));
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, header::HeaderValue::from_static("*"));
    response
}

/// `GET /docs`.
#[handler]
fn docs(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let page = page::render(&of_here(app), &app.settings.public_url).map_err(|error| {
        tracing::error!(error = crate::store::chain(&error), "the page of the API cannot be rendered");
        Refusal::Defect
    })?;
    let mut response = kept(request, "text/html; charset=utf-8", &page);
    let policy = header::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// `GET /docs/style.css`.
#[handler]
fn style(request: &Request) -> Response {
    kept(request, "text/css; charset=utf-8", STYLE)
}

/// The document with this server's address.
fn of_here(app: &App) -> String {
    DOCUMENT.replace(ELSEWHERE, &app.settings.public_url)
}

/// A text that may be kept as long as it is asked for again.
fn kept(request: &Request, kind: &str, text: &str) -> Response {
    // Weak, because it stands for the plain and the compressed form.
    let tag = conditional::weak_tag(text);
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::VARY, "Accept-Encoding");
    if conditional::is_known(request, &tag) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type(kind).body(text.to_owned())
}
