//! The API told: `/openapi.json` for programs, `/docs` for people.

use poem::Route;

/// Adds the addresses of the documents.
pub(super) fn routes(routes: Route) -> Route {
    routes
}
