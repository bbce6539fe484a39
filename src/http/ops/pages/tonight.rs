//! `GET /ops`: the night at a glance.

use crate::{
    http::{
        error::Refusal,
        ops::sheet::{Sheet, Visit},
    },
    store::night,
};

/// Shows the newest night.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let pool = visit.app.desk.store.desk();
    let date = night::newest_date(pool).await.map_err(|error| Refusal::database(&error))?;
    let date = date.unwrap_or_else(|| visit.app.today(visit.app.clock.now()));
    let night = night::status(pool, date).await.map_err(|error| Refusal::database(&error))?;
    Ok(Sheet::new("tonight", "Tonight", &night))
}
