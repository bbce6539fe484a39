//! The learner's pages: `/study/…`, `/listen/…`, and the web component at `/static/daily-podcast.js`.
//!
//! `session.rs` is the log-in, `dashboard.rs` the page of a learner, `listen.rs` what a shared link
//! leads to. `pages.rs` makes HTML of the templates in `dashboards/pages/study/`, in the reader's
//! language. The component itself (`dashboards/assets/daily-podcast.js`) asks the API like any other
//! page would.

use poem::{EndpointExt as _, Request, Response, Route, http::header};

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

/// A refusal as a page, where a person reads it.
fn refused(request: &Request, refusal: &Refusal) -> Response {
    let what = match refusal {
        Refusal::Gone(_) => "gone",
        Refusal::NotFound => "missing",
        Refusal::TooMany(..) => "busy",
        _ => "away",
    };
    as_refused(pages::message(pages::Language::of(request, &[]), what), refusal)
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
