//! Holds statements of the engine back in the database, right before they are committed.
//!
//! The engine has no place for tests to hook into and needs none: triggers wait for a lock that the
//! test holds. Whoever waits there has done its work by then, and nobody knows yet.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{ground::Ground, until};

/// The key of the advisory lock that is the gate.
const KEY: i64 = 0x6761_7465;

/// Every table that the engine's statements write.
const TABLES: [&str; 5] =
    ["dailycast.daily_podcast", "dailycast.podcast_event", "dailycast.worker", "dailycast.night", "apalis.jobs"];

/// A statement that waits before the gate.
const AT_THE_GATE: &str = "state = 'active' and wait_event = 'advisory'";

/// A statement that may still be committed.
const UNDER_WAY: &str = "state = 'active'";

/// A closed gate; it opens when this is dropped.
pub struct Gate {
    keeper: PgConnection,
    statement: String,
}

impl Gate {
    /// Closes the way of all moves that write a line `event`.
    pub async fn before(ground: &Ground, event: &str) -> Self {
        let when = format!("when (new.event = '{event}')");
        Self::closed(ground, "write_moves", &[("dailycast.podcast_event", "insert", &when)]).await
    }

    /// Closes the way of all statements of this name, at the first row that they write.
    pub async fn at(ground: &Ground, statement: &str) -> Self {
        Self::closed(ground, statement, &TABLES.map(|table| (table, "insert or update or delete", ""))).await
    }

    async fn closed(ground: &Ground, statement: &str, triggers: &[(&str, &str, &str)]) -> Self {
        let mut keeper = PgConnection::connect(&ground.database.url).await.unwrap();
        sqlx::query("select pg_advisory_lock($1)").bind(KEY).execute(&mut keeper).await.unwrap();
        let mut sql = format!(
            "create or replace function dailycast.wait_at_the_gate() returns trigger language plpgsql as $$
             begin
                 if current_query() like '%/* {statement} */%' then
                     perform pg_advisory_xact_lock_shared({KEY});
                 end if;
                 if tg_op = 'DELETE' then return old; end if;
                 return new;
             end $$;"
        );
        for (table, writes, when) in triggers {
            sql += &format!(
                "create or replace trigger wait_at_the_gate before {writes} on {table}
                 for each row {when} execute function dailycast.wait_at_the_gate();"
            );
        }
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut keeper).await.unwrap();
        Self { keeper, statement: statement.to_owned() }
    }

    /// Waits until a statement stands before the gate.
    pub async fn until_reached(&mut self) {
        let what = format!("a {} stands before the gate", self.statement);
        until(&what, async || self.ask("pid", AT_THE_GATE).await > 0).await;
    }

    /// Ends the connections that wait, so that their statements are never committed.
    pub async fn turn_away(&mut self) {
        self.ask("pg_terminate_backend(pid)", AT_THE_GATE).await;
        until("nobody stands before the gate", async || self.ask("pid", UNDER_WAY).await == 0).await;
    }

    /// Lets all pass, now and later, and waits until who stood there has passed.
    pub async fn open(mut self) {
        sqlx::query("select pg_advisory_unlock($1)").bind(KEY).execute(&mut self.keeper).await.unwrap();
        until("what stood there is committed", async || self.ask("pid", UNDER_WAY).await == 0).await;
        self.keeper.close().await.unwrap();
    }

    /// Asks something of all connections that carry out the statement and meet a condition, and
    /// tells how many there are.
    async fn ask(&mut self, what: &str, condition: &str) -> i64 {
        let query = format!(
            "select count({what}) from pg_stat_activity where datname = current_database()
             and pid <> pg_backend_pid() and query like '%/* {} */%' and {condition}",
            self.statement
        );
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.keeper).await.unwrap()
    }
}
