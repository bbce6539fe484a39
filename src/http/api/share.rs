//! `POST` and `DELETE …/{id}/share/`: a link by which others hear an episode. It stays the same until
//! it is taken back.
//!
//! Kept is what the key in the link is made from, and its hash. With another signing secret that key
//! cannot be made again: the link still leads to its episode until somebody asks for it; then there is
//! a new one, and the old one is taken back.

use std::sync::Arc;

use poem::{
    Request, Response, Result, handler,
    http::{Method, StatusCode, header},
    web::Data,
};
use serde_json::json;

use super::{episode, marks};
use crate::{
    http::{App, error::Refusal},
    store::listening,
};

/// What a link is for, in its key and its hash.
pub(in crate::http) const WHAT: &str = "share";

#[handler]
pub(in crate::http) async fn share(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let own = episode::own(app, request).await?;
    if request.method() == Method::DELETE {
        let is_own = listening::unshare(&app.reads, own).await.map_err(|error| Refusal::database(&error))?;
        let response = Response::builder().status(StatusCode::NO_CONTENT).header(header::CACHE_CONTROL, "no-store");
        return if is_own { Ok(response.finish()) } else { Err(Refusal::NotFound.into()) };
    }
    let fresh = app.signing_key.fresh_link(WHAT);
    let mut lost = None;
    // Again for a link of another secret; two may be at that at once.
    for _ in 0..3 {
        let link = listening::share(&app.reads, own, &fresh, lost.as_deref()).await;
        let link = link.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
        if app.signing_key.link(WHAT, link.seed.clone()) == link {
            let (prefix, key) = (&app.settings.public_url, app.signing_key.link_key(WHAT, &link.seed));
            return Ok(marks::done(&json!({ "url": format!("{prefix}/listen/{key}") })));
        }
        lost = Some(link.key_hash);
    }
    Err(Refusal::Away("The link is not available for a moment.").into())
}
