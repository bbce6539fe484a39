//! What a learner's player calls.

pub(super) mod audio;
pub(super) mod today;
