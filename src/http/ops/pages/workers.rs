//! `GET /ops/workers`.

use crate::http::{
    error::Refusal,
    ops::sheet::{Sheet, Visit},
};

/// Shows it.
pub(in crate::http::ops) async fn show(_visit: Visit) -> Result<Sheet, Refusal> {
    Ok(Sheet::new("workers", "Workers", &serde_json::json!({})))
}
