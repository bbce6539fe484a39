//! A connection that does not outlive a statement without an answer.
//!
//! When a router fails, both ends of a connection may stay open for ever while nothing comes
//! through. Whoever waits on it must give up at last, and the connection must go: the pool would
//! ask it whether it still lives, and wait for that answer too.

use std::time::Duration;

use sqlx::{PgConnection, Postgres, pool::PoolConnection};

/// The longest wait for an answer of statements that take milliseconds.
/// What was given up is done again: its row says whether it was carried out.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// A connection of a pool, closed when this is dropped unless its statement was answered.
#[derive(Debug)]
pub(super) struct Fragile(Option<PoolConnection<Postgres>>);

impl Fragile {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    /// Waits for the answer to `statement`, and gives the connection back when it came.
    pub(super) async fn answer<T>(
        mut self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(connection) = self.0.as_mut() else { return Err(sqlx::Error::WorkerCrashed) };
        let answer = tokio::time::timeout(LONGEST_ANSWER, statement(connection)).await;
        let answer = answer.map_err(|late| sqlx::Error::Io(late.into()))?;
        if answer.is_ok() {
            self.0 = None;
        }
        answer
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
