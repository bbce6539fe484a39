//! Speech for any text: real MP3 frames, as many as the text would take to say.
//!
//! Ten seconds of something like a voice are encoded once for each format. An answer is these
//! frames over and over, without a copy: the first of them borrows no bits from the frame before
//! it and the last are silent, so every repetition decodes alike.

use std::{
    collections::HashMap,
    f64::consts::TAU,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::audio::{self, encode::encode_at, frame::Header};

/// Letters, digits, signs and spaces spoken in a second.
const CHARACTERS_PER_SECOND: f64 = 15.0;

/// The same for ideographs, kana and Hangul.
const SYLLABLES_PER_SECOND: f64 = 6.5;

/// No vendor speaks longer in one answer.
const LONGEST_SECONDS: f64 = 600.0;

/// Length of what is repeated.
const CLIP_SECONDS: f64 = 10.0;

/// What the clip ends with in silence.
const SILENT_SECONDS: f64 = 0.4;

/// Samples per second of the clip before it is encoded.
const CLIP_RATE: u32 = 24_000;

/// What an MP3 is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Format {
    /// Samples per second.
    pub(super) rate: u32,
    /// Kilobits per second.
    pub(super) kbps: u32,
}

/// The encoded clip in one format.
#[derive(Debug)]
struct Clip {
    frames: Bytes,
    /// Where each frame ends.
    ends: Vec<usize>,
    /// Seconds of a frame.
    frame_seconds: f64,
}

/// The clips that were asked for so far. The formats that vendors take are few.
#[derive(Debug, Default)]
pub(super) struct Clips(Mutex<HashMap<Format, Arc<Clip>>>);

/// A speech, partly read.
pub(super) struct Speech {
    clip: Arc<Clip>,
    at: u64,
    end: u64,
}

impl Clips {
    /// The speech of `text`, at most ten minutes of it.
    ///
    /// # Errors
    /// What the encoder says.
    pub(super) fn speak(&self, text: &str, format: Format) -> Result<Speech, audio::Error> {
        let clip = self.clip(format)?;
        let frames = (seconds(text) / clip.frame_seconds).ceil().max(1.0) as usize;
        let (whole, more) = (frames / clip.ends.len(), frames % clip.ends.len());
        let rest = more.checked_sub(1).and_then(|last| clip.ends.get(last)).copied().unwrap_or_default();
        let end = (whole * clip.frames.len() + rest) as u64;
        Ok(Speech { clip, at: 0, end })
    }

    fn clip(&self, format: Format) -> Result<Arc<Clip>, audio::Error> {
        let mut clips = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clip) = clips.get(&format) {
            return Ok(clip.clone());
        }
        let clip = Arc::new(Clip::make(format)?);
        clips.insert(format, clip.clone());
        Ok(clip)
    }
}

impl Clip {
    fn make(format: Format) -> Result<Self, audio::Error> {
        let mp3 = encode_at(&voice(), CLIP_RATE, format.rate, format.kbps)?;
        let mut ends = Vec::new();
        let mut at = 0;
        let mut frame_seconds = 0.0;
        while let Some(header) = mp3.get(at..).and_then(Header::parse).filter(|header| at + header.bytes <= mp3.len()) {
            frame_seconds = f64::from(header.format.version.samples_per_frame()) / f64::from(header.format.sample_rate);
            // The encoder adds silence at both ends, which is cut off again.
            if ends.len() as f64 * frame_seconds >= CLIP_SECONDS {
                break;
            }
            at += header.bytes;
            ends.push(at);
        }
        if ends.is_empty() {
            return Err(audio::Error::Nothing);
        }
        let mut frames = Bytes::from(mp3);
        frames.truncate(at);
        Ok(Self { frames, ends, frame_seconds })
    }
}

impl Speech {
    /// All bytes.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// The next bytes, at most `most`; `None` at the end.
    pub(super) fn next(&mut self, most: usize) -> Option<Bytes> {
        let length = self.clip.frames.len();
        let begin = (self.at % length as u64) as usize;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let piece = self.clip.frames.slice(begin..begin + most.min(left).min(length - begin));
        self.at += piece.len() as u64;
        Some(piece).filter(|piece| !piece.is_empty())
    }
}

/// How long the text takes to say.
fn seconds(text: &str) -> f64 {
    let spoken = text.trim().chars().map(|letter| {
        let is_syllable = matches!(letter,
            '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}');
        1.0 / if is_syllable { SYLLABLES_PER_SECOND } else { CHARACTERS_PER_SECOND }
    });
    spoken.sum::<f64>().min(LONGEST_SECONDS)
}

/// Syllables of a voice that says nothing: a buzz with two formants, four times a second, in
/// phrases with a breath between them.
fn voice() -> Vec<i16> {
    let samples = (CLIP_SECONDS * f64::from(CLIP_RATE)) as u32;
    (0..samples)
        .map(|at| {
            let time = f64::from(at) / f64::from(CLIP_RATE);
            let speaks = time < CLIP_SECONDS - SILENT_SECONDS && (time % 3.2) < 2.8;
            let swell = if speaks { (TAU * 2.0 * time).sin().powi(2) } else { 0.0 };
            let pitch = 150.0;
            let syllable = (time * 4.0).floor();
            let (low, high) = (400.0 + 90.0 * (syllable * 7.0 % 5.0), 1200.0 + 260.0 * (syllable * 3.0 % 4.0));
            let buzz: f64 = (1..=16)
                .map(|harmonic| {
                    let tone = pitch * f64::from(harmonic);
                    let near = |formant: f64, width: f64| (-((tone - formant) / width).powi(2)).exp();
                    let level = near(low, 180.0) + 0.5 * near(high, 260.0) + 0.05;
                    level * (TAU * tone * time).sin()
                })
                .sum();
            (buzz * swell * 5000.0).clamp(-20_000.0, 20_000.0) as i16
        })
        .collect()
}
