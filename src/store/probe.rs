//! What the benchmarks do to the database, and ask of it, beside the engine's own work: long
//! readers, podcasts that nobody is told of, the sizes of tables.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::{Error, Store};

/// How often a long reader reads; a transaction that does nothing for longer is ended by the server.
const READ: Duration = Duration::from_secs(1);

/// Reads in one transaction for so long. All that while its snapshot keeps dead rows from being
/// removed.
///
/// # Errors
/// [`Error::Database`].
pub async fn read_for(store: &Store, time: Duration) -> Result<(), Error> {
    let pool = store.pool_of(1);
    let read = async {
        let mut transaction = pool.begin().await?;
        sqlx::query("/* begin_read_long */ set transaction isolation level repeatable read, read only")
            .execute(&mut *transaction)
            .await?;
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            sqlx::query("/* read_long */ select count(*) from dailycast.worker").execute(&mut *transaction).await?;
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + READ)).await;
        }
        transaction.commit().await
    };
    read.await.map_err(Error::in_statement("read_long"))?;
    pool.close().await;
    Ok(())
}

/// Enqueues one podcast and tells nobody.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue_quietly(
    pool: &PgPool,
    user_id: i64,
    date: NaiveDate,
    deadline_at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query(
        "/* enqueue_quietly */
        with born as (
            insert into dailycast.daily_podcast (user_id, date, deadline_at) values ($1, $2, $3)
            returning id, next_attempt_at
        )
        select dailycast.first_jobs(array_agg(id), array_agg(next_attempt_at), 0) from born",
    )
    .bind(user_id)
    .bind(date)
    .bind(deadline_at)
    .execute(pool)
    .await
    .map_err(Error::in_statement("enqueue_quietly"))?;
    Ok(())
}

/// The database at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, sqlx::FromRow)]
pub struct Look {
    /// Bytes of the table of jobs.
    pub jobs_bytes: i64,
    /// Bytes of its indexes.
    pub jobs_index_bytes: i64,
    /// Bytes of the table of podcasts with its indexes and scripts.
    pub podcasts_bytes: i64,
    /// Claims so far; 0 without `pg_stat_statements`.
    pub claims: i64,
    /// Milliseconds they took on the server.
    pub claims_ms: f64,
}

/// Looks at sizes and claims.
///
/// # Errors
/// [`Error::Database`].
pub async fn look(pool: &PgPool) -> Result<Look, Error> {
    let mut look: Look = sqlx::query_as(
        "/* look_at_sizes */
        select pg_table_size('apalis.jobs') as jobs_bytes, pg_indexes_size('apalis.jobs') as jobs_index_bytes,
               pg_total_relation_size('dailycast.daily_podcast') as podcasts_bytes, 0::bigint as claims,
               0::double precision as claims_ms",
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("look_at_sizes"))?;
    // Absent where the server was not started with it.
    let claims: Result<(i64, f64), _> = sqlx::query_as(
        "/* look_at_claims */ select coalesce(sum(calls), 0)::bigint, coalesce(sum(total_exec_time), 0)
         from pg_stat_statements s join pg_database d on d.oid = s.dbid
         where d.datname = current_database() and query like '%/* claim_podcasts */%'",
    )
    .fetch_one(pool)
    .await;
    (look.claims, look.claims_ms) = claims.unwrap_or_default();
    Ok(look)
}

/// Podcasts that are not finished.
///
/// # Errors
/// [`Error::Database`].
pub async fn unfinished(pool: &PgPool) -> Result<i64, Error> {
    sqlx::query_scalar("/* count_unfinished */ select count(*) from dailycast.daily_podcast where finished_at is null")
        .fetch_one(pool)
        .await
        .map_err(Error::in_statement("count_unfinished"))
}
