//! `POST` and `DELETE …/{id}/share/`: a link by which others hear an episode.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn share() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
