//! What is sent along with a request: a JSON object, read and refused as the academy's framework
//! (Django REST Framework) does, in its words.

use bytes::Bytes;
use poem::{Body, Request, error::ReadBodyError, http::header};
use serde_json::{Map, Value};

use super::error::Refusal;

/// The largest body, in bytes; what is sent here are a few numbers.
const LARGEST: usize = 16 << 10;

/// The longest name of a media type that is repeated, in characters.
const LONGEST_TYPE: usize = 100;

/// Reads a JSON object; a body without a byte is an empty one, whatever its type.
///
/// # Errors
/// [`Refusal::MediaType`], [`Refusal::NoJson`], [`Refusal::TooLarge`]; [`Refusal::Parameter`] for JSON that
/// is no object.
pub(super) async fn object(request: &Request, body: Body) -> Result<Map<String, Value>, Refusal> {
    let bytes = bytes(body, LARGEST).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let kind = kind.unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::MediaType(kind.chars().take(LONGEST_TYPE).collect()));
    }
    let wrong = |what| Err(Refusal::Parameter("non_field_errors", what));
    match serde_json::from_slice(&bytes).map_err(|error| Refusal::NoJson(error.to_string()))? {
        Value::Object(fields) => Ok(fields),
        Value::Null => wrong("No data provided"),
        Value::Bool(_) => wrong("Invalid data. Expected a dictionary, but got bool."),
        Value::Number(_) => wrong("Invalid data. Expected a dictionary, but got a number."),
        Value::String(_) => wrong("Invalid data. Expected a dictionary, but got str."),
        Value::Array(_) => wrong("Invalid data. Expected a dictionary, but got list."),
    }
}

/// All of a body of at most `most` bytes, whether or not its length was announced.
///
/// # Errors
/// [`Refusal::TooLarge`]; [`Refusal::Parameter`] for one that breaks off.
pub(super) async fn bytes(body: Body, most: usize) -> Result<Bytes, Refusal> {
    body.into_bytes_limit(most).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => Refusal::TooLarge,
        _ => Refusal::Parameter("body", "The body cannot be read."),
    })
}

/// A number that has to be there.
///
/// # Errors
/// [`Refusal::Parameter`] with the name of the field; also for a number in a text, and for true and
/// false, which are numbers elsewhere.
pub(super) fn number(fields: &Map<String, Value>, name: &'static str) -> Result<f64, Refusal> {
    let wrong = |what| Refusal::Parameter(name, what);
    match fields.get(name) {
        None => Err(wrong("This field is required.")),
        Some(Value::Null) => Err(wrong("This field may not be null.")),
        Some(value) => value.as_f64().filter(|n| n.is_finite()).ok_or(wrong("A valid number is required.")),
    }
}
