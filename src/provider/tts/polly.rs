//! Amazon Polly: `SynthesizeSpeech`, signed with AWS's Signature Version 4.
//!
//! What would surprise: Polly throttles with status 400, so the name of an error is looked at
//! before its status. And what it bills it says in a header, whatever the body then is.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::{RequestBuilder, Url, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OfferedVoice, SpeakRequest, Speaker, Spoken, TextLimit, wire};
use crate::{
    audio::SAMPLE_RATE,
    clock::Clock,
    machine::FailureKind,
    podcast::Failure,
    provider::http::{self, Answer, Caller},
};

/// The name in `tts_provider`.
pub const NAME: &str = "polly";

/// Billed characters of one request.
const LIMIT: usize = 3000;

/// What the body is.
const JSON: &str = "application/json";

/// The most pages of the list of voices; the whole list fits one.
const MOST_PAGES: usize = 20;

/// How Polly is reached.
#[derive(Clone)]
pub struct Settings {
    /// Region of AWS.
    pub region: String,
    /// Scheme and host, and a path before the service's own, instead of AWS's address.
    pub endpoint_url: Option<String>,
    /// Id of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// Token of temporary credentials.
    pub session_token: Option<String>,
    /// The longest time of one call.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// Speaks with Polly.
pub struct Polly {
    caller: Caller,
    clock: Arc<dyn Clock>,
    base: String,
    region: String,
    credentials: Credentials,
}

impl Polly {
    /// A speaker; nothing is asked yet. The clock dates the signatures, which AWS accepts for some
    /// minutes.
    ///
    /// # Errors
    /// [`http::Error`] when no client can be made.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, http::Error> {
        let Settings { region, endpoint_url, access_key_id, secret_access_key, session_token, timeout } = settings;
        // AWS in China is a world of its own.
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Ok(Self {
            caller: Caller::new(NAME, timeout)?,
            clock,
            base: endpoint_url.unwrap_or_else(|| format!("https://polly.{region}.{domain}")),
            region,
            credentials: Credentials::new(access_key_id, secret_access_key, session_token, None, "dailycast"),
        })
    }

    /// A signed request: a `POST` with a body, else a `GET`.
    fn request(&self, address: Url, body: Option<String>) -> Result<RequestBuilder, Failure> {
        let (method, headers) = match &body {
            Some(_) => ("POST", Some((CONTENT_TYPE.as_str(), JSON))),
            None => ("GET", None),
        };
        let signed = self.sign(method, &address, headers, body.as_deref().unwrap_or_default())?;
        let request = match body {
            Some(body) => self.caller.post(address.as_str()).header(CONTENT_TYPE, JSON).body(body),
            None => self.caller.get(address.as_str()),
        };
        signed
            .into_iter()
            .try_fold(request, |request, (name, value)| Ok(request.header(name, wire::secret(NAME, &value)?)))
    }

    /// The headers that sign a request.
    fn sign(
        &self,
        method: &str,
        address: &Url,
        headers: Option<(&str, &str)>,
        body: &str,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(NAME)
            .time(self.clock.now().into())
            .settings(SigningSettings::default())
            .build()
            .map_err(unsigned)?;
        let request =
            SignableRequest::new(method, address.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .map_err(unsigned)?;
        let (signed, _) = sign(request, &parameters.into()).map_err(unsigned)?.into_parts();
        let (headers, _) = signed.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
    }

    fn address(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("{}{path}", self.base)).map_err(unsigned)
    }
}

/// The cause may hold what was to be signed, so it is not told.
fn unsigned(_: impl std::error::Error) -> Failure {
    let message = "the request to polly cannot be signed; see region, endpoint_url and keys of [providers.polly]";
    Failure::new(FailureKind::BadRequest, message).at(NAME)
}

#[async_trait]
impl Speaker for Polly {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limit(&self) -> TextLimit {
        TextLimit::Characters(LIMIT)
    }

    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure> {
        let text = wire::sayable(&request.text);
        let body = json!({
            "Text": text,
            "OutputFormat": "mp3",
            "VoiceId": request.voice,
            "Engine": request.engine,
            "SampleRate": SAMPLE_RATE.to_string(),
        });
        let request = self.request(self.address("/v1/speech")?, Some(body.to_string()))?;
        let answer = self.caller.send(request, wire::MOST_AUDIO).await?;
        read(&answer, wire::characters(&text))
    }

    async fn voices(&self) -> Result<Vec<OfferedVoice>, Failure> {
        let mut voices = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut address = self.address("/v1/voices")?;
            if let Some(token) = &next {
                address.query_pairs_mut().append_pair("NextToken", token);
            }
            let answer = self.caller.send(self.request(address, None)?, wire::MOST_VOICES).await?;
            let (page, token) = read_voices(&answer)?;
            voices.extend(page);
            next = token;
            if next.is_none() {
                return Ok(voices);
            }
        }
        let message = format!("polly's list of voices has more than {MOST_PAGES} pages");
        Err(Failure::new(FailureKind::BadAnswer, message).at(NAME))
    }
}

/// What Polly's answer to a text of so many characters means.
///
/// # Errors
/// A [`Failure`] whose kind follows the name of the error, or else the status.
pub fn read(answer: &Answer, characters: u64) -> Result<Spoken, Failure> {
    let is_good = answer.status == 200;
    let billed = answer.header("x-amzn-requestcharacters").and_then(|count| count.trim().parse::<u32>().ok());
    // Billed is billed: whether the body is speech shows when it is measured.
    if !is_good || billed.is_none() {
        let name = error_name(answer);
        if !is_good || name.is_some() || !wire::is_audio(answer) {
            let kind = name.as_deref().and_then(|name| kind(name, answer)).unwrap_or_else(|| wire::kind(answer.status));
            return Err(wire::failure(NAME, answer, kind, name.as_deref()));
        }
    }
    Ok(Spoken {
        mp3: answer.body.clone(),
        billed_characters: billed.map_or(characters, u64::from),
        request_id: wire::request_id(answer, "x-amzn-requestid"),
    })
}

/// A page of voices and the token of the next.
///
/// # Errors
/// As [`read`]; `bad_answer` when it is no such list.
pub fn read_voices(answer: &Answer) -> Result<(Vec<OfferedVoice>, Option<String>), Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        voices: Vec<Voice>,
        next_token: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Voice {
        id: String,
        #[serde(default)]
        supported_engines: Vec<String>,
        language_code: Option<String>,
        #[serde(default)]
        additional_language_codes: Vec<String>,
        gender: Option<String>,
    }
    if answer.status != 200 {
        let name = error_name(answer);
        let kind = name.as_deref().and_then(|name| kind(name, answer)).unwrap_or_else(|| wire::kind(answer.status));
        return Err(wire::failure(NAME, answer, kind, name.as_deref()));
    }
    let page: Page = wire::list(NAME, answer)?;
    let voices = page.voices.into_iter().map(|voice| OfferedVoice {
        voice: voice.id,
        engines: voice.supported_engines,
        locales: voice.language_code.into_iter().chain(voice.additional_language_codes).collect(),
        gender: voice.gender.map(|gender| gender.to_ascii_lowercase()),
    });
    Ok((voices.collect(), page.next_token.filter(|token| !token.is_empty())))
}

/// The name of the error, without the address behind it and the namespace before it.
fn error_name(answer: &Answer) -> Option<String> {
    let bare = |text: &str| {
        let text = text.split(':').next().unwrap_or_default();
        wire::name(text.rsplit('#').next().unwrap_or_default())
    };
    answer.header("x-amzn-errortype").and_then(bare).or_else(|| {
        let body = wire::trouble(answer)?;
        let field = |name| body.get(name).and_then(Value::as_str).and_then(bare);
        field("__type").or_else(|| field("code"))
    })
}

/// What an error with this name means; `None` leaves it to the status.
fn kind(name: &str, answer: &Answer) -> Option<FailureKind> {
    Some(match name.strip_suffix("Exception").unwrap_or(name) {
        "Throttling" | "Throttled" | "RequestThrottled" | "TooManyRequests" | "RequestLimitExceeded" | "SlowDown" => {
            FailureKind::RateLimited
        }
        "EngineNotSupported" | "LanguageNotSupported" => FailureKind::ModelRetired,
        "Validation" if blames_voice(answer) => FailureKind::ModelRetired,
        "AccessDenied"
        | "AuthFailure"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient" => FailureKind::KeyRefused,
        "OptInRequired" | "SubscriptionRequired" => FailureKind::OutOfCredit,
        "ServiceFailure" | "InternalFailure" | "InternalServer" | "InternalServerError" | "ServiceUnavailable" => {
            FailureKind::Unavailable
        }
        "RequestTimeout" => FailureKind::Timeout,
        _ => return None,
    })
}

/// True when what is invalid is the voice or its engine: Polly has no error of its own for a voice
/// that it does not know.
fn blames_voice(answer: &Answer) -> bool {
    let body = wire::trouble(answer);
    let message = body.as_ref().and_then(|body| body.get("message").or_else(|| body.get("Message")));
    let message = message.and_then(Value::as_str).unwrap_or_default();
    ["at 'voiceId' failed", "at 'engine' failed"].iter().any(|blame| message.contains(blame))
}
