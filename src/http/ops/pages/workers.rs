//! `GET /ops/workers`: who works, what they hold, who stopped and why.

use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    ops::workers,
};

/// Shows them.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let workers = workers::list(visit.app.desk.store.desk()).await.map_err(|error| Refusal::database(&error))?;
    Ok(Sheet::new("workers", "Workers", &workers))
}
