//! The offline speaker `local`: four voices that need no account and no network.
//!
//! | voice | languages | what it is |
//! | --- | --- | --- |
//! | `hibari` | English | neural; Python processes that load the model once and stay |
//! | `kokoro` | Japanese | neural, slow and only where somebody installed it; one Python process |
//! | `espeak` | all that `espeak-ng` reads properly | robotic and quick; one process per chunk |
//! | `tone` | any | beeps instead of speech, as long as the speech would be: for tests and load |
//!
//! English falls from `hibari` to `espeak-ng` when the Python environment is missing. Chinese, Korean
//! and, without `kokoro`, Japanese are refused: `espeak-ng` says "Chinese letter" for what it cannot
//! read.
//!
//! All answer MP3s of 24 kHz, mono, 64 kb/s at −16 LUFS, with their measured loudness in a tag of
//! the chunk (see [`audio::tag`]).

mod espeak;
mod neural;
mod tone;

use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{process::Command, sync::Semaphore};

use super::{SpeakRequest, Speaker, Spoken, TextLimit};
use crate::{audio, machine::FailureKind, podcast::Failure};

/// The name in `tts_provider`.
pub const NAME: &str = "local";

/// The voice of [`LocalVoices::python_ja`]. A workflow gives it to learners once it is told that it is
/// installed.
pub const KOKORO: &str = neural::KOKORO.name;

/// Text per request: some two minutes, so that a crash repeats little and all cores have work. In
/// bytes, since a Japanese letter is three of them and takes about as long to say as three of English.
const LIMIT_BYTES: usize = 2_000;

/// The longest speech that is taken from a process, in seconds: far more than the limit of text
/// can be.
const MAX_SECONDS: usize = 900;

/// What this machine has to speak with.
#[derive(Debug, Clone)]
pub struct LocalVoices {
    /// The interpreter of the Python environment with the packages of `requirements.txt`.
    pub python: Option<PathBuf>,
    /// The interpreter of the one with those of `requirements-ja.txt`.
    pub python_ja: Option<PathBuf>,
    /// The program `espeak-ng`, by path or by name.
    pub espeak: Option<PathBuf>,
    /// True to let the voice `tone` beep.
    pub tone: bool,
    /// The most chunks that are spoken at once; each may hold a process of some 100 MB.
    pub processes: NonZeroUsize,
    /// The longest time for one chunk; `kokoro` gets a multiple of it.
    pub timeout: Duration,
}

impl Default for LocalVoices {
    /// `espeak-ng` by name, one process per core, two minutes per chunk.
    fn default() -> Self {
        Self {
            python: None,
            python_ja: None,
            espeak: Some("espeak-ng".into()),
            tone: false,
            processes: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            timeout: Duration::from_secs(120),
        }
    }
}

/// Why a local voice did not speak.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no voice for this.
    #[error("no offline voice {voice:?} for {language:?}: {mend}")]
    NoVoice {
        /// What was asked for.
        voice: String,
        /// The language of the text.
        language: String,
        /// What to do about it.
        mend: &'static str,
    },
    /// The program could not be started.
    #[error("{program} could not be started; install it, or set its path in providers.local_tts")]
    Start {
        /// What was to run.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The program ended, or closed its output, before it had answered.
    #[error("{program} ended before it had answered: {why}")]
    Ended {
        /// What ran.
        program: String,
        /// What is known about it.
        why: String,
    },
    /// The program took too long and was killed.
    #[error("{program} did not answer within {seconds} s")]
    Timeout {
        /// What ran.
        program: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The program answered that it cannot.
    #[error("{program} could not speak: {why}")]
    Refused {
        /// What ran.
        program: String,
        /// Its own words.
        why: String,
    },
    /// The samples could not be made into an MP3.
    #[error("the speech could not be packed")]
    Audio(#[from] audio::Error),
    /// A defect here.
    #[error("the local voice broke: {0}")]
    Broken(String),
}

impl Error {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoVoice { .. } => FailureKind::NoVoice,
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => FailureKind::NoVoice,
            Self::Start { .. } | Self::Ended { .. } => FailureKind::Unavailable,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Refused { .. } => FailureKind::BadAnswer,
            Self::Audio(_) | Self::Broken(_) => FailureKind::Internal,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use std::error::Error as _;

        let message = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Failure::new(error.kind(), message).at(NAME)
    }
}

/// Samples as a voice made them.
struct Raw {
    samples: Vec<i16>,
    /// In hertz.
    rate: u32,
    /// How loud this voice usually is, in LUFS.
    voice_lufs: f64,
}

/// The offline speaker.
#[derive(Debug)]
pub struct Local {
    hibari: Option<neural::Neural>,
    kokoro: Option<neural::Neural>,
    espeak: Option<espeak::Espeak>,
    tone: Option<tone::Tone>,
    /// Who may use a process and a core.
    seats: Arc<Semaphore>,
    /// Who may use the process of `kokoro`. It uses every core, and those who wait for it must not
    /// keep the quick voices from speaking.
    kokoro_seat: Arc<Semaphore>,
}

impl Local {
    /// A speaker with these voices. Nothing is started before the first request.
    pub fn new(voices: LocalVoices) -> Self {
        let LocalVoices { python, python_ja, espeak, tone, processes, timeout } = voices;
        let neural = |python: Option<PathBuf>, voice| {
            python.filter(|python| python.is_file()).map(|python| neural::Neural::new(voice, python, timeout))
        };
        Self {
            hibari: neural(python, &neural::HIBARI),
            kokoro: neural(python_ja, &neural::KOKORO),
            espeak: espeak.map(|program| espeak::Espeak::new(program, timeout)),
            tone: tone.then(tone::Tone::default),
            seats: Arc::new(Semaphore::new(processes.get())),
            kokoro_seat: Arc::new(Semaphore::new(1)),
        }
    }

    /// True when this voice is set up and fit for the language. Whether its program really runs
    /// shows when it speaks.
    pub fn speaks(&self, voice: &str, language: &str) -> bool {
        match voice {
            "hibari" => is(language, "en") && (self.hibari.is_some() || self.espeak.is_some()),
            KOKORO => is(language, "ja") && self.kokoro.is_some(),
            "espeak" => self.espeak.is_some() && espeak::reads(language),
            "tone" => self.tone.is_some(),
            _ => false,
        }
    }

    async fn raw(&self, request: &SpeakRequest) -> Result<Raw, Error> {
        let missing = |mend| Error::NoVoice { voice: request.voice.clone(), language: request.language.clone(), mend };
        match request.voice.as_str() {
            "hibari" if !is(&request.language, "en") => Err(missing("it speaks English only")),
            "hibari" => {
                if let Some(hibari) = &self.hibari
                    && hibari.is_usable().await?
                {
                    return hibari.speak(&request.text).await;
                }
                let mend = "set providers.local_tts.python to an environment with its packages, or install espeak-ng";
                let espeak = self.espeak.as_ref().ok_or_else(|| missing(mend))?;
                espeak.speak(&request.text, "en").await
            }
            KOKORO if !is(&request.language, "ja") => Err(missing("it speaks Japanese only")),
            KOKORO => {
                let mend = "run `cargo xtask voice ja`, or set providers.local_tts.python_ja to an environment with \
                            its packages";
                let kokoro = self.kokoro.as_ref().ok_or_else(|| missing(mend))?;
                if kokoro.is_usable().await? { kokoro.speak(&request.text).await } else { Err(missing(mend)) }
            }
            "espeak" if !espeak::reads(&request.language) => Err(missing("espeak-ng cannot read this writing")),
            "espeak" => {
                let espeak = self.espeak.as_ref().ok_or_else(|| missing("install espeak-ng"))?;
                espeak.speak(&request.text, &request.language).await
            }
            _ => Err(missing("the offline voices are hibari, kokoro, espeak and, where it is allowed, tone")),
        }
    }
}

#[async_trait]
impl Speaker for Local {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limit(&self) -> TextLimit {
        TextLimit::Bytes(LIMIT_BYTES)
    }

    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure> {
        let mp3 = match &self.tone {
            Some(tone) if request.voice == "tone" => tone.speak(&request.text)?,
            _ => {
                let seats = if request.voice == KOKORO { &self.kokoro_seat } else { &self.seats };
                let seat = Arc::clone(seats).acquire_owned().await;
                let seat = seat.map_err(|closed| Error::Broken(closed.to_string()))?;
                let raw = self.raw(request).await?;
                // The seat goes along: a caller that stops waiting does not free the core.
                let packed = tokio::task::spawn_blocking(move || {
                    let packed = pack(&raw);
                    drop(seat);
                    packed
                });
                packed.await.map_err(|error| Error::Broken(error.to_string()))??
            }
        };
        let billed_characters = u64::try_from(request.text.chars().count()).unwrap_or(u64::MAX);
        Ok(Spoken { mp3, billed_characters, request_id: None })
    }
}

fn is(language: &str, wanted: &str) -> bool {
    language.split(['-', '_']).next().is_some_and(|primary| primary.eq_ignore_ascii_case(wanted))
}

/// From a voice's samples to its MP3: mastered, encoded, labelled with its loudness.
fn pack(raw: &Raw) -> Result<Bytes, Error> {
    let mastered = audio::loudness::master(&raw.samples, raw.rate, raw.voice_lufs)?;
    let mut mp3 = match mastered.loudness {
        Some(loudness) => audio::tag::chunk(loudness.lufs)?,
        None => Vec::new(),
    };
    mp3.extend(audio::encode(&mastered.samples, raw.rate)?);
    Ok(mp3.into())
}

/// A program that is talked to through pipes and does not outlive who talks to it.
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    // A Ctrl-C in the terminal is for this program, which lets its speakers finish.
    command.process_group(0);
    command
}

/// Little-endian samples, as both programs write them.
fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}
