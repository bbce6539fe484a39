//! Stuck podcasts, found for all of a night at once: the one way of lists, previews, operations,
//! figures and the command line. What stuck means is said by `dailycast.is_stuck`, for one row;
//! `dailycast.stuck_podcasts` finds the same rows among a million in one statement of some seconds.
//!
//! What would surprise: it is asked on the pool of walks, or in a transaction that may take long. A
//! page never waits for it: it shows what [`find`] gave lately, and asks each row again.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::{Error, Store};

/// Stuck podcasts below an id, of a date or of all: up to `most`, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(store: &Store, date: Option<NaiveDate>, below: i64, most: i64) -> Result<Vec<i64>, Error> {
    let mut connection = store.walks().acquire().await.map_err(Error::connecting)?;
    find_on(&mut connection, date, below, most).await
}

/// As [`find`], on a connection.
pub(super) async fn find_on(
    connection: &mut PgConnection,
    date: Option<NaiveDate>,
    below: i64,
    most: i64,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* find_stuck */
        select id as "id!" from dailycast.stuck_podcasts($1, $2, $3) order by id desc limit $3"#,
        below,
        date,
        most,
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("find_stuck"))
}

/// How many podcasts of a date, or of all, are stuck, and when the first of them last changed. Those
/// that are replaced do not count.
///
/// # Errors
/// [`Error::Database`].
pub async fn count(
    connection: &mut PgConnection,
    date: Option<NaiveDate>,
) -> Result<(i64, Option<DateTime<Utc>>), Error> {
    let stuck = sqlx::query!(
        r#"/* count_stuck */
        select count(*) as "n!", min(updated_at) as since
        from dailycast.stuck_podcasts(9223372036854775807, $1, 9223372036854775807) where is_active"#,
        date,
    )
    .fetch_one(connection)
    .await
    .map_err(Error::in_statement("count_stuck"))?;
    Ok((stuck.n, stuck.since))
}
