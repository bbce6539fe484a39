//! `GET` and `DELETE /api/dailycast/feed/`, `POST …/feed/rotate/`: the address of a learner's private feed.
//!
//! The address is made when it is first asked for, and stays until it is replaced or ended; the old
//! one answers 410 then. It comes from a seed and the secret that signs. A feed is found without the
//! secret, so an address goes on working when that is changed, until its learner asks for the
//! address: then it is replaced by the one that the new secret makes.

use std::sync::Arc;

use poem::{
    Request, Response, Result, handler,
    http::{Method, StatusCode, header},
    web::Data,
};
use serde_json::json;

use crate::{
    http::{App, auth, error::Refusal, feed::WHAT},
    store::{feeds, links::Link},
};

#[handler]
pub(in crate::http) async fn feed(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = auth::learner(app, request).await?;
    if request.method() == Method::DELETE {
        feeds::end(&app.reads, user_id).await.map_err(|error| Refusal::database(&error))?;
        return Ok(Response::builder().status(StatusCode::NO_CONTENT).finish());
    }
    // Twice, because somebody else may replace the link between the look at it and the change.
    for _ in 0..2 {
        if let Some(link) = current(app, user_id).await? {
            return Ok(told(app, &link));
        }
    }
    Err(Refusal::Away("The address of the feed is changing. Please ask again.").into())
}

/// The link to the feed, which is made if there is none; `None` when it changed in the meantime.
async fn current(app: &App, user_id: i64) -> Result<Option<Link>, Refusal> {
    let database = |error| Refusal::database(&error);
    let kept = match feeds::link(&app.reads, user_id).await.map_err(database)? {
        Some(kept) => kept,
        None => feeds::make(&app.reads, user_id, &app.signing_key.fresh_link(WHAT)).await.map_err(database)?,
    };
    let right = app.signing_key.link(WHAT, kept.seed.clone());
    // Another secret made the link that is kept.
    let is_right =
        right == kept || feeds::replace(&app.reads, user_id, &right, Some(&kept.key_hash)).await.map_err(database)?;
    Ok(is_right.then_some(right))
}

#[handler]
pub(in crate::http) async fn rotate(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = auth::learner(app, request).await?;
    let database = |error| Refusal::database(&error);
    let fresh = app.signing_key.fresh_link(WHAT);
    let link = if feeds::replace(&app.reads, user_id, &fresh, None).await.map_err(database)? {
        fresh
    } else {
        feeds::make(&app.reads, user_id, &fresh).await.map_err(database)?
    };
    Ok(told(app, &link))
}

fn told(app: &App, link: &Link) -> Response {
    let url = format!("{}/feed/{}.xml", app.settings.public_url, app.signing_key.link_key(WHAT, &link.seed));
    Response::builder()
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(json!({ "url": url }).to_string())
}
