//! Section `database`.

use std::time::Duration;

use super::{
    reader::{Reader, days, seconds},
    secret::Secret,
};

/// Postgres.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its address; `None` when it is not set.
    pub url: Option<Secret>,
    /// Most connections of this process.
    pub max_connections: u32,
    /// How long to wait at start for a database that is away.
    pub wait: Duration,
}

impl Database {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.secret_address("url", &["postgres://", "postgresql://"]);
        let max_connections = reader.count("max_connections", 4..=1000);
        let wait = reader.duration("wait", seconds(0)..=days(1));
        Some(Self { url: url?, max_connections: max_connections?, wait: wait? })
    }
}
