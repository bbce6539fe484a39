//! From the chunks of a podcast to its finished MP3: joined, tagged, measured.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use chrono::NaiveDate;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::{Plan, Trouble, internal};
use crate::{
    audio::{
        self, Limits, SAMPLE_RATE,
        join::Joined,
        loudness::Loudness,
        tag::{Chapter, Words},
    },
    machine::FailureKind,
    podcast::Failure,
    provider::tts::{
        local,
        paragraphs::{self, SpokenChunk},
    },
};

/// Who speaks to the listener, in the tag.
const ARTIST: &str = "Dailycast";

/// The series, in the tag.
const ALBUM: &str = "Your daily podcast";

/// What a listener was promised.
const PROMISED: RangeInclusive<Duration> = Duration::from_secs(180)..=Duration::from_secs(360);

/// How loud podcasts are, in LUFS. Outside of it a listener reaches for the volume.
const USUAL_LUFS: RangeInclusive<f64> = -23.0..=-14.0;

/// Below this an episode is put together where we stand: moving to another thread costs more.
const SMALL_BYTES: usize = 64 * 1024;

/// A finished episode.
pub(super) struct Episode {
    /// Tag and frames.
    pub(super) mp3: Bytes,
    /// Of `mp3`, lower-case hex.
    pub(super) sha256: String,
    /// How long it plays.
    pub(super) duration: Duration,
    /// Where every chunk brought its own, or [`Episode::measure`] had the time.
    pub(super) loudness_lufs: Option<f64>,
    /// The row's metadata with a section `speech`: milliseconds of each chunk of the plan, where each
    /// paragraph begins in milliseconds from the begin of the episode, the true peak where it was
    /// measured, and a warning when the episode is shorter, longer, quieter or louder than promised.
    pub(super) metadata: Value,
}

impl Episode {
    /// Measures how loud the episode is, unless its chunks told, or the meters are all in use. It
    /// changes nothing that is heard, so it does not hold up a night that has no core to spare.
    pub(super) async fn measure(&mut self, meters: &Semaphore) {
        if self.loudness_lufs.is_some() {
            return;
        }
        let Ok(_permit) = meters.try_acquire() else { return };
        let mp3 = self.mp3.clone();
        let measured = tokio::task::spawn_blocking(move || {
            let scan = audio::scan(&mp3, Limits::ANY)?;
            audio::loudness::measure_mp3(&mp3, &scan)
        });
        match measured.await.map_err(|panic| panic.to_string()).map(|done| done.map_err(|error| error.to_string())) {
            Ok(Ok(Some(Loudness { lufs, peak_dbtp }))) => {
                self.loudness_lufs = Some(hundredths(lufs));
                self.metadata["speech"]["peak_dbtp"] = hundredths(peak_dbtp).into();
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) | Err(error) => tracing::warn!(error, "the loudness of an episode could not be measured"),
        }
    }

    /// Says in the metadata, and returns, what a listener would find odd.
    pub(super) fn warn(&mut self) -> Option<&str> {
        let (length, loudness) = (self.duration, self.loudness_lufs);
        let seconds = length.as_secs();
        let odd_length = (!PROMISED.contains(&length))
            .then(|| format!("lasts {}:{:02}, not 3 to 6 minutes", seconds / 60, seconds % 60));
        let odd_loudness = loudness
            .filter(|lufs| !USUAL_LUFS.contains(lufs))
            .map(|lufs| format!("has {lufs:.1} LUFS, not {} to {}", USUAL_LUFS.start(), USUAL_LUFS.end()));
        let warnings: Vec<_> = odd_length.into_iter().chain(odd_loudness).collect();
        if warnings.is_empty() {
            return None;
        }
        self.metadata["speech"]["warning"] = warnings.join("; ").into();
        self.metadata["speech"]["warning"].as_str()
    }
}

/// What is put together, apart from the row so that it can go to another thread.
struct Assembly {
    chunks: Vec<(usize, Bytes)>,
    /// Where each chunk of the plan ends in the script, those without words included.
    ends: Vec<usize>,
    /// True when the chunks may carry their loudness.
    is_ours: bool,
    title: String,
    date: NaiveDate,
    language: String,
    script: String,
    metadata: Option<Value>,
}

/// Puts an episode together from chunks with their places in the plan.
pub(super) async fn assemble(plan: &Plan<'_>, chunks: Vec<(usize, Bytes)>) -> Result<Episode, Trouble> {
    let (made, speaker) = (&plan.podcast.made, plan.candidate.speaker);
    let bytes: usize = chunks.iter().map(|(_, mp3)| mp3.len()).sum();
    let assembly = Assembly {
        chunks,
        ends: plan.chunks.iter().map(|chunk| chunk.end).collect(),
        is_ours: speaker.name() == local::NAME,
        title: made.title.clone().unwrap_or_else(|| ALBUM.to_owned()),
        date: plan.podcast.date,
        language: made.language.clone().unwrap_or_default(),
        script: plan.script.to_owned(),
        metadata: made.metadata.clone(),
    };
    let built = if bytes < SMALL_BYTES {
        assembly.build()
    } else {
        let built = tokio::task::spawn_blocking(move || assembly.build()).await;
        built.map_err(|error| Trouble::Other(internal(error.to_string())))?
    };
    built.map_err(|error| match error {
        audio::Error::Tag(_) | audio::Error::Encoder { .. } => Trouble::Other(internal(error.to_string())),
        // Each chunk was sound by itself: what does not fit together is the provider's doing.
        error => Trouble::Provider(Failure::new(FailureKind::BadAnswer, error.to_string()).at(speaker.name())),
    })
}

impl Assembly {
    fn build(self) -> Result<Episode, audio::Error> {
        let bytes: Vec<_> = self.chunks.iter().map(|(_, mp3)| mp3).collect();
        let limits = Limits::rate(SAMPLE_RATE);
        let joined = match audio::join(&bytes, limits) {
            // Sound in two formats is still the text: it is worth more than another provider's.
            Err(audio::Error::Mixed { .. }) => audio::join(&audio::join::alike(&bytes, limits)?, Limits::ANY)?,
            joined => joined?,
        };
        let spoken = self.spoken(&joined);
        let paragraph_ms = paragraphs::starts(&self.script, &spoken);
        let words = Words {
            title: &self.title,
            artist: ARTIST,
            album: ALBUM,
            date: self.date,
            language: &self.language,
            lyrics: &self.script,
            chapters: &self.chapters(&paragraph_ms, spoken.iter().map(|chunk| chunk.lasts_ms).sum()),
        };
        let mut mp3 = audio::tag::episode(&words)?;
        mp3.extend_from_slice(&joined.mp3);
        Ok(Episode {
            sha256: hex::encode(Sha256::digest(&mp3)),
            mp3: mp3.into(),
            duration: joined.duration,
            loudness_lufs: if self.is_ours { self.loudness(&joined.chunks) } else { None },
            metadata: self.metadata(&spoken, &paragraph_ms),
        })
    }

    /// Loudness of the whole from that of its chunks: the mean of their powers, weighed by their
    /// lengths. Off by what the gate of a meter over the whole would do, a tenth of a LU for speech.
    fn loudness(&self, lengths: &[Duration]) -> Option<f64> {
        let mut power = 0.0;
        for ((_, mp3), length) in self.chunks.iter().zip(lengths) {
            power += 10_f64.powf(audio::tag::loudness(mp3)? / 10.0) * length.as_secs_f64();
        }
        let seconds: f64 = lengths.iter().map(Duration::as_secs_f64).sum();
        Some(hundredths(10.0 * (power / seconds).log10())).filter(|lufs| lufs.is_finite())
    }

    /// Every chunk of the plan with what was heard of it.
    fn spoken<'a>(&self, joined: &'a Joined) -> Vec<SpokenChunk<'a>> {
        let mut spoken: Vec<_> =
            self.ends.iter().map(|end| SpokenChunk { end: *end, lasts_ms: 0, pauses: &[] }).collect();
        for (((index, _), length), pauses) in self.chunks.iter().zip(&joined.chunks).zip(&joined.pauses) {
            if let Some(chunk) = spoken.get_mut(*index) {
                chunk.lasts_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
                chunk.pauses = pauses;
            }
        }
        spoken
    }

    /// A chapter for each paragraph.
    fn chapters(&self, paragraph_ms: &[u64], lasts_ms: u64) -> Vec<Chapter> {
        let ends = paragraph_ms.iter().skip(1).chain([&lasts_ms]);
        let texts = paragraphs::paragraphs(&self.script).into_iter().filter_map(|place| self.script.get(place));
        let times = paragraph_ms.iter().zip(ends).zip(texts);
        times
            .map(|((start, end), text)| Chapter { start_ms: *start, end_ms: *end, title: paragraphs::heading(text) })
            .collect()
    }

    fn metadata(&self, spoken: &[SpokenChunk<'_>], paragraph_ms: &[u64]) -> Value {
        let chunk_ms: Vec<_> = spoken.iter().map(|chunk| chunk.lasts_ms).collect();
        let mut all = match &self.metadata {
            Some(Value::Object(all)) => all.clone(),
            _ => Map::new(),
        };
        all.insert("speech".to_owned(), json!({ "chunk_ms": chunk_ms, "paragraph_ms": paragraph_ms }));
        Value::Object(all)
    }
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
