//! The floor of the benchmarks: the same rows and moves as the engine writes, by hand, one commit
//! per move and no engine around it; and what the database knows about its own work.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::Error;

/// Makes the learners `1..=learners` of an academy that knows nothing else.
///
/// # Errors
/// [`Error::Database`].
pub async fn make_learners(pool: &PgPool, learners: i64) -> Result<(), Error> {
    let statement = format!(
        "/* make_learners */
        create schema if not exists academy;
        create table academy.learner as
        select user_id, 'free'::text as plan, true as is_active, now() as last_seen_at
        from generate_series(1, {learners}) as user_id;
        alter table academy.learner add primary key (user_id);
        create extension if not exists pg_stat_statements;
        analyze academy.learner"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(pool).await.map_err(Error::in_statement("make_learners"))?;
    Ok(())
}

/// What one podcast of the floor carries.
#[derive(Debug, Clone)]
pub struct Content {
    /// The date of all its podcasts.
    pub date: NaiveDate,
    /// Their deadline.
    pub deadline_at: DateTime<Utc>,
    /// Their script.
    pub script: String,
}

/// The whole life of one podcast: insert, four moves, delete of the job; six commits.
///
/// # Errors
/// [`Error::Database`].
pub async fn one_podcast(pool: &PgPool, user_id: i64, content: &Content) -> Result<(), Error> {
    let id = insert(pool, user_id, content).await?;
    advance(pool, id, &content.script).await?;
    sqlx::query!("/* floor_job */ delete from apalis.jobs where id = dailycast.job_id($1)", id)
        .execute(pool)
        .await
        .map_err(Error::in_statement("floor_job"))?;
    Ok(())
}

/// A podcast with its event and its job.
async fn insert(pool: &PgPool, user_id: i64, content: &Content) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"/* floor_insert */
        with born as (
            insert into dailycast.daily_podcast (user_id, date, deadline_at) values ($1, $2, $3) returning id
        ), line as (
            insert into dailycast.podcast_event (podcast_id, event, to_status) select id, 'enqueued', 'pending' from born
        ), job as (
            insert into apalis.jobs (id, job_type, job, idempotency_key)
            select dailycast.job_id(id), 'floor', convert_to('{"podcast_id":' || id || '}', 'UTF8'), id::text from born
        )
        select id from born"#,
        user_id,
        content.date,
        content.deadline_at,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("floor_insert"))
}

/// The four moves from pending to completed.
async fn advance(pool: &PgPool, id: i64, script: &str) -> Result<(), Error> {
    sqlx::query!(
        r#"/* floor_script */
        with moved as (
            update dailycast.daily_podcast
            set status = 'script_generated', script_text = $2, language = 'en', title = 'A title', topic = 'A topic',
                ai_model_used = 'template', is_fallback = false, updated_at = now()
            where id = $1 and status = 'pending'
        )
        insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, duration_ms)
        values ($1, 'script_ready', 'pending', 'script_generated', 1, 1)"#,
        id,
        script,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("floor_script"))?;
    sqlx::query!(
        r#"/* floor_speech */
        with moved as (
            update dailycast.daily_podcast
            set status = 'audio_generating', tts_provider = 'local', tts_voice = 'voice', tts_voice_gender = 'female',
                chunk_plan = '{"ends": [4096], "round": 1}', updated_at = now()
            where id = $1 and status = 'script_generated'
        )
        insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, duration_ms)
        values ($1, 'speech_started', 'script_generated', 'audio_generating', 1, 1)"#,
        id,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("floor_speech"))?;
    sqlx::query!(
        r#"/* floor_audio */
        with moved as (
            update dailycast.daily_podcast
            set status = 'pending_upload', spool_ref = 'memory', audio_sha256 = repeat('0', 64), audio_bytes = 1000000,
                duration_seconds = 240, updated_at = now()
            where id = $1 and status = 'audio_generating'
        )
        insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, duration_ms)
        values ($1, 'audio_ready', 'audio_generating', 'pending_upload', 1, 1)"#,
        id,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("floor_audio"))?;
    sqlx::query!(
        r#"/* floor_upload */
        with moved as (
            update dailycast.daily_podcast
            set status = 'completed', audio_url = 's3://bucket/podcasts/' || $1, object_key = 'podcasts/' || $1,
                object_etag = repeat('0', 32), finished_at = now(), updated_at = now()
            where id = $1 and status = 'pending_upload'
        )
        insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, duration_ms)
        values ($1, 'uploaded', 'pending_upload', 'completed', 1, 1)"#,
        id,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("floor_upload"))?;
    Ok(())
}

/// What the database has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Commits in this database.
    pub commits: i64,
    /// Statements that clients sent, `None` without `pg_stat_statements`.
    pub statements: Option<i64>,
    /// The server process that answers; its parent is the server.
    pub backend_pid: i32,
}

/// Reads the database's own counts.
///
/// # Errors
/// [`Error::Database`].
pub async fn work(pool: &PgPool) -> Result<Work, Error> {
    let failed = Error::in_statement("read_counts");
    let row: (i64, i32) = sqlx::query_as(
        "/* read_counts */ select xact_commit, pg_backend_pid() from pg_stat_database where datname = current_database()",
    )
    .fetch_one(pool)
    .await
    .map_err(failed)?;
    // Absent where the server was not started with it; then statements are not counted.
    let statements = sqlx::query_scalar(
        "/* read_statements */ select coalesce(sum(calls), 0)::bigint from pg_stat_statements s
         join pg_database d on d.oid = s.dbid where d.datname = current_database()",
    )
    .fetch_one(pool)
    .await
    .ok();
    Ok(Work { commits: row.0, statements, backend_pid: row.1 })
}

/// The version of the server.
///
/// # Errors
/// [`Error::Database`].
pub async fn server_version(pool: &PgPool) -> Result<String, Error> {
    sqlx::query_scalar!(r#"/* server_version */ select current_setting('server_version') as "version!""#)
        .fetch_one(pool)
        .await
        .map_err(Error::in_statement("server_version"))
}
