//! Puts the frames of several MP3s behind one another, byte for byte.
//!
//! Nothing is decoded, so nothing is lost; only chunks that differ in format must be made alike
//! before, by [`alike`]. Every chunk was encoded by itself and borrows no bits
//! from the frame before its first, which is why frames may simply follow each other. What an
//! encoder adds at both ends of a chunk stays: some 60 ms of silence at each joint.

use std::{borrow::Cow, time::Duration};

use super::{
    Error, Limits, Pause, SAMPLE_RATE, decode, encode,
    frame::{Format, HEADER_BYTES, Header},
    pauses::pauses,
    scan::{Scan, scan},
};

/// Several MP3s as one.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The frames, without any tag; with a `Xing` frame in front when the bitrate varies.
    pub mp3: Vec<u8>,
    /// How long it plays.
    pub duration: Duration,
    /// How long each chunk plays, in order.
    pub chunks: Vec<Duration>,
    /// Where nobody speaks in each chunk, from its own begin.
    pub pauses: Vec<Vec<Pause>>,
}

/// Joins chunks of one format, in order. Frames of different bitrates get a `Xing` frame in
/// front, so that players can seek and show the right length.
///
/// # Errors
/// What [`scan`] refuses; [`Error::Mixed`] when two chunks differ in format; [`Error::Nothing`]
/// without any chunk; [`Error::TooLarge`] when the whole exceeds the limit.
pub fn join<T: AsRef<[u8]>>(chunks: &[T], limits: Limits) -> Result<Joined, Error> {
    let scans = chunks.iter().map(|chunk| scan(chunk.as_ref(), limits)).collect::<Result<Vec<_>, _>>()?;
    let first = scans.first().ok_or(Error::Nothing)?;
    let bytes: usize = scans.iter().map(|scan| scan.bytes).sum();
    if bytes > limits.max_bytes {
        return Err(Error::TooLarge { bytes, limit: limits.max_bytes });
    }
    let mut mp3 = Vec::with_capacity(bytes);
    for (chunk, scan) in chunks.iter().zip(&scans) {
        if scan.format != first.format {
            return Err(Error::Mixed { was: first.format, is: scan.format, at: mp3.len() });
        }
        scan.runs.iter().filter_map(|run| chunk.as_ref().get(run.clone())).for_each(|run| mp3.extend_from_slice(run));
    }
    let same = scans.iter().all(|scan| scan.bitrate_kbps.is_some() && scan.bitrate_kbps == first.bitrate_kbps);
    if !same {
        let frame = seek_frame(&mp3, first.format);
        mp3.splice(0..0, frame);
    }
    let pauses = chunks.iter().zip(&scans).map(|(chunk, scan)| pauses(chunk.as_ref(), scan)).collect();
    let chunks: Vec<_> = scans.iter().map(Scan::duration).collect();
    Ok(Joined { mp3, duration: chunks.iter().sum(), chunks, pauses })
}

/// The chunks in one format, mono at [`SAMPLE_RATE`]: those that are not yet are decoded, mixed
/// down and encoded again, the others stay as they are. Holds the samples of one chunk at a time.
///
/// # Errors
/// What [`scan`] refuses; [`Error::Encoder`] and [`Error::Decoder`].
pub fn alike<T: AsRef<[u8]>>(chunks: &[T], limits: Limits) -> Result<Vec<Cow<'_, [u8]>>, Error> {
    chunks.iter().map(|chunk| one_alike(chunk.as_ref(), limits)).collect()
}

fn one_alike(mp3: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>, Error> {
    let scan = scan(mp3, limits)?;
    if scan.format.channels == 1 && scan.format.sample_rate == SAMPLE_RATE {
        return Ok(mp3.into());
    }
    Ok(encode::encode(&decode::mono(mp3, &scan)?, scan.format.sample_rate)?.into())
}

/// Bytes of a `Xing` header: marker, flags, frames, bytes, 100 places to seek to.
const XING_BYTES: usize = 4 + 4 + 4 + 4 + 100;

/// A frame without sound that tells how many frames and bytes follow and where each percent of
/// the time is found.
fn seek_frame(frames: &[u8], format: Format) -> Vec<u8> {
    let offsets = offsets(frames);
    let data = HEADER_BYTES + format.side_info_bytes();
    let fits = |kbps: &u32| *kbps > 0 && format.frame_bytes(*kbps, false) >= data + XING_BYTES;
    let rates = format.version.bitrates();
    let index = rates.iter().position(fits).unwrap_or(rates.len() - 1);
    let mut frame = vec![0; format.frame_bytes(rates[index], false)];
    let (head, body) = frame.split_at_mut(data);
    // Sync, version, layer and channels as in any other frame; no checksum, no padding.
    if let [sync, kind, rates, mode, ..] = frames {
        let index = u8::try_from(index).unwrap_or_default();
        head[..HEADER_BYTES].copy_from_slice(&[*sync, *kind | 1, (index << 4) | (*rates & 0x0C), *mode]);
    }
    let total = frames.len() + head.len() + body.len();
    let first = total - frames.len();
    let count = u32::try_from(offsets.len()).unwrap_or(u32::MAX);
    let mut xing = Vec::with_capacity(XING_BYTES);
    xing.extend_from_slice(b"Xing");
    xing.extend_from_slice(&7_u32.to_be_bytes());
    xing.extend_from_slice(&count.to_be_bytes());
    xing.extend_from_slice(&u32::try_from(total).unwrap_or(u32::MAX).to_be_bytes());
    xing.extend((0..100).map(|percent| {
        let offset = offsets.get(offsets.len() * percent / 100).copied().unwrap_or_default();
        u8::try_from((first + offset) * 256 / total).unwrap_or(u8::MAX)
    }));
    let room = body.len().min(xing.len());
    body[..room].copy_from_slice(&xing[..room]);
    frame
}

/// Where each frame begins, in bytes that are nothing but frames.
fn offsets(frames: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut at = 0;
    while let Some(header) = frames.get(at..).and_then(Header::parse) {
        offsets.push(at);
        at += header.bytes;
    }
    offsets
}
