//! `GET /metrics`: what Prometheus reads. Answers only where `http.metrics` is set.

use std::sync::Arc;

use poem::{Endpoint, IntoResponse, Request, Response, Result, endpoint::make, http::header};

use super::{App, error::Refusal};
use crate::{
    ops::figures::Figures,
    telemetry::exposition::{self, Form},
};

/// The endpoint, with the figures of the fleet that it keeps for some seconds.
pub(super) fn of_the_fleet(app: &Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    of(app, Figures::new(Arc::clone(&app.desk)))
}

/// The endpoint of a process that only works: what it did itself. The fleet is told by those who
/// serve; to count it once more for each worker that is scraped would cost the database too much.
pub(super) fn of_this_process(app: &Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    of(app, Figures::of_this_process(Arc::clone(&app.desk)))
}

fn of(app: &Arc<App>, figures: Figures) -> impl Endpoint<Output = Response> + 'static {
    let figures = app.settings.metrics.then_some(figures);
    make(move |request: Request| answer(figures.clone(), request))
}

async fn answer(figures: Option<Figures>, request: Request) -> Result<Response> {
    let Some(figures) = figures else { return Err(Refusal::NotFound.into()) };
    let form = Form::of(request.header(header::ACCEPT).unwrap_or_default());
    let text = exposition::write(&figures.read().await, form).map_err(|error| {
        tracing::error!(error = error.to_string(), "the metrics cannot be written");
        Refusal::Defect
    })?;
    let response = text.with_content_type(form.content_type()).with_header(header::CACHE_CONTROL, "no-store");
    Ok(response.into_response())
}
