//! `POST /api/dailycast/generate/`: an episode at once, for who has none today; once in 24 hours.
//!
//! The date, the hours and the deadline follow from the database's clock. It needs no night, and a pause
//! does not refuse it: it begins when the pause ends. What was asked for goes the way of all podcasts.

use std::sync::Arc;

use poem::{
    Request, Response, Result, handler,
    http::{StatusCode, header},
    web::Data,
};
use serde_json::json;

use super::{marks, today};
use crate::{
    http::{App, auth, error::Refusal},
    store::{
        self,
        generation::{self, Standing},
    },
};

/// The first status of a podcast.
const PENDING: &str = "pending";

#[handler]
pub(in crate::http) async fn generate(request: &Request, Data(app): Data<&Arc<App>>) -> Result<Response> {
    let user_id = auth::learner(app, request).await?;
    let mut is_made = false;
    // Again after it was made, and when somebody came first, be it the night.
    for _ in 0..3 {
        let standing = generation::standing(&app.reads, user_id).await.map_err(|error| Refusal::database(&error))?;
        let (now, date) = (standing.now, app.today(standing.now));
        let found = store::today::of_learner(&app.reads, user_id, date, app.expired(now)).await;
        let found = found.map_err(|error| Refusal::database(&error))?;
        if let Some(podcast) = found.podcast.as_ref().filter(|_| is_made) {
            return Ok(accepted(podcast.id, &standing));
        }
        if found.podcast.is_some() {
            let response =
                Response::builder().content_type("application/json").header(header::CACHE_CONTROL, "no-store");
            return Ok(response.body(today::told(app, found, now, app.window(app.clock.now())).await?));
        }
        if let Some(next) = standing.next_available_at {
            let seconds = (next - now).as_seconds_f64().ceil().max(1.0) as u64;
            return Err(Refusal::TooSoon(next, seconds).into());
        }
        let deadline_at = app.desk.schedule.deadline_by_hand(now);
        let asked = generation::ask(&app.reads, user_id, date, deadline_at).await;
        is_made = asked.map_err(|error| Refusal::database(&error))?;
    }
    if is_made {
        return Err(Refusal::Away("The episode is being made, and cannot be shown this moment.").into());
    }
    // Nobody came first, and it cannot be made: the academy has closed the account this very moment.
    Err(Refusal::Unauthorized(auth::INACTIVE).into())
}

fn accepted(id: i64, standing: &Standing) -> Response {
    let next = standing.next_available_at;
    let mut response = marks::done(&json!({ "status": PENDING, "podcast_id": id, "next_available_at": next }));
    response.set_status(StatusCode::ACCEPTED);
    response
}
