//! The legal moves, as one table. Nothing else in the program knows a move.

use super::event::Event::{
    self, AttemptFailed, AudioLost, AudioReady, Cancelled, GaveUp, Requeued, Rescued, ScriptReady, SpeechStarted,
    Uploaded,
};
use super::event::{Resume, Script};
use super::status::Status::{
    self, AudioGenerating, Completed, CompletedWithFallback, Failed, Pending, PendingUpload, ScriptGenerated,
};

/// One legal move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrow {
    /// The status before.
    pub from: Status,
    /// What happened.
    pub event: Event,
    /// The status after.
    pub to: Status,
}

const fn arrow(from: Status, event: Event, to: Status) -> Arrow {
    Arrow { from, event, to }
}

/// The statuses in which a row may be made: `script_generated` when an episode is spoken anew
/// with the script of the one it replaces.
pub const BIRTHS: [Status; 2] = [Pending, ScriptGenerated];

/// Every legal move of a row that exists. The database holds the same list
/// (`dailycast.is_legal_move`); a test compares them.
pub const TABLE: [Arrow; 30] = [
    // The way of a good night.
    arrow(Pending, ScriptReady, ScriptGenerated),
    arrow(ScriptGenerated, SpeechStarted, AudioGenerating),
    arrow(AudioGenerating, AudioReady, PendingUpload),
    arrow(PendingUpload, Uploaded(Script::Written), Completed),
    arrow(PendingUpload, Uploaded(Script::Template), CompletedWithFallback),
    // The audio is gone: the script is kept.
    arrow(AudioGenerating, AudioLost, ScriptGenerated),
    arrow(PendingUpload, AudioLost, ScriptGenerated),
    // The status stays.
    arrow(Pending, AttemptFailed, Pending),
    arrow(ScriptGenerated, AttemptFailed, ScriptGenerated),
    arrow(AudioGenerating, AttemptFailed, AudioGenerating),
    arrow(PendingUpload, AttemptFailed, PendingUpload),
    arrow(Pending, Rescued, Pending),
    arrow(ScriptGenerated, Rescued, ScriptGenerated),
    arrow(AudioGenerating, Rescued, AudioGenerating),
    arrow(PendingUpload, Rescued, PendingUpload),
    // The ends that nobody wished for.
    arrow(Pending, GaveUp, Failed),
    arrow(ScriptGenerated, GaveUp, Failed),
    arrow(AudioGenerating, GaveUp, Failed),
    arrow(PendingUpload, GaveUp, Failed),
    arrow(Pending, Cancelled, Failed),
    arrow(ScriptGenerated, Cancelled, Failed),
    arrow(AudioGenerating, Cancelled, Failed),
    arrow(PendingUpload, Cancelled, Failed),
    // An operator's requeue: a failed row goes back to the furthest status whose work exists,
    // an unfinished one only becomes due now.
    arrow(Failed, Requeued(Resume::FromStart), Pending),
    arrow(Failed, Requeued(Resume::WithScript), ScriptGenerated),
    arrow(Failed, Requeued(Resume::WithAudio), PendingUpload),
    arrow(Pending, Requeued(Resume::InPlace), Pending),
    arrow(ScriptGenerated, Requeued(Resume::InPlace), ScriptGenerated),
    arrow(AudioGenerating, Requeued(Resume::InPlace), AudioGenerating),
    arrow(PendingUpload, Requeued(Resume::InPlace), PendingUpload),
];

/// The table as a Mermaid state diagram, with the moves between the same two statuses on one
/// arrow and those that leave the status as it is left out.
pub fn chart() -> String {
    use std::fmt::Write as _;

    let mut text = String::from("\n```mermaid\nstateDiagram-v2\n");
    for born in BIRTHS {
        let _ = writeln!(text, "    [*] --> {born}: {}", Event::Enqueued.as_str());
    }
    for from in Status::ALL {
        for to in Status::ALL.into_iter().filter(|to| *to != from) {
            let mut names: Vec<_> =
                TABLE.iter().filter(|a| a.from == from && a.to == to).map(|a| a.event.as_str()).collect();
            names.dedup();
            if !names.is_empty() {
                let _ = writeln!(text, "    {from} --> {to}: {}", names.join(", "));
            }
        }
    }
    text.push_str("```\n");
    text
}
