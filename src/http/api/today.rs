//! `GET /api/dailycast/today/`: the podcast of today, and the latest before it.
//!
//! "Today" is the date of the night in `night.time_zone`, for every learner. The answer is tagged
//! by what it is made of and by the window of its signed addresses, so a client that has it gets
//! 304 until something changes or the addresses are about to end; nothing is signed for a 304.

use std::sync::Arc;

use chrono::NaiveDate;
use poem::{
    Request, Response, Result, handler,
    http::{StatusCode, header},
    web::Data,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::episode::{self, Shown};
use crate::{
    http::{
        App,
        auth::{self, Caller},
        conditional,
        error::Refusal,
        signing::Window,
    },
    store::{self, listeners::Episode, today::Today},
};

/// The status of a learner without a row for today.
const NO_ROW: &str = "coming tomorrow";

/// Bytes of a podcast in JSON beside its script; most is the signed address, and a guess will do.
const BESIDE_THE_SCRIPT: usize = 1536;

#[derive(Serialize)]
struct Body {
    status: &'static str,
    podcast: Option<Shown>,
    latest: Option<Shown>,
}

#[handler]
pub(in crate::http) async fn today(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let now = app.clock.now();
    let (date, expired) = (app.today(now), app.expired(now));
    let (user_id, found) = find(app, request, date, expired).await?;
    let window = app.window(now);
    let tag = tag(user_id, date, &found, window);
    let response = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::VARY, "Authorization, Cookie, Accept-Encoding");
    if conditional::is_known(request, &tag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let status = found.podcast.as_ref().map_or(NO_ROW, |podcast| podcast.status.as_str());
    let podcast = match found.podcast.filter(Episode::has_audio) {
        Some(episode) => Some(episode::shown(app, episode, now, window).await),
        None => None,
    };
    let latest = match found.latest {
        Some(episode) => Some(episode::shown(app, episode, now, window).await),
        None => None,
    };
    // Room for the scripts at once: growing step by step would copy them several times.
    let scripts = [&podcast, &latest].into_iter().flatten().filter_map(|shown| shown.script.as_ref());
    let mut body = Vec::with_capacity(scripts.map(|script| script.len() + BESIDE_THE_SCRIPT).sum());
    serde_json::to_writer(&mut body, &Body { status, podcast, latest }).map_err(|_| Refusal::Defect)?;
    Ok(response.content_type("application/json").body(body))
}

/// Who asks, and what they find: one round trip to the database, whether the token is known or not.
async fn find(app: &App, request: &Request, date: NaiveDate, expired: NaiveDate) -> Result<(i64, Today), Refusal> {
    match auth::caller(app, request).await? {
        Caller::Learner(user_id) => {
            let found = store::today::of_learner(&app.reads, user_id, date, expired).await;
            Ok((user_id, found.map_err(|error| Refusal::database(&error))?))
        }
        Caller::Bearer(token, look_up) => {
            let visit = store::today::of_bearer(&app.reads, token, date, expired).await;
            let visit = visit.map_err(|error| Refusal::database(&error))?;
            let visit = visit.ok_or_else(auth::unknown)?;
            Ok((auth::let_in(look_up, visit.user_id, visit.is_active)?, visit.today))
        }
    }
}

/// The tag of the answer. Weak, because it stands for the plain and the compressed form.
fn tag(user_id: i64, date: NaiveDate, found: &Today, window: Window) -> String {
    let mut hash = Sha256::new();
    let window = format_args!("{} {}", window.number, window.expires.timestamp());
    hash.update(format!("{} {user_id} {date} {window}", env!("CARGO_PKG_VERSION")));
    for episode in [&found.podcast, &found.latest] {
        hash.update(format!(" {:?}", episode.as_ref().map(episode::version)));
    }
    let digest = hash.finalize();
    format!("W/\"{}\"", hex::encode(&digest[..16]))
}
