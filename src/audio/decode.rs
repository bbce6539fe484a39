//! From MP3 frames to samples, to hear what a provider sent. Frame by frame: an episode's samples
//! are never held as a whole.
//!
//! A frame that the decoder refuses is passed over, as players do: the frames around it are heard.

use std::{ops::ControlFlow, time::Duration};

use symphonia_bundle_mp3::MpaDecoder;
use symphonia_core::{
    audio::{Audio as _, GenericAudioBufferRef},
    codecs::audio::{AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions, well_known::CODEC_ID_MP3},
    packet::PacketRef,
    units,
};

use super::{Error, frame::Header, scan::Scan};

/// Mean power from which on a frame is a sound: −60 dBFS.
const SOUND_POWER: f32 = 1e-6;

/// Sound of this length makes an MP3 more than a click.
const SOUND: Duration = Duration::from_millis(100);

/// Who speaks has begun by then.
const BEGINNING: Duration = Duration::from_secs(30);

/// Decodes the frames that `scan` found in `mp3` and shows the samples of each, one slice per
/// channel from −1 to 1, until `heard` breaks off.
///
/// # Errors
/// [`Error::Decoder`] when there is no decoder; never for what is in the frames.
pub fn decode(mp3: &[u8], scan: &Scan, mut heard: impl FnMut(&[&[f32]]) -> ControlFlow<()>) -> Result<(), Error> {
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_MP3);
    let decoder = MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default());
    let mut decoder = decoder.map_err(|why| Error::Decoder { why: why.to_string() })?;
    let samples = units::Duration::from(scan.format.version.samples_per_frame());
    for frame in frames(mp3, scan) {
        let packet = PacketRef::new(0, units::Timestamp::ZERO, samples, frame);
        let Ok(GenericAudioBufferRef::F32(sound)) = decoder.decode_ref(&packet) else { continue };
        let flow = match (sound.plane(0), sound.plane(1)) {
            (Some(left), Some(right)) => heard(&[left, right]),
            (Some(only), None) => heard(&[only]),
            (None, _) => ControlFlow::Continue(()),
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// True when an MP3 says nothing: less than a tenth of a second above −60 dBFS in its first half
/// minute. Speech is told from silence by its first few frames, so this is cheap.
///
/// # Errors
/// As [`decode`].
pub fn is_silent(mp3: &[u8], scan: &Scan) -> Result<bool, Error> {
    let rate = f64::from(scan.format.sample_rate);
    let (mut sound, mut all) = (Duration::ZERO, Duration::ZERO);
    decode(mp3, scan, |planes| {
        let length = planes.first().map_or(0, |plane| plane.len());
        let lasts = Duration::from_secs_f64(length as f64 / rate);
        all += lasts;
        if planes.iter().any(|plane| power(plane) > SOUND_POWER) {
            sound += lasts;
        }
        if sound >= SOUND || all >= BEGINNING { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    // What is shorter than that altogether has to sound all the time.
    Ok(sound < SOUND.min(all) || sound.is_zero())
}

/// All samples of an MP3, mixed down to one channel: two bytes for each, so only for MP3s whose
/// length is known to be that of a chunk.
///
/// # Errors
/// As [`decode`].
pub fn mono(mp3: &[u8], scan: &Scan) -> Result<Vec<i16>, Error> {
    let mut samples = Vec::new();
    decode(mp3, scan, |planes| {
        let [left, ..] = planes else { return ControlFlow::Continue(()) };
        let right = planes.get(1).unwrap_or(left);
        samples.extend(left.iter().zip(*right).map(|(left, right)| ((left + right) * 16_384.0) as i16));
        ControlFlow::Continue(())
    })?;
    Ok(samples)
}

/// The frames of a scanned MP3, one by one.
pub(super) fn frames<'a>(mp3: &'a [u8], scan: &'a Scan) -> impl Iterator<Item = &'a [u8]> {
    scan.runs.iter().filter_map(|run| mp3.get(run.clone())).flat_map(|mut rest| {
        std::iter::from_fn(move || {
            let (frame, behind) = rest.split_at_checked(Header::parse(rest)?.bytes)?;
            rest = behind;
            Some(frame)
        })
    })
}

/// Mean square.
fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32
}
