//! "Only if it changed" (RFC 9110 §13).

use chrono::{DateTime, Utc};
use poem::{Request, http::header};
use sha2::{Digest as _, Sha256};

/// The tag of a text. Weak, because it stands for the plain and the compressed form.
pub(super) fn weak_tag(text: impl AsRef<[u8]>) -> String {
    weak(Sha256::digest(text))
}

/// The same from a digest that was made on the way.
pub(super) fn weak(digest: impl AsRef<[u8]>) -> String {
    format!("W/\"{}\"", hex::encode(&digest.as_ref()[..16]))
}

/// True when the caller has some state of the answer, be it this one or not.
pub(super) fn is_conditional(request: &Request) -> bool {
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].iter().any(|name| request.headers().contains_key(name))
}

/// True when the caller already has the answer of this tag. Weak and strong tags are compared
/// alike, as the standard says for reading.
pub(super) fn is_known(request: &Request, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(tag);
    request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == wanted)
}

/// True when the caller names the very time of the last change, to the second: what was taken away
/// may set it back. Whoever brings tags is answered by those.
pub(super) fn is_unchanged(request: &Request, changed_at: DateTime<Utc>) -> bool {
    let since = request.header(header::IF_MODIFIED_SINCE).and_then(|date| httpdate::parse_http_date(date).ok());
    let since = since.map(|since| DateTime::<Utc>::from(since).timestamp());
    !request.headers().contains_key(header::IF_NONE_MATCH) && since == Some(changed_at.timestamp())
}

/// True when a range may be served: there is no `If-Range`, or it names this strong tag.
pub(super) fn range_holds(request: &Request, tag: &str) -> bool {
    request.header(header::IF_RANGE).is_none_or(|known| known == tag)
}
