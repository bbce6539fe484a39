//! The header of an MP3 frame: MPEG-1, -2 and -2.5, layer III (ISO/IEC 11172-3 §2.4.2.3 and
//! 13818-3 §2.4.2.3). Other layers and the "free" bitrate are not MP3s we accept.

use std::fmt;

/// Generation of the format. It decides tables and the samples per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// 32 to 48 kHz.
    Mpeg1,
    /// 16 to 24 kHz.
    Mpeg2,
    /// 8 to 12 kHz, an extension by Fraunhofer.
    Mpeg25,
}

/// What must not change within one MP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// Generation.
    pub version: Version,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

/// One frame's header, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What all frames of an MP3 share.
    pub format: Format,
    /// Kilobits per second of this frame.
    pub bitrate_kbps: u32,
    /// Length of the whole frame, header included.
    pub bytes: usize,
    /// A checksum of two bytes follows the header.
    pub has_crc: bool,
}

/// Kilobits per second by index; 0 is "free", 15 is forbidden.
const BITRATES_MPEG1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// The same for MPEG-2 and -2.5.
const BITRATES_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Bytes of a header.
pub const HEADER_BYTES: usize = 4;

impl Version {
    /// Kilobits per second by the index in a header; index 0 ("free") is 0.
    pub const fn bitrates(self) -> &'static [u32; 15] {
        match self {
            Self::Mpeg1 => &BITRATES_MPEG1,
            Self::Mpeg2 | Self::Mpeg25 => &BITRATES_MPEG2,
        }
    }

    /// Samples of each channel in one frame.
    pub const fn samples_per_frame(self) -> u32 {
        match self {
            Self::Mpeg1 => 1152,
            Self::Mpeg2 | Self::Mpeg25 => 576,
        }
    }
}

impl Format {
    /// Length of a frame at this bitrate.
    pub const fn frame_bytes(self, bitrate_kbps: u32, padded: bool) -> usize {
        let bytes = self.version.samples_per_frame() / 8 * bitrate_kbps * 1000 / self.sample_rate;
        bytes as usize + padded as usize
    }

    /// Length of the side information that follows header and checksum.
    pub const fn side_info_bytes(self) -> usize {
        match (self.version, self.channels) {
            (Version::Mpeg1, 1) => 17,
            (Version::Mpeg1, _) => 32,
            (_, 1) => 9,
            (_, _) => 17,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels = if self.channels == 1 { "mono" } else { "stereo" };
        write!(f, "{} Hz {channels}", self.sample_rate)
    }
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` when there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[sync, kind, rates, mode, ..] = bytes else { return None };
        if sync != 0xFF || kind & 0xE0 != 0xE0 || kind & 0x06 != 0x02 {
            return None;
        }
        let version = match kind >> 3 & 3 {
            0 => Version::Mpeg25,
            2 => Version::Mpeg2,
            3 => Version::Mpeg1,
            _ => return None,
        };
        let bitrate_kbps = *version.bitrates().get(usize::from(rates >> 4)).filter(|kbps| **kbps > 0)?;
        let base = *[44_100_u32, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
        let sample_rate = match version {
            Version::Mpeg1 => base,
            Version::Mpeg2 => base / 2,
            Version::Mpeg25 => base / 4,
        };
        let channels = if mode >> 6 == 3 { 1 } else { 2 };
        let format = Format { version, sample_rate, channels };
        let bytes = format.frame_bytes(bitrate_kbps, rates & 2 != 0);
        Some(Self { format, bitrate_kbps, bytes, has_crc: kind & 1 == 0 })
    }

    /// Where the audio data of the frame begins, behind header, checksum and side information.
    pub const fn data_offset(&self) -> usize {
        HEADER_BYTES + if self.has_crc { 2 } else { 0 } + self.format.side_info_bytes()
    }
}
