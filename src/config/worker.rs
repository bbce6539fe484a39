//! Section `worker`.

use std::time::Duration;

use super::reader::{Reader, seconds};

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Podcasts in flight.
    pub concurrency: u32,
    /// How long a worker that cannot be proved dead keeps its podcasts.
    pub lease: Duration,
    /// How long a stopping worker may finish what it has begun.
    pub grace: Duration,
    /// Its name; `None`: made at start.
    pub id: Option<String>,
}

impl Worker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let concurrency = reader.count("concurrency", 1..=100_000);
        let lease = reader.duration("lease", seconds(2)..=seconds(3600));
        let grace = reader.duration("grace", seconds(0)..=seconds(3600));
        let id = reader.optional_text("id");
        Some(Self { concurrency: concurrency?, lease: lease?, grace: grace?, id: id? })
    }
}
