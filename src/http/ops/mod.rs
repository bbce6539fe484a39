//! The operator's side of the server: pages at `/ops`, the same as JSON at `/api/ops`.
//!
//! Every view is one function that makes a [`sheet::Sheet`]: plain data and the name of its
//! template. The sheet has three forms: a page; JSON (the data itself); and a stream of the page's
//! live part, at the page's address with `live=yes`. Every change is a
//! [`deed::Deed`]: a form posted by a page, or JSON.
//!
//! Who may come in is decided by `door.rs`; `session.rs` is the log-in. Templates and assets lie in `dashboards/` and are
//! compiled in.

mod assets;
mod chart;
mod deed;
mod door;
mod memory;
mod pages;
mod session;
mod sheet;
mod templates;

use poem::{Endpoint, EndpointExt as _, Route};

pub(super) use assets::FONT;
pub use memory::Door;

use crate::http::error::Refusal;
use deed::{deed, view_or_deed};
use sheet::sheet;

/// The pages.
pub(super) fn pages() -> Route {
    views(Route::new())
        .at("/assets/*file", super::routes::read(assets::serve.with(super::routes::gzip())))
        .at("/login", session::log_in())
        .at("/logout", session::log_out())
        .at("/:page", nothing())
        .at("/:page/*rest", nothing())
}

/// Where no page is: a browser is told so by a page, too.
fn nothing() -> impl Endpoint<Output = poem::Response> {
    sheet(async |_| Err(Refusal::NotFound))
}

/// The same as JSON.
pub(super) fn api() -> Route {
    views(Route::new())
}

/// Every view and deed, with the address it has in both.
fn views(route: Route) -> Route {
    route
        .at("/", sheet(pages::tonight::show))
        .at("/podcasts", sheet(pages::podcasts::show))
        .at("/podcasts/:id", sheet(pages::podcast::show))
        .at("/podcasts/:id/audio", super::routes::read(pages::podcast::play))
        .at("/podcasts/:id/reveal", deed(pages::podcast::reveal))
        .at("/podcasts/:id/requeue", deed(pages::operations::requeue))
        .at("/podcasts/:id/cancel", deed(pages::operations::cancel))
        .at("/podcasts/:id/regenerate", deed(pages::operations::regenerate))
        .at("/failures", sheet(pages::failures::show))
        .at("/nights", sheet(pages::nights::show))
        .at("/providers", sheet(pages::providers::show))
        .at("/providers/:name/open", deed(pages::providers::open))
        .at("/providers/:name/close", deed(pages::providers::close))
        .at("/workers", sheet(pages::workers::show))
        .at("/schedule", sheet(pages::schedule::show))
        .at("/schedule/run", deed(pages::schedule::run))
        .at("/schedule/skip", deed(pages::schedule::skip))
        .at("/schedule/unskip", deed(pages::schedule::unskip))
        .at("/schedule/pause", deed(pages::schedule::pause))
        .at("/schedule/resume", deed(pages::schedule::resume))
        .at("/costs", sheet(pages::costs::show))
        .at("/alerts", sheet(pages::alerts::show))
        .at("/alerts/:id/acknowledge", deed(pages::alerts::acknowledge))
        .at("/operations", view_or_deed(sheet(pages::operations::show), deed(pages::operations::begin)))
        .at("/operations/new", sheet(pages::operations::ask))
        .at("/operations/preview", sheet(pages::operations::ask))
        .at("/operations/:id", sheet(pages::operation::show))
        .at("/operations/:id/stop", deed(pages::operation::stop))
        .at("/audit", sheet(pages::audit::show))
}
