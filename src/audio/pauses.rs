//! Where nobody speaks, read from an MP3 without decoding it.
//!
//! In front of each frame's data stands its *side information* (ISO/IEC 11172-3 §2.4.1.7, for the
//! low rates 13818-3 §2.4.1.7): for each granule of 576 samples the size of its data, the step of
//! its quantizer (`global_gain`) and which code tables are used (`table_select`). A table can only
//! say numbers up to its own largest, and encoders take the smallest table that will do: step and
//! table together tell how strong the strongest frequency may be. That follows the loudness of
//! speech closely, at a small part of the price of decoding it.
//!
//! What would surprise: the step alone says little. An encoder that has bits to spend describes a
//! quiet room with a fine step and as many bits as it gives a loud voice.

use super::{
    decode::frames,
    frame::{Format, Header, Version},
    scan::Scan,
};

/// A stretch without speech, in seconds from the begin of its MP3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pause {
    /// Where it begins.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
}

/// Samples of a granule.
const GRANULE: u32 = 576;

/// What is heard of a granule comes this many granules later: a decoder overlaps each with the one
/// before, and its filters are slow.
const DELAY: usize = 1;

/// The shortest pause in seconds. Within words there are shorter ones, before a `p` or a `t`.
const SHORTEST: f64 = 0.1;

/// Levels here are in steps of `global_gain`: 2^(1/4), or 1.5 dB. This is nothing at all.
const NOTHING: i32 = -100;

/// Speech and silence are this far apart, or there is no silence.
const APART: i32 = 8;

/// What lies this far below speech is silence, however much deeper the deepest may be.
const DEEP: i32 = 40;

/// The largest number of each code table, of which 4 and 14 do not exist (11172-3 table B.7).
const LARGEST: [u16; 32] = [
    0, 1, 2, 2, 0, 3, 3, 5, 5, 5, 7, 7, 7, 15, 0, 15, 16, 18, 22, 30, 78, 270, 1038, 8206, 30, 46, 78, 142, 270, 526,
    2062, 8206,
];

/// The pauses of a scanned MP3, in order. None where the level is even, as in a tone.
pub fn pauses(mp3: &[u8], scan: &Scan) -> Vec<Pause> {
    let granule = f64::from(GRANULE) / f64::from(scan.format.sample_rate);
    let lasts = scan.samples() as f64 / f64::from(scan.format.sample_rate);
    let levels = calmed(&frames(mp3, scan).flat_map(levels).collect::<Vec<_>>());
    let Some(limit) = limit(&levels) else { return Vec::new() };
    let time = |at: usize| ((at + DELAY) as f64 * granule).min(lasts);
    let mut at = 0;
    let runs = levels.chunk_by(|one, next| (*one < limit) == (*next < limit)).map(|run| {
        at += run.len();
        (run, Pause { start: time(at - run.len()), end: time(at) })
    });
    let is_pause = |(run, pause): &(&[i32], Pause)| run[0] < limit && pause.end - pause.start >= SHORTEST;
    runs.filter(is_pause).map(|(_, pause)| pause).collect()
}

/// Below it nobody speaks: half-way between the quietest and the loudest, by their usual levels.
fn limit(levels: &[i32]) -> Option<i32> {
    let mut levels = levels.to_vec();
    let mut usual = |percent: usize| {
        let at = levels.len() * percent / 100;
        (at < levels.len()).then(|| *levels.select_nth_unstable(at).1)
    };
    let (quiet, loud) = (usual(5)?, usual(80)?);
    let quiet = quiet.max(loud - DEEP);
    (loud - quiet >= APART).then_some((loud + quiet) / 2)
}

/// Each level as the middle one of itself and its neighbours: encoders that are short of bits let
/// a single granule stand out.
fn calmed(levels: &[i32]) -> Vec<i32> {
    let middle = |at: usize| {
        let [one, two, three] = [at.saturating_sub(1), at, (at + 1).min(levels.len() - 1)].map(|at| levels[at]);
        one.max(two).min(one.min(two).max(three))
    };
    (0..levels.len()).map(middle).collect()
}

/// The levels of a frame's granules: two of MPEG-1, one of the others.
fn levels(frame: &[u8]) -> impl Iterator<Item = i32> {
    Header::parse(frame).into_iter().flat_map(move |header| {
        let (layout, begin) = (Layout::of(header.format), header.data_offset() - header.format.side_info_bytes());
        let side = frame.get(begin..header.data_offset()).unwrap_or_default();
        (0..layout.granules).map(move |granule| {
            let begins = (0..layout.channels).map(|channel| layout.begin(granule, channel));
            begins.map(|begin| level(side, begin, layout.scale_bits)).max().unwrap_or(NOTHING)
        })
    })
}

/// Where a format has what in its side information, in bits.
#[derive(Clone, Copy)]
struct Layout {
    granules: usize,
    channels: usize,
    /// Before the first granule: a pointer to the data, private bits, what granules share.
    lead: usize,
    /// Length of a granule of a channel.
    length: usize,
    /// Length of `scalefac_compress` in it.
    scale_bits: usize,
}

impl Layout {
    const fn of(format: Format) -> Self {
        let channels = format.channels as usize;
        match (format.version, channels) {
            (Version::Mpeg1, 1) => Self { granules: 2, channels, lead: 9 + 5 + 4, length: 59, scale_bits: 4 },
            (Version::Mpeg1, _) => Self { granules: 2, channels, lead: 9 + 3 + 8, length: 59, scale_bits: 4 },
            (_, 1) => Self { granules: 1, channels, lead: 8 + 1, length: 63, scale_bits: 9 },
            (_, _) => Self { granules: 1, channels, lead: 8 + 2, length: 63, scale_bits: 9 },
        }
    }

    /// Where a granule of a channel begins.
    const fn begin(self, granule: usize, channel: usize) -> usize {
        self.lead + (granule * self.channels + channel) * self.length
    }
}

/// How strong the strongest frequency of a granule may be.
fn level(side: &[u8], begin: usize, scale_bits: usize) -> i32 {
    let fields = eight_bytes(side, begin);
    let bits = |at: usize, count: usize| fields >> (64 - at - count) & ((1 << count) - 1);
    let (size, pairs, gain) = (bits(0, 12), bits(12, 9), bits(21, 8));
    if size == 0 {
        return NOTHING;
    }
    let window = 29 + scale_bits;
    let (tables, damping) = if bits(window, 1) == 0 {
        ([1, 6, 11].map(|at| bits(window + at, 5)), 0)
    } else {
        let [first, second] = [4, 9].map(|at| bits(window + at, 5));
        // Three short windows have a gain of their own each, in steps that are eight times as large.
        let gains = [14, 17, 20].map(|at| bits(window + at, 3));
        let is_short = bits(window + 1, 2) == 2;
        ([first, second, second], if is_short { gains.into_iter().min().unwrap_or(0) * 8 } else { 0 })
    };
    let largest = tables.into_iter().filter_map(|table| LARGEST.get(table as usize)).max();
    // Without pairs there are only ones. A number n stands for n^(4/3).
    let largest = largest.filter(|_| pairs > 0).copied().unwrap_or(1);
    if largest == 0 {
        return NOTHING;
    }
    let strength = f32::from(largest).log2() * 4.0 * 4.0 / 3.0;
    (gain as i32 - 210 - damping as i32 + strength as i32).max(NOTHING)
}

/// The 64 bits from the bit `at` on; behind the end are zeros.
fn eight_bytes(bytes: &[u8], at: usize) -> u64 {
    let mut nine_and_zeros = [0; 16];
    for (to, from) in nine_and_zeros.iter_mut().zip(bytes.iter().skip(at / 8).take(9)) {
        *to = *from;
    }
    (u128::from_be_bytes(nine_and_zeros) << (at % 8) >> 64) as u64
}
