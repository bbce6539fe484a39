//! Azure Speech over REST: SSML in, an MP3 out.
//!
//! What would surprise: Azure does not refuse a text that is too long, it stops speaking after ten
//! minutes; so the limit is far below that, and in bytes, which follow the time that a text takes
//! better than characters do. Its error bodies are documented nowhere and are never read.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::{OfferedVoice, SpeakRequest, Speaker, Spoken, TextLimit, wire};
use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::http::{self, Answer, Caller},
};

/// The name in `tts_provider`.
pub const NAME: &str = "azure";

/// Bytes of text of one request.
const LIMIT: usize = 6000;

/// The header of the key.
const KEY: &str = "ocp-apim-subscription-key";

/// What we want back.
const FORMAT: &str = "audio-24khz-48kbitrate-mono-mp3";

/// How Azure is reached.
#[derive(Clone)]
pub struct Settings {
    /// Key of the Speech resource.
    pub key: String,
    /// Scheme and host, and a path before the service's own.
    pub base_url: String,
    /// The longest time of one call.
    pub timeout: Duration,
}

impl Settings {
    /// The address of a region.
    pub fn base_of(region: &str) -> String {
        format!("https://{region}.tts.speech.microsoft.com")
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Speaks with Azure.
#[derive(Debug)]
pub struct Azure {
    caller: Caller,
    settings: Settings,
}

impl Azure {
    /// A speaker; nothing is asked yet.
    ///
    /// # Errors
    /// [`http::Error`] when no client can be made.
    pub fn new(settings: Settings) -> Result<Self, http::Error> {
        Ok(Self { caller: Caller::new(NAME, settings.timeout)?, settings })
    }
}

#[async_trait]
impl Speaker for Azure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limit(&self) -> TextLimit {
        TextLimit::Bytes(LIMIT)
    }

    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure> {
        let text = wire::sayable(&request.text);
        let address = format!("{}/cognitiveservices/v1", self.settings.base_url);
        let call = self
            .caller
            .post(&address)
            .header(KEY, wire::secret(NAME, &self.settings.key)?)
            .header(CONTENT_TYPE, "application/ssml+xml")
            .header("x-microsoft-outputformat", FORMAT)
            .body(ssml(&text, &request.voice, &request.language));
        let answer = self.caller.send(call, wire::MOST_AUDIO).await?;
        read(&answer, billed(&text))
    }

    async fn voices(&self) -> Result<Vec<OfferedVoice>, Failure> {
        let address = format!("{}/cognitiveservices/voices/list", self.settings.base_url);
        let call = self.caller.get(&address).header(KEY, wire::secret(NAME, &self.settings.key)?);
        read_voices(&self.caller.send(call, wire::MOST_VOICES).await?)
    }
}

/// The document that lets a voice say a text. Without any markup in it, which would be billed.
fn ssml(text: &str, voice: &str, language: &str) -> String {
    let language = wire::locale(voice).unwrap_or(language);
    format!(
        "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='{}'><voice name='{}'>{}</voice></speak>",
        escaped(language),
        escaped(voice),
        escaped(text),
    )
}

/// The text as XML has it, in elements and in attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// What Azure bills for a text: its characters, each ideograph (hanzi, kanji, hanja) as two.
fn billed(text: &str) -> u64 {
    let is_ideograph = |character: &char| matches!(character, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}');
    text.chars().map(|character| 1 + u64::from(is_ideograph(&character))).sum()
}

/// What Azure's answer to a text that it bills so means.
///
/// # Errors
/// A [`Failure`] whose kind follows the status.
pub fn read(answer: &Answer, billed_characters: u64) -> Result<Spoken, Failure> {
    if answer.status != 200 {
        return Err(refused(answer));
    }
    if !wire::is_audio(answer) {
        return Err(wire::failure(NAME, answer, FailureKind::BadAnswer, None));
    }
    let request_id = wire::request_id(answer, "x-requestid");
    Ok(Spoken { mp3: answer.body.clone(), billed_characters, request_id })
}

/// The voices of a list.
///
/// # Errors
/// As [`read`]; `bad_answer` when it is no such list.
pub fn read_voices(answer: &Answer) -> Result<Vec<OfferedVoice>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Voice {
        short_name: String,
        voice_type: Option<String>,
        locale: Option<String>,
        #[serde(default)]
        secondary_locale_list: Vec<String>,
        gender: Option<String>,
    }
    if answer.status != 200 {
        return Err(refused(answer));
    }
    let voices: Vec<Voice> = wire::list(NAME, answer)?;
    let offered = |Voice { short_name, voice_type, locale, secondary_locale_list, gender }| {
        // The better and dearer ones are neural, too; only their names tell.
        let is_hd = short_name.contains("HD") && short_name.contains(':');
        let engine = if is_hd { Some("hd".to_owned()) } else { voice_type.map(|kind| kind.to_ascii_lowercase()) };
        OfferedVoice {
            voice: short_name,
            engines: engine.into_iter().collect(),
            locales: locale.into_iter().chain(secondary_locale_list).collect(),
            gender: gender.map(|gender| gender.to_ascii_lowercase()),
        }
    };
    Ok(voices.into_iter().map(offered).collect())
}

fn refused(answer: &Answer) -> Failure {
    // The gateway before the service says so when a quota of the subscription is used up: it alone
    // tells when it is filled again.
    let is_used_up = answer.status == 403 && answer.retry_after().is_some();
    let kind = if is_used_up { FailureKind::OutOfCredit } else { wire::kind(answer.status) };
    wire::failure(NAME, answer, kind, None)
}
