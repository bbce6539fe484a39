//! What is left of a learner anywhere in the database.

use sqlx::{AssertSqlSafe, PgPool};

/// A learner whose number stands for nothing else.
pub const LEARNER: i64 = 987_654_321_987;

/// The number of the first podcast that is made after [`tell_apart`].
const FIRST_PODCAST: i64 = 876_543_210_000;

/// Gives podcasts that are made from now on numbers that stand for nothing else.
pub async fn tell_apart(pool: &PgPool) {
    let restart = format!("alter table dailycast.daily_podcast alter column id restart with {FIRST_PODCAST}");
    sqlx::raw_sql(AssertSqlSafe(restart)).execute(pool).await.unwrap();
}

/// Every table of ours and of apalis in which [`LEARNER`] or one of these podcasts is named, in
/// whatever column.
pub async fn of_learner(pool: &PgPool, podcasts: &[i64]) -> Vec<String> {
    assert!(podcasts.iter().all(|id| *id >= FIRST_PODCAST), "{podcasts:?}");
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('dailycast', 'apalis') and c.relkind in ('r', 'p') order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let names = [LEARNER].iter().chain(podcasts).map(i64::to_string).collect::<Vec<_>>().join("|");
    let mut found = Vec::new();
    for table in tables {
        let job = if table == "apalis.jobs" { "|| convert_from(t.job, 'UTF8')" } else { "" };
        let query = format!("select t::text {job} from {table} t where t::text {job} ~ '({names})'");
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
        found.extend(lines.into_iter().map(|line| format!("{table}: {line}")));
    }
    found
}

/// The podcasts of [`LEARNER`].
pub async fn podcasts(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select id from dailycast.daily_podcast where user_id = $1 order by id")
        .bind(LEARNER)
        .fetch_all(pool)
        .await
        .unwrap()
}
