//! `GET …/{id}/transcript.vtt` and `.json`: what is said when, to the episode's own learner. A
//! foreign episode is not found, like one that is not.

use std::sync::Arc;

use poem::{Request, Response, Result, handler, web::Data};

use crate::http::{
    App, auth,
    error::Refusal,
    transcript::{self, Transcript},
};

#[handler]
pub(in crate::http) async fn vtt(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    Ok(transcript::answer(request, transcript::VTT, own(request, app).await?.vtt()))
}

#[handler]
pub(in crate::http) async fn json(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    Ok(transcript::answer(request, transcript::JSON, own(request, app).await?.json()))
}

async fn own(request: &Request, app: &App) -> Result<Transcript, Refusal> {
    let user_id = auth::learner(app, request).await?;
    let id = request.raw_path_param("id").and_then(|id| id.parse().ok()).ok_or(Refusal::NotFound)?;
    transcript::of_learner(app, id, user_id).await
}
