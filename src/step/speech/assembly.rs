//! From the chunks of a podcast to its finished MP3: joined, tagged, measured.

use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDate;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Plan, Trouble, internal};
use crate::{
    audio::{self, Limits, tag::Words},
    machine::FailureKind,
    podcast::Failure,
    provider::tts::local,
};

/// Who speaks to the listener, in the tag.
const ARTIST: &str = "Dailycast";

/// The series, in the tag.
const ALBUM: &str = "Your daily podcast";

/// What a listener was promised.
const PROMISED: std::ops::RangeInclusive<Duration> = Duration::from_secs(180)..=Duration::from_secs(360);

/// Below this an episode is put together where we stand: moving to another thread costs more.
const SMALL_BYTES: usize = 64 * 1024;

/// A finished episode.
pub(super) struct Episode {
    /// Tag and frames.
    pub(super) mp3: Bytes,
    /// Of `mp3`, lower-case hex.
    pub(super) sha256: String,
    /// Rounded.
    pub(super) duration_seconds: i32,
    /// Where every chunk brought its own.
    pub(super) loudness_lufs: Option<f64>,
    /// The row's metadata with a section `speech`: milliseconds of each chunk of the plan, and a
    /// warning when the episode is shorter or longer than promised.
    pub(super) metadata: Value,
}

/// What is put together, apart from the row so that it can go to another thread.
struct Assembly {
    chunks: Vec<(usize, Bytes)>,
    /// Chunks of the plan, those without words included.
    planned: usize,
    rate: u32,
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
        planned: plan.chunks.len(),
        rate: speaker.sample_rate(),
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
    // Each chunk was sound by itself: what does not fit together is the provider's doing.
    built.map_err(|error| Trouble::Provider(Failure::new(FailureKind::BadAnswer, error.to_string()).at(speaker.name())))
}

impl Assembly {
    fn build(self) -> Result<Episode, audio::Error> {
        let bytes: Vec<_> = self.chunks.iter().map(|(_, mp3)| mp3).collect();
        let joined = audio::join(&bytes, Limits::rate(self.rate))?;
        let words = Words {
            title: &self.title,
            artist: ARTIST,
            album: ALBUM,
            date: self.date,
            language: &self.language,
            lyrics: &self.script,
        };
        let mut mp3 = audio::tag::episode(&words)?;
        mp3.extend_from_slice(&joined.mp3);
        Ok(Episode {
            sha256: hex::encode(Sha256::digest(&mp3)),
            mp3: mp3.into(),
            duration_seconds: joined.duration.as_secs_f64().round() as i32,
            loudness_lufs: if self.is_ours { self.loudness(&joined.chunks) } else { None },
            metadata: self.metadata(&joined),
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
        Some((10.0 * (power / seconds).log10() * 100.0).round() / 100.0).filter(|lufs| lufs.is_finite())
    }

    fn metadata(&self, joined: &audio::join::Joined) -> Value {
        let mut chunk_ms = vec![0_u64; self.planned];
        for ((index, _), length) in self.chunks.iter().zip(&joined.chunks) {
            if let Some(place) = chunk_ms.get_mut(*index) {
                *place = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            }
        }
        let mut speech = json!({ "chunk_ms": chunk_ms });
        if !PROMISED.contains(&joined.duration) {
            let seconds = joined.duration.as_secs();
            speech["warning"] = format!("lasts {}:{:02}, not 3 to 6 minutes", seconds / 60, seconds % 60).into();
        }
        let mut all = match &self.metadata {
            Some(Value::Object(all)) => all.clone(),
            _ => Map::new(),
        };
        all.insert("speech".to_owned(), speech);
        Value::Object(all)
    }
}
