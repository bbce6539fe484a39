//! What the three vendors have in common on the wire: JSON over HTTP with a key, an answer that ends
//! in one of a few ways, errors that a status classes roughly and a code exactly.
//!
//! What would surprise: of an answer's own words nothing is ever quoted but short codes. Vendors
//! repeat keys and prompts in their messages, and a failure's message is stored and shown.

use reqwest::{
    RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;

use super::{Settings, WrittenScript};
use crate::{
    machine::{FailureKind, Remedy},
    podcast::{Billed, Failure},
    provider::http::{self, Answer, Caller},
};

/// The longest answer that is read, in bytes. A script is a few thousand.
const LONGEST: usize = 2 << 20;

/// The longest code that is quoted, in bytes.
const LONGEST_CODE: usize = 64;

/// The longest name of a model or of a request that is kept, in bytes.
const LONGEST_NAME: usize = 128;

/// Most pages of a list of models.
pub(super) const MOST_PAGES: usize = 10;

/// More tokens than this are no count; a wrong one must not eat a budget that sums them up.
const MOST_TOKENS: u64 = 100_000_000;

/// A way to one vendor.
pub(super) struct Line {
    provider: &'static str,
    caller: Caller,
    settings: Settings,
}

impl Line {
    pub(super) fn new(provider: &'static str, mut settings: Settings) -> Result<Self, http::Error> {
        settings.base_url.truncate(settings.base_url.trim_end_matches('/').len());
        Ok(Self { provider, caller: Caller::new(provider, settings.timeout)?, settings })
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.caller.post(&self.address(path)).header(CONTENT_TYPE, "application/json");
        request.body(body.to_string())
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.caller.get(&self.address(path))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.base_url)
    }

    /// Sends a request with the key in `header`, behind `prefix`.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        (header, prefix): (&str, &str),
    ) -> Result<Answer, Failure> {
        let Ok(mut key) = HeaderValue::from_str(&format!("{prefix}{}", self.settings.api_key)) else {
            let message = format!(
                "the key of {0} has signs that no header can carry; check providers.{0}.api_key",
                self.provider
            );
            return Err(Failure::new(FailureKind::KeyRefused, message).at(self.provider));
        };
        key.set_sensitive(true);
        let request = request.header(header, key).header(ACCEPT, "application/json");
        self.caller.send(request, LONGEST).await
    }
}

/// How an answer with a script ended.
pub(super) enum Ending {
    /// The model was done.
    Whole,
    /// The model had more to say.
    CutOff,
    /// The model or a filter declined, for this reason.
    Refused(String),
    /// An ending that nobody knows.
    Unknown(String),
}

/// An answer with its JSON, if it has any.
pub(super) struct Page<'a> {
    provider: &'static str,
    answer: &'a Answer,
    json: Value,
    /// What the answer says of the call.
    pub(super) billed: Billed,
}

impl<'a> Page<'a> {
    /// Reads what any answer may hold. `ids` are the header and the place in the body that name the
    /// request.
    pub(super) fn new(provider: &'static str, answer: &'a Answer, ids: (&str, &str)) -> Self {
        let mut json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        // Errors come wrapped in a list of one from some of Google's addresses.
        if let Value::Array(list) = &mut json
            && let [one] = list.as_mut_slice()
        {
            json = one.take();
        }
        let id = answer.header(ids.0).or_else(|| json.pointer(ids.1)?.as_str());
        let billed = Billed { request_id: id.and_then(name), ..Billed::default() };
        Self { provider, answer, json, billed }
    }

    pub(super) fn at(&self, place: &str) -> &Value {
        self.json.pointer(place).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, place: &str) -> Option<&str> {
        self.at(place).as_str()
    }

    pub(super) fn list(&self, place: &str) -> &[Value] {
        self.at(place).as_array().map_or(&[], Vec::as_slice)
    }

    /// The sum of the counts in these places; a missing one is none.
    pub(super) fn tokens(&self, places: &[&str]) -> u64 {
        places.iter().filter_map(|place| self.at(place).as_u64()).map(|count| count.min(MOST_TOKENS)).sum()
    }

    /// Takes the model that answered from `place`.
    pub(super) fn answered_by(&mut self, place: &str) {
        self.billed.model = self.text(place).and_then(name);
    }

    /// What comes of an answer with status 200 that ended like this.
    ///
    /// # Errors
    /// `content_refused` or `bad_answer` for everything but a whole script.
    pub(super) fn script(self, asked: &str, ending: Ending, text: String) -> Result<WrittenScript, Failure> {
        self.usable()?;
        // What no voice can speak no database keeps, either.
        let text: String = text.chars().filter(|sign| !sign.is_control() || sign.is_whitespace()).collect();
        let (kind, what) = match ending {
            Ending::Whole if !text.trim().is_empty() => {
                let Billed { model, input_tokens, output_tokens, request_id } = self.billed;
                let model = model.unwrap_or_else(|| asked.to_owned());
                return Ok(WrittenScript { text, model, input_tokens, output_tokens, request_id });
            }
            Ending::Whole => (FailureKind::BadAnswer, "answered without any text".to_owned()),
            Ending::CutOff => (FailureKind::BadAnswer, "was cut off before the script was whole".to_owned()),
            Ending::Refused(why) => (FailureKind::ContentRefused, format!("declined to write this ({why})")),
            Ending::Unknown(what) => (FailureKind::BadAnswer, format!("ended in a way we do not know ({what})")),
        };
        Err(self.failure(kind, &what))
    }

    /// True to its type and its form: JSON that is no error.
    ///
    /// # Errors
    /// `bad_answer` otherwise.
    pub(super) fn usable(&self) -> Result<(), Failure> {
        let is_json = self.answer.header("content-type").is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
        let what = if !is_json {
            "answered something that says it is no JSON".to_owned()
        } else if !self.json.is_object() {
            "answered something that is no JSON, or not all of it".to_owned()
        } else if let Some(error) = self.error() {
            format!("answered 200 with an error{}", codes(error))
        } else {
            return Ok(());
        };
        Err(self.failure(FailureKind::BadAnswer, &what))
    }

    /// The error in the body; some servers put it bare.
    pub(super) fn error(&self) -> Option<&Value> {
        let error = self.at("/error");
        if !error.is_null() {
            return Some(error);
        }
        (self.text("/object") == Some("error") || self.text("/type") == Some("error")).then_some(&self.json)
    }

    /// A code of the error, as `code` or wherever `place` says.
    pub(super) fn code(&self, place: &str) -> &str {
        self.error().and_then(|error| error.pointer(place)?.as_str()).unwrap_or_default()
    }

    /// The failure that a status other than 200 is. `known` is what the vendor's codes say of it,
    /// `wait` what its body asks for; what neither says, the status and the headers do.
    pub(super) fn refusal(&self, known: Option<FailureKind>, wait: Option<std::time::Duration>) -> Failure {
        let kind = known.unwrap_or_else(|| self.kind());
        let quoted = self.error().map(codes).unwrap_or_default();
        let mut failure = self.failure(kind, &format!("answered {}{quoted}", self.answer.status));
        failure.message.push_str(&self.mend(kind));
        if kind.remedy() == Remedy::RetryLater {
            failure.retry_after = self.answer.retry_after().or_else(|| Some(wait?.min(http::LONGEST_RETRY_AFTER)));
        }
        failure
    }

    /// What the status says, unless the vendor says itself whether to ask again.
    fn kind(&self) -> FailureKind {
        let kind = match self.answer.status {
            200..=299 => FailureKind::BadAnswer,
            // Without an error of the vendor's, somebody on the way refused it.
            403 if self.error().is_none() => FailureKind::Unavailable,
            401 | 403 => FailureKind::KeyRefused,
            402 => FailureKind::OutOfCredit,
            // Without an error of the vendor's the address is wrong, not the model.
            404 | 410 if self.error().is_some() => FailureKind::ModelRetired,
            408 | 504 => FailureKind::Timeout,
            409 | 425 | 500.. => FailureKind::Unavailable,
            429 => FailureKind::RateLimited,
            _ => FailureKind::BadRequest,
        };
        let is_passing = kind.remedy() == Remedy::RetryLater;
        match self.answer.header("x-should-retry") {
            Some("true") if !is_passing => FailureKind::Unavailable,
            Some("false") if is_passing => FailureKind::BadAnswer,
            _ => kind,
        }
    }

    fn mend(&self, kind: FailureKind) -> String {
        let provider = self.provider;
        match (kind, self.answer.status) {
            (FailureKind::KeyRefused, _) => format!("; check providers.{provider}.api_key and what it may do"),
            (FailureKind::OutOfCredit, _) => "; add credit or raise the limit at the provider".to_owned(),
            (FailureKind::ModelRetired, _) => {
                format!("; name another model in models.toml or providers.{provider}.model")
            }
            (_, 300..=399 | 404 | 405 | 410) => format!("; check providers.{provider}.base_url"),
            _ => String::new(),
        }
    }

    pub(super) fn failure(&self, kind: FailureKind, what: &str) -> Failure {
        let request = self.billed.request_id.as_ref().map(|id| format!(", request {id}")).unwrap_or_default();
        let message = format!("{} {what}{request}", self.provider);
        Failure::new(kind, message).at(self.provider).with_billed(self.billed.clone())
    }
}

/// The codes of an error in parentheses, those that it has.
fn codes(error: &Value) -> String {
    let places = ["type", "code", "status", "param"];
    let found: Vec<_> = places.iter().filter_map(|place| error.get(place)?.as_str()).map(code).collect();
    if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) }
}

/// A code as it may be quoted: letters, `_` and `.`, so that no key passes for one.
pub(super) fn code(text: &str) -> String {
    let is_code = !text.is_empty()
        && text.len() <= LONGEST_CODE
        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.');
    if is_code { text.to_owned() } else { "a code that cannot be shown".to_owned() }
}

/// A name of a model or a request as it may be kept.
fn name(text: &str) -> Option<String> {
    let is_name = !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/@".contains(&byte));
    is_name.then(|| text.to_owned())
}

/// The joined texts of the parts of an answer that are meant to be read.
pub(super) fn joined(parts: &[Value], is_meant: impl Fn(&Value) -> bool) -> String {
    parts.iter().filter(|part| is_meant(part)).filter_map(|part| part.get("text")?.as_str()).collect()
}

/// A page's address with a query; the values may hold anything.
pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs = query.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A part of an address in which nothing has a meaning of its own.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
