//! `PUT …/{id}/position/`, `PUT` and `DELETE …/{id}/like/`: what a learner does with an episode, on
//! whatever device. Doing it twice does no more.

use std::sync::Arc;

use poem::{
    Body, Request, Response, Result, handler,
    http::{Method, header},
    web::Data,
};
use serde_json::{Value, json};

use super::episode;
use crate::{
    http::{App, body, error::Refusal},
    store::listening,
};

/// The last second that anybody may have come to: a day.
const LONGEST: f64 = 86_400.0;

#[handler]
pub(in crate::http) async fn position(request: &Request, sent: Body, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let own = episode::own(app, request).await?;
    let seconds = body::number(&body::object(request, sent).await?, "position")?;
    if seconds < 0.0 {
        return Err(Refusal::Parameter("position", "Ensure this value is greater than or equal to 0.").into());
    }
    if seconds > LONGEST {
        return Err(Refusal::Parameter("position", "Ensure this value is less than or equal to 86400.").into());
    }
    let kept = listening::keep_position(&app.reads, own, (seconds * 1000.0).round() as i32).await;
    let kept = kept.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
    Ok(done(&json!({ "position": f64::from(kept) / 1000.0 })))
}

#[handler]
pub(in crate::http) async fn like(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let own = episode::own(app, request).await?;
    let is_liked = request.method() == Method::PUT;
    let is_own = listening::keep_like(&app.reads, own, is_liked).await.map_err(|error| Refusal::database(&error))?;
    if !is_own {
        return Err(Refusal::NotFound.into());
    }
    Ok(done(&json!({ "liked": is_liked })))
}

/// The answer to a change.
pub(super) fn done(answer: &Value) -> Response {
    let response = Response::builder().content_type("application/json").header(header::CACHE_CONTROL, "no-store");
    response.body(answer.to_string())
}
