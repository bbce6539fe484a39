//! `GET` and `DELETE /api/dailycast/feed/`, `POST …/feed/rotate/`: the address of a learner's private feed.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn feed() -> Result<Response> {
    Err(Refusal::NotFound.into())
}

#[handler]
pub(in crate::http) async fn rotate() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
