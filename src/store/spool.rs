//! Audio that waits for its upload in the database, and room that is set aside for it: both are lines
//! of one table, so that all processes count the same.
//!
//! Two who ask for room at the same instant do not see each other: the limit may be passed by one
//! podcast for each process, which is little beside it.

use bytes::Bytes;

use super::{Error, Store};

/// Sets room aside for what is not yet kept of the `bytes` that a podcast will bring. False when there
/// is not so much below `max_bytes`, of which the last eighth is for podcasts whose speech has begun.
/// What was set aside for it before is `holder`'s now.
///
/// # Errors
/// [`Error::Database`].
pub async fn reserve(store: &Store, podcast_id: i64, holder: i64, bytes: i64, max_bytes: i64) -> Result<bool, Error> {
    let set_aside = sqlx::query!(
        r#"/* reserve_spool */
        with kept as (
            select coalesce(sum(bytes), 0)::bigint as used,
                   coalesce(sum(bytes) filter (where podcast_id = $1), 0)::bigint as own,
                   count(*) filter (where podcast_id = $1) > 0 as has_begun
            from dailycast.audio_spool
            where (podcast_id, part) <> ($1, 'room')
        )
        insert into dailycast.audio_spool (podcast_id, part, mp3, bytes, holder)
        select $1, 'room', '', greatest($2::bigint - own, 0), $4::bigint
        from kept
        where used + greatest($2::bigint - own, 0) < case when has_begun then $3::bigint else $3::bigint / 8 * 7 end
        on conflict (podcast_id, part) do update set bytes = excluded.bytes, holder = excluded.holder"#,
        podcast_id,
        bytes,
        max_bytes,
        holder,
    )
    .execute(store.audio())
    .await
    .map_err(Error::in_statement("reserve_spool"))?;
    Ok(set_aside.rows_affected() > 0)
}

/// Gives back what `holder` still has set aside for a podcast.
///
/// # Errors
/// [`Error::Database`].
pub async fn release(store: &Store, podcast_id: i64, holder: i64) -> Result<(), Error> {
    sqlx::query!(
        r#"/* release_spool */
        delete from dailycast.audio_spool where podcast_id = $1 and part = 'room' and holder = $2"#,
        podcast_id,
        holder,
    )
    .execute(store.audio())
    .await
    .map(drop)
    .map_err(Error::in_statement("release_spool"))
}

/// Keeps a part of a podcast, replacing one of the same name. False when that would bring the spool
/// above `max_bytes` and no room is set aside.
///
/// # Errors
/// [`Error::Database`].
pub async fn put(store: &Store, podcast_id: i64, part: &str, mp3: &[u8], max_bytes: i64) -> Result<bool, Error> {
    let kept = sqlx::query!(
        r#"/* put_into_spool */
        with room as (
            update dailycast.audio_spool set bytes = greatest(bytes - octet_length($3::bytea), 0)
            where podcast_id = $1 and part = 'room'
            returning podcast_id
        )
        insert into dailycast.audio_spool (podcast_id, part, mp3, bytes)
        select $1, $2, $3::bytea, octet_length($3::bytea)
        where exists (select from room)
           or (select coalesce(sum(bytes), 0) from dailycast.audio_spool) + octet_length($3::bytea) <= $4::bigint
        on conflict (podcast_id, part) do update set mp3 = excluded.mp3, bytes = excluded.bytes"#,
        podcast_id,
        part,
        mp3,
        max_bytes,
    )
    .execute(store.audio())
    .await
    .map_err(Error::in_statement("put_into_spool"))?;
    Ok(kept.rows_affected() > 0)
}

/// A part of a podcast that was kept, or `None`.
///
/// # Errors
/// [`Error::Database`].
pub async fn get(store: &Store, podcast_id: i64, part: &str) -> Result<Option<Bytes>, Error> {
    let found = sqlx::query_scalar!(
        r#"/* read_from_spool */ select mp3 from dailycast.audio_spool where podcast_id = $1 and part = $2"#,
        podcast_id,
        part,
    )
    .fetch_optional(store.audio())
    .await
    .map_err(Error::in_statement("read_from_spool"))?;
    Ok(found.map(Bytes::from))
}

/// Forgets all parts of a podcast.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget(store: &Store, podcast_id: i64) -> Result<(), Error> {
    sqlx::query!(r#"/* forget_in_spool */ delete from dailycast.audio_spool where podcast_id = $1"#, podcast_id)
        .execute(store.audio())
        .await
        .map(drop)
        .map_err(Error::in_statement("forget_in_spool"))
}

/// Podcasts of which something is kept, by number.
///
/// # Errors
/// [`Error::Database`].
pub async fn podcasts(store: &Store) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(r#"/* list_spool */ select distinct podcast_id from dailycast.audio_spool order by 1"#)
        .fetch_all(store.audio())
        .await
        .map_err(Error::in_statement("list_spool"))
}

/// Bytes that are kept or set aside.
///
/// # Errors
/// [`Error::Database`].
pub async fn used(store: &Store) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"/* size_of_spool */ select coalesce(sum(bytes), 0)::bigint as "used!" from dailycast.audio_spool"#
    )
    .fetch_one(store.audio())
    .await
    .map_err(Error::in_statement("size_of_spool"))
}
