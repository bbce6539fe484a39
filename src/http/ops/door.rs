//! Who may come in: machines with `ops.token`, staff of the academy with a token of their own in a
//! header, or with a session that they began at the log-in (`session.rs`).
//!
//! What proves who somebody is, is asked again while a page of his is open. A session counts only in
//! requests of our own pages: its cookie is sent along with what another site makes a browser do.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use sha2::{Digest, Sha256};

use super::{
    deed::Sent,
    memory::{Key, Known},
    session,
    sheet::Visit,
};
use crate::{
    http::{App, auth, error::Refusal},
    ops::actor::Actor,
    store::{
        academy,
        sessions::{self, KeyHash},
    },
};

/// What proves who somebody is.
#[derive(Clone)]
pub(super) enum Pass {
    /// `ops.token`.
    Machine,
    /// A token of the academy.
    Token(String),
    /// A session, by the hash of its key.
    Session(KeyHash),
}

impl Pass {
    /// What it is remembered by; a token and a session never share one.
    fn key(&self) -> Key {
        match self {
            Self::Machine => [0; 32],
            Self::Token(token) => Sha256::digest(format!("token {token}")).into(),
            Self::Session(hash) => *hash,
        }
    }
}

/// Lets a request in.
///
/// # Errors
/// [`Refusal::Unauthorized`] for who is not known, [`Refusal::Forbidden`] for who is no staff, or
/// comes from a page of somebody else.
pub(super) async fn visit(request: &Request) -> Result<Visit, Refusal> {
    let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?.clone();
    let pass = pass(&app, request)?;
    let known = look(&app, &pass).await?;
    let mut visit = Visit::new(app.clone(), known.actor.clone(), pass.clone(), request);
    visit.check()?;
    if let (Pass::Session(hash), true) = (&pass, known.is_ageing) {
        sessions::prolong(app.desk.store.desk(), hash, session::LIFE)
            .await
            .map_err(|error| Refusal::database(&error))?;
        app.door.remember(pass.key(), Known { is_ageing: false, ..known.clone() });
        visit.cookie = session::key(&app, request).map(|key| session::cookie(&app, key));
    }
    Ok(visit)
}

/// What a request brings.
fn pass(app: &App, request: &Request) -> Result<Pass, Refusal> {
    let header = request.header(header::AUTHORIZATION).unwrap_or_default().trim();
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let [is_token, is_bearer] = ["token", "bearer"].map(|name| scheme.eq_ignore_ascii_case(name));
    // Hashes are compared: how long that takes tells nothing of the token.
    let is_machine = |secret: &crate::config::Secret| Sha256::digest(secret.expose()) == Sha256::digest(token.trim());
    if (is_token || is_bearer) && app.desk.settings.token.as_ref().is_some_and(is_machine) {
        return Ok(Pass::Machine);
    }
    if is_bearer {
        return Err(auth::unknown());
    }
    // A header of another scheme may be meant for a proxy; one that cannot be read is none of ours.
    if is_token || request.headers().contains_key(header::AUTHORIZATION) && header.is_empty() {
        return auth::brought(request).map(|token| Pass::Token(token.to_owned()));
    }
    let key = session::key(app, request).ok_or(Refusal::Unauthorized(auth::NOT_PROVIDED))?;
    // A form of a page that keeps its address to itself is of the origin "null".
    let is_from_here = request.header("sec-fetch-site") == Some("same-origin");
    let is_known = |origin: &str| is_from_here && origin == "null" || is_ours(app, request, origin);
    if !request.header(header::ORIGIN).is_none_or(is_known) {
        return Err(FOREIGN);
    }
    Ok(Pass::Session(session::hash(key)))
}

/// Who it is, remembered or asked.
async fn look(app: &App, pass: &Pass) -> Result<Known, Refusal> {
    let (key, asked_at) = (pass.key(), app.clock.now());
    let known = |actor, is_ageing| Known { actor, is_ageing, asked_at };
    if let Pass::Machine = pass {
        return Ok(known(Actor::machine(), false));
    }
    if let Some(known) = app.door.known(&key, asked_at) {
        return Ok(known);
    }
    let known = match pass {
        Pass::Session(hash) => {
            let (actor, is_ageing) = holder(app, hash).await?;
            known(actor, is_ageing)
        }
        Pass::Token(token) => known(owner(app, token).await?, false),
        Pass::Machine => known(Actor::machine(), false),
    };
    app.door.remember(key, known.clone());
    Ok(known)
}

/// Whose session it is. One of somebody who is no longer staff ends here.
async fn holder(app: &App, hash: &KeyHash) -> Result<(Actor, bool), Refusal> {
    let pool = app.desk.store.desk();
    let holder = sessions::holder(pool, hash, session::FRESH).await.map_err(|error| Refusal::database(&error))?;
    let holder = holder.ok_or(Refusal::Unauthorized(auth::NOT_PROVIDED))?;
    let actor = Actor::staff(holder.user_id, holder.is_staff, holder.is_superuser).filter(|_| holder.is_active);
    if let Some(actor) = actor {
        return Ok((actor, holder.is_ageing));
    }
    sessions::end(pool, hash).await.map_err(|error| Refusal::database(&error))?;
    Err(Refusal::Unauthorized(auth::NOT_PROVIDED))
}

/// Whose token of the academy it is.
///
/// # Errors
/// The academy's words, or ours for who is no staff.
pub(super) async fn owner(app: &App, token: &str) -> Result<Actor, Refusal> {
    let owner = academy::learner_by_token(&app.reads, token).await.map_err(|error| Refusal::database(&error))?;
    let owner = owner.ok_or_else(auth::unknown)?;
    if !owner.is_active {
        return Err(Refusal::Unauthorized(auth::INACTIVE));
    }
    Actor::staff(owner.user_id, owner.is_staff, owner.is_superuser).ok_or(NOT_STAFF)
}

/// For learners, and for staff that is no more.
pub(super) const NOT_STAFF: Refusal = Refusal::Forbidden("not_staff", "Only staff of the academy may come in here.");

/// For what a page of somebody else makes a browser do.
const FOREIGN: Refusal =
    Refusal::Forbidden("foreign_origin", "This was sent by a page of another site, so nothing was done.");

/// Who looks, asked again for a stream; `None` when he may look no more. While nobody can tell, he
/// may: the page does that as well.
pub(super) async fn again(visit: &Visit) -> Option<Actor> {
    match look(&visit.app, &visit.pass).await {
        Ok(known) => Some(known.actor),
        Err(Refusal::Away(_)) => Some(visit.actor.clone()),
        Err(_) => None,
    }
}

/// What a form of a page of this visit has to carry; empty where nothing is needed.
pub(super) fn csrf(visit: &Visit) -> String {
    match &visit.pass {
        Pass::Session(hash) => visit.app.signing_key.sign_form(hash),
        Pass::Machine | Pass::Token(_) => String::new(),
    }
}

/// Refuses what a page of somebody else sends in a visitor's name: with a session, a change needs to
/// come from here, and to carry what only a page of this session knows.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_origin(visit: &Visit, request: &Request, sent: &Sent) -> Result<(), Refusal> {
    let Pass::Session(hash) = &visit.pass else { return Ok(()) };
    check_site(&visit.app, request)?;
    if visit.app.signing_key.is_form_of(hash, sent.get("csrf").unwrap_or_default()) {
        return Ok(());
    }
    Err(Refusal::Forbidden(
        "stale_form",
        "This form is of another log-in, so nothing was done. Go back, load the page again and repeat it.",
    ))
}

/// Refuses what was not sent by a page of ours.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_site(app: &App, request: &Request) -> Result<(), Refusal> {
    let origin = request.header(header::ORIGIN);
    let is_from_here = match request.header("sec-fetch-site") {
        Some("same-origin") => true,
        Some("none") => origin.is_none_or(|origin| is_ours(app, request, origin)),
        Some(_) => false,
        // A browser from before 2023, or no browser.
        None => origin.or(request.header(header::REFERER)).is_some_and(|address| is_ours(app, request, address)),
    };
    if is_from_here { Ok(()) } else { Err(FOREIGN) }
}

/// True for an address on the host that was asked, or on the one that we are known by.
fn is_ours(app: &App, request: &Request, address: &str) -> bool {
    let host = |address: &str| {
        let rest = address.split_once("://")?.1;
        rest.split(['/', '?', '#']).next().map(str::to_ascii_lowercase)
    };
    let asked = request.header(header::HOST).map(str::to_ascii_lowercase);
    let of_it = host(address);
    of_it.is_some() && (of_it == asked || of_it == host(&app.settings.public_url))
}

/// Sends a browser to the log-in, which sends it back.
pub(super) fn to_log_in(request: &Request) -> Response {
    let wanted = request.original_uri().path_and_query().map_or("", |wanted| wanted.as_str());
    let wanted = session::within(wanted).filter(|_| request.method() == poem::http::Method::GET);
    let query = wanted.and_then(|wanted| serde_urlencoded::to_string([("next", wanted)]).ok());
    let location = query.map_or("/ops/login".to_owned(), |query| format!("/ops/login?{query}"));
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, location)
        .header(header::CACHE_CONTROL, "no-store")
        .body(())
}

/// A cookie that tells the next page what was done; with nothing to say, it takes back the last one.
pub(super) fn saying(app: &App, said: &str) -> Option<(HeaderName, HeaderValue)> {
    let (life, secure) = (if said.is_empty() { 0 } else { 30 }, session::secure(app));
    let said = serde_urlencoded::to_string([("said", said)]).unwrap_or_default();
    session::set_cookie(&format!("ops_{said}; Path=/ops; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"))
}

/// What the page before has done, from its cookie.
pub(super) fn said(request: &Request) -> String {
    let pair = cookie(request, "ops_said").map(|said| format!("said={said}")).unwrap_or_default();
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&pair).unwrap_or_default();
    pairs.into_iter().next().map(|(_, said)| said).unwrap_or_default()
}

/// The page of ours that somebody came from, unless it is the one that was asked for.
pub(super) fn back(request: &Request) -> Option<String> {
    let address = request.header(header::REFERER)?.split_once("://")?.1;
    let page = session::within(&address[address.find('/')?..])?;
    let asked = request.original_uri().path_and_query().map_or("", |asked| asked.as_str());
    (page != asked).then(|| page.to_owned())
}

/// The theme that was chosen: `light`, `dark`, or empty.
pub(super) fn theme(request: &Request) -> &str {
    cookie(request, "ops_theme").filter(|theme| matches!(*theme, "light" | "dark")).unwrap_or_default()
}

/// The value of a cookie.
pub(super) fn cookie<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let cookies = request.header(header::COOKIE)?.split(';').filter_map(|pair| pair.trim().split_once('='));
    cookies.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}
