//! The HTTP server: what learners get, and whether this process is well.
//!
//! Read `routes.rs` first: every address on one screen. A request passes through the shell
//! (`shell.rs`: request id, time limit, errors as JSON, security headers, one log line), finds its
//! route, and is let in by `auth.rs`. Handlers live in `api/`, one file per subject. How many
//! connections there may be, and how slow, is in `connections.rs` and `patience.rs`.
//!
//! What would surprise: every path answers with and without the slash at its end; nothing here
//! answers 500 but for a defect, and then without a trace: a database that is away is a 503 with
//! `Retry-After`, because the academy's client repeats a failed read at once.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    ops::Desk,
    provider::{object_store::ObjectStore, spool::Spool},
    store::Reads,
};

mod api;
mod auth;
mod body;
mod conditional;
mod connections;
mod cors;
mod docs;
mod error;
mod feed;
mod floor;
mod health;
mod html;
mod metrics;
mod ops;
mod patience;
mod range;
mod rate;
mod routes;
mod shell;
mod signing;
mod site;
mod study;
mod tokens;
mod transcript;

pub use ops::Door;
pub use rate::Rates;
pub use signing::SigningKey;
pub use tokens::Tokens;

use signing::Window;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Someone else listens there.
    #[error("port {} of {} is taken", .0.port(), .0.ip())]
    PortTaken(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What handlers know.
pub struct App {
    /// The database; the academy's views are found by its search path.
    pub reads: Reads,
    /// Whose tokens were looked up lately.
    pub tokens: Tokens,
    /// Whom the operators' side let in lately.
    pub door: Door,
    /// Who has asked how often.
    pub rates: Rates,
    /// Where episodes are kept.
    pub store: Arc<dyn ObjectStore>,
    /// Where audio waits for its upload.
    pub spool: Arc<dyn Spool>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Signs temporary addresses.
    pub signing_key: SigningKey,
    /// Where operators sit.
    pub desk: Arc<Desk>,
    /// Ends when the server is to stop, and with it what would else go on for ever.
    pub ending: CancellationToken,
    /// What is set.
    pub settings: Settings,
}

impl App {
    /// The date of today: that of the night in its zone.
    fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.settings.time_zone).date_naive()
    }

    /// The newest date whose episodes can no longer be heard.
    fn expired(&self, now: DateTime<Utc>) -> NaiveDate {
        let days = Days::new(self.settings.retention_days.into());
        self.today(now).checked_sub_days(days).unwrap_or(NaiveDate::MIN)
    }

    /// The window of addresses that are signed now.
    fn window(&self, now: DateTime<Utc>) -> Window {
        Window::at(now, self.settings.url_ttl, self.store.signs_until())
    }
}

/// What is set for the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Prefix of addresses handed out, without a slash at the end.
    pub public_url: String,
    /// Zone in which "today" is the date of the night.
    pub time_zone: chrono_tz::Tz,
    /// How long a signed address lives at most; it lives at least half as long.
    pub url_ttl: Duration,
    /// Days that an episode can be heard, from its date on: the store may drop it after that.
    pub retention_days: u32,
    /// Origins whose pages may call with credentials.
    pub cors_origins: Vec<String>,
    /// Requests a minute of a learner, or of an address where nobody is known; 0: no limit.
    pub rate_per_minute: u32,
    /// Connections at a time; more wait in the system's queue.
    pub max_connections: usize,
    /// Whether `/metrics` answers.
    pub metrics: bool,
}

impl Settings {
    /// From the configuration, for a server that listens on `address`. Without `http.public_url`
    /// addresses begin with that one, or with this host's own when it is every interface.
    pub fn new(config: &crate::config::Config, mut address: SocketAddr) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Self {
            public_url: config.http.public_url.clone().unwrap_or_else(|| format!("http://{address}")),
            time_zone: config.night.time_zone,
            url_ttl: config.storage.url_ttl,
            retention_days: config.storage.retention_days,
            cors_origins: config.http.cors_origins.clone(),
            rate_per_minute: config.http.rate_per_minute,
            max_connections: usize::try_from(config.http.max_connections).unwrap_or(usize::MAX),
            metrics: config.http.metrics,
        }
    }
}

/// An address that is ours, before anything is served on it.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// The address, with the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes an address. Done before anything else starts, so that a taken port costs nothing.
///
/// # Errors
/// [`Error::PortTaken`] or [`Error::Bind`].
pub async fn bind(address: SocketAddr) -> Result<Bound, Error> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    };
    bound.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken(address),
        _ => Error::Bind { address, source },
    })
}

/// Serves until `shutdown`, then lets requests under way end.
pub async fn serve(bound: Bound, app: Arc<App>, shutdown: CancellationToken) {
    let most = app.settings.max_connections;
    connections::serve(bound.listener, routes::routes(app), most, shutdown).await;
}

/// Serves, for a process that only works, whether it is well, and its metrics; else as [`serve`].
pub async fn serve_probes(bound: Bound, app: Arc<App>, shutdown: CancellationToken) {
    let most = app.settings.max_connections;
    connections::serve(bound.listener, routes::probes(app), most, shutdown).await;
}

/// Serves the floor of `bench api` in place of what learners get; else as [`serve`].
pub async fn serve_floor(bound: Bound, app: Arc<App>, shutdown: CancellationToken) {
    let most = app.settings.max_connections;
    connections::serve(bound.listener, routes::floor(app), most, shutdown).await;
}
