//! `GET /api/dailycast/episodes/{id}/audio`: to the store once the episode is there, the bytes
//! themselves while it waits for its upload.
//!
//! Let in is the episode's own learner by token, or anyone who brings an address that we signed
//! (`?expires=…&signature=…`) until it ends. A foreign episode is not found, like one that is not.
//!
//! What would surprise: `HEAD` is never a redirect. The store's addresses are signed for `GET` and
//! refuse it, and podcast apps ask so for length and type before they trust an address. So we tell
//! what the store would: its tag, and the length that we know.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use poem::{
    Body, FromRequest, Request, RequestBody, Response, ResponseBuilder, Result, handler,
    http::{Method, StatusCode, header},
    web::Data,
};
use serde::Deserialize;

use crate::{
    http::{
        App, auth, conditional,
        error::Refusal,
        range::{self, Asked},
        signing::Window,
    },
    machine::Status,
    store::listeners::{self, Audio},
};

/// How long a player may keep the bytes of an episode, in seconds.
const KEEP: &str = "private, max-age=900";

/// The address of an episode's audio until the window ends: the store's own once it is there, else
/// ours. Ours too when the store cannot sign now: it is asked again when someone listens.
pub(super) async fn address(
    app: &App,
    id: i64,
    object_key: Option<&str>,
    now: DateTime<Utc>,
    window: Window,
) -> String {
    if let Some(key) = object_key {
        match app.store.sign(key, now, window.expires).await {
            Ok(address) => return address,
            Err(failure) => {
                tracing::warn!(
                    podcast.id = id,
                    failure.kind = failure.kind.as_str(),
                    error = failure.message,
                    "the object store could not sign an address"
                );
            }
        }
    }
    own_address(app, id, window)
}

/// Our own address of an episode's audio until the window ends.
fn own_address(app: &App, id: i64, window: Window) -> String {
    let expires = window.expires.timestamp();
    let signature = app.signing_key.sign(id, expires);
    let prefix = &app.settings.public_url;
    format!("{prefix}/api/dailycast/episodes/{id}/audio?expires={expires}&signature={signature}")
}

/// The address under which a browser keeps an episode as a file and stays on its page.
pub(super) fn download_address(app: &App, id: i64, window: Window) -> String {
    format!("{}&download=yes", own_address(app, id, window))
}

/// The proof in an address.
#[derive(Deserialize)]
struct Proof {
    expires: Option<String>,
    signature: Option<String>,
    download: Option<String>,
}

/// Who may listen.
enum Listener {
    /// This learner, to episodes of their own.
    Learner(i64),
    /// Whoever has the address, to this episode.
    Bearer,
    /// Whoever follows a link, to this episode: not told whose it is.
    Follower,
}

/// What was asked for: the episode, by someone who may ask.
pub(in crate::http) struct Wanted {
    id: i64,
    listener: Listener,
    /// As a file to be kept.
    is_download: bool,
}

impl<'a> FromRequest<'a> for Wanted {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let id = request.raw_path_param("id").and_then(|id| id.parse().ok()).ok_or(Refusal::NotFound)?;
        let wrong = |_| Refusal::Parameter("expires", "The query cannot be read.");
        let proof = request.params::<Proof>().map_err(wrong)?;
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?;
        let is_download = proof.download.is_some();
        let (expires, signature) = match (proof.expires, proof.signature) {
            (Some(expires), Some(signature)) => (expires, signature),
            (None, None) => {
                let user_id = auth::learner(app, request).await?;
                return Ok(Self { id, listener: Listener::Learner(user_id), is_download });
            }
            (None, Some(_)) => return Err(Refusal::Parameter("expires", "This field is required.").into()),
            (Some(_), None) => return Err(Refusal::Parameter("signature", "This field is required.").into()),
        };
        let expires: i64 =
            expires.parse().map_err(|_| Refusal::Parameter("expires", "A valid integer is required."))?;
        if !app.signing_key.is_ours(id, expires, &signature) {
            return Err(Refusal::Forbidden("signature", "This address is not valid.").into());
        }
        if app.clock.now().timestamp() >= expires {
            return Err(Refusal::Forbidden("expired", "This address has expired.").into());
        }
        Ok(Self { id, listener: Listener::Bearer, is_download })
    }
}

#[handler]
pub(in crate::http) async fn play(request: &Request, wanted: Wanted, Data(app): Data<&Arc<App>>) -> Result<Response> {
    serve(request, app, &wanted).await
}

/// The audio of an episode for somebody who may hear every one: an operator.
pub(in crate::http) async fn serve_any(request: &Request, app: &App, id: i64) -> Result<Response> {
    serve(request, app, &Wanted { id, listener: Listener::Bearer, is_download: false }).await
}

/// The audio of a shared episode. It goes through here, for the store's address names the learner.
pub(in crate::http) async fn serve_shared(request: &Request, app: &App, id: i64) -> Result<Response> {
    let is_download = request.uri().query().is_some_and(|query| query.starts_with("download="));
    serve(request, app, &Wanted { id, listener: Listener::Follower, is_download }).await
}

/// The audio of an episode for its own learner, who was let in by other means.
pub(in crate::http) async fn serve_own(request: &Request, app: &App, user_id: i64, id: i64) -> Result<Response> {
    serve(request, app, &Wanted { id, listener: Listener::Learner(user_id), is_download: false }).await
}

async fn serve(request: &Request, app: &App, wanted: &Wanted) -> Result<Response> {
    let (mut response, date) = found(request, app, wanted).await?;
    if wanted.is_download {
        let name = format!("attachment; filename=\"daily-podcast-{date}.mp3\"");
        response.headers_mut().extend(name.parse().ok().map(|name| (header::CONTENT_DISPOSITION, name)));
    }
    Ok(response)
}

/// The audio, and of which date it is.
async fn found(request: &Request, app: &App, wanted: &Wanted) -> Result<(Response, NaiveDate)> {
    // Twice, because the upload may end between the look at the row and the look into the spool.
    for _ in 0..2 {
        let audio = find(app, wanted).await?;
        match (audio.status, audio.object_key.as_deref(), audio.spool_ref.as_deref()) {
            (Status::Completed | Status::CompletedWithFallback, Some(key), _) => {
                // The store would neither say that it is to be kept, nor hide whose it is.
                let response = match wanted.listener {
                    _ if wanted.is_download => passed(request, app, key, &audio).await,
                    Listener::Follower => passed(request, app, key, &audio).await,
                    _ => stored(request, app, key, audio.etag.as_deref(), audio.bytes).await,
                };
                return Ok((response?, audio.date));
            }
            (Status::PendingUpload, _, Some(spool_ref)) => {
                let words = "The audio is not available for a moment.";
                let bytes =
                    app.spool.episode(spool_ref).await.map_err(|failure| Refusal::neighbour(&failure, words))?;
                if let Some(bytes) = bytes {
                    return Ok((played(request, bytes, audio.sha256.as_deref()), audio.date));
                }
            }
            _ => return Err(Refusal::NoAudio.into()),
        }
    }
    Err(Refusal::Away("The audio is on its way to the store.").into())
}

async fn find(app: &App, wanted: &Wanted) -> Result<Audio> {
    let expired = app.expired(app.clock.now());
    let audio = listeners::audio(&app.reads, wanted.id, expired).await.map_err(|error| Refusal::database(&error))?;
    let may_listen = |audio: &Audio| match wanted.listener {
        Listener::Learner(user_id) => audio.user_id == user_id,
        Listener::Bearer | Listener::Follower => true,
    };
    Ok(audio.filter(may_listen).ok_or(Refusal::NotFound)?)
}

/// What the store has: that the caller has it already, what it is, or where.
async fn stored(request: &Request, app: &App, key: &str, etag: Option<&str>, bytes: Option<i64>) -> Result<Response> {
    let tag = etag.map(|etag| format!("\"{etag}\""));
    let is_known = tag.as_ref().is_some_and(|tag| conditional::is_known(request, tag));
    if request.method() != Method::HEAD && !is_known {
        return redirect(app, key).await;
    }
    let response = Response::builder().header(header::ACCEPT_RANGES, "bytes").header(header::CACHE_CONTROL, KEEP);
    let response = match tag {
        Some(tag) => response.header(header::ETAG, tag),
        None => response,
    };
    if is_known {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let response = response.content_type("audio/mpeg");
    Ok(match bytes {
        Some(bytes) => response.header(header::CONTENT_LENGTH, bytes).finish(),
        None => response.finish(),
    })
}

async fn redirect(app: &App, key: &str) -> Result<Response> {
    let now = app.clock.now();
    let window = app.window(now);
    let words = "The store of episodes is not available for a moment.";
    let address =
        app.store.sign(key, now, window.expires).await.map_err(|failure| Refusal::neighbour(&failure, words))?;
    Ok(Response::builder()
        .status(StatusCode::FOUND)
        .header(header::LOCATION, address)
        .header(header::CACHE_CONTROL, "no-store")
        .finish())
}

/// The bytes, or the part of them that is asked for.
fn played(request: &Request, mp3: Bytes, sha256: Option<&str>) -> Response {
    match parted(request, mp3.len(), sha256) {
        Ok((response, part)) => response.body(mp3.slice(part)),
        Err(known) => *known,
    }
}

/// The same of what the store has, fetched while it is sent.
async fn passed(request: &Request, app: &App, key: &str, audio: &Audio) -> Result<Response> {
    let length = audio.bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or(Refusal::NoAudio)?;
    let (response, part) = match parted(request, length, audio.sha256.as_deref()) {
        Ok(parted) => parted,
        Err(known) => return Ok(*known),
    };
    if request.method() == Method::HEAD || part.is_empty() {
        return Ok(response.finish());
    }
    let words = "The store of episodes is not available for a moment.";
    let bytes = app.store.read(key, part).await.map_err(|failure| Refusal::neighbour(&failure, words))?;
    Ok(response.body(Body::from_async_read(bytes)))
}

/// The head of an answer with the bytes that are asked for, of so many; or that the caller has them.
fn parted(
    request: &Request,
    length: usize,
    sha256: Option<&str>,
) -> Result<(ResponseBuilder, Range<usize>), Box<Response>> {
    let tag = format!("\"{}\"", sha256.unwrap_or_default());
    let response = Response::builder().header(header::ACCEPT_RANGES, "bytes").header(header::CACHE_CONTROL, KEEP);
    let response = if sha256.is_some() { response.header(header::ETAG, &tag) } else { response };
    if sha256.is_some() && conditional::is_known(request, &tag) {
        return Err(Box::new(response.status(StatusCode::NOT_MODIFIED).finish()));
    }
    // Parts are for `GET` alone.
    let range = request.header(header::RANGE).filter(|_| request.method() == Method::GET);
    let range = range.filter(|_| conditional::range_holds(request, &tag));
    let (response, part) = match range::asked(range, length) {
        Asked::Whole => (response, 0..length),
        Asked::Part(part) => {
            let place = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, place), part)
        }
        Asked::Nowhere => {
            let place = format!("bytes */{length}");
            (response.status(StatusCode::RANGE_NOT_SATISFIABLE).header(header::CONTENT_RANGE, place), 0..0)
        }
    };
    Ok((response.content_type("audio/mpeg").header(header::CONTENT_LENGTH, part.len()), part))
}
