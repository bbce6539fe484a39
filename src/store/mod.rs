//! Every SQL statement of the engine, and nothing else.
//!
//! The first line of each statement is its name, so that it can be told apart in
//! `pg_stat_statements` and in the server's log. Times are the database's. Names of our own tables
//! carry their schema; bare names are views of the academy, found by the connection's
//! `search_path`.
//!
//! Six pools: `pool` for everyone, `reads` for learners, `desk` for operators, `audio` for a spool in
//! the database, `hot` for the claim and the writer, and `walks` for what the leader does with very
//! many rows. The last two run the same few statements over tables that grow from empty to millions
//! of rows. Their plan must not depend on when it was made, so those pools are told to find rows by
//! index only.

pub mod academy;
pub mod alerts;
pub mod audit;
pub mod board;
pub mod claim;
pub mod costs;
pub mod crowd;
pub mod deliveries;
pub mod erasure;
pub mod failures;
pub mod feeds;
pub mod figures;
pub mod floor;
pub mod generation;
pub mod links;
pub mod listeners;
pub mod listening;
pub mod listing;
pub mod missed;
pub mod moves;
pub mod night;
pub mod operations;
pub mod past;
pub mod pause;
pub mod podcasts;
pub mod probe;
pub mod providers;
pub mod retention;
pub mod server;
pub mod sessions;
pub mod situation;
pub mod spool;
pub mod stuck;
pub mod study;
pub mod sweep;
pub mod today;
pub mod verbs;
pub mod watch;
pub mod workers;
pub mod writer;

mod fragile;
mod gather;
mod migrate;
mod reads;

use std::{fmt, time::Duration};

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use fragile::Fragile;

pub use fragile::LONGEST_ANSWER;
pub use migrate::{ApalisError, Level, level, migrate};
pub use reads::Reads;

/// What other rooms hand on to the functions here, without naming sqlx.
pub use sqlx::PgPool;

/// The queue (apalis's `job_type`) that carries our deliveries.
pub const QUEUE: &str = "dailycast.podcast";

/// The channel on which work that became due is announced, once per statement.
const DUE_CHANNEL: &str = "dailycast_due";

/// Connections of the hot pool: one for the claim, two for the writer.
const HOT_CONNECTIONS: u32 = 3;

/// Connections of the pool of the leader's walks: the sweep, the keeper and the watch for alerts.
const WALK_CONNECTIONS: u32 = 2;

/// Connections of the operators' pool: two for figures that take long to count, the others for
/// everything else.
const DESK_CONNECTIONS: u32 = 4;

/// Connections of the pool of the spool, used when it is in the database: parts on their way at a time.
const AUDIO_CONNECTIONS: u32 = 2;

/// The longest wait for one of them.
const AUDIO_PATIENCE: Duration = Duration::from_secs(30);

/// Connections that a process may open beside `database.max_connections`: four pools, the worker's
/// session, and one that listens for work.
pub const BESIDE_CONNECTIONS: u32 = HOT_CONNECTIONS + WALK_CONNECTIONS + DESK_CONNECTIONS + AUDIO_CONNECTIONS + 2;

/// The longest statement of an operator's view: a page that takes longer helps nobody.
const DESK_PATIENCE: &str = "5s";

/// The share of `database.max_connections` that is kept for learners: one in three.
const READS_SHARE: u32 = 3;

/// The longest wait for one connection to open.
const REACH: Duration = Duration::from_secs(5);

/// The longest wait for connections to close.
const GOODBYE: Duration = Duration::from_secs(5);

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused a statement, or could not be reached.
    #[error("the database did not carry out {statement}")]
    Database {
        /// The name of the statement.
        statement: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
    /// A stored value that this version cannot read.
    #[error("{table}.{column} of row {id} cannot be read: {what}")]
    Unreadable {
        /// Table with its schema.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Primary key.
        id: i64,
        /// What is wrong with it.
        what: String,
    },
    /// The address of the database cannot be parsed.
    #[error("database.url is not a Postgres address (postgres://user@host/database)")]
    Address(#[source] sqlx::Error),
    /// A migration could not be applied.
    #[error("the database could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// apalis's tables could not be made.
    #[error("the tables of apalis could not be made")]
    Apalis(#[source] migrate::ApalisError),
}

impl Error {
    /// Names the statement an error belongs to; for `map_err`.
    pub(crate) fn in_statement(statement: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { statement, source }
    }

    /// The same for another one who waited for it.
    pub(crate) fn told_again(&self) -> Self {
        let what = chain(self);
        Self::Database { statement: "a statement that many waited for", source: sqlx::Error::Protocol(what) }
    }

    /// A connection could not be opened; for `map_err`.
    pub fn connecting(source: sqlx::Error) -> Self {
        Self::Database { statement: "connect", source }
    }

    /// True when waiting may help: the database is away, starting, full, read-only after a
    /// failover, or took our locks for a deadlock. False for a statement it will never accept.
    pub fn is_passing(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        match source {
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                // 57014 is our own statement_timeout: the same statement would take as long again.
                matches!(&code[..2], "08" | "53" | "57" | "58") && code != "57014"
                    || matches!(&*code, "40001" | "40P01" | "25006" | "25P03" | "55P03")
            }),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        }
    }
}

/// An error with everything that led to it, for one field of a log line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// How to reach the database.
#[derive(Clone)]
pub struct Address {
    /// `postgres://…`; may hold a password, so it is never logged.
    pub url: String,
    /// The schema of the academy's views.
    pub academy_schema: String,
    /// Connections of the common pool and of the readers' together.
    pub max_connections: u32,
}

/// Without the URL.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("academy_schema", &self.academy_schema)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    hot: PgPool,
    walks: PgPool,
    desk: PgPool,
    audio: PgPool,
    reads: Reads,
    options: PgConnectOptions,
    max_connections: u32,
}

/// Without the options: the password is among them.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool).field("hot", &self.hot).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes the pools; connects only when first used.
    ///
    /// # Errors
    /// [`Error::Address`] when the URL cannot be parsed.
    pub fn new(address: &Address) -> Result<Self, Error> {
        let options: PgConnectOptions = address.url.parse().map_err(Error::Address)?;
        // `public` is where extensions are made.
        let search_path = format!("{},public", address.academy_schema);
        let options = options.application_name("dailycast").options([
            ("search_path", search_path.as_str()),
            ("statement_timeout", "60s"),
            // A process that was stopped in the middle of a transaction lets its locks go.
            ("idle_in_transaction_session_timeout", "5s"),
            // A host that vanished without a word is noticed within half a minute, by the server too.
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
        ]);
        Ok(Self::with_options(options, address.max_connections))
    }

    fn with_options(options: PgConnectOptions, max_connections: u32) -> Self {
        let for_reads = (max_connections / READS_SHARE).max(1);
        let reads = Reads::new(options.clone(), for_reads, reads::PATIENCE);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.saturating_sub(for_reads).max(1))
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options.clone());
        let by_index = options.clone().options([
            ("enable_seqscan", "off"),
            // A plan made while the queue was short reads all of its index for every batch.
            ("enable_bitmapscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
        ]);
        let indexed = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(5))
                .connect_lazy_with(by_index.clone())
        };
        let (hot, walks) = (indexed(HOT_CONNECTIONS), indexed(WALK_CONNECTIONS));
        let desk = PgPoolOptions::new()
            .max_connections(DESK_CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options.clone().options([("statement_timeout", DESK_PATIENCE), ("jit", "off")]));
        let audio = PgPoolOptions::new()
            .max_connections(AUDIO_CONNECTIONS)
            .acquire_timeout(AUDIO_PATIENCE)
            .connect_lazy_with(options.clone());
        Self { pool, hot, walks, desk, audio, reads, options, max_connections }
    }

    /// Connects once, past the pools, which would only say that no connection came in time.
    ///
    /// # Errors
    /// [`Error::Database`] with the reason.
    pub async fn reach(&self) -> Result<(), Error> {
        let connect = async { PgConnection::connect_with(&self.options).await?.close().await };
        let reached = tokio::time::timeout(REACH, connect).await;
        reached.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into()))).map_err(Error::connecting)
    }

    /// The same database through pools of its own, as another process would reach it.
    pub fn another(&self) -> Self {
        Self::with_options(self.options.clone(), self.max_connections)
    }

    /// The common pool.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The pool of the claim and the writer.
    pub fn hot(&self) -> &PgPool {
        &self.hot
    }

    /// The pool of the leader's walks, which may take long and must not hold up claims and moves.
    pub fn walks(&self) -> &PgPool {
        &self.walks
    }

    /// The pool of what operators look at.
    pub fn desk(&self) -> &PgPool {
        &self.desk
    }

    /// The pool of the spool in the database.
    pub fn audio(&self) -> &PgPool {
        &self.audio
    }

    /// The pools, each with its name, its open connections, those of them that nobody uses, and the
    /// most it may have.
    pub fn connections(&self) -> [(&'static str, u32, usize, u32); 6] {
        let of = |name, pool: &PgPool| (name, pool.size(), pool.num_idle(), pool.options().get_max_connections());
        let (open, idle, most) = self.reads.connections();
        [
            of("common", &self.pool),
            of("hot", &self.hot),
            of("walks", &self.walks),
            of("desk", &self.desk),
            of("audio", &self.audio),
            ("reads", open, idle, most),
        ]
    }

    /// The connections that are kept for learners.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// A connection of the common pool, for one statement of work that must not hang.
    async fn connection(&self) -> Result<Fragile, sqlx::Error> {
        self.pool.acquire().await.map(Fragile::new)
    }

    /// A connection of the hot pool, for one statement.
    async fn hot_connection(&self) -> Result<Fragile, sqlx::Error> {
        self.hot.acquire().await.map(Fragile::new)
    }

    /// A pool of exactly this many connections, for the floor of the benchmarks.
    pub(crate) fn pool_of(&self, connections: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections).connect_lazy_with(self.options.clone())
    }

    /// How a session of its own is opened, for what lives as long as a connection: locks and
    /// notifications.
    pub(crate) fn session_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Listens for work that becomes due, on a connection of its own that is opened again when it
    /// breaks.
    ///
    /// # Errors
    /// [`Error::Database`] when the first connection fails.
    pub(crate) async fn listen(&self) -> Result<PgListener, Error> {
        let failed = Error::in_statement("listen");
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options.clone());
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(DUE_CHANNEL).await?;
            Ok(listener)
        };
        listen.await.map_err(failed)
    }

    /// Closes the pools, and waits a little for their connections to be closed in order.
    pub async fn close(&self) {
        self.reads.close();
        let pools = [&self.hot, &self.walks, &self.desk, &self.audio, &self.pool];
        let closed = join_all(pools.map(PgPool::close));
        // A connection that died unnoticed is never closed in order.
        let _ = tokio::time::timeout(GOODBYE, closed).await;
    }
}
