//! Private feeds for podcast apps: what lies below `/feed/`.

use poem::Route;

/// Adds the addresses of feeds.
pub(super) fn routes(routes: Route) -> Route {
    routes
}
