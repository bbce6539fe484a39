//! `GET /api/dailycast/episodes/` and `…/{id}/`: a learner's own episodes, newest first.
//!
//! A learner has one of a date, so a page goes on before the date of its last one: what is made again,
//! or comes meanwhile, neither repeats nor hides one.

use std::sync::Arc;

use chrono::{Datelike as _, NaiveDate};
use poem::{Request, Response, Result, handler, web::Data};
use serde::Serialize;

use super::episode::{self, Shown};
use crate::{
    http::{App, auth, error::Refusal},
    store::listeners,
};

/// Episodes on a page, when nothing is said.
const PAGE: u8 = 20;

/// The most there may be.
const LARGEST_PAGE: u8 = 100;

#[derive(Serialize)]
struct Page {
    results: Vec<Shown>,
    next: Option<String>,
}

#[handler]
pub(in crate::http) async fn list(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = auth::learner(app, request).await?;
    let (limit, before) = asked(request.uri().query().unwrap_or_default())?;
    let now = app.clock.now();
    // One more, to know whether there is a next page.
    let found = listeners::episodes(&app.reads, user_id, before, app.expired(now), i64::from(limit) + 1).await;
    let mut found = found.map_err(|error| Refusal::database(&error))?;
    let is_last = found.len() <= usize::from(limit);
    found.truncate(limit.into());
    let next = found.last().filter(|_| !is_last).map(|last| {
        let (prefix, cursor) = (&app.settings.public_url, cursor(last.date));
        format!("{prefix}/api/dailycast/episodes/?limit={limit}&cursor={cursor}")
    });

    let window = app.window(now);
    let tag = episode::tag(format_args!("{user_id} {next:?}"), window, found.iter().map(Some));
    let response = match episode::tagged(request, &tag) {
        Ok(response) => response,
        Err(known) => return Ok(known),
    };
    let mut results = Vec::with_capacity(found.len());
    for episode in found {
        results.push(episode::shown(app, episode, now, window).await);
    }
    let page = Page { results, next };
    Ok(response.content_type("application/json").body(episode::json(&page, &page.results)?))
}

#[handler]
pub(in crate::http) async fn one(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let own = episode::own(app, request).await?;
    let found = listeners::episode(&app.reads, own.id, own.user_id, own.expired).await;
    let found = found.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
    let now = app.clock.now();
    let window = app.window(now);
    let tag = episode::tag(format_args!("{}", own.user_id), window, [Some(&found)]);
    let response = match episode::tagged(request, &tag) {
        Ok(response) => response,
        Err(known) => return Ok(known),
    };
    let shown = episode::shown(app, found, now, window).await;
    Ok(response.content_type("application/json").body(episode::json(&shown, [&shown])?))
}

/// How many episodes are asked for, and before which date.
fn asked(query: &str) -> Result<(u8, NaiveDate), Refusal> {
    let wrong = |_| Refusal::Parameter("query", "The query cannot be read.");
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(wrong)?;
    let named = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let limit = named("limit").map_or(Ok(i64::from(PAGE)), |limit| {
        limit.parse::<i64>().map_err(|_| Refusal::Parameter("limit", "A valid integer is required."))
    })?;
    let limit = match u8::try_from(limit) {
        Ok(limit @ 1..=LARGEST_PAGE) => limit,
        _ => return Err(Refusal::Parameter("limit", "Ensure this value is from 1 to 100.")),
    };
    let before = named("cursor")
        .map_or(Ok(NaiveDate::MAX), |text| date(text).ok_or(Refusal::Parameter("cursor", "Invalid cursor.")))?;
    Ok((limit, before))
}

/// The place behind the episode of a date. Nobody should read it.
fn cursor(date: NaiveDate) -> String {
    hex::encode(date.to_string())
}

/// The date in a cursor of ours.
fn date(cursor: &str) -> Option<NaiveDate> {
    let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    let date: NaiveDate = text.parse().ok()?;
    // What Postgres takes for a date, and we for a year.
    (1..=9999).contains(&date.year()).then_some(date)
}
