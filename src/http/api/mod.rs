//! What a learner's player calls: one file per subject.

pub(super) mod audio;
pub(super) mod episode;
pub(super) mod episodes;
pub(super) mod feed;
pub(super) mod generate;
pub(super) mod marks;
pub(super) mod share;
pub(super) mod today;
pub(super) mod transcript;
