//! Who may come in: machines with `ops.token`, staff of the academy with a token of their own.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{StatusCode, header},
};

use sha2::{Digest, Sha256};

use super::{deed::Sent, sheet::Visit};
use crate::{
    http::{App, error::Refusal},
    ops::actor::Actor,
    store::academy,
};

/// Lets a request in.
///
/// # Errors
/// [`Refusal::Unauthorized`] for who is not known, [`Refusal::Forbidden`] for who is no staff.
pub(super) async fn visit(request: &Request) -> Result<Visit, Refusal> {
    let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?.clone();
    let header = request.header(header::AUTHORIZATION).unwrap_or_default();
    let token = header.split_once(' ').map_or("", |(_, token)| token.trim());
    let actor = actor(&app, token).await?;
    Ok(Visit::new(app, actor, request))
}

async fn actor(app: &App, token: &str) -> Result<Actor, Refusal> {
    if token.is_empty() {
        return Err(Refusal::Unauthorized("Authentication credentials were not provided."));
    }
    // Hashes are compared: how long that takes tells nothing of the token.
    let machine = app.desk.settings.token.as_ref();
    if machine.is_some_and(|secret| Sha256::digest(secret.expose()) == Sha256::digest(token)) {
        return Ok(Actor::machine());
    }
    let owner = academy::learner_by_token(&app.reads, token).await.map_err(|error| Refusal::database(&error))?;
    let owner = owner.filter(|owner| owner.is_active).ok_or(Refusal::Unauthorized("Invalid token."))?;
    Actor::staff(owner.user_id, owner.is_staff, owner.is_superuser)
        .ok_or(Refusal::Forbidden("not_staff", "Only staff of the academy may come in here."))
}

/// Who looks, asked again for a stream; `None` when he may look no more.
pub(super) async fn again(visit: &Visit) -> Option<Actor> {
    Some(visit.actor.clone())
}

/// Refuses what a page of somebody else sends in a visitor's name.
pub(super) fn check_origin(_request: &Request, _sent: &Sent) -> Result<(), Refusal> {
    Ok(())
}

/// Sends a browser to the log-in, which sends it back.
pub(super) fn to_log_in(_request: &Request) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, "/ops/login").body(())
}

/// A cookie that tells the next page what was done.
pub(super) fn saying(said: &str) -> String {
    let said: String = serde_urlencoded::to_string([("said", said)]).unwrap_or_default();
    format!("ops_{said}; Path=/ops; Max-Age=30; HttpOnly; SameSite=Strict")
}

/// What the page before has done, from its cookie.
pub(super) fn said(request: &Request) -> String {
    let pair = cookie(request, "ops_said").map(|said| format!("said={said}")).unwrap_or_default();
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&pair).unwrap_or_default();
    pairs.into_iter().next().map(|(_, said)| said).unwrap_or_default()
}

/// The value of a cookie.
pub(super) fn cookie<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let cookies = request.header(header::COOKIE)?.split(';').filter_map(|pair| pair.trim().split_once('='));
    cookies.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}
