//! The floor of `bench api`: `GET /floor/{user_id}`, the bare select of one row behind the same server
//! and the same shell. No token, no earlier episode, no signature, no JSON: the answer is the script
//! of today's podcast. No server that learners reach has this address.

use std::sync::Arc;

use poem::{IntoResponse, Request, Response, Result, handler, web::Data};

use super::{App, error::Refusal};
use crate::store::crowd;

#[handler]
pub(super) async fn script(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = request.raw_path_param("user_id").and_then(|id| id.parse().ok()).ok_or(Refusal::NotFound)?;
    let date = app.clock.now().with_timezone(&app.settings.time_zone).date_naive();
    let script = crowd::script(&app.reads, user_id, date).await;
    let script = script.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
    Ok(script.into_response())
}
