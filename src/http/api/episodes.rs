//! `GET /api/dailycast/episodes/` and `…/{id}/`: a learner's own episodes.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn list() -> Result<Response> {
    Err(Refusal::NotFound.into())
}

#[handler]
pub(in crate::http) async fn one() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
