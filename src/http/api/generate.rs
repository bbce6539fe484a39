//! `POST /api/dailycast/generate/`: an episode at once.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn generate() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
