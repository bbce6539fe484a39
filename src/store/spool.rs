//! Audio that waits for its upload in the database.

use bytes::Bytes;
use sqlx::PgPool;

use super::Error;

/// Bytes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of all podcasts.
    pub used: u64,
    /// Of the one that was asked for.
    pub own: u64,
}

/// How much is kept of all podcasts and of `podcast_id`.
///
/// # Errors
/// [`Error::Database`].
pub async fn sizes(pool: &PgPool, podcast_id: i64) -> Result<Sizes, Error> {
    let sizes = sqlx::query!(
        r#"/* spool_sizes */
        select coalesce(sum(bytes), 0)::bigint as "used!",
               coalesce(sum(bytes) filter (where podcast_id = $1), 0)::bigint as "own!"
        from dailycast.audio_spool"#,
        podcast_id,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("spool_sizes"))?;
    Ok(Sizes { used: sizes.used.unsigned_abs(), own: sizes.own.unsigned_abs() })
}

/// Keeps a part of a podcast, replacing one of the same name.
///
/// # Errors
/// [`Error::Database`].
pub async fn put(pool: &PgPool, podcast_id: i64, part: &str, mp3: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        r#"/* spool_put */
        insert into dailycast.audio_spool (podcast_id, part, mp3) values ($1, $2, $3)
        on conflict (podcast_id, part) do update set mp3 = excluded.mp3"#,
        podcast_id,
        part,
        mp3,
    )
    .execute(pool)
    .await
    .map(drop)
    .map_err(Error::in_statement("spool_put"))
}

/// A part of a podcast that was kept, or `None`.
///
/// # Errors
/// [`Error::Database`].
pub async fn get(pool: &PgPool, podcast_id: i64, part: &str) -> Result<Option<Bytes>, Error> {
    let found = sqlx::query_scalar!(
        r#"/* spool_get */ select mp3 from dailycast.audio_spool where podcast_id = $1 and part = $2"#,
        podcast_id,
        part,
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("spool_get"))?;
    Ok(found.map(Bytes::from))
}

/// Forgets all parts of a podcast.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget(pool: &PgPool, podcast_id: i64) -> Result<(), Error> {
    sqlx::query!(r#"/* spool_forget */ delete from dailycast.audio_spool where podcast_id = $1"#, podcast_id)
        .execute(pool)
        .await
        .map(drop)
        .map_err(Error::in_statement("spool_forget"))
}

/// Podcasts of which something is kept, by number.
///
/// # Errors
/// [`Error::Database`].
pub async fn podcasts(pool: &PgPool) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(r#"/* spool_podcasts */ select distinct podcast_id from dailycast.audio_spool order by 1"#)
        .fetch_all(pool)
        .await
        .map_err(Error::in_statement("spool_podcasts"))
}
