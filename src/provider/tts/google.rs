//! Google Cloud Text-to-Speech: `text:synthesize`, with an API key or a service account.
//!
//! What would surprise: nobody is asked for a token. A service account signs its own (AIP-4111),
//! which is good for an hour; it is kept and made anew before it ends. The answer is JSON with the
//! MP3 in it, and says nothing of what it bills.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OfferedVoice, SpeakRequest, Speaker, Spoken, TextLimit, wire};
use crate::{
    audio::SAMPLE_RATE,
    clock::Clock,
    machine::FailureKind,
    podcast::Failure,
    provider::{
        http::{self, Answer, Caller, LONGEST_RETRY_AFTER},
        sign::{self, Algorithm, SigningKey},
    },
};

/// The name in `tts_provider`.
pub const NAME: &str = "google";

/// Bytes of text of one request. Google counts to 5000, with whatever it adds.
const LIMIT: usize = 4800;

/// The most bytes of an answer: the most audio, in base64.
const MOST_ANSWER: usize = wire::MOST_AUDIO / 3 * 4 + 1024;

/// Whom a token is for, whatever the address is.
const AUDIENCE: &str = "https://texttospeech.googleapis.com/";

/// How long a token is good: the longest that Google takes.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(1);

/// A token that ends sooner than this is made anew.
const TOKEN_REST: TimeDelta = TimeDelta::minutes(5);

/// Who we are to Google.
pub enum Identity {
    /// A key of the API.
    ApiKey(String),
    /// A service account.
    Account(ServiceAccount),
}

/// How Google is reached. Has no `Debug`: most of it is secret.
pub struct Settings {
    /// Who we are.
    pub identity: Identity,
    /// Scheme and host, and a path before the service's own.
    pub base_url: String,
    /// The longest time of one call.
    pub timeout: Duration,
}

/// Why a file is no service account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It is JSON of another kind, or none.
    #[error("this is no key of a service account; it has \"type\": \"service_account\", client_email and private_key")]
    NotAnAccount,
    /// Its key does not sign.
    #[error("the private_key of the service account cannot be used")]
    Key(#[from] sign::Error),
}

/// A service account, able to sign its own tokens.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: SigningKey,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    ends_at: DateTime<Utc>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").finish_non_exhaustive()
    }
}

impl ServiceAccount {
    /// Reads the JSON that Google hands out for a service account.
    ///
    /// # Errors
    /// [`AccountError`]; it does not repeat what the file says.
    pub fn from_json(json: &[u8]) -> Result<Self, AccountError> {
        #[derive(Deserialize)]
        struct File {
            r#type: String,
            client_email: String,
            private_key: String,
            private_key_id: Option<String>,
        }
        let file: File = serde_json::from_slice(json).map_err(|_| AccountError::NotAnAccount)?;
        if file.r#type != "service_account" {
            return Err(AccountError::NotAnAccount);
        }
        let key = SigningKey::from_pem(file.private_key.as_bytes())?;
        if key.algorithm() != Algorithm::RsaSha256 {
            return Err(sign::Error::Unfit.into());
        }
        Ok(Self { email: file.client_email, key_id: file.private_key_id, key, token: Mutex::new(None) })
    }

    /// A token that is good for some minutes at least.
    fn token(&self, now: DateTime<Utc>) -> Result<String, sign::Error> {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        // A token of the future was made before the clock was set back.
        let is_good = |token: &&Token| (TOKEN_REST..=TOKEN_LIFE).contains(&(token.ends_at - now));
        if let Some(token) = kept.as_ref().filter(is_good) {
            return Ok(token.text.clone());
        }
        let ends_at = now + TOKEN_LIFE;
        let text = self.sign(now, ends_at)?;
        *kept = Some(Token { text: text.clone(), ends_at });
        Ok(text)
    }

    fn sign(&self, now: DateTime<Utc>, ends_at: DateTime<Utc>) -> Result<String, sign::Error> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = id.as_str().into();
        }
        let claims = json!({
            "iss": self.email,
            "sub": self.email,
            "aud": AUDIENCE,
            "iat": now.timestamp(),
            "exp": ends_at.timestamp(),
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes())?);
        Ok(format!("{message}.{signature}"))
    }
}

/// Speaks with Google.
pub struct Google {
    caller: Caller,
    clock: Arc<dyn Clock>,
    identity: Identity,
    base: String,
}

impl Google {
    /// A speaker; nothing is asked yet. The clock dates the tokens of a service account.
    ///
    /// # Errors
    /// [`http::Error`] when no client can be made.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, http::Error> {
        let Settings { identity, base_url, timeout } = settings;
        Ok(Self { caller: Caller::new(NAME, timeout)?, clock, identity, base: base_url })
    }

    /// The request with who we are.
    fn identified(&self, request: RequestBuilder) -> Result<RequestBuilder, Failure> {
        match &self.identity {
            Identity::ApiKey(key) => Ok(request.header("x-goog-api-key", wire::secret(NAME, key)?)),
            Identity::Account(account) => {
                let token = account.token(self.clock.now()).map_err(|error| {
                    let message = format!("no token for google can be signed: {error}");
                    Failure::new(FailureKind::KeyRefused, message).at(NAME)
                })?;
                Ok(request.header(AUTHORIZATION, wire::secret(NAME, &format!("Bearer {token}"))?))
            }
        }
    }
}

#[async_trait]
impl Speaker for Google {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limit(&self) -> TextLimit {
        TextLimit::Bytes(LIMIT)
    }

    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure> {
        let text = wire::sayable(&request.text);
        let body = json!({
            "input": { "text": text },
            "voice": {
                "languageCode": wire::locale(&request.voice).unwrap_or(&request.language),
                "name": request.voice,
            },
            "audioConfig": { "audioEncoding": "MP3", "sampleRateHertz": SAMPLE_RATE },
        });
        let call = self.caller.post(&format!("{}/v1/text:synthesize", self.base));
        let call = self.identified(call)?.header(CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = self.caller.send(call, MOST_ANSWER).await?;
        read(&answer, wire::characters(&text))
    }

    async fn voices(&self) -> Result<Vec<OfferedVoice>, Failure> {
        let call = self.identified(self.caller.get(&format!("{}/v1/voices", self.base)))?;
        read_voices(&self.caller.send(call, wire::MOST_VOICES).await?)
    }
}

/// What Google's answer to a text of so many characters means.
///
/// # Errors
/// A [`Failure`] whose kind follows the reason that the error gives, or else the status.
pub fn read(answer: &Answer, characters: u64) -> Result<Spoken, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Synthesized<'a> {
        #[serde(borrow)]
        audio_content: Cow<'a, str>,
    }
    if answer.status != 200 {
        return Err(refused(answer));
    }
    let mp3 = serde_json::from_slice::<Synthesized<'_>>(&answer.body)
        .ok()
        .and_then(|answer| STANDARD.decode(answer.audio_content.as_bytes()).ok())
        .ok_or_else(|| wire::failure(NAME, answer, FailureKind::BadAnswer, None))?;
    Ok(Spoken { mp3: mp3.into(), billed_characters: characters, request_id: None })
}

/// The voices of a list.
///
/// # Errors
/// As [`read`]; `bad_answer` when it is no such list.
pub fn read_voices(answer: &Answer) -> Result<Vec<OfferedVoice>, Failure> {
    #[derive(Deserialize)]
    struct List {
        voices: Vec<Voice>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Voice {
        name: String,
        #[serde(default)]
        language_codes: Vec<String>,
        ssml_gender: Option<String>,
    }
    if answer.status != 200 {
        return Err(refused(answer));
    }
    let list: List = wire::list(NAME, answer)?;
    let offered = |Voice { name, language_codes, ssml_gender }: Voice| OfferedVoice {
        engines: engine(&name).into_iter().collect(),
        voice: name,
        locales: language_codes,
        gender: ssml_gender.map(|gender| gender.to_ascii_lowercase()),
    };
    Ok(list.voices.into_iter().map(offered).collect())
}

/// The quality class that a voice's name holds between locale and letter: `chirp3-hd` of
/// `en-US-Chirp3-HD-Kore`. Google tells it nowhere else, and bills by it.
fn engine(voice: &str) -> Option<String> {
    let rest = voice.get(wire::locale(voice)?.len()..)?.strip_prefix('-')?;
    rest.rsplit_once('-').map(|(engine, _)| engine.to_ascii_lowercase())
}

/// An error as all of Google's services tell it.
fn refused(answer: &Answer) -> Failure {
    let body = wire::trouble(answer).unwrap_or_default();
    let error = body.get(0).unwrap_or(&body).get("error").unwrap_or(&Value::Null);
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let detail = |name: &str| details.iter().find_map(|detail| detail.get(name)?.as_str());
    let (status, reason) = (text("status"), detail("reason").unwrap_or_default());
    let kind = kind(answer.status, status, reason, &text("message").to_lowercase());
    let name = wire::name(if reason.is_empty() { status } else { reason });
    let mut failure = wire::failure(NAME, answer, kind, name.as_deref());
    if kind == FailureKind::RateLimited {
        failure.retry_after = failure.retry_after.or_else(|| delay(detail("retryDelay")?));
    }
    failure
}

/// What an error means. `message` is in small letters.
fn kind(code: u16, status: &str, reason: &str, message: &str) -> FailureKind {
    let says = |words: &[&str]| words.iter().all(|word| message.contains(word));
    match (code, status) {
        (_, "RESOURCE_EXHAUSTED") if code != 402 => FailureKind::RateLimited,
        (400, _) if reason == "API_KEY_INVALID" || says(&["api key", "not valid"]) => FailureKind::KeyRefused,
        (403, _) if reason == "BILLING_DISABLED" || says(&["billing"]) => FailureKind::OutOfCredit,
        (400, _) if says(&["voice", "does not exist"]) || says(&["voice", "not supported"]) => {
            FailureKind::ModelRetired
        }
        (404, "NOT_FOUND") => FailureKind::ModelRetired,
        _ => wire::kind(code),
    }
}

/// `"55s"` or `"1.5s"`, at most what is ever waited for.
fn delay(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(|delay| delay.min(LONGEST_RETRY_AFTER))
}
