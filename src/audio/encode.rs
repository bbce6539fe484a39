//! From samples to an MP3, for our own voices and for chunks that differ in format: LAME at 64 kb/s,
//! constant, mono, 24 kHz, which is transparent enough for speech and a quarter of a music file's
//! size.
//!
//! The encoder is statically linked C under the LGPL-3.0.

use std::num::NonZeroU32;

use mp3lame_encoder::{Bitrate, Builder, FlushGap, Mode, MonoPcm, Quality, VbrMode, max_required_buffer_size};

use super::{Error, SAMPLE_RATE};

/// Kilobits per second of what [`encode`] makes.
pub const BITRATE_KBPS: u32 = 64;

/// What LAME multiplies all samples with at this bitrate, by its own table of presets.
const ENCODER_GAIN: f32 = 0.95;

/// Samples that are encoded at once; bounds the encoder's output buffer.
const SLICE: usize = 48_000;

/// Encodes mono samples of `rate` hertz; another rate than [`SAMPLE_RATE`] is converted. What is
/// played is as loud as the samples: what LAME takes away is given to it before.
///
/// # Errors
/// [`Error::Encoder`] when LAME does not take the rate or runs out of memory.
pub fn encode(samples: &[i16], rate: u32) -> Result<Vec<u8>, Error> {
    encode_at(samples, rate, SAMPLE_RATE, BITRATE_KBPS)
}

/// As [`encode`], at another rate and bitrate. Beside our own bitrate the loudness is only nearly
/// that of the samples.
///
/// # Errors
/// As [`encode`]; [`Error::Encoder`] also when LAME does not know the bitrate.
pub fn encode_at(samples: &[i16], rate: u32, wanted_rate: u32, kbps: u32) -> Result<Vec<u8>, Error> {
    let bitrate = bitrate(kbps)
        .ok_or_else(|| Error::Encoder { step: "take its settings", why: format!("{kbps} kb/s is no bitrate") })?;
    let refused =
        |step: &'static str| move |why: mp3lame_encoder::BuildError| Error::Encoder { step, why: why.to_string() };
    let mut encoder = Builder::new()
        .ok_or_else(|| Error::Encoder { step: "start", why: "out of memory".to_owned() })?
        .with_num_channels(1)
        .and_then(|it| it.with_sample_rate(rate))
        .and_then(|it| it.with_output_sample_rate(NonZeroU32::new(wanted_rate)))
        .and_then(|it| it.with_mode(Mode::Mono))
        .and_then(|it| it.with_brate(bitrate))
        .and_then(|it| it.with_vbr_mode(VbrMode::Off))
        .and_then(|it| it.with_quality(Quality::Good))
        .and_then(|it| it.with_to_write_vbr_tag(false))
        .map_err(refused("take its settings"))?
        .build()
        .map_err(refused("start"))?;
    let failed = |why: mp3lame_encoder::EncodeError| Error::Encoder { step: "encode", why: why.to_string() };
    let (mut mp3, mut louder) = (Vec::new(), Vec::with_capacity(SLICE.min(samples.len())));
    for slice in samples.chunks(SLICE) {
        mp3.reserve(max_required_buffer_size(slice.len()) * 2);
        louder.clear();
        louder.extend(slice.iter().map(|sample| (f32::from(*sample) / ENCODER_GAIN) as i16));
        encoder.encode_to_vec(MonoPcm(&louder), &mut mp3).map_err(failed)?;
    }
    mp3.reserve(max_required_buffer_size(0).max(7200));
    encoder.flush_to_vec::<FlushGap>(&mut mp3).map_err(failed)?;
    Ok(mp3)
}

fn bitrate(kbps: u32) -> Option<Bitrate> {
    Some(match kbps {
        32 => Bitrate::Kbps32,
        48 => Bitrate::Kbps48,
        64 => Bitrate::Kbps64,
        96 => Bitrate::Kbps96,
        128 => Bitrate::Kbps128,
        160 => Bitrate::Kbps160,
        192 => Bitrate::Kbps192,
        _ => return None,
    })
}
