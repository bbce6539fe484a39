//! How long a text takes to say. An estimate, good enough to notice a provider that stopped
//! half-way, which some do without a word.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Letters, digits, signs and spaces that are spoken per second at some 150 words per minute.
const CHARACTERS_PER_SECOND: f64 = 15.0;

/// The same for ideographs, kana and Hangul, each of which is a syllable or more.
const SYLLABLES_PER_SECOND: f64 = 7.0;

/// The usual time for a text.
pub fn usual(text: &str) -> Duration {
    let (syllables, letters) = text.trim().chars().fold((0_u32, 0_u32), |(syllables, letters), character| {
        if is_syllable(character) { (syllables + 1, letters) } else { (syllables, letters + 1) }
    });
    Duration::from_secs_f64(f64::from(syllables) / SYLLABLES_PER_SECOND + f64::from(letters) / CHARACTERS_PER_SECOND)
}

/// The part of the usual time in which the quickest voices still say all of it: at 220 words a
/// minute, a French text takes less than two thirds.
const QUICKEST: f64 = 0.6;

/// The times in which a text may be said: from what the quickest voices need to four times the usual
/// time, with some seconds of grace on both sides, which is what numbers and pauses make of short
/// texts.
pub fn plausible(text: &str) -> RangeInclusive<Duration> {
    let usual = usual(text);
    usual.mul_f64(QUICKEST).saturating_sub(Duration::from_secs(2))..=usual * 4 + Duration::from_secs(10)
}

/// True for hiragana and katakana, ideographs with their rare ones, and Hangul.
pub(super) fn is_syllable(character: char) -> bool {
    matches!(character,
        '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7AF}'
        | '\u{20000}'..='\u{3FFFF}'
    )
}
