//! One view in three forms: a page, its live part as a stream, JSON.

use std::{collections::BTreeMap, future::Future, io, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use poem::{
    Body, Endpoint, EndpointExt as _, IntoResponse, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    door::{self, Pass},
    templates::{self, Chrome, Layout},
};
use crate::{
    http::{App, error::Refusal, routes::gzip, site},
    ops::{actor::Actor, filter},
};

/// What makes the address of a page that of its stream.
pub(super) const LIVE: &str = "live=yes";

/// The pause between two looks for a live page.
const LOOK: Duration = Duration::from_secs(1);

/// A stream on which nothing happened for so many looks says that it lives, so that no proxy takes
/// it for dead.
const SILENT_LOOKS: u32 = 15;

/// The last words of a stream whose reader was let in and is so no more.
const GOODBYE: &str = "<hx-partial hx-target=\"#live\" hx-swap=\"beforebegin\">\n\
    <p class=\"callout warn\" role=\"alert\">You are logged out, so this page stands still. \
    <a href=\"/ops/login\">Log in</a></p>\n</hx-partial>";

/// Tells htmx which address the answer is shown at.
const REPLACE_URL: HeaderName = HeaderName::from_static("hx-replace-url");

/// Somebody who looks at something.
#[derive(Clone)]
pub(super) struct Visit {
    /// What handlers know.
    pub app: Arc<App>,
    /// Who it is.
    pub actor: Actor,
    /// The address within this side, with its query.
    pub uri: Uri,
    /// `light`, `dark`, or empty: as the system has it.
    pub theme: String,
    /// What was done on the page before, in a sentence; may be empty.
    pub said: String,
    /// What proves who it is.
    pub pass: Pass,
    /// The cookie of a session that was prolonged by this visit.
    pub cookie: Option<String>,
    query: Vec<(String, String)>,
    params: BTreeMap<String, String>,
}

impl Visit {
    /// Reads a request that the door has let in.
    pub fn new(app: Arc<App>, actor: Actor, pass: Pass, request: &Request) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let query = serde_urlencoded::from_str(query).unwrap_or_default();
        let params = request.path_params::<BTreeMap<String, String>>().unwrap_or_default();
        Self {
            app,
            actor,
            uri: request.original_uri().clone(),
            theme: door::theme(request).to_owned(),
            said: door::said(request),
            pass,
            cookie: None,
            query,
            params: params.into_iter().collect(),
        }
    }

    /// Refuses what no address of ours holds, and the database could not be asked for.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for a part of the path, [`Refusal::Unmeant`] for a word of the query.
    pub fn check(&self) -> Result<(), Refusal> {
        if !self.params.values().all(|part| filter::is_plain(part)) {
            return Err(Refusal::NotFound);
        }
        check_plain(self.pairs())
    }

    /// The first value of a parameter of the query that is not empty.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// True for one who asks for JSON.
    pub fn is_program(&self) -> bool {
        is_for_programs(&self.uri)
    }

    /// All pairs of the query.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A part of the path, by its name in the route.
    pub fn part(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// The part of the path called `id`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is no number.
    pub fn id(&self) -> Result<i64, Refusal> {
        self.part("id").and_then(|id| id.parse().ok()).ok_or(Refusal::NotFound)
    }
}

/// Refuses a word whose value is more than a line, by name.
///
/// # Errors
/// [`Refusal::Unmeant`].
pub(super) fn check_plain<'p>(mut pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Result<(), Refusal> {
    match pairs.find(|(_, value)| !filter::is_plain(value.trim())) {
        Some((word, _)) => Err(Refusal::Unmeant(word.to_owned(), "write it on one line".to_owned())),
        None => Ok(()),
    }
}

/// A view: its data, and how it is shown as a page.
pub(super) struct Sheet {
    /// The file in `dashboards/pages/ops/`, without its ending.
    pub template: &'static str,
    /// The page's name, for its tab and its heading.
    pub title: String,
    /// The data: what JSON shows, and `page` in the template.
    pub data: serde_json::Value,
    /// The query of the page's stream, where it is not that of the page: it may say what is shown.
    pub live_query: Option<String>,
}

impl Sheet {
    /// A view of `data`.
    pub fn new(template: &'static str, title: impl Into<String>, data: &impl Serialize) -> Self {
        let data = serde_json::to_value(data).unwrap_or_else(|error| {
            tracing::error!(%error, template, "a view cannot be data");
            serde_json::Value::Null
        });
        Self { template, title: title.into(), data, live_query: None }
    }

    /// The same, kept up to date by a stream with this query.
    pub fn live_query(self, query: String) -> Self {
        Self { live_query: Some(query), ..self }
    }
}

/// A view's endpoint.
pub(super) fn sheet<F, R>(make: F) -> impl Endpoint<Output = Response>
where
    F: Fn(Visit) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Sheet, Refusal>> + Send + 'static,
{
    poem::endpoint::make(move |request: Request| {
        let make = make.clone();
        async move {
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return Err(poem::Error::from(Refusal::Method("GET, HEAD")));
            }
            let form = Form::of(&request);
            let visit = match door::visit(&request).await {
                Ok(visit) => visit,
                Err(refusal) => return Ok(form.refuse(refusal, &request)),
            };
            let shown = make(visit.clone()).await;
            let cookie = visit.cookie.as_deref().and_then(site::set_cookie);
            let is_said = form == Form::Page && shown.is_ok() && !visit.said.is_empty();
            let taken_back = door::saying(&visit.app, "").filter(|_| is_said);
            let mut response = match shown {
                Ok(sheet) => form.show(sheet, visit, make),
                Err(refusal) => form.refuse(refusal, &request),
            };
            response.headers_mut().extend(cookie.into_iter().chain(taken_back));
            Ok(response)
        }
    })
    .with(gzip())
    .map_to_response()
}

/// True for an address whose answers are JSON.
fn is_for_programs(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

/// How an answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For a browser.
    Page,
    /// For a page that keeps itself up to date.
    Stream,
    /// For programs.
    Json,
}

impl Form {
    /// What a request asks for.
    pub fn of(request: &Request) -> Self {
        if is_for_programs(request.original_uri()) {
            return Self::Json;
        }
        // Not by `Accept`: htmx says with every request that it takes streams, too.
        let query = request.original_uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair == LIVE) { Self::Stream } else { Self::Page }
    }

    fn show<F, R>(self, sheet: Sheet, visit: Visit, make: F) -> Response
    where
        F: Fn(Visit) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Sheet, Refusal>> + Send + 'static,
    {
        match self {
            Self::Json => Response::builder()
                .content_type("application/json")
                .header(header::CACHE_CONTROL, "no-store")
                .body(sheet.data.to_string()),
            Self::Page => page(&sheet, &Chrome::of(&visit).live_at(&visit, &sheet)),
            Self::Stream => match visit.app.door.stream() {
                Some(place) => live(visit, make, place),
                // The page asks again by itself, less and less often.
                None => Refusal::Away("Too many pages are being kept up to date.").into_response(),
            },
        }
    }

    /// A refusal; in a browser who is not known is sent to the log-in.
    pub fn refuse(self, refusal: Refusal, request: &Request) -> Response {
        match (self, &refusal) {
            (Self::Page, Refusal::Unauthorized(_)) => door::to_log_in(request),
            (Self::Page, _) => templates::refusal(&refusal, door::back(request).as_deref(), door::theme(request)),
            _ => refusal.into_response(),
        }
    }
}

/// A whole page.
fn page(sheet: &Sheet, chrome: &Chrome) -> Response {
    templates::render(sheet, chrome, Layout::Page).map_or_else(|refusal| templates::refusal(&refusal, None, ""), html)
}

/// The page of a deed that is shown in its own answer: as it is at `address`, with what is said.
pub(super) fn answer(visit: Visit, sheet: &Sheet, address: &str, said: &str) -> Response {
    let uri = address.parse().unwrap_or_else(|_| visit.uri.clone());
    let visit = Visit { uri, said: said.to_owned(), ..visit };
    let mut response = page(sheet, &Chrome::of(&visit).live_at(&visit, sheet));
    // A deed has no page of its own to come back to.
    response.headers_mut().extend(address.parse().ok().map(|address| (REPLACE_URL, address)));
    response
}

/// HTML with what every page needs.
pub(super) fn html(text: String) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::VARY, "Accept, Cookie")
        .header(header::CONTENT_SECURITY_POLICY, site::POLICY)
        // Else a browser does not say that our forms are ours.
        .header(header::REFERRER_POLICY, "same-origin")
        .body(text)
}

/// What a stream remembers between two looks.
struct Watching<F> {
    visit: Visit,
    make: F,
    shown: String,
    looks: u64,
    silent: u32,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

/// The live part of a page, again whenever it has changed. Ends when the server does.
fn live<F, R>(visit: Visit, make: F, place: OwnedSemaphorePermit) -> Response
where
    F: Fn(Visit) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Sheet, Refusal>> + Send + 'static,
{
    let watching = Watching { visit, make, shown: String::new(), looks: 0, silent: 0, is_over: false, _place: place };
    let frames = stream::unfold(watching, async |mut watching| {
        if watching.is_over {
            return None;
        }
        loop {
            if watching.looks > 0 {
                let ending = watching.visit.app.ending.clone();
                let is_over = tokio::time::timeout(LOOK, ending.cancelled_owned()).await.is_ok();
                if is_over {
                    return None;
                }
            }
            watching.looks += 1;
            let Some(actor) = door::again(&watching.visit).await else {
                watching.is_over = true;
                return Some((Ok(event(watching.looks, GOODBYE)), watching));
            };
            watching.visit.actor = actor;
            let shown = (watching.make)(watching.visit.clone()).await;
            let live = shown.and_then(|sheet| templates::render(&sheet, &Chrome::of(&watching.visit), Layout::Stream));
            match live {
                Ok(text) if text != watching.shown => {
                    let frame = event(watching.looks, &text);
                    (watching.shown, watching.silent) = (text, 0);
                    return Some((Ok::<_, io::Error>(frame), watching));
                }
                _ if watching.silent >= SILENT_LOOKS => {
                    watching.silent = 0;
                    return Some((Ok(": still here\n\n".to_owned()), watching));
                }
                _ => watching.silent += 1,
            }
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy must not gather what is to arrive at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let mut response =
        Response::builder().content_type("text/event-stream").body(Body::from_bytes_stream(frames.boxed()));
    response.headers_mut().extend(headers);
    response
}

/// An event of the stream: HTML that says by itself where it belongs.
fn event(id: u64, text: &str) -> String {
    let mut event = format!("id: {id}\n");
    // To a reader of streams a return alone ends a line, too.
    for line in text.lines().flat_map(|line| line.split('\r')) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}
