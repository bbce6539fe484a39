//! Every address there is.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route,
    middleware::{CatchPanic, Compression, NormalizePath, TrailingSlash},
    web::{CompressionAlgo, CompressionLevel},
};

use super::{
    App, api,
    cors::Cors,
    docs,
    error::Refusal,
    feed, floor, health, metrics, ops,
    shell::{self, Shell},
    site, study,
};

/// The whole server as one endpoint.
pub(super) fn routes(app: Arc<App>) -> impl Endpoint<Output = Response> {
    let routes = Route::new()
        .at("/api/dailycast/today", read(api::today::today.with(gzip())))
        .at("/api/dailycast/episodes", read(api::episodes::list.with(gzip())))
        .at("/api/dailycast/episodes/:id", read(api::episodes::one.with(gzip())))
        .at("/api/dailycast/episodes/:id/audio", read(api::audio::play))
        .at("/api/dailycast/episodes/:id/position", takes("PUT", api::marks::position))
        .at("/api/dailycast/episodes/:id/like", takes("PUT, DELETE", api::marks::like))
        .at("/api/dailycast/episodes/:id/share", takes("POST, DELETE", api::share::share))
        .at("/api/dailycast/episodes/:id/transcript.vtt", read(api::transcript::vtt.with(gzip())))
        .at("/api/dailycast/episodes/:id/transcript.json", read(api::transcript::json.with(gzip())))
        .at("/api/dailycast/feed", takes("GET, HEAD, DELETE", api::feed::feed))
        .at("/api/dailycast/feed/rotate", takes("POST", api::feed::rotate))
        .at("/api/dailycast/generate", takes("POST", api::generate::generate))
        .nest("/ops", ops::pages())
        .nest("/api/ops", ops::api());
    let routes = docs::routes(study::routes(feed::routes(routes)), &app.settings.public_url);
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
    let counting = app.clone();
    routes
        .data(app)
        .around(move |endpoint, request| {
            let (app, client) = (counting.clone(), site::client(&request));
            async move { endpoint.call(request).await.map_err(|error| app.rates.refused(client, error)) }
        })
        .with(CatchPanic::new().with_handler(|_| Refusal::Defect))
        .with(NormalizePath::new(TrailingSlash::Trim))
        .around(shell::limited)
        .around(study::understood)
        .with(cors)
        .with(shell)
}

/// An address that is only read. The server leaves out the body of an answer to `HEAD`.
pub(super) fn read<E>(endpoint: E) -> impl Endpoint
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    takes("GET, HEAD", endpoint)
}

/// An address with these methods; any other is refused, and told which there are.
pub(super) fn takes<E>(methods: &'static str, endpoint: E) -> impl Endpoint
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    endpoint.into_endpoint().around(move |endpoint, request: Request| async move {
        if methods.split(", ").any(|method| method == request.method().as_str()) {
            endpoint.call(request).await
        } else {
            Err(Refusal::Method(methods).into())
        }
    })
}

/// For texts of a few kilobytes; audio is compressed already.
pub(super) fn gzip() -> Compression {
    Compression::new().algorithms([CompressionAlgo::GZIP]).with_quality(CompressionLevel::Fastest)
}
