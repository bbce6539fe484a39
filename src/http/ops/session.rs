//! Log-in and log-out: a token of the academy, or a link that lets somebody in once, begins a
//! session; a cookie holds its key, and the database a hash of that.
//!
//! What would surprise: following a link uses nothing up. It leads to a page with one button, and
//! only that lets in: mail scanners and previews in chats follow every link before its reader does.
//! In a browser the button presses itself (`enter.js`).

use std::{sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, Request, RequestBody, Response,
    error::ResponseError as _,
    http::{Method, StatusCode, header},
};
use rand::RngExt as _;
use sha2::{Digest, Sha256};

use super::{
    deed::Sent,
    door::{self, Pass},
    templates,
};
use crate::{
    http::{App, auth, error::Refusal, site},
    ops::{
        actor::Actor,
        audit,
        entrance::{self, Entrance},
    },
    store::{
        academy::TokenOwner,
        audit::Deed,
        sessions::{self, KeyHash, LogIn},
    },
};

/// How long a session lasts without use.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// With less than this left of it, use prolongs it: so it is written about once in an hour.
pub(super) const FRESH: Duration = Duration::from_secs(11 * 60 * 60);

/// Where a log-in leads that asks for nothing.
const HOME: &str = "/ops";

/// Why nobody is let in by a link.
const SPENT: &str = "This link was used already, or is too old: a link lets somebody in once, within half an hour. \
                     Log in with your token, or make another link with `dailycast ops link`.";

/// Why somebody has to wait.
const TOO_OFTEN: &str = "Too many log-ins from your address were refused. Wait a minute, then try again.";

/// The cookie's name. Where we are reached by TLS no other host of the domain can set it.
fn name(app: &App) -> &'static str {
    if site::is_secure(app) { "__Host-ops_session" } else { "ops_session" }
}

/// The key of the session in a request's cookie.
pub(super) fn key<'r>(app: &App, request: &'r Request) -> Option<&'r str> {
    site::session_key(request, name(app))
}

/// What is kept of a key.
pub(super) fn hash(key: &str) -> KeyHash {
    Sha256::digest(format!("session {key}")).into()
}

/// The cookie that holds a key, for as long as the session lasts.
pub(super) fn cookie(app: &App, key: &str) -> String {
    let (name, secure) = (name(app), site::secure(app));
    let life = if key.is_empty() { 0 } else { LIFE.as_secs() };
    format!("{name}={key}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}")
}

/// A path of the operators' pages, to which a log-in may lead.
pub(super) fn within(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/ops")?;
    let is_below = rest.is_empty() || rest.starts_with(['/', '?']);
    let is_door = ["/login", "/logout", "/assets"].iter().any(|door| rest.starts_with(door));
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !path.contains("..");
    // htmx asks for the stream of a page by itself; it is no place to go to.
    let is_stream = rest.contains(super::sheet::LIVE);
    (is_below && !is_door && is_plain && !is_stream).then_some(path)
}

/// `GET` and `POST /ops/login`.
pub(super) fn log_in() -> impl Endpoint<Output = Response> {
    poem::endpoint::make(|mut request: Request| async move {
        let body = RequestBody::new(request.take_body());
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?.clone();
        let answer = match *request.method() {
            Method::GET | Method::HEAD => arrive(&app, &request).await,
            Method::POST => knock(&app, &request, body).await,
            _ => return Err(poem::Error::from(Refusal::Method("GET, HEAD, POST"))),
        };
        Ok(answer.unwrap_or_else(|refused| refused.page()))
    })
}

/// A log-in that was refused: why, and where it was to lead.
struct Refused {
    refusal: Refusal,
    next: String,
}

impl Refused {
    /// The log-in again, with the reason.
    fn page(&self) -> Response {
        let mut response = templates::log_in(&self.refusal.to_string(), &self.next);
        response.set_status(self.refusal.status());
        if let Refusal::TooMany(_, seconds) = self.refusal {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Who is in goes on; who brings a link sees the button that uses it; everybody else sees the form.
async fn arrive(app: &App, request: &Request) -> Result<Response, Refused> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let asked = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let next = asked("next").and_then(within).unwrap_or(HOME).to_owned();
    let refused = |refusal| Refused { refusal, next: next.clone() };
    let visit = door::visit(request).await.ok();
    let visitor = visit.as_ref().map(|visit| &visit.actor);
    match asked("once") {
        Some(link) => offer(app, request, link, visitor, &next).await.map_err(refused),
        None if visitor.is_some() => Ok(go_to(&next)),
        None => Ok(templates::log_in("", &next)),
    }
}

/// Who brings a link sees the button that uses it. A visitor goes on: a link of his own is not used
/// up, and one that leads nowhere any more was his way in before.
async fn offer(
    app: &App,
    request: &Request,
    link: &str,
    visitor: Option<&Actor>,
    next: &str,
) -> Result<Response, Refusal> {
    let guest = entrance::guest(&app.reads, Entrance::Ops, link).await.map_err(|error| Refusal::database(&error))?;
    match guest {
        Some(guest) if visitor.is_some_and(|actor| actor.user_id == Some(guest.user_id)) => Ok(go_to(next)),
        Some(guest) => actor(&guest).map(|_| templates::enter(link, next)),
        None if visitor.is_some() => Ok(go_to(next)),
        None => {
            app.rates.check_stranger(site::client(request))?;
            Err(Refusal::Unauthorized(SPENT))
        }
    }
}

/// Who may come in by a link.
fn actor(guest: &TokenOwner) -> Result<Actor, Refusal> {
    let actor = Actor::staff(guest.user_id, guest.is_staff, guest.is_superuser);
    actor.filter(|_| guest.is_active).ok_or(door::NOT_STAFF)
}

/// Somebody presses the button of a link, or brings a token.
async fn knock(app: &App, request: &Request, body: RequestBody) -> Result<Response, Refused> {
    let sent = Sent::read(request, body).await.unwrap_or_default();
    let next = sent.get("next").and_then(within).unwrap_or(HOME).to_owned();
    let refused = |refusal| Refused { refusal, next: next.clone() };
    site::check_site(app, request).map_err(refused)?;
    let client = site::client(request);
    let tried = app.door.try_to_log_in(Entrance::Ops, client, app.clock.now());
    tried.map_err(|seconds| refused(Refusal::TooMany(TOO_OFTEN, seconds)))?;
    let link = sent.get("once").map(|link| Entrance::Ops.hash(link));
    let actor = match sent.get("once") {
        Some(link) => by_link(app, link).await,
        None => by_token(app, sent.get("token").unwrap_or_default()).await,
    };
    let answer = match actor {
        Ok(actor) => let_in(app, request, &actor, link.as_ref(), &next).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        // Whoever pressed the button twice is in by the first time.
        Err(Refusal::Unauthorized(SPENT)) if door::visit(request).await.is_ok() => Ok(go_to(&next)),
        Err(refusal) => {
            tracing::warn!(client = %client, reason = %refusal, "a log-in was refused");
            Err(refused(refusal))
        }
        answer => answer.map_err(refused),
    }
}

async fn by_link(app: &App, link: &str) -> Result<Actor, Refusal> {
    let guest = entrance::guest(&app.reads, Entrance::Ops, link).await.map_err(|error| Refusal::database(&error))?;
    actor(&guest.ok_or(Refusal::Unauthorized(SPENT))?)
}

async fn by_token(app: &App, text: &str) -> Result<Actor, Refusal> {
    // People copy what is written in the header, too.
    let token = text.trim();
    let token =
        token.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("token ")).map_or(token, |_| token[6..].trim());
    if token.is_empty() {
        return Err(Refusal::Parameter("token", "Write your token of the academy into the field."));
    }
    if !auth::is_plausible(token) {
        return Err(Refusal::Unauthorized(
            "This is no token of the academy: that has 40 characters, digits and the letters a to f.",
        ));
    }
    door::owner(app, token).await.map_err(|refusal| match refusal {
        Refusal::Unauthorized(auth::INACTIVE) => Refusal::Unauthorized("The account of this token was closed."),
        Refusal::Unauthorized(_) => Refusal::Unauthorized("Nobody has this token. Was it replaced by a newer one?"),
        refusal => refusal,
    })
}

/// Begins the session of somebody who may come in, by a link or by token.
async fn let_in(
    app: &App,
    request: &Request,
    actor: &Actor,
    link: Option<&KeyHash>,
    next: &str,
) -> Result<Response, Refusal> {
    let pool = app.desk.store.desk();
    let key = hex::encode(rand::rng().random::<[u8; 32]>());
    let user_id = actor.user_id.ok_or(Refusal::Defect)?;
    let how = if link.is_some() { "by a link" } else { "by token" };
    let deed = Deed { actor: &actor.name, action: "log_in", subject: &actor.name, detail: how };
    let log_in = LogIn { key: &hash(&key), user_id, life: LIFE, link };
    if !sessions::begin_and_tell(pool, log_in, deed).await.map_err(|error| Refusal::database(&error))? {
        return Err(Refusal::Unauthorized(SPENT));
    }
    app.door.got_in(Entrance::Ops, site::client(request));
    let mut response = go_to(next);
    response.headers_mut().extend(site::set_cookie(&cookie(app, &key)));
    Ok(response)
}

/// `POST /ops/logout`: for everybody who is in, also for those who may only look.
pub(super) fn log_out() -> impl Endpoint<Output = Response> {
    poem::endpoint::make(|mut request: Request| async move {
        if request.method() != Method::POST {
            return Err(poem::Error::from(Refusal::Method("POST")));
        }
        let body = RequestBody::new(request.take_body());
        Ok(leave(&request, body).await.unwrap_or_else(|refusal| match refusal {
            Refusal::Unauthorized(_) => go_to("/ops/login"),
            refusal => templates::refusal(&refusal, None, ""),
        }))
    })
}

async fn leave(request: &Request, body: RequestBody) -> Result<Response, Refusal> {
    let visit = door::visit(request).await?;
    let sent = Sent::read(request, body).await?;
    door::check_origin(&visit, request, &sent)?;
    let app = &visit.app;
    if let Pass::Session(hash) = &visit.pass {
        let pool = app.desk.store.desk();
        app.door.forget(hash);
        let recorded = audit::record(pool, &visit.actor, "log_out", &visit.actor.name, "").await;
        recorded.map_err(|error| Refusal::database(&error))?;
        sessions::end(pool, hash).await.map_err(|error| Refusal::database(&error))?;
    }
    let mut response = go_to("/ops/login");
    response.headers_mut().extend(site::set_cookie(&cookie(app, "")));
    Ok(response)
}

fn go_to(path: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, path)
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::empty())
}
