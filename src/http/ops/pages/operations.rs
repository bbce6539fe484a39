//! `GET /ops/operations`, and how one is begun: `GET /ops/operations/new` says what a verb would do,
//! `POST /ops/operations` does it, `POST /ops/podcasts/{id}/{verb}` does it to one podcast.

use poem::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::tonight::patience;
use crate::{
    http::{
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            sheet::{Sheet, Visit},
        },
    },
    ops::operations::{self as verbs, Preview, Shown, Wish},
    store::{
        operations::{self, Started},
        podcasts::Filter,
    },
};

/// Operations on one page.
const PAGE: usize = 50;

/// What the list shows.
#[derive(Serialize)]
struct List {
    operations: Vec<Shown>,
    /// The number of the last one here, when there are older ones.
    before: Option<i64>,
    /// Older ones are shown, not the newest.
    is_behind: bool,
}

/// Shows operations, the newest first.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let before = match visit.asked("before") {
        None => None,
        Some(before) => Some(before.parse().map_err(|_| Refusal::Parameter("before", "A number of an operation."))?),
    };
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let found = operations::list(visit.app.desk.store.desk(), before.unwrap_or(i64::MAX), limit).await;
    let mut found = found.map_err(|error| Refusal::database(&error))?;
    let is_more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().map(|operation| operation.id).filter(|_| is_more);
    let operations = found.into_iter().map(Shown::from).collect();
    Ok(Sheet::new("operations", "Operations", &List { operations, before: last, is_behind: before.is_some() }))
}

/// What the page before the deed shows.
#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    preview: Preview,
    /// The podcasts as the query of their list.
    query: String,
    /// Names this page, so that a form sent twice begins one operation.
    key: String,
    /// When it was looked at.
    as_of: String,
}

/// Shows what a verb would do. Nothing is done.
pub(in crate::http::ops) async fn ask(visit: Visit) -> Result<Sheet, Refusal> {
    let wish = verbs::read(visit.pairs())?;
    let title = "What it will do";
    if visit.asked("live").is_some() {
        // It stays as it was read, so that the button does what it says.
        return Ok(Sheet::new("operation_new", title, &json!({})));
    }
    let preview = verbs::preview_at_once(&visit.app.desk, &wish, patience(&visit)).await;
    let preview = preview.map_err(|error| Refusal::database(&error))?;
    let query = serde_urlencoded::to_string(&preview.filter).unwrap_or_default();
    let now = visit.app.clock.now();
    let key = format!("page-{}", now.timestamp_micros());
    Ok(Sheet::new("operation_new", title, &Asked { preview, query, key, as_of: now.to_rfc3339() }))
}

/// Begins an operation; it goes on by itself.
pub(in crate::http::ops) async fn begin(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let wish = verbs::read(sent.pairs())?;
    let desk = &visit.app.desk;
    let started = verbs::begin(&desk.store, &desk.schedule, &wish, &visit.actor.name).await;
    let (operation, said, is_joined) = match started.map_err(|error| Refusal::database(&error))? {
        Started::OtherContent(_) => return Err(Refusal::OtherContent),
        Started::Begun(begun) => (begun, "It has begun.".to_owned(), false),
        Started::Joined(same) => {
            let said = format!("{} has begun the same before. This is it.", same.actor);
            (same, said, true)
        }
    };
    let id = operation.id;
    if operation.is_running() {
        tokio::spawn(verbs::carry_out_in_turn(desk.clone(), id));
    }
    let mut data = serde_json::to_value(Shown::from(operation)).map_err(|_| Refusal::Defect)?;
    data["is_joined"] = json!(is_joined);
    Ok(Done { status: StatusCode::ACCEPTED, ..Done::new(format!("/ops/operations/{id}"), said, data) })
}

/// Requeues one podcast.
pub(in crate::http::ops) async fn requeue(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    one(visit, sent, "requeue").await
}

/// Cancels one podcast.
pub(in crate::http::ops) async fn cancel(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    one(visit, sent, "cancel").await
}

/// Makes one podcast anew.
pub(in crate::http::ops) async fn regenerate(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    one(visit, sent, "regenerate").await
}

/// Does a verb to the podcast of the address, and waits until it is done.
async fn one(visit: Visit, sent: Sent, verb: &'static str) -> Result<Done, Refusal> {
    let id = visit.id()?;
    let text = id.to_string();
    let beside = sent.pairs().filter(|(word, _)| !["verb", "id"].contains(word));
    let wish: Wish = verbs::read(beside.chain([("verb", verb), ("id", text.as_str())]))?;
    if wish.filter != (Filter { ids: Some(vec![id]), ..Filter::default() }) {
        return Err(Refusal::Parameter("filter", "The podcast is named by the address."));
    }
    let desk = &visit.app.desk;
    let preview = verbs::preview(&desk.store, &wish).await.map_err(|error| Refusal::database(&error))?;
    if preview.touches + preview.skips == 0 {
        return Err(Refusal::NotFound);
    }
    let done = verbs::complete(&desk.store, &desk.schedule, &wish, &visit.actor.name, |_| {}).await;
    let done = done.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::OtherContent)?;
    let name = wish.verb.done();
    let said = match preview.reasons.first() {
        Some(why) if done.done == 0 => format!("Podcast {id} is left as it is: {}.", why.words),
        _ if done.done == 0 => format!("Podcast {id} is left as it is."),
        _ => format!("Podcast {id} is {name}."),
    };
    let mut data = json!({ "operation": done.id, "skipped": done.skipped });
    data[name] = json!(done.done);
    Ok(Done::new(format!("/ops/podcasts/{id}"), said, data))
}
