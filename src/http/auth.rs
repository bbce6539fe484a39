//! Who is asking: the tokens of the academy (Django REST Framework), checked as it checks them.
//!
//! The header is `Authorization: Token <40 hex>`, the scheme in any case. The words of the refusals
//! are the academy's, because its client shows them. A header of another scheme is as good as none.

use std::sync::Arc;

use poem::{FromRequest, Request, RequestBody, http::header};

use super::{App, error::Refusal};
use crate::store::academy;

/// Length of a token, in hexadecimal digits.
const TOKEN_DIGITS: usize = 40;

/// The learner who asks, proved by a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learner {
    /// The learner in the academy.
    pub user_id: i64,
}

/// The token in a header, or the academy's words about it.
pub(super) fn token(header: Option<&[u8]>) -> Result<&str, &'static str> {
    let mut words = header.unwrap_or_default().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_ours = words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"token"));
    if !is_ours {
        return Err("Authentication credentials were not provided.");
    }
    let Some(token) = words.next() else {
        return Err("Invalid token header. No credentials provided.");
    };
    if words.next().is_some() {
        return Err("Invalid token header. Token string should not contain spaces.");
    }
    match std::str::from_utf8(token) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err("Invalid token header. Token string should not contain invalid characters."),
    }
}

impl<'a> FromRequest<'a> for Learner {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let app = request.data::<Arc<App>>().ok_or(Refusal::Defect)?;
        let header = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let token = token(header).map_err(Refusal::Unauthorized)?;
        let is_possible = token.len() == TOKEN_DIGITS && token.bytes().all(|digit| digit.is_ascii_hexdigit());
        let owner = if is_possible {
            academy::learner_by_token(&app.db, token).await.map_err(|error| Refusal::database(&error))?
        } else {
            None
        };
        match owner {
            None => Err(Refusal::Unauthorized("Invalid token.").into()),
            Some(owner) if !owner.is_active => Err(Refusal::Unauthorized("User inactive or deleted.").into()),
            Some(owner) => Ok(Self { user_id: owner.user_id }),
        }
    }
}
