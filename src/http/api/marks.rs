//! `PUT …/{id}/position/`, `PUT` and `DELETE …/{id}/like/`: what a learner does with an episode.

use poem::{Response, Result, handler};

use crate::http::error::Refusal;

#[handler]
pub(in crate::http) async fn position() -> Result<Response> {
    Err(Refusal::NotFound.into())
}

#[handler]
pub(in crate::http) async fn like() -> Result<Response> {
    Err(Refusal::NotFound.into())
}
