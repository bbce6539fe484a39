//! `GET /listen/{key}`: an episode that its learner shares, for everybody who has the link; and below
//! it what the page plays. A link that was taken back answers 410, one that never was 404.
//!
//! The key is the secret, so no page that is left from here learns the address, no search engine
//! keeps it, and nothing here tells whose episode it is.

use std::sync::Arc;

use minijinja::context;
use poem::{
    Request, Response, Result, handler,
    http::{HeaderValue, header},
    web::{Data, Path},
};
use serde_json::json;

use super::{
    pages::{self, Language},
    refused,
};
use crate::{
    http::{
        App,
        api::{audio, episode, share},
        auth, conditional,
        error::Refusal,
        signing, transcript,
    },
    store::{
        listening::{self, Shared},
        study::{self, SharedEpisode},
    },
};

/// The podcast that a link leads to.
///
/// # Errors
/// [`Refusal::Gone`], [`Refusal::NotFound`], or [`Refusal::Away`] when nobody can tell.
async fn podcast(app: &App, request: &Request, key: &str) -> Result<i64, Refusal> {
    app.rates.check_public(request)?;
    if !auth::is_plausible(key) {
        return Err(Refusal::NotFound);
    }
    let shared = listening::shared(&app.reads, &signing::link_hash(share::WHAT, key)).await;
    match shared.map_err(|error| Refusal::database(&error))? {
        Shared::Podcast(id) => Ok(id),
        Shared::Revoked => Err(Refusal::Gone("This link was taken back.")),
        Shared::Unknown => Err(Refusal::NotFound),
    }
}

async fn find(app: &App, request: &Request, key: &str) -> Result<SharedEpisode, Refusal> {
    let id = podcast(app, request, key).await?;
    let episode = study::shared_episode(&app.reads, id, app.expired(app.clock.now())).await;
    episode.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)
}

#[handler]
pub(super) async fn page(request: &Request, Data(app): Data<&Arc<App>>, Path(key): Path<String>) -> Response {
    let language = Language::of(request, &[]);
    let mut response = match find(app, request, &key).await {
        Ok(episode) => {
            let title = episode.title.as_deref().filter(|title| !title.is_empty());
            let spoken = context! {
                audio => format!("/listen/{key}/audio"),
                day => language.date(episode.date),
                iso => episode.date.to_string(),
                title => title.unwrap_or(language.say("untitled")),
                spoken => episode.language.as_deref().unwrap_or(language.tag()),
                minutes => episode.duration_seconds.map(|seconds| language.minutes(seconds)).unwrap_or_default(),
                script => episode.script.as_deref().unwrap_or_default(),
            };
            pages::page(language, "listen", context! { source => format!("/listen/{key}/episode.json"), spoken })
        }
        Err(refusal) => refused(request, &refusal),
    };
    guard(&mut response);
    response
}

/// Keeps the address to those who have it.
fn guard(response: &mut Response) {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response.headers_mut().insert("X-Robots-Tag", HeaderValue::from_static("noindex, nofollow"));
}

#[handler]
pub(super) async fn told(request: &Request, Data(app): Data<&Arc<App>>, Path(key): Path<String>) -> Result<Response> {
    let episode = find(app, request, &key).await?;
    let prefix = &app.settings.public_url;
    let duration = episode.duration_seconds;
    let body = json!({
        "title": episode.title,
        "date": episode.date,
        "topic": episode.topic,
        "script": episode.script,
        "audio_url": format!("{prefix}/listen/{key}/audio"),
        "download_url": format!("{prefix}/listen/{key}/audio?download=yes"),
        "duration": duration,
        "duration_display": duration.map(episode::display),
        "language": episode.language,
        "transcript_url": format!("{prefix}/listen/{key}/transcript.vtt"),
    });
    let body = body.to_string();
    let tag = conditional::weak_tag(&body);
    let response = Response::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, "private, no-cache");
    let mut response = match conditional::is_known(request, &tag) {
        true => response.status(poem::http::StatusCode::NOT_MODIFIED).finish(),
        false => response.content_type("application/json").body(body),
    };
    guard(&mut response);
    Ok(response)
}

#[handler]
pub(super) async fn play(request: &Request, Data(app): Data<&Arc<App>>, Path(key): Path<String>) -> Result<Response> {
    let id = podcast(app, request, &key).await?;
    let mut response = audio::serve_shared(request, app, id).await?;
    guard(&mut response);
    Ok(response)
}

#[handler]
pub(super) async fn transcript_json(
    request: &Request,
    Data(app): Data<&Arc<App>>,
    Path(key): Path<String>,
) -> Result<Response> {
    let said = transcript::of(app, podcast(app, request, &key).await?).await?;
    Ok(guarded(transcript::answer(request, transcript::JSON, said.json())))
}

#[handler]
pub(super) async fn transcript_vtt(
    request: &Request,
    Data(app): Data<&Arc<App>>,
    Path(key): Path<String>,
) -> Result<Response> {
    let said = transcript::of(app, podcast(app, request, &key).await?).await?;
    Ok(guarded(transcript::answer(request, transcript::VTT, said.vtt())))
}

fn guarded(mut response: Response) -> Response {
    guard(&mut response);
    response
}
