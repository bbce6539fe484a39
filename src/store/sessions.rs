//! Who is logged in, at the operators' pages or the learners' one, and the links that let somebody in
//! once. Which of the two a key is for is in its hash.
//!
//! Kept are hashes of what a cookie or a link holds, so that a copy of the tables opens nothing.
//! What somebody may do is never kept: it is asked of the academy with each look.

use std::time::Duration;

use sqlx::PgPool;

use super::{Error, Reads};

/// SHA-256 of the key in a cookie or a link.
pub type KeyHash = [u8; 32];

/// Somebody who is logged in, as the academy knows him now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// His number in the academy.
    pub user_id: i64,
    /// False when the account was closed, or is gone.
    pub is_active: bool,
    /// May look.
    pub is_staff: bool,
    /// May change things.
    pub is_superuser: bool,
    /// So much of the session's life is over that its use should prolong it.
    pub is_ageing: bool,
}

/// Begins a session that ends after `life`, and forgets what has ended.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin(pool: &PgPool, key: &KeyHash, user_id: i64, life: Duration) -> Result<(), Error> {
    sqlx::query!(
        r#"/* begin_session */
        with ended as (
            delete from dailycast.session where expires_at <= now()
        ), unused as (
            delete from dailycast.entrance where expires_at <= now()
        )
        insert into dailycast.session (key_hash, user_id, expires_at)
        values ($1, $2, now() + make_interval(secs => $3))"#,
        &key[..],
        user_id,
        life.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("begin_session"))?;
    Ok(())
}

/// Whose session this is; `None` when it has ended, or never was. It is ageing when less than
/// `fresh` is left of it.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn holder(pool: &PgPool, key: &KeyHash, fresh: Duration) -> Result<Option<Holder>, Error> {
    sqlx::query_as!(
        Holder,
        r#"/* session_holder */
        select s.user_id,
               coalesce(l.is_active, false) as "is_active!",
               coalesce(l.is_staff, false) as "is_staff!",
               coalesce(l.is_superuser, false) as "is_superuser!",
               s.expires_at < now() + make_interval(secs => $2) as "is_ageing!"
        from dailycast.session s
        left join lateral (select * from learner v where v.user_id = s.user_id limit 1) l on true
        where s.key_hash = $1 and s.expires_at > now()"#,
        &key[..],
        fresh.as_secs_f64(),
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("session_holder"))
}

/// Whose session this is, and whether that account is active; `None` when it has ended, or never was.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn learner(reads: &Reads, key: &KeyHash) -> Result<Option<(i64, bool)>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* session_learner */
            select s.user_id, coalesce(l.is_active, false) as "is_active!"
            from dailycast.session s
            left join lateral (select v.is_active from learner v where v.user_id = s.user_id limit 1) l on true
            where s.key_hash = $1 and s.expires_at > now()"#,
            &key[..],
        )
    };
    Ok(reads.rows("session_learner", ask).await?.pop().map(|row| (row.user_id, row.is_active)))
}

/// Lets a session of which less than `fresh` is left go on for `life` from now. True when it was one.
///
/// # Errors
/// [`Error::Database`].
pub async fn prolong_ageing(pool: &PgPool, key: &KeyHash, life: Duration, fresh: Duration) -> Result<bool, Error> {
    let prolonged = sqlx::query!(
        r#"/* prolong_ageing */
        update dailycast.session set expires_at = now() + make_interval(secs => $2)
        where key_hash = $1 and expires_at > now() and expires_at < now() + make_interval(secs => $3)"#,
        &key[..],
        life.as_secs_f64(),
        fresh.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("prolong_ageing"))?;
    Ok(prolonged.rows_affected() > 0)
}

/// Lets a session that has not ended go on for `life` from now.
///
/// # Errors
/// [`Error::Database`].
pub async fn prolong(pool: &PgPool, key: &KeyHash, life: Duration) -> Result<(), Error> {
    sqlx::query!(
        r#"/* prolong_session */
        update dailycast.session set expires_at = now() + make_interval(secs => $2)
        where key_hash = $1 and expires_at > now()"#,
        &key[..],
        life.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("prolong_session"))?;
    Ok(())
}

/// Ends a session. False when there was none.
///
/// # Errors
/// [`Error::Database`].
pub async fn end(pool: &PgPool, key: &KeyHash) -> Result<bool, Error> {
    let ended = sqlx::query!(r#"/* end_login */ delete from dailycast.session where key_hash = $1"#, &key[..])
        .execute(pool)
        .await
        .map_err(Error::in_statement("end_login"))?;
    Ok(ended.rows_affected() > 0)
}

/// Adds a link that lets `user_id` in once, within `life`.
///
/// # Errors
/// [`Error::Database`].
pub async fn add_entrance(pool: &PgPool, key: &KeyHash, user_id: i64, life: Duration) -> Result<(), Error> {
    sqlx::query!(
        r#"/* add_entrance */
        insert into dailycast.entrance (key_hash, user_id, expires_at)
        values ($1, $2, now() + make_interval(secs => $3))"#,
        &key[..],
        user_id,
        life.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("add_entrance"))?;
    Ok(())
}

/// Uses a link up, and says whom it lets in. `None` when it was used, is too old, or never was; of
/// two who come with the same one, one gets in.
///
/// # Errors
/// [`Error::Database`].
pub async fn use_entrance(pool: &PgPool, key: &KeyHash) -> Result<Option<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* use_entrance */
        delete from dailycast.entrance where key_hash = $1 and expires_at > now() returning user_id"#,
        &key[..],
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("use_entrance"))
}
