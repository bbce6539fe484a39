//! The learner's pages: `/study/…`, `/listen/…`, and the web component at `/static/daily-podcast.js`.

use poem::Route;

/// Adds the learner's pages.
pub(super) fn routes(routes: Route) -> Route {
    routes
}
