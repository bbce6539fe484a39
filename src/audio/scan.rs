//! Walks an MP3 frame by frame: is it one, what kind, how long, and where exactly are its frames?
//!
//! Tags (ID3v2, ID3v1, APEv2) and the frame that some encoders put first to describe the rest
//! (`Xing`, `Info`, `VBRI`) hold no sound and are left out, wherever they stand: files that were
//! put together carelessly have them in the middle.

use std::{ops::Range, time::Duration};

use super::{
    Error, MAX_BYTES,
    frame::{Format, HEADER_BYTES, Header},
};

/// What is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The sample rate that was ordered, in hertz; `None` takes any.
    pub sample_rate: Option<u32>,
    /// The most bytes that are looked at.
    pub max_bytes: usize,
}

impl Limits {
    /// Any rate, up to [`MAX_BYTES`].
    pub const ANY: Self = Self { sample_rate: None, max_bytes: MAX_BYTES };

    /// Only this rate, up to [`MAX_BYTES`].
    pub const fn rate(hertz: u32) -> Self {
        Self { sample_rate: Some(hertz), max_bytes: MAX_BYTES }
    }
}

/// A sound MP3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What all its frames share.
    pub format: Format,
    /// Frames with sound.
    pub frames: u64,
    /// Bytes in these frames.
    pub bytes: usize,
    /// Kilobits per second when all frames have the same, else `None`.
    pub bitrate_kbps: Option<u32>,
    /// Where the frames are: unbroken runs of them, in order.
    pub runs: Vec<Range<usize>>,
}

impl Scan {
    /// Samples of each channel.
    pub fn samples(&self) -> u64 {
        self.frames * u64::from(self.format.version.samples_per_frame())
    }

    /// How long it plays, counted from its frames.
    pub fn duration(&self) -> Duration {
        let rate = u64::from(self.format.sample_rate);
        let samples = self.samples();
        Duration::from_secs(samples / rate) + Duration::from_nanos(samples % rate * 1_000_000_000 / rate)
    }
}

/// Looks at a whole MP3.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::NoFrame`], [`Error::Damaged`] when less than 95 % of what is not
/// a tag lies inside frames, [`Error::Mixed`], [`Error::WrongRate`].
pub fn scan(mp3: &[u8], limits: Limits) -> Result<Scan, Error> {
    if mp3.len() > limits.max_bytes {
        return Err(Error::TooLarge { bytes: mp3.len(), limit: limits.max_bytes });
    }
    let mut walk = Walk { mp3, at: 0, found: None, described: 0, tags: 0 };
    while let Some(rest) = mp3.get(walk.at..).filter(|rest| !rest.is_empty()) {
        walk.step(rest)?;
    }
    let Some(scan) = walk.found else {
        return Err(Error::NoFrame { bytes: mp3.len(), looks_like: looks_like(mp3) });
    };
    let bytes = mp3.len() - walk.tags;
    let inside = scan.bytes + walk.described;
    if inside * 100 < bytes * 95 {
        return Err(Error::Damaged { inside, bytes });
    }
    match limits.sample_rate {
        Some(wanted) if wanted != scan.format.sample_rate => {
            Err(Error::WrongRate { is: scan.format.sample_rate, wanted })
        }
        _ => Ok(scan),
    }
}

/// The state of a walk through an MP3.
struct Walk<'a> {
    mp3: &'a [u8],
    /// Next byte to look at.
    at: usize,
    /// What was found up to here.
    found: Option<Scan>,
    /// Bytes in frames that only describe others.
    described: usize,
    /// Bytes in tags.
    tags: usize,
}

impl Walk<'_> {
    /// Goes past one frame, one tag or one byte of anything else.
    fn step(&mut self, rest: &[u8]) -> Result<(), Error> {
        let header = Header::parse(rest).filter(|header| header.bytes <= rest.len());
        let Some(header) = header.filter(|header| self.is_trusted(header)) else {
            let tag = tag_bytes(rest).min(rest.len());
            self.tags += tag;
            self.at += tag.max(1);
            return Ok(());
        };
        if describes(&header, rest) {
            self.described += header.bytes;
            self.at += header.bytes;
            return Ok(());
        }
        let run = self.at..self.at + header.bytes;
        self.at = run.end;
        match &mut self.found {
            None => {
                self.found = Some(Scan {
                    format: header.format,
                    frames: 1,
                    bytes: header.bytes,
                    bitrate_kbps: Some(header.bitrate_kbps),
                    runs: vec![run],
                });
            }
            Some(scan) if scan.format != header.format => {
                return Err(Error::Mixed { was: scan.format, is: header.format, at: run.start });
            }
            Some(scan) => scan.add(&header, run),
        }
        Ok(())
    }

    /// Eleven bits are easily met by chance: away from a known frame, a header counts only when
    /// another of its kind, a tag or the end follows where it says.
    fn is_trusted(&self, header: &Header) -> bool {
        let follows_frame =
            self.found.as_ref().is_some_and(|scan| scan.runs.last().is_some_and(|run| run.end == self.at));
        let next = self.mp3.get(self.at + header.bytes..).unwrap_or_default();
        let met = Header::parse(next).is_some_and(|next| next.format == header.format);
        match &self.found {
            Some(scan) if scan.format != header.format => met,
            Some(_) if follows_frame => true,
            _ => met || next.is_empty() || tag_bytes(next) > 0,
        }
    }
}

impl Scan {
    fn add(&mut self, header: &Header, run: Range<usize>) {
        self.frames += 1;
        self.bytes += header.bytes;
        self.bitrate_kbps = self.bitrate_kbps.filter(|kbps| *kbps == header.bitrate_kbps);
        match self.runs.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => self.runs.push(run),
        }
    }
}

/// What bytes that are no audio may be, for people.
fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes.trim_ascii_start().first() {
        _ if bytes.is_empty() => "nothing",
        _ if bytes.iter().all(|byte| *byte == 0) => "zeros",
        Some(b'{' | b'[') => "JSON",
        Some(b'<') => "a page or XML",
        _ if std::str::from_utf8(bytes).is_ok() => "text",
        _ => "something else",
    }
}

/// Length of the tag that `bytes` begin with, 0 when they begin with none. May exceed `bytes`.
fn tag_bytes(bytes: &[u8]) -> usize {
    match bytes {
        [b'I', b'D', b'3', version, _, flags, a, b, c, d, ..]
            if *version < 0xFF && [a, b, c, d].into_iter().all(|byte| *byte < 0x80) =>
        {
            let size = [a, b, c, d].into_iter().fold(0, |size, byte| size << 7 | usize::from(*byte));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            10 + size + footer
        }
        [b'T', b'A', b'G', ..] if bytes.len() >= 128 => 128,
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, a, b, c, d, ..] if bytes.len() >= 32 => {
            32_usize.saturating_add(u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => 0,
    }
}

/// True for a frame without sound that describes the others. Its side information is all zeros,
/// which no frame with sound has in front of these letters.
fn describes(header: &Header, frame: &[u8]) -> bool {
    let marker = |at: usize| frame.get(at..at + 4).unwrap_or_default();
    let at = header.data_offset();
    let is_silent = frame.get(HEADER_BYTES..at).is_some_and(|side| side.iter().all(|byte| *byte == 0));
    let is_xing = is_silent && [b"Xing", b"Info"].into_iter().any(|name| marker(at) == name);
    is_xing || marker(HEADER_BYTES + 32) == b"VBRI"
}
