//! What is not granted, as JSON that the academy's client understands: it shows `detail`.

use chrono::{DateTime, Utc};
use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{StatusCode, header},
};
use serde_json::json;

use crate::ops::operations::Unmeant;

/// How long a client should wait for what is away, in seconds.
const RETRY_AFTER: &str = "5";

/// Why a request is not granted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The caller is not known. The words are the academy's own.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The caller is known, or brings a signature, and it does not do.
    #[error("{1}")]
    Forbidden(&'static str, &'static str),
    /// There is no such thing for this caller.
    #[error("Not found.")]
    NotFound,
    /// There will be audio, or there was; now there is none.
    #[error("There is no audio for this episode.")]
    NoAudio,
    /// It was there, and was taken back for good.
    #[error("{0}")]
    Gone(&'static str),
    /// The body is of a kind that is not read here; its name.
    #[error("Unsupported media type \"{0}\" in request.")]
    MediaType(String),
    /// The body is no JSON; where that shows.
    #[error("JSON parse error - {0}")]
    NoJson(String),
    /// The address cannot do that; these methods it can.
    #[error("Method not allowed.")]
    Method(&'static str),
    /// A parameter is wrong.
    #[error("{1}")]
    Parameter(&'static str, &'static str),
    /// A word of an operator cannot be meant: its name, what would do.
    #[error("{0}: {1}")]
    Unmeant(String, String),
    /// The key was used for something else.
    #[error("This Idempotency-Key has begun another operation.")]
    OtherContent,
    /// The caller asks too often, and may ask again after so many seconds.
    #[error("{0}")]
    TooMany(&'static str, u64),
    /// An episode was asked for not long ago; when there may be another one, and in how many seconds.
    #[error("You can have one episode made in 24 hours. Come back a little later for the next one.")]
    TooSoon(DateTime<Utc>, u64),
    /// The body is too large.
    #[error("The request is too large.")]
    TooLarge,
    /// Something we need is away; it was logged.
    #[error("{0}")]
    Away(&'static str),
    /// A defect of ours; it was logged.
    #[error("An internal error occurred. It was recorded.")]
    Defect,
}

impl Refusal {
    /// The database did not answer, or not in a way we can use.
    pub fn database(error: &dyn std::error::Error) -> Self {
        tracing::warn!(error = crate::store::chain(error), "a request could not be answered from the database");
        Self::Away("The service is not available for a moment.")
    }

    /// A neighbour did not do its part.
    pub fn neighbour(failure: &crate::podcast::Failure, words: &'static str) -> Self {
        tracing::warn!(
            failure.kind = failure.kind.as_str(),
            error = failure.message,
            "a request could not be answered from the spool or the object store"
        );
        Self::Away(words)
    }

    /// The parameter or field that cannot be meant.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Parameter(field, _) => Some(field),
            Self::Unmeant(field, _) => Some(field),
            _ => None,
        }
    }

    /// The word for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "not_authenticated",
            Self::Forbidden(code, _) => code,
            Self::NotFound => "not_found",
            Self::NoAudio => "no_audio",
            Self::Gone(_) => "gone",
            Self::MediaType(_) => "unsupported_media_type",
            Self::NoJson(_) => "parse_error",
            Self::Method(_) => "method_not_allowed",
            Self::Parameter(..) | Self::Unmeant(..) => "invalid",
            Self::OtherContent => "idempotency_key_reused",
            Self::TooMany(..) => "too_many",
            Self::TooSoon(..) => "too_soon",
            Self::TooLarge => "too_large",
            Self::Away(_) => "unavailable",
            Self::Defect => "internal",
        }
    }

    /// Any error of the server's framework as one of ours.
    pub fn from_framework(error: &poem::Error) -> Self {
        // An address that is no text is none of ours.
        if error.is::<poem::error::ParsePathError>() {
            return Self::NotFound;
        }
        match error.status() {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            status if status.is_client_error() => Self::Parameter("request", "The request cannot be read."),
            _ => Self::Defect,
        }
    }
}

impl ResponseError for Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(..) => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoAudio => StatusCode::NOT_FOUND,
            Self::Gone(_) => StatusCode::GONE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoJson(_) | Self::Parameter(..) | Self::Unmeant(..) => StatusCode::BAD_REQUEST,
            Self::OtherContent => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(..) | Self::TooSoon(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn as_response(&self) -> Response {
        let detail = self.to_string();
        let body = match self {
            // Word for word the academy's body: nothing but `detail`.
            Self::Unauthorized(_) => json!({ "detail": detail }),
            Self::Parameter(field, words) => {
                json!({ "detail": detail, "code": self.code(), "errors": { *field: [words] } })
            }
            Self::Unmeant(field, words) => {
                json!({ "detail": detail, "code": self.code(), "errors": { field: [words] } })
            }
            Self::TooSoon(next, seconds) => json!({
                "detail": detail,
                "code": self.code(),
                "next_available_at": next,
                "seconds_until_available": seconds,
            }),
            _ => json!({ "detail": detail, "code": self.code() }),
        };
        let response = Response::builder()
            .status(self.status())
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-store");
        let response = match self {
            Self::Unauthorized(_) => response.header(header::WWW_AUTHENTICATE, "Token"),
            Self::Method(allowed) => response.header(header::ALLOW, *allowed),
            Self::Away(_) => response.header(header::RETRY_AFTER, RETRY_AFTER),
            Self::TooMany(_, seconds) | Self::TooSoon(_, seconds) => {
                response.header(header::RETRY_AFTER, seconds.to_string())
            }
            _ => response,
        };
        response.body(body.to_string())
    }
}

impl From<Unmeant> for Refusal {
    fn from(unmeant: Unmeant) -> Self {
        Self::Unmeant(unmeant.field, unmeant.what)
    }
}

impl From<crate::ops::filter::Unclear> for Refusal {
    fn from(unclear: crate::ops::filter::Unclear) -> Self {
        Self::Unmeant(unclear.word.to_owned(), unclear.what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.as_response()
    }
}
