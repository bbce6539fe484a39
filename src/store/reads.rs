//! The connections of those who wait for an answer: learners.
//!
//! They are apart from the engine's, so that a busy night keeps nobody waiting. What would
//! surprise: this is no pool of sqlx, which asks a connection whether it lives before and after
//! each statement: three round trips for one answer. Here the statement itself is the question.
//! Reading twice does no harm, so a connection that turns out to be dead is thrown away and the
//! statement sent again. The few things that learners write come this way too, so they are such that
//! the second time changes nothing. Nobody waits longer than a set time, whatever became of the
//! database or the way to it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sqlx::{
    Connection as _, PgConnection, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Map,
};
use tokio::{sync::Semaphore, time::Instant};

use super::{Error, Level, migrate};

/// The longest wait of one statement: for a connection, and for the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A connection serves no longer than this: its memory in the server only grows.
const LIFE: Duration = Duration::from_secs(30 * 60);

/// Connections for reading.
#[derive(Debug, Clone)]
pub struct Reads(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    slots: Semaphore,
    most: u32,
    idle: Mutex<Vec<Session>>,
    patience: Duration,
}

/// Without the options: the password is among them.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("slots", &self.slots).field("patience", &self.patience).finish_non_exhaustive()
    }
}

struct Session {
    connection: PgConnection,
    opened_at: Instant,
}

impl Reads {
    /// At most `connections`, opened when needed; a statement is given up after `patience`, by the
    /// server too.
    pub fn new(options: PgConnectOptions, connections: u32, patience: Duration) -> Self {
        let limit = format!("{}ms", patience.as_millis());
        Self(Arc::new(Inner {
            // Rows come in the order of the index, two at most: nothing is to be gathered and sorted.
            options: options.options([
                ("statement_timeout", limit.as_str()),
                ("enable_bitmapscan", "off"),
                ("jit", "off"),
            ]),
            slots: Semaphore::new(usize::try_from(connections).unwrap_or(1)),
            most: connections,
            idle: Mutex::default(),
            patience,
        }))
    }

    /// All rows of a statement that may be carried out twice; `ask` makes it, perhaps more than once.
    pub(super) async fn rows<'q, T: Send + Unpin, F>(
        &self,
        statement: &'static str,
        ask: impl Fn() -> Map<'q, Postgres, F, PgArguments>,
    ) -> Result<Vec<T>, Error>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
    {
        let rows = tokio::time::timeout(self.0.patience, self.ask(ask)).await;
        rows.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into()))).map_err(Error::in_statement(statement))
    }

    async fn ask<'q, T: Send + Unpin, F>(
        &self,
        ask: impl Fn() -> Map<'q, Postgres, F, PgArguments>,
    ) -> Result<Vec<T>, sqlx::Error>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
    {
        let _slot = self.0.slots.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        // Each round uses up an old connection, so the rounds end.
        loop {
            let old = self.take();
            let is_old = old.is_some();
            let mut session = match old {
                Some(session) => session,
                None => self.open().await?,
            };
            // A connection whose statement failed, or that nobody waited for, is dropped.
            match ask().fetch_all(&mut session.connection).await {
                Ok(rows) => {
                    self.idle().push(session);
                    return Ok(rows);
                }
                Err(error) if is_old && is_dead(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Work of more than one statement that may be done twice, on one connection. It leaves no
    /// transaction open.
    pub(super) async fn work<T>(
        &self,
        name: &'static str,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Error> {
        let failed = || Error::in_statement(name);
        let done = tokio::time::timeout(self.0.patience, async {
            let _slot = self.0.slots.acquire().await.map_err(|_| failed()(sqlx::Error::PoolClosed))?;
            loop {
                let old = self.take();
                let is_old = old.is_some();
                let mut session = match old {
                    Some(session) => session,
                    None => self.open().await.map_err(failed())?,
                };
                match work(&mut session.connection).await {
                    Ok(done) => {
                        self.idle().push(session);
                        return Ok(done);
                    }
                    Err(Error::Database { source, .. }) if is_old && is_dead(&source) => {}
                    Err(error) => return Err(error),
                }
            }
        });
        done.await.unwrap_or_else(|late| Err(failed()(sqlx::Error::Io(late.into()))))
    }

    /// Whether the migrations are there; see [`super::level`].
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn level(&self) -> Result<Level, Error> {
        let level = tokio::time::timeout(self.0.patience, async {
            let _slot = self.0.slots.acquire().await.map_err(|_| Error::connecting(sqlx::Error::PoolClosed))?;
            let mut session = self.open().await.map_err(Error::connecting)?;
            migrate::level_on(&mut session.connection).await
        });
        level.await.unwrap_or_else(|late| Err(Error::connecting(sqlx::Error::Io(late.into()))))
    }

    /// Open connections, those of them that nobody uses, and the most there may be.
    pub(super) fn connections(&self) -> (u32, usize, u32) {
        let (free, idle) = (u32::try_from(self.0.slots.available_permits()).unwrap_or(u32::MAX), self.idle().len());
        let used = self.0.most.saturating_sub(free);
        (used + u32::try_from(idle).unwrap_or(u32::MAX), idle, self.0.most)
    }

    /// Closes the connections that nobody uses.
    pub fn close(&self) {
        self.0.slots.close();
        self.idle().clear();
    }

    async fn open(&self) -> Result<Session, sqlx::Error> {
        let connection = PgConnection::connect_with(&self.0.options).await?;
        Ok(Session { connection, opened_at: Instant::now() })
    }

    /// The connection that was used last, so that those too many grow old.
    fn take(&self) -> Option<Session> {
        let mut idle = self.idle();
        let session = idle.pop()?;
        if session.opened_at.elapsed() < LIFE {
            return Some(session);
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True when the connection is gone, and a new one may do better.
fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
