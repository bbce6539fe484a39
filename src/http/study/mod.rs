//! The learner's pages: `/study/…`, `/listen/…`, and the web component at `/static/daily-podcast.js`.
//!
//! `session.rs` is the log-in, `dashboard.rs` the page of a learner, `listen.rs` what a shared link
//! leads to. `pages.rs` makes HTML of the templates in `dashboards/pages/study/`, in the reader's
//! language. The component itself (`dashboards/assets/daily-podcast.js`) asks the API like any other
//! page would.

use poem::{EndpointExt as _, Request, Response, Route};

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
        .at("/static/daily-podcast.js", read(assets::component.with(gzip())))
        .at("/static/:version/*name", read(assets::serve.with(gzip())))
}

/// A refusal as a page, where a person reads it.
fn refused(request: &Request, refusal: &Refusal) -> Response {
    use poem::error::ResponseError as _;

    let (what, keep) = match refusal {
        Refusal::Gone(_) => ("gone", None),
        Refusal::NotFound => ("missing", None),
        Refusal::TooMany(_, seconds) => ("busy", Some(*seconds)),
        _ => ("away", Some(RETRY_AFTER)),
    };
    let mut response = pages::message(pages::Language::of(request, &[]), what);
    response.set_status(refusal.status());
    if let Some(seconds) = keep {
        response.headers_mut().insert(poem::http::header::RETRY_AFTER, seconds.into());
    }
    response
}

/// When somebody who reads a page may try again, in seconds.
const RETRY_AFTER: u64 = 5;
