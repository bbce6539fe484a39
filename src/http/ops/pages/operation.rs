//! `GET /ops/operations/{id}`: how far an operation is; and `POST …/stop`.

use serde_json::json;

use crate::{
    http::{
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            sheet::{Sheet, Visit},
        },
    },
    ops::operations::Shown,
    store::operations,
};

/// Shows it.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let found = operations::find(visit.app.desk.store.desk(), visit.id()?).await;
    let operation = found.map_err(|error| Refusal::database(&error))?.ok_or(Refusal::NotFound)?;
    Ok(Sheet::new("operation", format!("Operation {}", operation.id), &Shown::from(operation)))
}

/// Stops it. What was done stays done.
pub(in crate::http::ops) async fn stop(visit: Visit, _sent: Sent) -> Result<Done, Refusal> {
    let (id, store) = (visit.id()?, &visit.app.desk.store);
    let is_stopped = operations::stop(store.pool(), id, &visit.actor.name).await;
    let is_stopped = is_stopped.map_err(|error| Refusal::database(&error))?;
    let found = operations::find(store.desk(), id).await.map_err(|error| Refusal::database(&error))?;
    let operation = found.ok_or(Refusal::NotFound)?;
    let said = match is_stopped {
        true => format!("It is stopped. {} podcasts were done before, and stay so.", operation.done),
        false => "It was over already.".to_owned(),
    };
    let data = serde_json::to_value(Shown::from(operation)).unwrap_or_else(|_| json!({}));
    Ok(Done::new(format!("/ops/operations/{id}"), said, data))
}
