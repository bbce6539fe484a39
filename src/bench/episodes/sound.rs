//! What an MP3 sounds like and says of itself, measured from its bytes: decoded as a whole, and its
//! tag read frame by frame, by nothing that made it.

use std::{collections::BTreeMap, ops::ControlFlow};

use ebur128::{EbuR128, Mode};
use serde::Serialize;

use crate::audio::{self, Limits, SAMPLE_RATE, decode::decode};

/// Below this mean power, −50 dBFS, nobody speaks.
const SPEECH_POWER: f32 = 1e-5;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sound {
    /// Counted from decoded samples.
    pub seconds: f64,
    /// Integrated loudness.
    pub lufs: f64,
    /// Highest true peak.
    pub peak_dbtp: f64,
    /// The longest stretch in which nobody speaks, in seconds.
    pub longest_silence: f64,
}

/// Listens to all of an MP3.
///
/// # Errors
/// In words, when it is no MP3 of ours or silent.
pub fn listen(mp3: &[u8]) -> Result<Sound, String> {
    let scan = audio::scan(mp3, Limits::rate(SAMPLE_RATE)).map_err(|error| error.to_string())?;
    let (rate, channels) = (scan.format.sample_rate, u32::from(scan.format.channels));
    let told = |error: ebur128::Error| error.to_string();
    let mut meter = EbuR128::new(channels, rate, Mode::I | Mode::TRUE_PEAK).map_err(told)?;
    let (mut samples, mut silent, mut longest) = (0_usize, 0_usize, 0_usize);
    let mut refused = Ok(());
    decode(mp3, &scan, |planes| {
        let Some(first) = planes.first() else { return ControlFlow::Continue(()) };
        samples += first.len();
        let power = first.iter().map(|sample| sample * sample).sum::<f32>() / first.len().max(1) as f32;
        silent = if power < SPEECH_POWER { silent + first.len() } else { 0 };
        longest = longest.max(silent);
        refused = meter.add_frames_planar_f32(planes);
        if refused.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .map_err(|error| error.to_string())?;
    refused.map_err(told)?;
    let mut peak = 0.0_f64;
    for channel in 0..channels {
        peak = peak.max(meter.true_peak(channel).map_err(told)?);
    }
    let lufs = meter.loudness_global().map_err(told)?;
    if !lufs.is_finite() || peak <= 0.0 {
        return Err("it is silent".to_owned());
    }
    let seconds = |samples: usize| samples as f64 / f64::from(rate);
    Ok(Sound { seconds: seconds(samples), lufs, peak_dbtp: 20.0 * peak.log10(), longest_silence: seconds(longest) })
}

/// The text frames of an ID3v2.4 tag and the text of its lyrics (`USLT`), by frame.
///
/// # Errors
/// In words, when there is no such tag or it is damaged.
pub fn tag(mp3: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let damaged = || "the tag is damaged".to_owned();
    let head = mp3.get(..10).filter(|head| head.starts_with(b"ID3\x04")).ok_or("there is no ID3v2.4 tag")?;
    let mut rest = mp3.get(10..10 + size(&head[6..])).ok_or_else(damaged)?;
    let mut frames = BTreeMap::new();
    while rest.first().is_some_and(|byte| *byte != 0) {
        let (head, behind) = rest.split_at_checked(10).ok_or_else(damaged)?;
        let (body, next) = behind.split_at_checked(size(&head[4..8])).ok_or_else(damaged)?;
        rest = next;
        let name = String::from_utf8_lossy(&head[..4]).into_owned();
        // The first byte says how texts are written; 3 is UTF-8.
        let text = match (body.split_first(), name.as_str()) {
            (Some((3, text)), "USLT") => text.get(3..).unwrap_or_default().splitn(2, |byte| *byte == 0).nth(1),
            (Some((3, text)), name) if name.starts_with('T') && name != "TXXX" => Some(text),
            _ => None,
        };
        if let Some(text) = text {
            let text = String::from_utf8(text.to_vec()).map_err(|_| damaged())?;
            frames.insert(name, text.trim_end_matches('\0').to_owned());
        }
    }
    Ok(frames)
}

/// A size of ID3v2.4: seven bits a byte.
fn size(bytes: &[u8]) -> usize {
    bytes.iter().take(4).fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f))
}
