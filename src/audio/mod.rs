//! What an episode is made of, down to the frame: pure functions over bytes and samples, without
//! I/O.
//!
//! Audio from a provider is untrusted. [`scan`] walks its MP3 frames and refuses what is not one
//! sound MP3; [`join`] puts the frames of several chunks behind one another, without decoding;
//! [`pauses`] tells where nobody speaks, without decoding either; [`tag`] writes the words a player
//! shows. [`decode`] only listens: is there any sound, and how loud is it?
//!
//! The other way, from samples to an MP3, is for our own voices: [`loudness`] makes them as loud as
//! other podcasts, [`encode`] packs them. What a provider sent is packed again only when its chunks
//! differ in format.
//!
//! Durations are counted from frames, never guessed from sizes. Nothing here panics on any bytes,
//! and nothing allocates by a number that it read from them.

pub mod decode;
pub mod encode;
pub mod frame;
pub mod join;
pub mod loudness;
pub mod pauses;
pub mod scan;
pub mod tag;

pub use encode::encode;
pub use join::join;
pub use pauses::{Pause, pauses};
pub use scan::{Limits, Scan, scan};

/// Sample rate of all speech in hertz: every provider offers it.
pub const SAMPLE_RATE: u32 = 24_000;

/// The largest MP3 that is looked at: an hour at 64 kb/s, far beyond any episode.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Why bytes are not the audio we want.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than we are ready to look at.
    #[error("{bytes} bytes of audio are more than the {limit} that are accepted")]
    TooLarge {
        /// What came.
        bytes: usize,
        /// What is accepted.
        limit: usize,
    },
    /// Not an MP3 at all: an error page, JSON, silence of the wrong kind.
    #[error("no MP3 frame in {bytes} bytes that look like {looks_like}")]
    NoFrame {
        /// What came.
        bytes: usize,
        /// What they may be. They are not shown: a page of errors may repeat what was sent.
        looks_like: &'static str,
    },
    /// Too much of it lies outside frames: cut, damaged or mixed with something else.
    #[error("only {inside} of {bytes} bytes lie inside MP3 frames; at least 95 % must")]
    Damaged {
        /// Bytes inside frames.
        inside: usize,
        /// All bytes, without tags.
        bytes: usize,
    },
    /// Frames of two kinds in one piece.
    #[error("the audio changes from {was} to {is} at byte {at}")]
    Mixed {
        /// Kind of the frames before.
        was: frame::Format,
        /// Kind of the next frame.
        is: frame::Format,
        /// Where it changes; for a join, the chunk's first byte in the result.
        at: usize,
    },
    /// Not the sample rate that was ordered.
    #[error("the audio has {is} Hz instead of {wanted} Hz")]
    WrongRate {
        /// What came.
        is: u32,
        /// What was ordered.
        wanted: u32,
    },
    /// A join of no chunks.
    #[error("there is no audio to join")]
    Nothing,
    /// LAME could not be set up, or refused the samples.
    #[error("the MP3 encoder refused to {step}: {why}")]
    Encoder {
        /// What was asked of it.
        step: &'static str,
        /// Its own words.
        why: String,
    },
    /// No decoder for MP3s could be set up.
    #[error("the MP3 decoder could not be set up: {why}")]
    Decoder {
        /// Its own words.
        why: String,
    },
    /// The meter does not take this rate.
    #[error("loudness cannot be measured at {rate} Hz")]
    Meter {
        /// The rate of the samples.
        rate: u32,
        /// Its own words.
        #[source]
        source: ebur128::Error,
    },
    /// The tag could not be written.
    #[error("the ID3 tag could not be written")]
    Tag(#[from] id3::Error),
}
