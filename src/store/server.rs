//! What kind of Postgres this is: asked by `doctor`, and when a process waits for its database.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::Error;

/// A server as it describes itself.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its version, like `15.18`.
    pub version: String,
    /// Whether commits reach the disk.
    pub fsync: bool,
    /// Whether a commit waits until it is durable: `on`, `off`, `local`, …
    pub synchronous_commit: String,
    /// Whether pages survive a crash in the middle of a write.
    pub full_page_writes: bool,
    /// True for a standby, which cannot be written to.
    pub is_standby: bool,
    /// Most connections of all clients together.
    pub max_connections: i32,
    /// Its clock.
    pub now: DateTime<Utc>,
}

/// Asks the server about itself.
///
/// # Errors
/// [`Error::Database`] when it cannot be reached.
pub async fn look(db: &PgPool) -> Result<Server, Error> {
    sqlx::query_as!(
        Server,
        r#"/* look_at_server */
        select current_setting('server_version') as "version!",
               current_setting('fsync')::boolean as "fsync!",
               current_setting('synchronous_commit') as "synchronous_commit!",
               current_setting('full_page_writes')::boolean as "full_page_writes!",
               pg_is_in_recovery() as "is_standby!",
               current_setting('max_connections')::integer as "max_connections!",
               clock_timestamp() as "now!""#
    )
    .fetch_one(db)
    .await
    .map_err(Error::in_statement("look_at_server"))
}

/// What the role that is logged in may not do with our tables, like `write dailycast.daily_podcast`.
/// The ledgers of migrations are for reading only.
///
/// # Errors
/// [`Error::Database`].
pub async fn rights_missing(db: &PgPool) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        r#"/* look_at_rights */
        select case when not has_table_privilege(c.oid, 'select') then 'read ' else 'write ' end
               || n.nspname || '.' || c.relname as "lacks!"
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('dailycast', 'apalis') and c.relkind = 'r'
          and (not has_table_privilege(c.oid, 'select')
               or c.relname not in ('migration', '_sqlx_migrations')
                  and not (has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
                           and has_table_privilege(c.oid, 'delete')))
        order by 1"#
    )
    .fetch_all(db)
    .await
    .map_err(Error::in_statement("look_at_rights"))
}
