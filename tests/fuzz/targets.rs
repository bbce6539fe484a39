//! What must hold for any bytes from outside, by target. The fuzzer and an ordinary test share these
//! functions: the test runs every file of `corpus/` through them, the fuzzer looks for new ones.
//!
//! Beyond "no panic" each says what an accepted input promises. They panic where it does not hold.

use std::time::Duration;

use dailycast::audio::{Limits, decode, frame, join, loudness, scan, tag};

#[path = "answers.rs"]
mod answers;

/// The name of a target's folder in `corpus/`, and what it does with a file.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: [Target; 7] = [
    ("mp3", mp3),
    ("openai", answers::openai),
    ("gemini", answers::gemini),
    ("anthropic", answers::anthropic),
    ("polly", answers::polly),
    ("google", answers::google),
    ("azure", answers::azure),
];

/// Audio as a provider sends it: whatever passes the scan can be joined, heard and measured.
fn mp3(bytes: &[u8]) {
    if let Some(lufs) = tag::loudness(bytes) {
        assert!(lufs.is_finite());
    }
    let found = match scan(bytes, Limits::ANY) {
        Ok(found) => found,
        Err(error) => return assert!(error.to_string().len() < 500),
    };
    let inside: usize = found.runs.iter().map(|run| bytes[run.clone()].len()).sum();
    assert_eq!(inside, found.bytes);
    assert!(found.runs.iter().zip(found.runs.iter().skip(1)).all(|(one, next)| one.end < next.start));
    assert!(found.frames as usize * frame::HEADER_BYTES <= found.bytes);

    let twice = join(&[bytes, bytes], Limits::ANY).expect("what was scanned can be joined");
    // A duration that is no whole number of nanoseconds is cut off there, once for each chunk.
    let rounding = Duration::from_nanos(2);
    assert!(twice.duration.abs_diff(found.duration() * 2) <= rounding);
    for pauses in &twice.pauses {
        assert!(pauses.iter().all(|pause| 0.0 < pause.start && pause.start < pause.end));
        assert!(pauses.is_sorted_by(|one, next| one.end < next.start));
        assert!(pauses.last().is_none_or(|last| last.end <= found.duration().as_secs_f64() + 1e-6));
    }
    let again = scan(&twice.mp3, Limits::ANY).expect("what was joined can be scanned");
    assert_eq!((again.frames, again.format), (found.frames * 2, found.format));
    assert!(twice.duration.abs_diff(again.duration()) <= rounding);

    let samples = decode::mono(bytes, &found).expect("there is a decoder");
    assert!(samples.len() as u64 <= found.samples());
    decode::is_silent(bytes, &found).expect("there is a decoder");
    loudness::measure_mp3(bytes, &found).expect("the meter takes every rate");
}
