//! Who is asking: the tokens of the academy (Django REST Framework), checked as it checks them; or,
//! without such a header, the session of somebody who logged in at the study page.
//!
//! The header is `Authorization: Token <40 hex>`, the scheme in any case. The words of the refusals
//! are the academy's, because its client shows them. A header of another scheme is as good as none: a
//! browser sends one along when a proxy in front of us asked for a password.
//! What was found out about a token counts for a short time: see `tokens.rs`.

use poem::{Request, http::header};

use super::{
    App,
    error::Refusal,
    site,
    study::session,
    tokens::{LookUp, Seen},
};
use crate::store::{academy, sessions};

/// Length of a token, in hexadecimal digits.
const TOKEN_DIGITS: usize = 40;

/// The academy's words for a request that brings nothing.
pub(super) const NOT_PROVIDED: &str = "Authentication credentials were not provided.";

/// The academy's words for an account that was closed.
pub(super) const INACTIVE: &str = "User inactive or deleted.";

/// The words of a header, its scheme first.
fn words(header: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    header.unwrap_or_default().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// True for the scheme of the academy's tokens.
fn is_ours(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"token")
}

/// The header of a request that may hold a token.
fn authorization(request: &Request) -> Option<&[u8]> {
    request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes())
}

/// The token in a header, or the academy's words about it.
fn token(header: Option<&[u8]>) -> Result<&str, &'static str> {
    let mut words = words(header);
    if !words.next().is_some_and(is_ours) {
        return Err(NOT_PROVIDED);
    }
    let Some(token) = words.next() else {
        return Err("Invalid token header. No credentials provided.");
    };
    if words.next().is_some() {
        return Err("Invalid token header. Token string should not contain spaces.");
    }
    match std::str::from_utf8(token) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err("Invalid token header. Token string should not contain invalid characters."),
    }
}

/// Who brings a token that may be one.
pub(super) enum Caller<'a> {
    /// A learner who was let in a moment ago.
    Learner(i64),
    /// Someone whose token has to be looked up.
    Bearer(&'a str, LookUp<'a>),
}

/// Reads the token of a request, without asking the database; or whose session its cookie is.
///
/// # Errors
/// [`Refusal::Unauthorized`] when there is none that could be one, [`Refusal::Forbidden`] when a page
/// of somebody else would change something with a session, [`Refusal::TooMany`].
pub(super) async fn caller<'a>(app: &'a App, request: &'a Request) -> Result<Caller<'a>, Refusal> {
    let brings_token = words(authorization(request)).next().is_some_and(is_ours);
    if let Some(key) = session::key(app, request).filter(|_| !brings_token) {
        if !request.method().is_safe() {
            site::check_site(app, request)?;
        }
        return holder(app, key).await.map(Caller::Learner);
    }
    let token = brought(request)?;
    match look(app, token).await? {
        Seen::Known(user_id) => app.rates.check_learner(user_id).map(|()| Caller::Learner(user_id)),
        Seen::Unknown(look_up) => Ok(Caller::Bearer(token, look_up)),
    }
}

async fn look<'a>(app: &'a App, proof: &str) -> Result<Seen<'a>, Refusal> {
    let seen = app.tokens.look(proof, || app.clock.now()).await;
    seen.ok_or(Refusal::Away("The service is not available for a moment."))
}

/// Whose session it is, remembered or asked.
async fn holder(app: &App, key: &str) -> Result<i64, Refusal> {
    match look(app, &session::proof(key)).await? {
        Seen::Known(user_id) => app.rates.check_learner(user_id).map(|()| user_id),
        Seen::Unknown(look_up) => {
            let owner = sessions::learner(&app.reads, &session::hash(key), session::FRESH).await;
            let owner = owner.map_err(|error| Refusal::database(&error))?;
            let owner = owner.ok_or(Refusal::Unauthorized(NOT_PROVIDED))?;
            let look_up = if owner.is_ageing { look_up.ageing() } else { look_up };
            let_in(app, look_up, owner.user_id, owner.is_active)
        }
    }
}

/// The token that a request brings in its header, if it may be one.
///
/// # Errors
/// [`Refusal::Unauthorized`].
pub(super) fn brought(request: &Request) -> Result<&str, Refusal> {
    let token = token(authorization(request)).map_err(Refusal::Unauthorized)?;
    if is_plausible(token) { Ok(token) } else { Err(unknown()) }
}

/// True for what the academy makes: other texts need not be looked for.
pub(super) fn is_plausible(token: &str) -> bool {
    token.len() == TOKEN_DIGITS && token.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The learner who asks, proved by a token or a session.
///
/// # Errors
/// As [`caller`], or [`Refusal::Away`] when nobody can tell.
pub(super) async fn learner(app: &App, request: &Request) -> Result<i64, Refusal> {
    match caller(app, request).await? {
        Caller::Learner(user_id) => Ok(user_id),
        Caller::Bearer(token, look_up) => {
            let owner =
                academy::learner_by_token(&app.reads, token).await.map_err(|error| Refusal::database(&error))?;
            let owner = owner.ok_or_else(unknown)?;
            let_in(app, look_up, owner.user_id, owner.is_active)
        }
    }
}

/// Lets in the owner of a token who may come in, and remembers that.
///
/// # Errors
/// [`Refusal::Unauthorized`], [`Refusal::TooMany`].
pub(super) fn let_in(app: &App, look_up: LookUp<'_>, user_id: i64, is_active: bool) -> Result<i64, Refusal> {
    if !is_active {
        return Err(Refusal::Unauthorized(INACTIVE));
    }
    look_up.found(user_id);
    app.rates.check_learner(user_id)?;
    Ok(user_id)
}

/// Nobody has this token.
pub(super) fn unknown() -> Refusal {
    Refusal::Unauthorized("Invalid token.")
}
