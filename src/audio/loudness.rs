//! How loud speech is (EBU R 128, ITU-R BS.1770), and our own as loud as other podcasts: −16 LUFS,
//! with no true peak above −1 dBTP, before it is encoded.
//!
//! Speech has sharp peaks, so gain alone cannot reach the target: a look-ahead limiter turns the
//! level down a few milliseconds before a peak and up again slowly after it. It works on blocks of
//! a millisecond: one gain per block border, and straight lines between them.

use std::{collections::VecDeque, ops::ControlFlow};

use ebur128::{EbuR128, Mode};

use super::{Error, decode::decode, scan::Scan};

/// Where speech is mastered to, in LUFS.
pub const TARGET_LUFS: f64 = -16.0;

/// The true peak that samples may have, in dBTP. An MP3 of 64 kb/s overshoots its samples, at times
/// by more than a decibel, and the promise of −1 dBTP is about what is played.
const CEILING_DBTP: f64 = -2.8;

/// Blocks per second of the limiter.
const BLOCKS_PER_SECOND: u32 = 1000;

/// Blocks that the gain needs to come down before a peak.
const ATTACK_BLOCKS: usize = 5;

/// Share of the way back to full gain that is made per block after a peak: some 60 ms.
const RELEASE: f32 = 0.017;

/// Speech shorter than this, in seconds, does not tell how loud the voice is.
const TELLING_SECONDS: f64 = 20.0;

/// No gain beyond this, in dB: what is that quiet is noise.
const MAX_GAIN_DB: f64 = 24.0;

/// The limiter runs once and then at most this often again.
const MAX_CORRECTIONS: usize = 3;

/// What a meter says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Integrated loudness in LUFS.
    pub lufs: f64,
    /// Highest true peak in dBTP.
    pub peak_dbtp: f64,
}

/// Samples at their final level.
#[derive(Debug, Clone)]
pub struct Mastered {
    /// The samples.
    pub samples: Vec<i16>,
    /// How loud they are now; `None` for silence and for less than 400 ms.
    pub loudness: Option<Loudness>,
}

/// Measures mono samples; `None` for silence and for less than 400 ms, which have no loudness.
///
/// # Errors
/// [`Error::Meter`] for a rate that the meter does not take.
pub fn measure(samples: &[i16], rate: u32) -> Result<Option<Loudness>, Error> {
    let failed = |source| Error::Meter { rate, source };
    let mut meter = EbuR128::new(1, rate, Mode::I | Mode::TRUE_PEAK).map_err(failed)?;
    // In steps of a second: the meter keeps a copy of what it is given at once.
    for second in samples.chunks(rate.max(1) as usize) {
        meter.add_frames_i16(second).map_err(failed)?;
    }
    read(&meter, 1).map_err(failed)
}

/// Measures the MP3 that `scan` was made of, as it is played; `None` as for [`measure`].
///
/// # Errors
/// [`Error::Meter`] as for [`measure`], [`Error::Decoder`] when there is no decoder.
pub fn measure_mp3(mp3: &[u8], scan: &Scan) -> Result<Option<Loudness>, Error> {
    let (rate, channels) = (scan.format.sample_rate, u32::from(scan.format.channels));
    let failed = |source| Error::Meter { rate, source };
    let mut meter = EbuR128::new(channels, rate, Mode::I | Mode::TRUE_PEAK).map_err(failed)?;
    let mut refused = Ok(());
    decode(mp3, scan, |planes| {
        refused = meter.add_frames_planar_f32(planes);
        if refused.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    refused.and_then(|()| read(&meter, channels)).map_err(failed)
}

fn read(meter: &EbuR128, channels: u32) -> Result<Option<Loudness>, ebur128::Error> {
    let lufs = meter.loudness_global()?;
    let peaks = (0..channels).map(|channel| meter.true_peak(channel)).collect::<Result<Vec<_>, _>>()?;
    let peak_dbtp = decibels(peaks.into_iter().fold(0.0, f64::max));
    Ok((lufs.is_finite() && peak_dbtp.is_finite()).then_some(Loudness { lufs, peak_dbtp }))
}

/// Brings mono speech of `rate` hertz to [`TARGET_LUFS`] and below the ceiling.
///
/// `voice_lufs` is the usual loudness of the voice. A long text says for itself how loud it is; a
/// short one may be a loud or a quiet sentence and is trusted in proportion to its length, so that
/// the last short chunk of an episode does not jump.
///
/// # Errors
/// [`Error::Meter`] for a rate that the meter does not take.
pub fn master(samples: &[i16], rate: u32, voice_lufs: f64) -> Result<Mastered, Error> {
    let Some(raw) = measure(samples, rate)? else {
        return Ok(Mastered { samples: samples.to_vec(), loudness: None });
    };
    let seconds = samples.len() as f64 / f64::from(rate);
    let trust = (seconds / TELLING_SECONDS).min(1.0);
    let own = raw.lufs * trust + voice_lufs * (1.0 - trust);
    let wanted = raw.lufs + (TARGET_LUFS - own).clamp(-MAX_GAIN_DB, MAX_GAIN_DB);
    let limiter = Limiter::new(samples, rate);
    let mut gain = wanted - raw.lufs;
    let mut louder = limiter.run(samples, gain, CEILING_DBTP);
    let mut loudness = measure(&louder, rate)?;
    // What the limiter took away is given back, and peaks that are still too high between the
    // samples lower the ceiling.
    let mut ceiling = CEILING_DBTP;
    for _ in 0..MAX_CORRECTIONS {
        let Some(now) = loudness else { break };
        let (missing, over) = (wanted - now.lufs, now.peak_dbtp - CEILING_DBTP);
        if missing < 0.2 && over < 0.3 {
            break;
        }
        gain += missing.clamp(0.0, 6.0);
        ceiling -= over.clamp(0.0, 3.0);
        louder = limiter.run(samples, gain, ceiling);
        loudness = measure(&louder, rate)?;
    }
    Ok(Mastered { samples: louder, loudness })
}

fn decibels(amplitude: f64) -> f64 {
    20.0 * amplitude.log10()
}

fn amplitude(decibels: f64) -> f32 {
    10_f64.powf(decibels / 20.0) as f32
}

/// The peaks of some samples, block by block.
struct Limiter {
    /// Samples per block.
    block: usize,
    /// Highest amplitude of each block, 0 to 1.
    peaks: Vec<f32>,
}

impl Limiter {
    fn new(samples: &[i16], rate: u32) -> Self {
        let block = (rate / BLOCKS_PER_SECOND).max(1) as usize;
        let peak = |block: &[i16]| block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        Self { block, peaks: samples.chunks(block).map(|block| f32::from(peak(block)) / 32_768.0).collect() }
    }

    /// The samples, amplified by `gain_db`, with no sample above `ceiling_db`.
    fn run(&self, samples: &[i16], gain_db: f64, ceiling_db: f64) -> Vec<i16> {
        let gain = amplitude(gain_db);
        let borders = self.borders(gain, amplitude(ceiling_db));
        let mut out = Vec::with_capacity(samples.len());
        for (block, border) in samples.chunks(self.block).zip(borders.windows(2)) {
            let step = (border[1] - border[0]) / block.len() as f32 * gain;
            let mut now = border[0] * gain;
            for sample in block {
                out.push((f32::from(*sample) * now).clamp(-32_768.0, 32_767.0) as i16);
                now += step;
            }
        }
        out
    }

    /// The limiter's gain, 0 to 1, at each border between blocks, the two ends included.
    fn borders(&self, gain: f32, ceiling: f32) -> Vec<f32> {
        let allowed = |block: usize| match self.peaks.get(block) {
            Some(peak) if peak * gain > ceiling => ceiling / (peak * gain),
            _ => 1.0,
        };
        // Both borders of a block must allow it.
        let at = |border: usize| allowed(border).min(border.checked_sub(1).map_or(1.0, allowed));
        let count = self.peaks.len() + 1;
        let mut borders = Vec::with_capacity(count);
        let mut ahead: VecDeque<(usize, f32)> = VecDeque::with_capacity(ATTACK_BLOCKS + 1);
        let mut recent = VecDeque::from([1.0_f32; ATTACK_BLOCKS]);
        let mut held = 1.0_f32;
        // The lowest of the next blocks, held and released slowly, then averaged over as many
        // blocks: down in time for every peak, without a corner.
        for border in 0..count + ATTACK_BLOCKS - 1 {
            let value = at(border);
            while ahead.back().is_some_and(|(_, last)| *last >= value) {
                ahead.pop_back();
            }
            ahead.push_back((border, value));
            if ahead.front().is_some_and(|(first, _)| first + ATTACK_BLOCKS <= border) {
                ahead.pop_front();
            }
            let lowest = ahead.front().map_or(1.0, |(_, lowest)| *lowest);
            held = lowest.min(held + (1.0 - held) * RELEASE);
            recent.pop_front();
            recent.push_back(held);
            if border + 1 >= ATTACK_BLOCKS {
                borders.push(recent.iter().sum::<f32>() / ATTACK_BLOCKS as f32);
            }
        }
        borders
    }
}
