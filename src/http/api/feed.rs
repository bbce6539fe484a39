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
use rand::RngExt as _;
use serde_json::json;

use crate::{
    http::{App, auth, error::Refusal, feed::WHAT, signing::link_hash},
    store::feeds::{self, Link},
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
        if let Some(key) = current(app, user_id).await? {
            return Ok(told(app, &key));
        }
    }
    Err(Refusal::Away("The address of the feed is changing. Please ask again.").into())
}

/// The key of the feed, which is made if there is none; `None` when it changed in the meantime.
async fn current(app: &App, user_id: i64) -> Result<Option<String>, Refusal> {
    let database = |error| Refusal::database(&error);
    let kept = match feeds::link(&app.reads, user_id).await.map_err(database)? {
        Some(kept) => kept,
        None => feeds::make(&app.reads, user_id, &linked(app, fresh_seed())).await.map_err(database)?,
    };
    let key = key(app, &kept.seed);
    let right = linked(app, kept.seed.clone());
    // Another secret made the link that is kept.
    let is_right =
        right == kept || feeds::replace(&app.reads, user_id, &right, Some(&kept.key_hash)).await.map_err(database)?;
    Ok(is_right.then_some(key))
}

#[handler]
pub(in crate::http) async fn rotate(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = auth::learner(app, request).await?;
    let database = |error| Refusal::database(&error);
    let fresh = linked(app, fresh_seed());
    let seed = if feeds::replace(&app.reads, user_id, &fresh, None).await.map_err(database)? {
        fresh.seed
    } else {
        feeds::make(&app.reads, user_id, &fresh).await.map_err(database)?.seed
    };
    Ok(told(app, &key(app, &seed)))
}

fn fresh_seed() -> Vec<u8> {
    rand::rng().random::<[u8; 16]>().to_vec()
}

fn key(app: &App, seed: &[u8]) -> String {
    app.signing_key.link_key(WHAT, seed)
}

/// The link that the secret of today makes from a seed.
fn linked(app: &App, seed: Vec<u8>) -> Link {
    let key_hash = link_hash(WHAT, &key(app, &seed)).to_vec();
    Link { seed, key_hash }
}

fn told(app: &App, key: &str) -> Response {
    let url = format!("{}/feed/{key}.xml", app.settings.public_url);
    Response::builder()
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(json!({ "url": url }).to_string())
}
