//! Section `spool`.

use std::path::PathBuf;

use super::reader::{Reader, one_of};

/// The least room that makes sense: a few dozen episodes.
const LEAST_BYTES: u64 = 64 << 20;

/// Where audio waits for its upload.
#[derive(Debug, Clone)]
pub struct Spool {
    /// Directory of the kind `disk`; may not be there yet.
    pub dir: PathBuf,
    /// On disk or in the database.
    pub kind: SpoolKind,
    /// Most bytes that may wait.
    pub max_bytes: u64,
}

/// Where the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolKind {
    /// On this host's disk.
    Disk,
    /// In the database.
    Postgres,
}

impl Spool {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let dir = reader.text("dir").map(PathBuf::from);
        let kinds = [("disk", SpoolKind::Disk), ("postgres", SpoolKind::Postgres)];
        let kind = reader.parsed("kind", |text| one_of(text, &kinds));
        let max_bytes = reader.bytes("max_bytes", LEAST_BYTES);
        Some(Self { dir: dir?, kind: kind?, max_bytes: max_bytes? })
    }
}
