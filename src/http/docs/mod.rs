//! The API told: `/openapi.json` for programs, `/docs` for people. Both are made from one document,
//! `openapi.json` beside this file, written by hand and compiled in.
//!
//! The document speaks of `https://podcasts.example` where this server's own address belongs, in
//! examples, too; that is put right once, when somebody first asks. The order of its keys is the
//! order of the page.

use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use poem::{
    EndpointExt as _, Request, Response, Result, Route, handler,
    http::{StatusCode, header},
    web::Data,
};

use super::{
    conditional,
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

/// A text with its tag; it may be kept as long as it is asked for again.
struct Kept {
    kind: &'static str,
    text: Bytes,
    tag: String,
}

impl Kept {
    fn new(kind: &'static str, text: impl Into<Bytes>) -> Self {
        let text = text.into();
        // Weak, because it stands for the plain and the compressed form.
        let tag = conditional::weak_tag(&text);
        Self { kind, text, tag }
    }

    fn answer(&self, request: &Request) -> Response {
        let response = Response::builder()
            .header(header::ETAG, &self.tag)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "Accept-Encoding");
        if conditional::is_known(request, &self.tag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(self.kind).body(self.text.clone())
    }
}

static KEPT_STYLE: LazyLock<Kept> = LazyLock::new(|| Kept::new("text/css; charset=utf-8", STYLE));

/// What is told of the server at one address, made when it is first asked for.
struct Told {
    base: String,
    document: OnceLock<Kept>,
    page: OnceLock<Option<Kept>>,
}

impl Told {
    /// The document with this server's address.
    fn of_here(&self) -> String {
        DOCUMENT.replace(ELSEWHERE, &self.base)
    }

    fn document(&self) -> &Kept {
        self.document.get_or_init(|| Kept::new("application/json", self.of_here()))
    }

    /// The page; `None` when it cannot be made, which was logged.
    fn page(&self) -> Option<&Kept> {
        let made = self.page.get_or_init(|| match page::render(&self.of_here(), &self.base) {
            Ok(page) => Some(Kept::new("text/html; charset=utf-8", page)),
            Err(error) => {
                tracing::error!(error = crate::store::chain(&error), "the page of the API cannot be rendered");
                None
            }
        });
        made.as_ref()
    }
}

/// Adds the addresses of the documents, which speak of the server at `base`.
pub(super) fn routes(routes: Route, base: &str) -> Route {
    let told = Told { base: base.to_owned(), document: OnceLock::new(), page: OnceLock::new() };
    let told = Arc::new(told);
    routes
        .at("/openapi.json", read(document.with(gzip()).data(told.clone())))
        .at("/docs", read(docs.with(gzip()).data(told)))
        .at("/docs/style.css", read(style.with(gzip())))
}

/// `GET /openapi.json`: any page may read it, so that tools of other origins can show it.
#[handler]
fn document(request: &Request, Data(told): Data<&Arc<Told>>) -> Response {
    let mut response = told.document().answer(request);
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, header::HeaderValue::from_static("*"));
    response
}

/// `GET /docs`.
#[handler]
fn docs(request: &Request, Data(told): Data<&Arc<Told>>) -> Result<Response> {
    let mut response = told.page().ok_or(Refusal::Defect)?.answer(request);
    let policy = header::HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// `GET /docs/style.css`.
#[handler]
fn style(request: &Request) -> Response {
    KEPT_STYLE.answer(request)
}
