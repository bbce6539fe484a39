//! Sections `providers.*`: who writes and who speaks.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use super::{
    reader::{Reader, one_of, seconds},
    secret::Secret,
    value::{region, web},
};

/// Every provider. One without its key is skipped.
#[derive(Debug, Clone)]
pub struct Providers {
    /// OpenAI, or a server that speaks its protocol.
    pub openai: Writer,
    /// Google Gemini.
    pub gemini: Writer,
    /// Anthropic.
    pub anthropic: Writer,
    /// Amazon Polly.
    pub polly: Polly,
    /// Google Text-to-Speech.
    pub google_tts: Google,
    /// Azure Speech.
    pub azure_tts: Azure,
    /// The offline voice.
    pub local_tts: LocalSpeech,
}

/// A language model behind an API.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Key of the API.
    pub api_key: Option<Secret>,
    /// What comes before the vendor's own path, without a slash at the end.
    pub base_url: String,
    /// Wins over `models.toml`.
    pub model: Option<String>,
    /// Longest time of one call.
    pub timeout: Duration,
    /// Most calls a minute for the whole fleet.
    pub rate_per_minute: Option<NonZeroU32>,
}

/// Amazon Polly.
#[derive(Debug, Clone)]
pub struct Polly {
    /// Region of AWS.
    pub region: String,
    /// Address instead of AWS's own.
    pub endpoint_url: Option<String>,
    /// Wins over `voices.toml`.
    pub engine: Option<String>,
    /// Id of the key.
    pub access_key_id: Option<Secret>,
    /// The key.
    pub secret_access_key: Option<Secret>,
    /// Token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// Google Text-to-Speech.
#[derive(Debug, Clone)]
pub struct Google {
    /// File of a service account; it is there, unless it is borrowed.
    pub credentials_file: Option<PathBuf>,
    /// Whether the file is named by GOOGLE_APPLICATION_CREDENTIALS. Other programs set that for ends
    /// of their own, so a file that is of no use here is no mistake.
    pub is_borrowed: bool,
    /// Key of the API instead.
    pub api_key: Option<Secret>,
    /// What comes before the vendor's own path, without a slash at the end.
    pub base_url: String,
}

/// Azure Speech.
#[derive(Debug, Clone)]
pub struct Azure {
    /// Key of the resource.
    pub key: Option<Secret>,
    /// Region of the resource.
    pub region: Option<String>,
    /// Address instead of the region's own.
    pub base_url: Option<String>,
}

/// The offline voice.
#[derive(Debug, Clone)]
pub struct LocalSpeech {
    /// Whether it is the last link of every chain.
    pub enabled: bool,
    /// Python that has the neural voice; `None`: the one that the set-up installed.
    pub python: Option<PathBuf>,
    /// Python that has the neural Japanese voice; `None`: the one that was installed, if any.
    pub python_ja: Option<PathBuf>,
    /// The espeak-ng program.
    pub espeak: PathBuf,
    /// Which voice.
    pub voice: LocalVoice,
}

/// What speaks offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalVoice {
    /// The best voice there is for the language.
    Auto,
    /// A tone as long as the speech would be.
    Tone,
}

impl Providers {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let openai = Writer::read(&mut reader.section("providers.openai"));
        let gemini = Writer::read(&mut reader.section("providers.gemini"));
        let anthropic = Writer::read(&mut reader.section("providers.anthropic"));
        let polly = Polly::read(&mut reader.section("providers.polly"));
        let google_tts = Google::read(&mut reader.section("providers.google_tts"));
        let azure_tts = Azure::read(&mut reader.section("providers.azure_tts"));
        let local_tts = LocalSpeech::read(&mut reader.section("providers.local_tts"));
        Some(Self {
            openai: openai?,
            gemini: gemini?,
            anthropic: anthropic?,
            polly: polly?,
            google_tts: google_tts?,
            azure_tts: azure_tts?,
            local_tts: local_tts?,
        })
    }
}

impl Writer {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let api_key = reader.secret("api_key");
        let base_url = reader.parsed("base_url", web);
        let model = reader.optional_text("model");
        let timeout = reader.duration("timeout", seconds(1)..=seconds(600));
        let rate_per_minute = reader.count("rate_per_minute", 0..=1_000_000).map(NonZeroU32::new);
        Some(Self {
            api_key: api_key?,
            base_url: base_url?,
            model: model?,
            timeout: timeout?,
            rate_per_minute: rate_per_minute?,
        })
    }
}

impl Polly {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let region = reader.parsed("region", region);
        let endpoint_url = reader.optional("endpoint_url", web);
        let engines = ["standard", "neural", "long-form", "generative"].map(|name| (name, name));
        let engine = reader.optional("engine", |text| one_of(text, &engines).map(str::to_owned));
        let access_key_id = reader.secret("access_key_id");
        let secret_access_key = reader.secret("secret_access_key");
        let session_token = reader.secret("session_token");
        reader.together(&["access_key_id", "secret_access_key"]);
        Some(Self {
            region: region?,
            endpoint_url: endpoint_url?,
            engine: engine?,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token: session_token?,
        })
    }
}

impl Google {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let is_borrowed = reader.is_from("credentials_file", "GOOGLE_APPLICATION_CREDENTIALS");
        let credentials_file = match is_borrowed {
            true => reader.optional("credentials_file", |text| Ok(PathBuf::from(text))),
            false => reader.optional_file("credentials_file"),
        };
        let api_key = reader.secret("api_key");
        let base_url = reader.parsed("base_url", web);
        Some(Self { credentials_file: credentials_file?, is_borrowed, api_key: api_key?, base_url: base_url? })
    }
}

impl Azure {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let key = reader.secret("key");
        let region = reader.optional("region", region);
        let base_url = reader.optional("base_url", web);
        reader.needs_one_of("key", &["region", "base_url"]);
        Some(Self { key: key?, region: region?, base_url: base_url? })
    }
}

impl LocalSpeech {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let enabled = reader.boolean("enabled");
        let python = reader.optional("python", |text| Ok(PathBuf::from(text)));
        let python_ja = reader.optional("python_ja", |text| Ok(PathBuf::from(text)));
        let espeak = reader.text("espeak").map(PathBuf::from);
        let voices = [("auto", LocalVoice::Auto), ("tone", LocalVoice::Tone)];
        let voice = reader.parsed("voice", |text| one_of(text, &voices));
        Some(Self { enabled: enabled?, python: python?, python_ja: python_ja?, espeak: espeak?, voice: voice? })
    }
}
