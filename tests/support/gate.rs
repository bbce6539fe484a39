//! Holds moves back in the database, right before they are committed.
//!
//! The engine has no place for tests to hook into and needs none: a trigger on the lines of events
//! waits for a lock that the test holds. Whoever makes such a move has done its work by then, and
//! nobody knows yet.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{ground::Ground, until};

/// The key of the advisory lock that is the gate.
const KEY: i64 = 0x6761_7465;

/// A move that waits before the gate.
const AT_THE_GATE: &str = "state = 'active' and wait_event = 'advisory'";

/// A move that may still be committed.
const UNDER_WAY: &str = "state = 'active'";

/// A closed gate; it opens when this is dropped.
pub struct Gate(PgConnection);

impl Gate {
    /// Closes the way of all moves that write a line `event`.
    pub async fn before(ground: &Ground, event: &str) -> Self {
        let mut keeper = PgConnection::connect(&ground.database.url).await.unwrap();
        sqlx::query("select pg_advisory_lock($1)").bind(KEY).execute(&mut keeper).await.unwrap();
        let trigger = format!(
            "create function dailycast.wait_at_the_gate() returns trigger language plpgsql as $$
             begin perform pg_advisory_xact_lock_shared({KEY}); return new; end $$;
             create trigger wait_at_the_gate before insert on dailycast.podcast_event for each row
             when (new.event = '{event}') execute function dailycast.wait_at_the_gate()"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut keeper).await.unwrap();
        Self(keeper)
    }

    /// Waits until a move stands before the gate.
    pub async fn until_reached(&mut self) {
        until("a move stands before the gate", async || self.ask("pid", AT_THE_GATE).await > 0).await;
    }

    /// Ends the connections that wait, so that their moves are never made.
    pub async fn turn_away(&mut self) {
        self.ask("pg_terminate_backend(pid)", AT_THE_GATE).await;
        until("nobody stands before the gate", async || self.ask("pid", UNDER_WAY).await == 0).await;
    }

    /// Lets all pass, now and later, and waits until who stood there has passed.
    pub async fn open(mut self) {
        sqlx::query("select pg_advisory_unlock($1)").bind(KEY).execute(&mut self.0).await.unwrap();
        until("the moves are committed", async || self.ask("pid", UNDER_WAY).await == 0).await;
        self.0.close().await.unwrap();
    }

    /// Asks something of all connections that write moves and meet a condition, and tells how many
    /// there are.
    async fn ask(&mut self, what: &str, condition: &str) -> i64 {
        let query = format!(
            "select count({what}) from pg_stat_activity where datname = current_database()
             and pid <> pg_backend_pid() and query like '%write_moves%' and {condition}"
        );
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.0).await.unwrap()
    }
}
