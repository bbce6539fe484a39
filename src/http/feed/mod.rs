//! Private feeds for podcast apps: what lies below `/feed/`, and the cover.
//!
//! Apps bring no token: the key in the address is the proof. A key that nobody has is not found, one
//! that was taken back is gone (410), so that apps stop asking. While an account is closed, its feed
//! is not found: it may come back. The shell logs patterns of routes, so no key is in a log.
//!
//! What would surprise: the tag of what is sent compressed is another one ([`public`]), because it
//! stands for other bytes. Apps ask for a feed every hour, and
//! nearly always they have it already: to find that, no words are read.

mod rss;
mod words;
mod xml;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, ResponseBuilder, Result, Route, handler,
    http::{HeaderName, HeaderValue, StatusCode, header},
    web::Data,
};
use sha2::{Digest, Sha256};

use super::{
    App,
    api::audio,
    auth, conditional,
    error::Refusal,
    routes::{gzip, read},
    shell,
    signing::link_hash,
    study::Reader,
    transcript::{self, Transcript},
};
use crate::store::feeds::{self, Feed, Found, Item};

/// What links to feeds are made for.
pub(super) const WHAT: &str = "feed";

/// No search engine shall show what is private.
const ROBOTS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));

/// The end of the tag of what is compressed.
const ZIPPED: &str = "-gzip\"";

static COVER: &[u8] = include_bytes!("../../../dashboards/assets/cover.png");

static COVER_TAG: LazyLock<String> = LazyLock::new(|| tag(COVER));

/// Adds the addresses of feeds.
pub(super) fn routes(routes: Route) -> Route {
    routes
        .at("/feed/:key", public(whole.with(gzip())))
        .at("/feed/:key/:id", public(part))
        .at("/feed/:key/:id/chapters.json", public(chapters.with(gzip())))
        .at("/static/cover.png", read(cover))
}

/// An address for whoever has the key in it. Nothing below it is reached in another way.
fn public<E>(endpoint: E) -> impl Endpoint
where
    E: IntoEndpoint,
    E::Endpoint: 'static,
{
    read(endpoint.into_endpoint().around(|endpoint, request: Request| async move {
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?;
        let reader = Reader::of(&request);
        let answer = match app.rates.check_public(&request) {
            Ok(()) => endpoint.call(request).await.map(IntoResponse::into_response),
            Err(refusal) => Err(refusal.into()),
        };
        let mut response = reader.answer(answer).unwrap_or_else(shell::refused);
        let headers = response.headers_mut();
        headers.insert(ROBOTS.0, ROBOTS.1);
        let is_zipped = headers.contains_key(header::CONTENT_ENCODING);
        let tag = headers.get(header::ETAG).filter(|_| is_zipped).and_then(|tag| tag.to_str().ok());
        if let Some(zipped) = tag.and_then(|tag| HeaderValue::from_str(&zipped(tag)).ok()) {
            headers.insert(header::ETAG, zipped);
        }
        Ok(response)
    }))
}

/// The strong tag of some bytes.
fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]))
}

/// The tag of the same, compressed.
fn zipped(tag: &str) -> String {
    format!("{}{ZIPPED}", tag.trim_end_matches('"'))
}

/// The feed that a key opens.
async fn opened(app: &App, key: &str) -> Result<Feed, Refusal> {
    if !auth::is_plausible(key) {
        return Err(Refusal::NotFound);
    }
    match feeds::find(&app.reads, &link_hash(WHAT, key)).await.map_err(|error| Refusal::database(&error))? {
        Found::Feed(feed) => Ok(feed),
        Found::Revoked => Err(Refusal::Gone("This address was replaced. Ask for the new one on your study page.")),
        Found::Nothing => Err(Refusal::NotFound),
    }
}

/// `GET /feed/{key}.xml`.
#[handler]
async fn whole(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let key = request.raw_path_param("key").and_then(|file| file.strip_suffix(".xml")).ok_or(Refusal::NotFound)?;
    let feed = opened(app, key).await?;
    let (settings, now) = (&app.settings, app.clock.now());
    let (today, expired) = (app.today(now), app.expired(now));
    let database = |error| Refusal::database(&error);
    if conditional::is_conditional(request) {
        let stamps = feeds::stamps(&app.reads, feed.user_id, today, expired).await.map_err(database)?;
        let rss::State { tag, changed_at } = rss::state(settings, key, &feed, &stamps);
        if let Err(known) = headed(request, &tag, Some(changed_at)) {
            return Ok(known);
        }
    }
    let items = feeds::items(&app.reads, feed.user_id, today, expired).await.map_err(database)?;
    let stamps: Vec<_> = items.iter().map(Item::stamp).collect();
    let rss::State { tag, changed_at } = rss::state(settings, key, &feed, &stamps);
    Ok(match headed(request, &tag, Some(changed_at)) {
        Ok(response) => {
            let text = rss::text(settings, key, &feed, &items, changed_at);
            response.content_type("application/rss+xml; charset=utf-8").body(text)
        }
        Err(known) => known,
    })
}

/// The head of an answer with this tag; the whole answer when the caller has what it stands for.
#[expect(clippy::result_large_err, reason = "it is no error, and goes no further than its caller")]
fn headed(request: &Request, tag: &str, changed_at: Option<DateTime<Utc>>) -> Result<ResponseBuilder, Response> {
    let response = Response::builder()
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::VARY, "Accept-Encoding");
    let response = match changed_at {
        Some(at) => response.header(header::LAST_MODIFIED, httpdate::fmt_http_date(at.into())),
        None => response,
    };
    let is_known = conditional::is_known(request, tag)
        || conditional::is_known(request, &zipped(tag))
        || changed_at.is_some_and(|at| conditional::is_unchanged(request, at));
    if is_known { Err(response.status(StatusCode::NOT_MODIFIED).finish()) } else { Ok(response) }
}

/// `GET /feed/{key}/{id}.mp3` and `.vtt`.
#[handler]
async fn part(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let (id, kind) = request.raw_path_param("id").and_then(|file| file.split_once('.')).ok_or(Refusal::NotFound)?;
    let (feed, id) = (of(app, request).await?, number(id)?);
    match kind {
        "mp3" => audio::serve_own(request, app, feed.user_id, id).await,
        "vtt" => said(request, app, &feed, id, transcript::VTT, Transcript::vtt).await,
        _ => Err(Refusal::NotFound.into()),
    }
}

/// `GET /feed/{key}/{id}/chapters.json`.
#[handler]
async fn chapters(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let (feed, id) = (of(app, request).await?, number(request.raw_path_param("id").unwrap_or_default())?);
    said(request, app, &feed, id, "application/json+chapters", Transcript::chapters).await
}

/// What is said in an episode of the feed, in some form.
async fn said(
    request: &Request,
    app: &App,
    feed: &Feed,
    id: i64,
    kind: &'static str,
    form: impl Fn(&Transcript) -> String,
) -> Result<Response> {
    let text = form(&transcript::of_learner(app, id, feed.user_id).await?);
    Ok(match headed(request, &tag(text.as_bytes()), None) {
        Ok(response) => response.content_type(kind).body(text),
        Err(known) => known,
    })
}

async fn of(app: &App, request: &Request) -> Result<Feed, Refusal> {
    opened(app, request.raw_path_param("key").unwrap_or_default()).await
}

fn number(text: &str) -> Result<i64, Refusal> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(Refusal::NotFound)
}

/// `GET /static/cover.png`. Its address is in every feed and stays, so it is asked for again after a while.
#[handler]
fn cover(request: &Request) -> Response {
    let response =
        Response::builder().header(header::ETAG, &*COVER_TAG).header(header::CACHE_CONTROL, "public, max-age=604800");
    if conditional::is_known(request, &COVER_TAG) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.content_type("image/png").body(COVER)
}
