//! `GET /study/dashboard`: a learner's page, with the podcast of today or the one that is asked for,
//! and the earlier ones.
//!
//! Without script the page plays as well, and shows what is said: the browser's own player asks for
//! the audio with the cookie of the session. The feed's address is a secret, so it is not in the page:
//! a button asks for it.

use std::sync::Arc;

use minijinja::{Value, context};
use poem::{Request, Response, handler, web::Data};

use super::{
    pages::{self, Language},
    refused, session,
};
use crate::{
    http::{App, auth, error::Refusal, site},
    store::study::{self, Past},
};

/// An episode counts as heard when less than this is left of it, in milliseconds.
const REST_MS: i32 = 10_000;

#[handler]
pub(super) async fn show(request: &Request, Data(app): Data<&Arc<App>>) -> Response {
    match look(app, request).await {
        Ok(page) => page,
        Err(Refusal::Unauthorized(_)) => match session::check_stranger(app, request) {
            Ok(()) => session::to_log_in(request),
            Err(refusal) => refused(request, &refusal),
        },
        Err(refusal) => refused(request, &refusal),
    }
}

async fn look(app: &App, request: &Request) -> Result<Response, Refusal> {
    let user_id = auth::learner(app, request).await?;
    let now = app.clock.now();
    let today = app.today(now);
    let database = |error| Refusal::database(&error);
    // An episode that is not in the list is left to the component, which says that it is not there.
    let wanted = request.uri().query().and_then(asked);
    let past = study::past(&app.reads, user_id, today, app.expired(now), wanted).await.map_err(database)?;
    let greeted = study::greeted(&app.reads, user_id).await.map_err(database)?;
    let language = Language::of(request, &greeted.languages);
    let greeting = match &greeted.name {
        Some(name) => language.say("hello_name").replace("{name}", name),
        None => language.say("hello").to_owned(),
    };
    let chosen = past.iter().find(|episode| wanted.map_or(episode.date == today, |id| episode.id == id));
    let spoken = chosen.or(past.first()).filter(|_| wanted.is_none() || chosen.is_some());
    let episodes: Vec<Value> = past
        .iter()
        .map(|episode| {
            let is_today = episode.date == today;
            let address = match is_today {
                true => session::HOME.to_owned(),
                false => format!("{}?episode={}", session::HOME, episode.id),
            };
            let is_here = chosen.is_some_and(|chosen| chosen.id == episode.id);
            context! { is_today, is_here, address, ..line(language, episode) }
        })
        .collect();
    let is_logged_in = session::key(app, request).is_some();
    let spoken = spoken.map(|episode| {
        let audio = format!("/api/dailycast/episodes/{}/audio", episode.id);
        context! { audio, script => episode.script.as_deref().unwrap_or_default(), ..line(language, episode) }
    });
    let data = context! { greeting, wanted, spoken, episodes, is_logged_in };
    let mut response = pages::page(language, "dashboard", data);
    if let Some(cookie) = session::prolong(app, request).await {
        response.headers_mut().extend(site::set_cookie(&cookie));
    }
    Ok(response)
}

/// The episode that a query asks for.
fn asked(query: &str) -> Option<i64> {
    query.split('&').find_map(|pair| pair.strip_prefix("episode="))?.parse().ok()
}

/// An episode as the page shows it.
fn line(language: Language, episode: &Past) -> Value {
    let duration_ms = episode.duration_seconds.unwrap_or_default().saturating_mul(1000);
    let share = if duration_ms > 0 { i64::from(episode.position_ms) * 100 / i64::from(duration_ms) } else { 0 };
    let is_over = episode.is_heard && episode.position_ms >= duration_ms - REST_MS;
    context! {
        id => episode.id,
        day => language.date(episode.date),
        iso => episode.date.to_string(),
        title => episode.title.as_deref().unwrap_or_default(),
        spoken => episode.language.as_deref().unwrap_or_default(),
        minutes => episode.duration_seconds.map(|seconds| language.minutes(seconds)).unwrap_or_default(),
        is_over,
        is_begun => share > 0 && !is_over,
        is_liked => episode.is_liked,
    }
}
