//! The six vendors, what they are asked, and which request belongs to whom. One port stands for
//! all of them, so where two vendors share a path the headers tell them apart.

use poem::http::{HeaderMap, Method};
use serde::Serialize;

/// A simulated vendor. The names are those of fault files, of the usage and of our own ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// OpenAI: chat completions and responses.
    OpenAi,
    /// Google Gemini.
    Gemini,
    /// Anthropic.
    Anthropic,
    /// Amazon Polly.
    Polly,
    /// Google Cloud Text-to-Speech.
    Google,
    /// Azure Speech.
    Azure,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::OpenAi, Self::Gemini, Self::Anthropic, Self::Polly, Self::Google, Self::Azure];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
            Self::Polly => "polly",
            Self::Google => "google",
            Self::Azure => "azure",
        }
    }

    /// True for those that write.
    pub const fn writes(self) -> bool {
        matches!(self, Self::OpenAi | Self::Gemini | Self::Anthropic)
    }
}

/// What a vendor is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// To write a text.
    Script,
    /// To speak one.
    Speech,
    /// Which models or voices there are.
    List,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Script, Self::Speech, Self::List];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Speech => "speech",
            Self::List => "list",
        }
    }
}

/// One request, as far as a vendor looks at it.
pub(super) struct Ask<'r> {
    pub(super) method: &'r Method,
    /// As it came, still encoded.
    pub(super) path: &'r str,
    /// As it came, without the question mark.
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r [u8],
}

impl<'r> Ask<'r> {
    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&'r str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer …`.
    pub(super) fn bearer(&self) -> Option<&'r str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
    }

    /// The media type of the body, without parameters.
    pub(super) fn content_type(&self) -> &'r str {
        self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    /// A parameter of the query. Its value is plain in all that we take.
    pub(super) fn parameter(&self, name: &str) -> Option<&'r str> {
        self.query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    }
}

/// Whom a request is for and what it asks; `None` when no vendor has that address.
pub(super) fn find(ask: &Ask<'_>) -> Option<(Vendor, Operation)> {
    let has = |name: &str| ask.headers.contains_key(name);
    let is_signed = ask.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256"));
    let (path, post) = (ask.path, *ask.method == Method::POST);
    if !post && *ask.method != Method::GET {
        return None;
    }
    let inner = path.strip_prefix("/v1beta/").map(|inner| (inner, true));
    let (inner, is_beta) = inner.or_else(|| path.strip_prefix("/v1/").map(|inner| (inner, false))).unwrap_or_default();
    Some(match (inner, post) {
        ("chat/completions" | "responses", true) if !is_beta => (Vendor::OpenAi, Operation::Script),
        ("messages", true) if !is_beta => (Vendor::Anthropic, Operation::Script),
        ("speech", true) if !is_beta => (Vendor::Polly, Operation::Speech),
        ("text:synthesize", true) => (Vendor::Google, Operation::Speech),
        ("voices", false) => (if is_signed { Vendor::Polly } else { Vendor::Google }, Operation::List),
        (name, true) if name.starts_with("models/") && name.contains(':') => (Vendor::Gemini, Operation::Script),
        (name, false) if name == "models" || name.starts_with("models/") => {
            let is_gemini = is_beta || has("x-goog-api-key") || ask.parameter("key").is_some();
            let vendor = if is_gemini {
                Vendor::Gemini
            } else if has("anthropic-version") || has("x-api-key") {
                Vendor::Anthropic
            } else {
                Vendor::OpenAi
            };
            (vendor, Operation::List)
        }
        _ => match (path, post) {
            ("/cognitiveservices/v1", true) => (Vendor::Azure, Operation::Speech),
            ("/cognitiveservices/voices/list", false) => (Vendor::Azure, Operation::List),
            _ => return None,
        },
    })
}
