//! Who can speak a script.

use async_trait::async_trait;
use bytes::Bytes;

use crate::podcast::Failure;

pub mod azure;
pub mod google;
pub mod local;
pub mod pace;
pub mod paragraphs;
pub mod polly;

mod wire;

/// How much text a provider takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLimit {
    /// Unicode scalar values.
    Characters(usize),
    /// Bytes of UTF-8.
    Bytes(usize),
}

/// One chunk to speak.
#[derive(Debug, Clone)]
pub struct SpeakRequest {
    /// Plain text.
    pub text: String,
    /// BCP 47 primary tag of the text.
    pub language: String,
    /// The provider's name of the voice.
    pub voice: String,
    /// The provider's quality class (`standard`, `neural`, …).
    pub engine: String,
}

/// One spoken chunk.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// A whole MP3, not yet checked.
    pub mp3: Bytes,
    /// Characters the provider bills.
    pub billed_characters: u64,
    /// The provider's name of the request.
    pub request_id: Option<String>,
}

/// A voice that a provider says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedVoice {
    /// The provider's name of it.
    pub voice: String,
    /// The quality classes it can speak in; empty where the provider does not tell.
    pub engines: Vec<String>,
    /// The locales it speaks (`en-US`, `cmn-CN`); empty where the provider does not tell.
    pub locales: Vec<String>,
    /// `female`, `male`, or another word of the provider's in small letters; `None` where it does not tell.
    pub gender: Option<String>,
}

/// A text-to-speech provider.
#[async_trait]
pub trait Speaker: Send + Sync {
    /// `polly`, `google`, `azure`, `local`.
    fn name(&self) -> &'static str;

    /// The most text of one request.
    fn limit(&self) -> TextLimit;

    /// Speaks one chunk, at [`SAMPLE_RATE`](crate::audio::SAMPLE_RATE).
    ///
    /// # Errors
    /// A [`Failure`] whose kind decides whether the next provider is asked.
    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure>;

    /// Asks which voices there are; costs nothing, and shows whether the key is good. A speaker
    /// without such a list has none.
    ///
    /// # Errors
    /// A [`Failure`] as of [`Speaker::speak`].
    async fn voices(&self) -> Result<Vec<OfferedVoice>, Failure> {
        Ok(Vec::new())
    }
}
