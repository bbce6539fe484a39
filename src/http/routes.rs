//! Every address there is.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route,
    http::Method,
    middleware::{CatchPanic, Compression, NormalizePath, TrailingSlash},
    web::{CompressionAlgo, CompressionLevel},
};

use super::{App, api, cors::Cors, error::Refusal, floor, health, metrics, ops, shell::Shell};

/// The whole server as one endpoint.
pub(super) fn routes(app: Arc<App>) -> impl Endpoint<Output = Response> {
    let routes = Route::new()
        .at("/api/dailycast/today", read(api::today::today.with(gzip())))
        .at("/api/dailycast/episodes/:id/audio", read(api::audio::play))
        .nest("/ops", ops::pages())
        .nest("/api/ops", ops::api());
    let metrics = metrics::of_the_fleet(&app);
    in_shell(well(routes, metrics), app)
}

/// The server of a process that only works.
pub(super) fn probes(app: Arc<App>) -> impl Endpoint<Output = Response> {
    let metrics = metrics::of_this_process(&app);
    in_shell(well(Route::new(), metrics), app)
}

/// Whether the process is well, for those who watch over it.
fn well(routes: Route, metrics: impl Endpoint<Output = Response> + 'static) -> Route {
    routes.at("/healthz", read(health::healthz)).at("/readyz", read(health::readyz)).at("/metrics", read(metrics))
}

/// The server of the benchmark's floor: all that a request passes through, and one route of it.
pub(super) fn floor(app: Arc<App>) -> impl Endpoint<Output = Response> {
    in_shell(Route::new().at("/floor/:user_id", read(floor::script)), app)
}

fn in_shell(routes: Route, app: Arc<App>) -> impl Endpoint<Output = Response> {
    let shell = Shell::new(app.clock.clone());
    let cors = Cors::new(&app.settings.cors_origins);
    routes
        .data(app)
        .with(CatchPanic::new().with_handler(|_| Refusal::Defect))
        .with(NormalizePath::new(TrailingSlash::Trim))
        .with(cors)
        .with(shell)
}

/// An address that is only read: anything but `GET` and `HEAD` is refused by name. The server
/// leaves out the body of an answer to `HEAD`.
pub(super) fn read<E>(endpoint: E) -> impl Endpoint
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    endpoint.into_endpoint().around(async |endpoint, request: Request| match *request.method() {
        Method::GET | Method::HEAD => endpoint.call(request).await,
        _ => Err(Refusal::Method("GET, HEAD").into()),
    })
}

/// For texts of a few kilobytes; audio is compressed already.
pub(super) fn gzip() -> Compression {
    Compression::new().algorithms([CompressionAlgo::GZIP]).with_quality(CompressionLevel::Fastest)
}
