//! The exclusive right to advance a podcast.
//!
//! It has two halves, and each lives in one place. The *fence* is the token in the podcast's row:
//! a claim writes a new one, every later write names it, and a write that names an old one changes
//! nothing. The *time* is the heartbeat of the worker, one row for all it holds: while it is
//! young, the claims of the worker hold; when it is older than the lease, or the worker is proved
//! dead, a sweep takes the rows back.

/// What a claim hands out for one podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The podcast it is for.
    pub podcast_id: i64,
    /// The fence: grows with every claim of any podcast.
    pub token: i64,
}

/// The row no longer names this token: someone else may hold it now, so nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease on podcast {} was lost", .0.podcast_id)]
pub struct LeaseLost(pub Lease);
