//! The learner's pages: `/study/…`, `/listen/…`, and the web component at `/static/daily-podcast.js`.
//!
//! `session.rs` is the log-in, `dashboard.rs` the page of a learner, `listen.rs` what a shared link
//! leads to. `pages.rs` makes HTML of the templates in `dashboards/pages/study/`, in the reader's
//! language; [`Reader`] has errors elsewhere told by a page, too. The component itself (`dashboards/assets/daily-podcast.js`) asks the API like any other
//! page would.

use std::sync::Arc;

use poem::{Endpoint, EndpointExt as _, PathPattern, Request, Response, Result, Route, http::header};

use super::{
    error::Refusal,
    routes::{gzip, read, takes},
};

mod assets;
mod dashboard;
mod listen;
mod pages;
pub(super) mod session;

/// Adds the learner's pages.
pub(super) fn routes(routes: Route) -> Route {
    routes
        .at("/", read(poem::endpoint::make_sync(|_: Request| session::go_to(session::HOME))))
        .at("/study", read(poem::endpoint::make_sync(|_: Request| session::go_to(session::HOME))))
        .at("/study/dashboard", read(dashboard::show.with(gzip())))
        .at("/study/login", takes("GET, HEAD, POST", session::log_in()))
        .at("/study/logout", takes("POST", session::log_out()))
        .at("/listen/:key", read(listen::page.with(gzip())))
        .at("/listen/:key/episode.json", read(listen::told.with(gzip())))
        .at("/listen/:key/audio", read(listen::play))
        .at("/listen/:key/transcript.json", read(listen::transcript_json.with(gzip())))
        .at("/listen/:key/transcript.vtt", read(listen::transcript_vtt.with(gzip())))
        .at("/static/daily-podcast.js", read(assets::component.with(assets::packed())))
        .at("/static/:version/*name", read(assets::serve.with(assets::packed())))
}

/// The page that says why there is nothing.
fn named(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Gone(_) => "gone",
        Refusal::NotFound => "missing",
        Refusal::TooMany(..) => "busy",
        _ => "away",
    }
}

/// A refusal as a page, where a person reads it.
fn refused(request: &Request, refusal: &Refusal) -> Response {
    as_refused(pages::message(pages::Language::of(request, &[]), named(refusal), None), refusal)
}

/// Gives a page the status of a refusal, and says when to ask again.
fn as_refused(mut page: Response, refusal: &Refusal) -> Response {
    use poem::error::ResponseError as _;

    let answer = refusal.as_response();
    page.set_status(answer.status());
    if let Some(seconds) = answer.headers().get(header::RETRY_AFTER) {
        page.headers_mut().insert(header::RETRY_AFTER, seconds.clone());
    }
    page
}

/// Who reads an answer: a person whose browser was led to an address, in that language, or a program.
pub(super) struct Reader(Option<pages::Language>);

impl Reader {
    /// A browser asks for HTML by name. What lies below `/api` is for programs, whoever looks at it.
    pub fn of(request: &Request) -> Self {
        let wanted = request.header(header::ACCEPT).unwrap_or_default();
        let wants_page =
            wanted.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html"));
        let is_person = wants_page && !request.original_uri().path().starts_with("/api/");
        Self(is_person.then(|| pages::Language::of(request, &[])))
    }

    /// An answer of an address without pages of its own; to a person, why there is nothing is told by
    /// a page, too.
    ///
    /// # Errors
    /// What is left as it is.
    pub fn answer(&self, answer: Result<Response>) -> Result<Response> {
        let (Err(error), Some(language)) = (&answer, self.0) else { return answer };
        let ours = error.downcast_ref::<Refusal>();
        let framework = (ours.is_none() && !error.is_from_response()).then(|| Refusal::from_framework(error));
        let Some(refusal @ (Refusal::NotFound | Refusal::TooMany(..) | Refusal::Away(_))) = ours.or(framework.as_ref())
        else {
            return answer;
        };
        let mut page = as_refused(pages::message(language, named(refusal), Some(session::HOME)), refusal);
        if let Some(pattern) = error.data::<PathPattern>() {
            page.set_data(pattern.clone());
        }
        Ok(page)
    }
}

/// Every answer as its [`Reader`] understands it.
///
/// # Errors
/// Those of the endpoint, for programs.
pub(super) async fn understood<E: Endpoint<Output = Response>>(endpoint: Arc<E>, request: Request) -> Result<Response> {
    let reader = Reader::of(&request);
    reader.answer(endpoint.call(request).await)
}
