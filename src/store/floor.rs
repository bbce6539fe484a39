//! The floor of the benchmarks: the same rows and moves as the engine writes, by hand, one commit
//! per move and no engine around it; finished rows by the million, for a table as it is after years;
//! and what the database knows about its own work.

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

/// Keeps only the first learners active, so that the next night has fewer podcasts.
///
/// # Errors
/// [`Error::Database`].
pub async fn keep_learners(pool: &PgPool, learners: i64) -> Result<(), Error> {
    sqlx::query("/* keep_learners */ update academy.learner set is_active = false where user_id > $1")
        .bind(learners)
        .execute(pool)
        .await
        .map_err(Error::in_statement("keep_learners"))?;
    Ok(())
}

/// Finished podcasts of one date.
const NIGHT: i64 = 1_000_000;

/// Makes the tables ready for finished podcasts: rows that come whole fill their pages, as rows that
/// have grown do. Answers with the fill factor that [`end_filling`] gives back.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin_filling(pool: &PgPool) -> Result<String, Error> {
    let failed = Error::in_statement("begin_filling");
    let begin = async {
        let fill_factor: String = sqlx::query_scalar(
            "/* read_fill_factor */ select option_value from pg_class, pg_options_to_table(reloptions)
             where oid = 'dailycast.daily_podcast'::regclass and option_name = 'fillfactor'",
        )
        .fetch_one(pool)
        .await?;
        sqlx::raw_sql(
            "/* begin_filling */
            alter table dailycast.daily_podcast set (fillfactor = 90);
            alter table dailycast.daily_podcast disable trigger born_by_the_table",
        )
        .execute(pool)
        .await?;
        Ok(fill_factor)
    };
    begin.await.map_err(failed)
}

/// Puts finished podcasts with their event lines into the tables, of nights long past. Their scripts
/// are short, so that ten million of them fit on a small disk: the engine never reads them.
///
/// # Errors
/// [`Error::Database`].
pub async fn fill(pool: &PgPool, filled: i64, more: i64) -> Result<(), Error> {
    sqlx::query(
        r#"/* fill */
        with finished as (
            insert into dailycast.daily_podcast
                (user_id, date, status, moves, deadline_at, script_text, language, title, topic, ai_model_used,
                 is_fallback, tts_provider, tts_voice, tts_voice_gender, chunk_plan, audio_sha256, audio_bytes,
                 duration_seconds, audio_url, object_key, object_etag, finished_at)
            select n % $3 + 1, current_date - 30 - (n / $3)::integer, 'completed', 4, now(), repeat('A word. ', 16), 'en',
                   'A title', 'A topic', 'template', false, 'local', 'voice', 'female',
                   '{"ends": [4096], "round": 1}', repeat('0', 64), 1000000, 240, 's3://bucket/podcasts/' || n,
                   'podcasts/' || n, repeat('0', 32), now()
            from generate_series($1::bigint, $1 + $2 - 1) as n
            returning id
        )
        insert into dailycast.podcast_event (podcast_id, event, from_status, to_status, attempt, worker_id, duration_ms)
        select id, event, from_status, to_status, 1, 1, 1
        from finished, (values
            ('enqueued', null, 'pending'), ('script_ready', 'pending', 'script_generated'),
            ('speech_started', 'script_generated', 'audio_generating'),
            ('audio_ready', 'audio_generating', 'pending_upload'), ('uploaded', 'pending_upload', 'completed')
        ) as line (event, from_status, to_status)"#,
    )
    .bind(filled)
    .bind(more)
    .bind(NIGHT)
    .execute(pool)
    .await
    .map_err(Error::in_statement("fill"))?;
    Ok(())
}

/// Makes the tables what they were, and as tidy as they are in the morning after a night.
///
/// # Errors
/// [`Error::Database`].
pub async fn end_filling(pool: &PgPool, fill_factor: &str) -> Result<(), Error> {
    let failed = Error::in_statement("end_filling");
    let end = async {
        let mut connection = pool.acquire().await?;
        // Each by itself: vacuum refuses company.
        for statement in [
            "/* end_filling */ set statement_timeout = 0",
            &format!("/* restore_fill_factor */ alter table dailycast.daily_podcast set (fillfactor = {fill_factor})"),
            "/* guard_births */ alter table dailycast.daily_podcast enable trigger born_by_the_table",
            "/* tidy_podcasts */ vacuum (analyze) dailycast.daily_podcast",
            "/* tidy_events */ vacuum (analyze) dailycast.podcast_event",
            "/* write_all */ checkpoint",
            "/* restore_timeout */ reset statement_timeout",
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *connection).await?;
        }
        Ok(())
    };
    end.await.map_err(failed)
}

/// The size of the database on disk.
///
/// # Errors
/// [`Error::Database`].
pub async fn database_bytes(pool: &PgPool) -> Result<i64, Error> {
    sqlx::query_scalar("/* database_bytes */ select pg_database_size(current_database())")
        .fetch_one(pool)
        .await
        .map_err(Error::in_statement("database_bytes"))
}

/// The settings of the server that decide how fast it is, with their units.
///
/// # Errors
/// [`Error::Database`].
pub async fn settings(pool: &PgPool) -> Result<Vec<(String, String)>, Error> {
    sqlx::query_as(
        "/* server_settings */ select name, current_setting(name) from pg_settings where name in
            ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_compression', 'data_checksums',
             'shared_buffers', 'max_wal_size', 'checkpoint_timeout')
         order by name",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("server_settings"))
}

/// What the database has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Commits in this database.
    pub commits: i64,
    /// Statements that clients sent, `None` without `pg_stat_statements`.
    pub statements: Option<i64>,
    /// Bytes in the write-ahead log of the whole server.
    pub wal_bytes: i64,
    /// Updates of podcasts.
    pub updates: i64,
    /// Those of them that touched no index.
    pub hot_updates: i64,
    /// The server process that answers; its parent is the server.
    pub backend_pid: i32,
}

/// Reads the database's own counts.
///
/// # Errors
/// [`Error::Database`].
pub async fn work(pool: &PgPool) -> Result<Work, Error> {
    let failed = Error::in_statement("read_counts");
    let (commits, backend_pid, wal_bytes, updates, hot_updates) = sqlx::query_as(
        "/* read_counts */
        select d.xact_commit, pg_backend_pid(), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
               t.n_tup_upd, t.n_tup_hot_upd
        from pg_stat_database d, pg_stat_user_tables t
        where d.datname = current_database() and t.relid = 'dailycast.daily_podcast'::regclass",
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
    Ok(Work { commits, statements, wal_bytes, updates, hot_updates, backend_pid })
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
