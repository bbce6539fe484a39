//! Log-in and log-out of learners: a link that lets somebody in once, or a token of the academy,
//! begins a session; a cookie holds its key, and the database a hash of that.
//!
//! The academy's own page needs none of this: it brings the token with each request. What would
//! surprise: following a link uses nothing up. It leads to a page with one button, and only that
//! lets in: mail scanners and previews in chats follow every link before its reader does. In a
//! browser the button presses itself (`enter.js`).

use std::{sync::Arc, time::Duration};

use poem::{
    Body, Endpoint, Request, Response,
    http::{Method, StatusCode, header},
};
use rand::RngExt as _;
use sha2::{Digest, Sha256};

use super::{
    as_refused,
    pages::{self, Language},
};
use crate::{
    http::{App, auth, error::Refusal, site},
    ops::entrance::{self, Entrance},
    store::{
        self, academy,
        sessions::{self, KeyHash, LogIn},
    },
};

/// How long a session lasts without use.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// With less than this left of it, use of the page prolongs it: so it is written about once a day.
pub(in crate::http) const FRESH: Duration = Duration::from_secs(29 * 24 * 60 * 60);

/// Where a log-in leads that asks for nothing.
pub(super) const HOME: &str = "/study/dashboard";

/// For a link that lets nobody in.
const SPENT: Refusal = Refusal::Unauthorized("This link was used already, or is too old.");

/// The largest form that is read, in bytes.
const LARGEST_FORM: usize = 4096;

/// The cookie's name. Where we are reached by TLS no other host of the domain can set it.
fn name(app: &App) -> &'static str {
    if site::is_secure(app) { "__Host-study_session" } else { "study_session" }
}

/// The key of the session in a request's cookie.
pub(in crate::http) fn key<'r>(app: &App, request: &'r Request) -> Option<&'r str> {
    site::session_key(request, name(app))
}

/// What a session is known by among the proofs of learners; no token of the academy looks like it.
pub(in crate::http) fn proof(key: &str) -> String {
    format!("study session {key}")
}

/// What is kept of a key. A session of the operators' side is hashed in another way: it opens
/// nothing here, nor this one there.
pub(in crate::http) fn hash(key: &str) -> KeyHash {
    Sha256::digest(proof(key)).into()
}

/// The cookie that holds a key, for as long as the session lasts.
fn cookie(app: &App, key: &str) -> String {
    let (name, secure) = (name(app), site::secure(app));
    let life = if key.is_empty() { 0 } else { LIFE.as_secs() };
    format!("{name}={key}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}")
}

/// Why nobody is let in: a word of the pages' vocabulary, and what the answer is of.
struct Why(&'static str, Refusal);

impl From<Refusal> for Why {
    fn from(refusal: Refusal) -> Self {
        let word = match refusal {
            Refusal::Unauthorized(auth::INACTIVE) => "why_closed",
            Refusal::Unauthorized(_) => "why_unknown",
            Refusal::Forbidden(..) => "why_foreign",
            Refusal::TooMany(..) => "why_too_often",
            _ => "why_away",
        };
        Self(word, refusal)
    }
}

impl From<store::Error> for Why {
    fn from(error: store::Error) -> Self {
        Refusal::database(&error).into()
    }
}

/// A path of the learners' pages, to which a log-in may lead.
pub(super) fn within(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(HOME)?;
    // Every address answers with a slash at its end, too.
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    ((rest.is_empty() || rest.starts_with('?')) && is_plain).then_some(path)
}

/// `GET` and `POST /study/login`.
pub(super) fn log_in() -> impl Endpoint<Output = Response> {
    poem::endpoint::make(|mut request: Request| async move {
        let body = request.take_body();
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?.clone();
        let sent = match *request.method() {
            Method::POST => body.into_bytes_limit(LARGEST_FORM).await.map_err(|_| Refusal::TooLarge)?,
            _ => request.uri().query().unwrap_or_default().to_owned().into(),
        };
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&sent).unwrap_or_default();
        let sent = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let next = sent("next").and_then(within).unwrap_or(HOME);
        let answer = match (request.method() == Method::POST, sent("once")) {
            (true, Some(link)) => by_link(&app, &request, link, next).await,
            (true, None) => by_token(&app, &request, sent("token").unwrap_or_default(), next).await,
            (false, Some(link)) => offer(&app, &request, link, next).await,
            (false, None) => arrive(&app, &request, next).await,
        };
        let language = Language::of(&request, &[]);
        Ok::<_, poem::Error>(
            answer.unwrap_or_else(|Why(word, refusal)| as_refused(pages::log_in(language, word, next), &refusal)),
        )
    })
}

/// Counts somebody who is not known, where a page makes an answer of that. Who brings nothing to be
/// known by costs nothing, and at a school many do.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(super) fn check_stranger(app: &App, request: &Request) -> Result<(), Refusal> {
    let brings_proof = key(app, request).is_some() || request.headers().contains_key(header::AUTHORIZATION);
    if brings_proof { app.rates.check_stranger(site::client(request)) } else { Ok(()) }
}

/// Who is in goes on; everybody else sees the form.
async fn arrive(app: &App, request: &Request, next: &str) -> Result<Response, Why> {
    match auth::learner(app, request).await {
        Ok(_) => return Ok(go_to(next)),
        Err(Refusal::Unauthorized(_)) => check_stranger(app, request)?,
        Err(_) => {}
    }
    Ok(pages::log_in(Language::of(request, &[]), "", next))
}

/// Who brings a link sees the button that uses it. Who is in already goes on by a link of his own, and
/// does not use it up. One that leads nowhere any more may have been another one's, at a browser that
/// both use: it is said, not followed.
async fn offer(app: &App, request: &Request, link: &str, next: &str) -> Result<Response, Why> {
    let user_id = who_is_in(app, request).await?;
    match entrance::guest(&app.reads, Entrance::Study, link).await? {
        Some(guest) if user_id == Some(guest.user_id) => Ok(go_to(next)),
        Some(guest) if !guest.is_active => Err(Refusal::Unauthorized(auth::INACTIVE).into()),
        Some(_) => Ok(pages::enter(Language::of(request, &[]), link, next)),
        None if user_id.is_some() => Ok(spent(request, next)),
        None => {
            app.rates.check_stranger(site::client(request))?;
            Err(Why("why_spent", SPENT))
        }
    }
}

/// For a spent link where somebody is in.
fn spent(request: &Request, next: &str) -> Response {
    as_refused(
        pages::message(Language::of(request, &[]), "spent", Some(next)),
        &Refusal::Gone("It was used, or is too old."),
    )
}

/// Somebody presses the button. Whoever pressed it twice is in by the first time.
async fn by_link(app: &App, request: &Request, link: &str, next: &str) -> Result<Response, Why> {
    site::check_site(app, request)?;
    try_once(app, request)?;
    let guest = entrance::guest(&app.reads, Entrance::Study, link).await?;
    if let Some(guest) = guest {
        if !guest.is_active {
            return Err(Refusal::Unauthorized(auth::INACTIVE).into());
        }
        let hash = Entrance::Study.hash(link);
        if let Some(response) = let_in(app, request, guest.user_id, Some(&hash), next).await? {
            return Ok(response);
        }
    }
    match who_is_in(app, request).await? {
        Some(_) => Ok(go_to(next)),
        None => Err(Why("why_spent", SPENT)),
    }
}

/// The learner who is in already, if one is.
///
/// # Errors
/// As [`auth::learner`], but for who is not known.
async fn who_is_in(app: &App, request: &Request) -> Result<Option<i64>, Refusal> {
    match auth::learner(app, request).await {
        Ok(user_id) => Ok(Some(user_id)),
        Err(Refusal::Unauthorized(_)) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn by_token(app: &App, request: &Request, text: &str, next: &str) -> Result<Response, Why> {
    site::check_site(app, request)?;
    try_once(app, request)?;
    // People copy what is written in the header, too.
    let token = text.trim();
    let token = token.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("token ")).map_or(token, |_| &token[6..]);
    let token = token.trim();
    if !auth::is_plausible(token) {
        return Err(Why("why_no_token", Refusal::Parameter("token", "This is no token of the academy.")));
    }
    let owner = academy::learner_by_token(&app.reads, token).await.map_err(|error| Refusal::database(&error))?;
    let owner = owner.ok_or_else(auth::unknown)?;
    if !owner.is_active {
        return Err(Refusal::Unauthorized(auth::INACTIVE).into());
    }
    Ok(let_in(app, request, owner.user_id, None, next).await?.ok_or(Refusal::Defect)?)
}

/// Counts a try.
fn try_once(app: &App, request: &Request) -> Result<(), Refusal> {
    let tried = app.door.try_to_log_in(Entrance::Study, site::client(request), app.clock.now());
    tried.map_err(|seconds| Refusal::TooMany("Too many log-ins were refused.", seconds))
}

/// Begins the session of somebody who may come in, by a link or by token; `None` when the link was
/// used meanwhile. It is one more request of the learner: who logs in all the time has to wait.
async fn let_in(
    app: &App,
    request: &Request,
    user_id: i64,
    link: Option<&KeyHash>,
    next: &str,
) -> Result<Option<Response>, Why> {
    app.rates.check_learner(user_id)?;
    let key = hex::encode(rand::rng().random::<[u8; 32]>());
    let log_in = LogIn { key: &hash(&key), user_id, life: LIFE, link };
    if !sessions::begin(&app.reads, log_in).await? {
        return Ok(None);
    }
    app.door.got_in(Entrance::Study, site::client(request));
    let mut response = go_to(next);
    response.headers_mut().extend(site::set_cookie(&cookie(app, &key)));
    Ok(Some(response))
}

/// Prolongs the session of a request that was let in, if it is ageing; the cookie that says so.
pub(super) async fn prolong(app: &App, request: &Request) -> Option<String> {
    let key = key(app, request).filter(|key| app.tokens.is_ageing(&proof(key), app.clock.now()))?;
    let prolonged = sessions::prolong(&app.reads, &hash(key), LIFE).await;
    // A session that cannot be prolonged now will be at the next visit.
    prolonged.ok().filter(|is_prolonged| *is_prolonged)?;
    app.tokens.forget(&proof(key));
    Some(cookie(app, key))
}

/// `POST /study/logout`.
pub(super) fn log_out() -> impl Endpoint<Output = Response> {
    poem::endpoint::make(|request: Request| async move {
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?.clone();
        site::check_site(&app, &request)?;
        if let Some(key) = key(&app, &request) {
            let ended = sessions::end(&app.reads, &hash(key)).await;
            ended.map_err(|error| Refusal::database(&error))?;
            app.tokens.forget(&proof(key));
        }
        let mut response = go_to("/study/login");
        response.headers_mut().extend(site::set_cookie(&cookie(&app, "")));
        Ok::<_, poem::Error>(response)
    })
}

/// Sends a browser to the log-in, which sends it back.
pub(super) fn to_log_in(request: &Request) -> Response {
    let wanted = request.original_uri().path_and_query().map_or("", |wanted| wanted.as_str());
    let wanted = within(wanted).filter(|wanted| wanted.trim_end_matches('/') != HOME);
    let query = wanted.and_then(|wanted| serde_urlencoded::to_string([("next", wanted)]).ok());
    go_to(&query.map_or("/study/login".to_owned(), |query| format!("/study/login?{query}")))
}

/// Sends a browser on.
pub(super) fn go_to(path: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, path)
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::empty())
}
