//! `GET /ops/alerts`: what is wrong, whom it was told to, what was wrong lately. Taking note.

use crate::{
    http::{
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            sheet::{Sheet, Visit},
        },
    },
    ops::{alerts, filter},
};

/// Shows them; `behind` is where the list of those that are over goes on.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let behind = match visit.asked("behind") {
        None => None,
        Some(text) => Some(
            alerts::read_behind(text)
                .filter(|(at, _)| filter::date(&at.date_naive().to_string()).is_some())
                .ok_or(Refusal::Parameter("behind", "This is no place in the list: begin at its start."))?,
        ),
    };
    let shown = alerts::list(&visit.app.desk, behind).await.map_err(|error| Refusal::database(&error))?;
    let mut sheet = Sheet::new("alerts", "Alerts", &shown);
    sheet.data["is_first"] = behind.is_none().into();
    Ok(sheet)
}

/// `POST /ops/alerts/{id}/acknowledge`.
pub(in crate::http::ops) async fn acknowledge(visit: Visit, _sent: Sent) -> Result<Done, Refusal> {
    let id = visit.id()?;
    let is_there = alerts::acknowledge(&visit.app.desk, &visit.actor, id).await;
    if !is_there.map_err(|error| Refusal::database(&error))? {
        return Err(Refusal::NotFound);
    }
    let said = format!("You took note of alert {id}. Its end will be told.");
    Ok(Done::new("/ops/alerts", said, serde_json::json!({ "acknowledged": [id] })))
}
