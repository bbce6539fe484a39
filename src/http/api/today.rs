//! `GET /api/dailycast/today/`: the podcast of today, and the latest before it.
//!
//! "Today" is the date of the night in `night.time_zone`, for every learner. The answer is tagged
//! by what it is made of and by the window of its signed addresses, so a client that has it gets
//! 304 until something changes, be it only that an episode takes longer than usual, or the addresses are
//! about to end; nothing is signed for a 304.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use poem::{Request, Response, Result, handler, web::Data};
use serde::Serialize;

use super::episode::{self, Shown};
use crate::{
    http::{
        App,
        auth::{self, Caller},
        error::Refusal,
        signing::Window,
    },
    store::{self, listeners::Episode, today::Today},
};

/// The status of a learner without a row for today.
const NO_ROW: &str = "coming tomorrow";

#[derive(Serialize)]
struct Body {
    status: &'static str,
    podcast: Option<Shown>,
    latest: Option<Shown>,
    /// It takes longer than usual, and still comes.
    late: bool,
    /// When one may be asked for at once again; `null`: now.
    next_available_at: Option<DateTime<Utc>>,
}

#[handler]
pub(in crate::http) async fn today(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let now = app.clock.now();
    let (date, expired) = (app.today(now), app.expired(now));
    let (user_id, found) = find(app, request, date, expired).await?;
    let window = app.window(now);
    let (late, next) = (found.is_late(now), found.next_available_at(now));
    let shown = [found.podcast.as_ref(), found.latest.as_ref()];
    let tag = episode::tag(format_args!("{user_id} {date} {late} {next:?}"), window, shown);
    Ok(match episode::tagged(request, &tag) {
        Ok(response) => response.content_type("application/json").body(told(app, found, now, window).await?),
        Err(known) => known,
    })
}

/// What is found, in JSON, with addresses that end with the window.
///
/// # Errors
/// None that happens.
pub(super) async fn told(app: &App, found: Today, now: DateTime<Utc>, window: Window) -> Result<Vec<u8>, Refusal> {
    let (late, next_available_at) = (found.is_late(now), found.next_available_at(now));
    let status = found.podcast.as_ref().map_or(NO_ROW, |podcast| podcast.status.as_str());
    let podcast = match found.podcast.filter(Episode::has_audio) {
        Some(episode) => Some(episode::shown(app, episode, now, window).await),
        None => None,
    };
    let latest = match found.latest {
        Some(episode) => Some(episode::shown(app, episode, now, window).await),
        None => None,
    };
    let body = Body { status, podcast, latest, late, next_available_at };
    episode::json(&body, [&body.podcast, &body.latest].into_iter().flatten())
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
            Ok((auth::let_in(app, look_up, visit.user_id, visit.is_active)?, visit.today))
        }
    }
}
