//! `/ops/schedule`: when nights start, and what holds them back.

use chrono::NaiveDate;
use serde_json::json;

use crate::{
    http::{
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            sheet::{Sheet, Visit},
        },
    },
    ops::{
        filter,
        schedule::{self, Refused},
    },
    store::pause::Ran,
};

/// The page that every deed goes on with.
const HERE: &str = "/ops/schedule";

/// Shows it.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let view = schedule::view(&visit.app.desk).await.map_err(|error| Refusal::database(&error))?;
    Ok(Sheet::new("schedule", "Schedule", &view))
}

/// Starts a night now.
pub(in crate::http::ops) async fn run(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let date = sent.get("date").map(parsed).transpose()?;
    let (date, ran) = schedule::run(&visit.app.desk, &visit.actor, date).await.map_err(refusal)?;
    let (word, said) = match ran {
        Ran::Started => {
            ("started", format!("The night of {date} has begun; its learners are enqueued within seconds."))
        }
        Ran::Again => ("again", format!("The learners of the night of {date} are gone through again.")),
        Ran::UnderWay => ("under_way", format!("The learners of the night of {date} are being enqueued already.")),
    };
    Ok(Done::new(HERE, said, json!({ "date": date, "night": word })))
}

/// Skips a date.
pub(in crate::http::ops) async fn skip(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let date = named(&sent)?;
    let why = sent.get("reason").unwrap_or_default();
    let is_new = schedule::skip(&visit.app.desk, &visit.actor, date, why).await.map_err(refusal)?;
    let said = match is_new {
        true => format!("The night of {date} is skipped: it does not start by itself."),
        false => format!("The night of {date} was skipped before."),
    };
    Ok(Done::new(HERE, said, json!({ "date": date, "skipped": true, "changed": is_new })))
}

/// Takes back a skip.
pub(in crate::http::ops) async fn unskip(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let date = named(&sent)?;
    let gone = schedule::unskip(&visit.app.desk, &visit.actor, date).await;
    let gone = gone.map_err(|error| Refusal::database(&error))?;
    let said = match gone {
        true => format!("The night of {date} starts by itself again."),
        false => format!("The night of {date} was not skipped."),
    };
    Ok(Done::new(HERE, said, json!({ "date": date, "skipped": false, "changed": gone })))
}

/// Pauses everything.
pub(in crate::http::ops) async fn pause(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let desk = &visit.app.desk;
    let why = sent.get("reason").unwrap_or_default();
    let is_new = schedule::pause_all(desk, &visit.actor, why).await.map_err(refusal)?;
    let deadline = schedule::deadline_in_words(desk).await.map_err(|error| Refusal::database(&error))?;
    let said = match is_new {
        true => format!("Paused: nothing new begins, the steps in hand are finished; the {deadline}."),
        false => "It was paused before.".to_owned(),
    };
    Ok(Done::new(HERE, said, json!({ "paused": true, "changed": is_new })))
}

/// Ends the pause.
pub(in crate::http::ops) async fn resume(visit: Visit, _: Sent) -> Result<Done, Refusal> {
    let gone = schedule::resume(&visit.app.desk, &visit.actor).await.map_err(|error| Refusal::database(&error))?;
    let said = match gone {
        Some(_) => "Resumed: workers go on at once.",
        None => "Nothing was paused.",
    };
    Ok(Done::new(HERE, said, json!({ "paused": false, "changed": gone.is_some() })))
}

fn named(sent: &Sent) -> Result<NaiveDate, Refusal> {
    parsed(sent.get("date").ok_or(Refusal::Parameter("date", "Name the date, like 2026-11-22."))?)
}

fn parsed(date: &str) -> Result<NaiveDate, Refusal> {
    filter::date(date).ok_or(Refusal::Parameter("date", "Write the date like 2026-11-22."))
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Unclear { field, what } => Refusal::Parameter(field, what),
        Refused::Store(error) => Refusal::database(&error),
    }
}
