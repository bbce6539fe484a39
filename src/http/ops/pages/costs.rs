//! `GET /ops/costs`.

use crate::http::{
    error::Refusal,
    ops::sheet::{Sheet, Visit},
};

/// Shows it.
pub(in crate::http::ops) async fn show(_visit: Visit) -> Result<Sheet, Refusal> {
    Ok(Sheet::new("costs", "Costs", &serde_json::json!({})))
}
