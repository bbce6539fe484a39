//! The voice `espeak`: the program `espeak-ng`, one process per chunk, text on its stdin, WAV on
//! its stdout. It answers 22.05 kHz and, since it does not know the length beforehand, a header
//! whose sizes mean nothing.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Error, MAX_SECONDS, Raw, program, samples};

/// Words per minute of `-s`: between 140 and 155 in fact, by how many sentences there are.
const WORDS_PER_MINUTE: &str = "148";

/// Usual loudness of its voices in LUFS, measured.
const VOICE_LUFS: f64 = -21.4;

/// Rates between these are believed, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Silence behind each chunk, so that joined chunks breathe; a share of a second.
const PAUSE: f64 = 0.4;

/// The most bytes that are read: [`MAX_SECONDS`] of mono at the highest rate.
const MAX_BYTES: u64 = MAX_SECONDS as u64 * 48_000 * 2;

/// The program and how long it may take.
#[derive(Debug)]
pub(super) struct Espeak {
    program: PathBuf,
    timeout: Duration,
}

/// True for languages that it reads as a speaker would. It has rules for Japanese and Chinese, but
/// names most of their characters instead of reading them, and Korean comes out syllable by syllable.
pub(super) fn reads(language: &str) -> bool {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let is_tag = matches!(primary.len(), 2 | 3) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
    is_tag && !matches!(primary.as_str(), "ja" | "zh" | "ko" | "yue" | "cmn")
}

impl Espeak {
    pub(super) const fn new(program: PathBuf, timeout: Duration) -> Self {
        Self { program, timeout }
    }

    /// Speaks a text in a language, by BCP 47 tag.
    pub(super) async fn speak(&self, text: &str, language: &str) -> Result<Raw, Error> {
        let seconds = self.timeout.as_secs();
        let timed_out = |_| Error::Timeout { program: self.name(), seconds };
        let wav = tokio::time::timeout(self.timeout, self.run(text, language)).await.map_err(timed_out)??;
        let (rate, data) =
            wav_data(&wav).ok_or_else(|| Error::Refused { program: self.name(), why: "its WAV is damaged".into() })?;
        let mut samples = samples(data);
        samples.resize(samples.len() + (f64::from(rate) * PAUSE) as usize, 0);
        Ok(Raw { samples, rate, voice_lufs: VOICE_LUFS })
    }

    async fn run(&self, text: &str, language: &str) -> Result<Vec<u8>, Error> {
        let mut child = program(&self.program)
            .args(["-v", voice(language).as_str(), "-s", WORDS_PER_MINUTE, "-b", "1", "--stdout"])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Start { program: self.name(), source })?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::Broken("a child process without pipes".to_owned()));
        };
        // Two square brackets would begin phonemes instead of text.
        let text = text.replace("[[", "[ [");
        let (mut wav, mut complaint) = (Vec::new(), String::new());
        let write = async {
            // It may end without reading; then its exit code and complaint say more.
            let _ = stdin.write_all(text.as_bytes()).await;
            drop(stdin);
            Ok(())
        };
        let (mut stdout, mut stderr) = (stdout.take(MAX_BYTES), stderr.take(2_000));
        let ended = |why: std::io::Error| Error::Ended { program: self.name(), why: why.to_string() };
        tokio::try_join!(write, stdout.read_to_end(&mut wav), stderr.read_to_string(&mut complaint)).map_err(ended)?;
        drop((stdout, stderr));
        let status = child.wait().await.map_err(ended)?;
        match status.success() {
            true => Ok(wav),
            false if complaint.contains("voice does not exist") => Err(Error::NoVoice {
                voice: "espeak".to_owned(),
                language: language.to_owned(),
                mend: "espeak-ng does not know this language",
            }),
            false => Err(Error::Ended { program: self.name(), why: format!("{status} {}", complaint.trim()) }),
        }
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

/// Its name of the voice for a language. Tags it does not know in full are cut to the language.
fn voice(language: &str) -> String {
    let tag = language.to_ascii_lowercase().replace('_', "-");
    match tag.as_str() {
        "en" => "en-us".to_owned(),
        "es-mx" | "es-us" => "es-419".to_owned(),
        "en-gb" | "en-us" | "es-419" | "fr-be" | "fr-ch" | "pt-br" => tag,
        _ => tag.split('-').next().unwrap_or_default().to_owned(),
    }
}

/// Sample rate and samples of a mono 16-bit WAV, read up to its end whatever its header says.
fn wav_data(wav: &[u8]) -> Option<(u32, &[u8])> {
    if wav.get(..4)? != b"RIFF" || wav.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut rate = None;
    let mut rest = wav.get(12..)?;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match head.get(..4)? {
            b"fmt " => {
                let format = body.get(..16)?;
                let is_plain = format[..4] == [1, 0, 1, 0] && format[14..16] == [16, 0];
                rate = Some(u32::from_le_bytes([format[4], format[5], format[6], format[7]])).filter(|_| is_plain);
            }
            b"data" => {
                return rate.filter(|rate| RATES.contains(rate)).map(|rate| (rate, &body[..size.min(body.len())]));
            }
            _ => {}
        }
        rest = body.get(size.checked_add(size % 2)?..)?;
    }
}
