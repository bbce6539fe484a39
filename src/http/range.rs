//! A part of a whole (RFC 9110 §14): one range of bytes. Several ranges at once, other units and
//! what cannot be read count as no range, as the standard allows.

use std::ops::Range;

/// What a `Range` header asks of a whole of some length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it.
    Whole,
    /// These bytes; never empty.
    Part(Range<usize>),
    /// Bytes that are not there.
    Nowhere,
}

/// Reads a `Range` header for a whole of `length` bytes.
pub(super) fn asked(header: Option<&str>, length: usize) -> Asked {
    let spec = header.and_then(|header| {
        let (unit, spec) = header.split_once('=')?;
        unit.trim().eq_ignore_ascii_case("bytes").then_some(spec.trim())
    });
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else { return Asked::Whole };
    match (number(first), number(last)) {
        // The last n bytes.
        (Written::No, Written::Yes(0)) => Asked::Nowhere,
        (Written::No, Written::Yes(n)) if length > 0 => Asked::Part(length.saturating_sub(n)..length),
        (Written::Yes(first), Written::No) if first < length => Asked::Part(first..length),
        (Written::Yes(first), Written::Yes(last)) if first > last => Asked::Whole,
        (Written::Yes(first), Written::Yes(last)) if first < length => {
            Asked::Part(first..last.saturating_add(1).min(length))
        }
        (Written::No, Written::No) | (Written::Wrong, _) | (_, Written::Wrong) => Asked::Whole,
        _ => Asked::Nowhere,
    }
}

enum Written {
    No,
    Yes(usize),
    Wrong,
}

/// Digits only; more of them than fit are as good as the largest number.
fn number(text: &str) -> Written {
    match text.trim() {
        "" => Written::No,
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Written::Yes(digits.parse().unwrap_or(usize::MAX))
        }
        _ => Written::Wrong,
    }
}
