//! `GET …/{id}/transcript.vtt` and `.json`: what is said when.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn vtt() -> Result<Response> {
    Err(Refusal::NotFound.into())
}

#[handler]
pub(in crate::http) async fn json() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
