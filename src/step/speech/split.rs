//! Cuts a script to what a provider takes at once: at paragraph ends where it can, else at
//! sentence ends, between words, and only then between characters.

use crate::provider::tts::{TextLimit, paragraphs::behind_sentence};

/// Pieces may be this much longer than an even share, so that a good place to cut is in reach.
const SLACK: f64 = 1.15;

/// Byte offsets behind each piece; the last is the length of the text, and an empty text has
/// none. Pieces are of similar length rather than full ones and a small rest.
///
/// Each piece is within the limit, which is taken as at least one character.
pub fn split(text: &str, limit: TextLimit) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        start += piece(rest, limit);
        ends.push(start);
    }
    ends
}

/// Length in bytes of the next piece.
fn piece(rest: &str, limit: TextLimit) -> usize {
    let (most, whole) = match limit {
        TextLimit::Characters(most) => (most.max(1), rest.chars().count()),
        TextLimit::Bytes(most) => (most.max(1), rest.len()),
    };
    if whole <= most {
        return rest.len();
    }
    let even = whole as f64 / whole.div_ceil(most) as f64;
    let window = most.min((even * SLACK).ceil() as usize);
    let head = prefix(rest, window, limit);
    // A piece of less than half of the window would be made up for by further pieces.
    let far = |cut: &usize| *cut * 2 > head.len();
    let word_end = head.trim_end_matches(|character: char| !character.is_whitespace()).len();
    (head.rfind("\n\n").map(|at| at + 2).filter(far))
        .or_else(|| last_sentence_end(head, rest).filter(far))
        .or_else(|| Some(word_end).filter(|end| *end > 0))
        .unwrap_or(head.len())
}

/// The longest beginning of `text` that weighs no more than `window`, and at least a character.
fn prefix(text: &str, window: usize, limit: TextLimit) -> &str {
    let mut weight = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        weight += match limit {
            TextLimit::Characters(_) => 1,
            TextLimit::Bytes(_) => character.len_utf8(),
        };
        (weight > window && at > 0).then_some(at)
    });
    &text[..end.unwrap_or(text.len())]
}

/// The end of the last sentence in `head`, with the spaces behind it that are still in `head`.
fn last_sentence_end(head: &str, rest: &str) -> Option<usize> {
    head.char_indices().rev().find_map(|(at, character)| {
        let after = behind_sentence(character, &rest[at + character.len_utf8()..])?;
        let end = rest.len() - after.trim_start().len();
        let end = if end <= head.len() { end } else { rest.len() - after.len() };
        (end <= head.len()).then_some(end)
    })
}
