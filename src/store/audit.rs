//! What operators did, one line each. Lines are only added, and go with the retention.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};

use super::Error;

/// The oldest lines that are looked at in one round of pruning.
const PRUNE: i64 = 10_000;

/// What was done, as it is written down.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'d> {
    /// Who did it: `user 7`, `ops.token`, `root@host`.
    pub actor: &'d str,
    /// What, in a word for programs: `provider_open`.
    pub action: &'d str,
    /// To what: `provider openai`, `alert 3`.
    pub subject: &'d str,
    /// Particulars and the reason; may be empty. No secrets.
    pub detail: &'d str,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number; a later one is larger.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What, in a word for programs.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Particulars and the reason; may be empty.
    pub detail: String,
    /// The operation by which it was carried out, if it was one on many podcasts.
    pub operation_id: Option<i64>,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// Of this day, in UTC.
    pub day: Option<NaiveDate>,
    /// Older than this line.
    pub before: Option<i64>,
}

/// Writes a line, in the caller's transaction if there is one.
///
/// # Errors
/// [`Error::Database`].
pub async fn write(executor: impl PgExecutor<'_>, deed: Deed<'_>) -> Result<(), Error> {
    add(executor, deed).await.map_err(Error::in_statement("write_audit"))
}

/// The same, where a statement beside it fails as one of sqlx.
pub(super) async fn add(executor: impl PgExecutor<'_>, deed: Deed<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"/* write_audit */
        insert into dailycast.audit (actor, action, subject, detail) values ($1, $2, $3, $4)"#,
        deed.actor,
        deed.action,
        deed.subject,
        deed.detail,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// The newest lines first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(pool: &PgPool, wanted: &Wanted, limit: i64) -> Result<Vec<Line>, Error> {
    sqlx::query_as!(
        Line,
        r#"/* list_audit */
        select id, at, actor, action, subject, detail, operation_id from dailycast.audit
        where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
          and ($3::date is null or at >= $3::date::timestamp at time zone 'UTC'
                               and at < ($3::date + 1)::timestamp at time zone 'UTC')
          and ($4::bigint is null or id < $4)
        order by id desc limit $5"#,
        wanted.actor,
        wanted.action,
        wanted.day,
        wanted.before,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_audit"))
}

/// Forgets lines from before the last `days` days; the oldest first, so many in one round.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune(pool: &PgPool, days: i32) -> Result<u64, Error> {
    let gone = sqlx::query!(
        r#"/* prune_audit */
        delete from dailycast.audit
        where id = any (array(select id from dailycast.audit order by id limit $2))
          and at < now() - make_interval(days => $1)"#,
        days,
        PRUNE,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("prune_audit"))?;
    Ok(gone.rows_affected())
}
