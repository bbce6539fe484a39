//! Every address there is.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Route,
    http::Method,
    middleware::{CatchPanic, Compression, NormalizePath, TrailingSlash},
    web::{CompressionAlgo, CompressionLevel},
};

use super::{App, api, cors::Cors, error::Refusal, health, shell::Shell};

/// The whole server as one endpoint.
pub(super) fn routes(app: Arc<App>) -> impl Endpoint {
    let shell = Shell::new(app.clock.clone());
    let cors = Cors::new(&app.settings.cors_origins);
    Route::new()
        .at("/api/dailycast/today", read(api::today::today.with(gzip())))
        .at("/api/dailycast/episodes/:id/audio", read(api::audio::play))
        .at("/healthz", read(health::healthz))
        .at("/readyz", read(health::readyz))
        .data(app)
        .with(CatchPanic::new().with_handler(|_| Refusal::Defect))
        .with(NormalizePath::new(TrailingSlash::Trim))
        .with(cors)
        .with(shell)
}

/// An address that is only read: anything but `GET` and `HEAD` is refused by name. The server
/// leaves out the body of an answer to `HEAD`.
fn read<E>(endpoint: E) -> impl Endpoint
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
fn gzip() -> Compression {
    Compression::new().algorithms([CompressionAlgo::GZIP]).with_quality(CompressionLevel::Fastest)
}
