//! The voice `tone`: a soft beep a second, for as long as the text would take to say. For tests
//! and load; nobody should wake up to it.
//!
//! The beep is encoded once. A text gets its frames over and over, which costs a copy: the first
//! of them borrows no bits from the frame before it, so every repetition decodes alike.

use std::{f64::consts::TAU, sync::OnceLock};

use bytes::Bytes;

use super::Error;
use crate::{
    audio::{self, SAMPLE_RATE},
    provider::tts::pace,
};

/// A quiet A below middle C, in hertz.
const PITCH: f64 = 220.0;

/// Half of the time there is silence.
const BEEP_SECONDS: f64 = 0.5;

/// Frames of a beep and its silence: a second, nearly.
const CYCLE_FRAMES: u32 = 40;

/// Samples per frame at our rate.
const FRAME: u32 = 576;

/// What is repeated.
#[derive(Debug)]
struct Beep {
    /// The tag with its loudness.
    tag: Vec<u8>,
    /// Frames of one beep and the silence behind it, all of the same size.
    frames: Vec<u8>,
    /// Bytes of each of them.
    frame_bytes: usize,
}

/// Beeps.
#[derive(Debug, Default)]
pub(super) struct Tone {
    beep: OnceLock<Beep>,
}

impl Tone {
    /// Beeps for the usual time of this text, to the frame.
    pub(super) fn speak(&self, text: &str) -> Result<Bytes, Error> {
        let beep = match self.beep.get() {
            Some(beep) => beep,
            None => {
                let made = make()?;
                self.beep.get_or_init(|| made)
            }
        };
        let samples = pace::usual(text).as_secs_f64() * f64::from(SAMPLE_RATE);
        let frames = (samples / f64::from(FRAME)).ceil().max(1.0) as usize;
        let mut mp3 = Vec::with_capacity(beep.tag.len() + frames * beep.frame_bytes);
        mp3.extend_from_slice(&beep.tag);
        let all = beep.tag.len() + frames * beep.frame_bytes;
        while mp3.len() < all {
            let more = beep.frames.len().min(all - mp3.len());
            mp3.extend_from_slice(&beep.frames[..more]);
        }
        Ok(mp3.into())
    }
}

/// Masters and encodes one beep. Its level is measured on half a minute of them.
fn make() -> Result<Beep, Error> {
    let cycle: Vec<i16> = (0..CYCLE_FRAMES * FRAME)
        .map(|at| {
            let time = f64::from(at) / f64::from(SAMPLE_RATE);
            let swell = if time < BEEP_SECONDS { (1.0 - (TAU * time / BEEP_SECONDS).cos()) / 2.0 } else { 0.0 };
            ((TAU * PITCH * time).sin() * swell * 8000.0) as i16
        })
        .collect();
    let many = audio::loudness::master(&cycle.repeat(30), SAMPLE_RATE, audio::loudness::TARGET_LUFS)?;
    let one = many.samples.get(..cycle.len()).unwrap_or_default();
    let tag = many.loudness.map(|loudness| audio::tag::chunk(loudness.lufs)).transpose()?.unwrap_or_default();
    // The encoder adds silence at both ends, which is cut off again.
    let mut frames = audio::encode(one, SAMPLE_RATE)?;
    let scan = audio::scan(&frames, audio::Limits::rate(SAMPLE_RATE))?;
    let frame_bytes = scan.format.frame_bytes(audio::encode::BITRATE_KBPS, false);
    frames.truncate(CYCLE_FRAMES as usize * frame_bytes);
    Ok(Beep { tag, frames, frame_bytes })
}
