//! Section `http`.

use std::net::SocketAddr;

use super::{
    reader::Reader,
    secret::Secret,
    value::{origin, socket, web},
};

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Prefix of the addresses handed out, without a slash at the end; `None`: made from where
    /// the server listens.
    pub public_url: Option<String>,
    /// Origins that may call with credentials.
    pub cors_origins: Vec<String>,
    /// Requests a minute of a learner, or of an address where nobody is known; 0: no limit.
    pub rate_per_minute: u32,
    /// Connections at a time.
    pub max_connections: u32,
    /// Whether `/metrics` answers.
    pub metrics: bool,
    /// Signs temporary addresses; `None`: kept in the database.
    pub signing_secret: Option<Secret>,
}

impl Http {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = reader.parsed("listen", socket);
        let public_url = reader.optional("public_url", web);
        let cors_origins = reader.texts("cors_origins", origin);
        let rate_per_minute = reader.count("rate_per_minute", 0..=1_000_000);
        let max_connections = reader.count("max_connections", 1..=100_000);
        let metrics = reader.boolean("metrics");
        let signing_secret = reader.strong_secret("signing_secret");
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            cors_origins: cors_origins?,
            rate_per_minute: rate_per_minute?,
            max_connections: max_connections?,
            metrics: metrics?,
            signing_secret: signing_secret?,
        })
    }
}
