//! What the three vendors of speech have in common on the wire.
//!
//! What would surprise: a vendor's own words are never quoted. They repeat what was sent, the text
//! and with AWS even the signed headers; the name of an error and the status are all that is told.

use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    machine::{FailureKind, Remedy},
    podcast::{Billed, Failure},
    provider::http::Answer,
};

/// The most audio of one answer, in bytes: four times what ten minutes at 48 kbit/s are.
pub(super) const MOST_AUDIO: usize = 16 << 20;

/// The longest list of voices that is read, in bytes.
pub(super) const MOST_VOICES: usize = 8 << 20;

/// A longer body tells of no error.
const MOST_TROUBLE: usize = 64 << 10;

/// The longest name of an error or a request that is taken over, in characters.
const LONGEST_NAME: usize = 128;

/// Where the vendors name the request.
const REQUEST_IDS: [&str; 2] = ["x-amzn-requestid", "x-requestid"];

/// The text without the characters that XML 1.0 does not allow, which no vendor can say anyway.
pub(super) fn sayable(text: &str) -> String {
    text.chars()
        .filter(|character| !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'))
        .collect()
}

/// The number of characters.
pub(super) fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// The locale that a voice's name begins with: `en-US` of `en-US-JennyNeural`, `sr-Latn-RS` of
/// `sr-Latn-RS-NicholasNeural`.
pub(super) fn locale(voice: &str) -> Option<&str> {
    let is_letters = |part: &str, lengths: &[usize]| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let is_region =
        |part: &str| is_letters(part, &[2]) || part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut end = 0;
    for (place, part) in voice.split('-').enumerate().take(3) {
        end += part.len() + usize::from(place > 0);
        match place {
            0 if !is_letters(part, &[2, 3]) => return None,
            1 | 2 if is_region(part) => return voice.get(..end),
            1 if !is_letters(part, &[4]) => return None,
            _ => {}
        }
    }
    None
}

/// A key as a header that is not shown in logs of the protocol.
pub(super) fn secret(provider: &'static str, value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Failure::new(FailureKind::KeyRefused, format!("the key of {provider} has characters that no header may have"))
            .at(provider)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The vendor's name of the request, if it is one that can be shown.
pub(super) fn request_id(answer: &Answer, header: &str) -> Option<String> {
    name(answer.header(header)?)
}

/// A name of letters, digits and the usual signs between them; nothing else is taken over.
pub(super) fn name(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=/".contains(&byte);
    let fits = (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain);
    fits.then(|| text.to_owned())
}

/// True for an answer that calls itself audio, or does not say what it is.
pub(super) fn is_audio(answer: &Answer) -> bool {
    let media = answer.header("content-type").map(str::to_ascii_lowercase);
    media.is_none_or(|media| media.starts_with("audio/") || media.starts_with("application/octet-stream"))
}

/// The body as JSON, if it is a short one.
pub(super) fn trouble(answer: &Answer) -> Option<Value> {
    Some(&answer.body).filter(|body| body.len() <= MOST_TROUBLE).and_then(|body| serde_json::from_slice(body).ok())
}

/// What a status means at every vendor, where nothing more is known.
pub(super) const fn kind(status: u16) -> FailureKind {
    match status {
        401 | 403 => FailureKind::KeyRefused,
        402 => FailureKind::OutOfCredit,
        408 => FailureKind::Timeout,
        429 => FailureKind::RateLimited,
        400..500 => FailureKind::BadRequest,
        500.. => FailureKind::Unavailable,
        _ => FailureKind::BadAnswer,
    }
}

/// The failure that an answer means. `name` is the vendor's for it.
pub(super) fn failure(provider: &'static str, answer: &Answer, kind: FailureKind, name: Option<&str>) -> Failure {
    let what = match kind {
        FailureKind::BadAnswer => "answered with something that is no speech",
        _ => "did not speak",
    };
    let name = name.map(|name| format!(", {name}")).unwrap_or_default();
    let mut failure = Failure::new(kind, format!("{provider} {what}: status {}{name}", answer.status)).at(provider);
    if kind.remedy() == Remedy::RetryLater {
        failure.retry_after = answer.retry_after();
    }
    let request_id = REQUEST_IDS.iter().find_map(|header| request_id(answer, header));
    failure.with_billed(Billed { request_id, ..Billed::default() })
}

/// A list of voices, or the failure that stands in its place.
pub(super) fn list<'a, T: Deserialize<'a>>(provider: &'static str, answer: &'a Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        let message = format!("{provider} answered with something that is no list of voices: status {}", answer.status);
        Failure::new(FailureKind::BadAnswer, message).at(provider)
    })
}
