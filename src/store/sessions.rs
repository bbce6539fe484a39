//! Who is logged in, at the operators' pages or the learners' one, and the links that let somebody in
//! once. Which of the two a key is for is in its hash.
//!
//! Kept are hashes of what a cookie or a link holds, so that a copy of the tables opens nothing.
//! What somebody may do is never kept: it is asked of the academy with each look. What has ended is
//! deleted by the keeper (`retention.rs`), not by whoever logs in next.

use std::time::Duration;

use sqlx::{
    PgConnection, PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Map,
};

use super::{
    Error, Reads,
    academy::TokenOwner,
    audit::{self, Deed},
};

/// SHA-256 of the key in a cookie or a link.
pub type KeyHash = [u8; 32];

/// The most sessions of one person.
pub const MOST: i32 = 20;

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

/// The connections that a statement goes by: operators and learners never wait for each other.
#[derive(Debug)]
pub enum Way<'a> {
    /// The operators' own.
    Desk(&'a PgPool),
    /// One of these, in a transaction.
    Within(&'a mut PgConnection),
    /// Those of learners, which may send a statement twice.
    Reads(&'a Reads),
}

impl<'a> From<&'a PgPool> for Way<'a> {
    fn from(pool: &'a PgPool) -> Self {
        Self::Desk(pool)
    }
}

impl<'a> From<&'a mut PgConnection> for Way<'a> {
    fn from(connection: &'a mut PgConnection) -> Self {
        Self::Within(connection)
    }
}

impl<'a> From<&'a Reads> for Way<'a> {
    fn from(reads: &'a Reads) -> Self {
        Self::Reads(reads)
    }
}

impl Way<'_> {
    /// The row of a statement that has one at most.
    async fn row<'q, T: Send + Unpin, F>(
        self,
        statement: &'static str,
        ask: impl Fn() -> Map<'q, Postgres, F, PgArguments>,
    ) -> Result<Option<T>, Error>
    where
        F: FnMut(PgRow) -> Result<T, sqlx::Error> + Send,
    {
        match self {
            Self::Desk(pool) => ask().fetch_optional(pool).await.map_err(Error::in_statement(statement)),
            Self::Within(connection) => ask().fetch_optional(connection).await.map_err(Error::in_statement(statement)),
            Self::Reads(reads) => Ok(reads.rows(statement, ask).await?.pop()),
        }
    }
}

/// Somebody logs in.
#[derive(Debug, Clone, Copy)]
pub struct LogIn<'a> {
    /// Of the key that the cookie will hold.
    pub key: &'a KeyHash,
    /// His number in the academy.
    pub user_id: i64,
    /// How long the session lasts.
    pub life: Duration,
    /// The link that lets him in, if one does. It is used up with this.
    pub link: Option<&'a KeyHash>,
}

/// Begins a session, and ends the oldest ones of somebody who has more than [`MOST`], at whichever
/// side. False when the link does not let him in any more; of two who come with the same one, one
/// gets in.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin(way: impl Into<Way<'_>>, log_in: LogIn<'_>) -> Result<bool, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* begin_session */
            with used as (
                delete from dailycast.entrance where key_hash = $4 and user_id = $2 and expires_at > now() returning 1
            ), begun as (
                insert into dailycast.session (key_hash, user_id, expires_at)
                select $1, $2, now() + make_interval(secs => $3)
                where $4::bytea is null or exists (select from used)
                on conflict (key_hash) do nothing
                returning 1
            ), oldest as (
                delete from dailycast.session
                where key_hash = any (array(
                    select key_hash from dailycast.session where user_id = $2 and key_hash <> $1
                    order by created_at desc offset $5 - 1))
                  and exists (select from begun)
            )
            -- sent again, it finds what the first time began
            select exists (select from begun) or exists (select from dailycast.session where key_hash = $1)
                as "is_begun!""#,
            &log_in.key[..],
            log_in.user_id,
            log_in.life.as_secs_f64(),
            log_in.link.map(|link| &link[..]),
            MOST,
        )
    };
    Ok(way.into().row("begin_session", ask).await?.is_some_and(|row| row.is_begun))
}

/// The same, with a line that tells of it: there is never one without the other.
///
/// # Errors
/// [`Error::Database`]. Then nobody is in, and the link is as it was.
pub async fn begin_and_tell(pool: &PgPool, log_in: LogIn<'_>, deed: Deed<'_>) -> Result<bool, Error> {
    let mut transaction = pool.begin().await.map_err(Error::in_statement("begin_session"))?;
    let is_begun = begin(&mut *transaction, log_in).await?;
    if is_begun {
        audit::write(&mut *transaction, deed).await?;
    }
    transaction.commit().await.map_err(Error::in_statement("begin_session"))?;
    Ok(is_begun)
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

/// A learner who is logged in, as the academy knows him now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learner {
    /// His number in the academy.
    pub user_id: i64,
    /// False when the account was closed, or is gone.
    pub is_active: bool,
    /// As [`Holder::is_ageing`].
    pub is_ageing: bool,
}

/// Which learner's session this is; `None` when it has ended, or never was. It is ageing when less
/// than `fresh` is left of it.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn learner(reads: &Reads, key: &KeyHash, fresh: Duration) -> Result<Option<Learner>, Error> {
    let ask = || {
        sqlx::query_as!(
            Learner,
            r#"/* session_learner */
            select s.user_id, coalesce(l.is_active, false) as "is_active!",
                   s.expires_at < now() + make_interval(secs => $2) as "is_ageing!"
            from dailycast.session s
            left join lateral (select v.is_active from learner v where v.user_id = s.user_id limit 1) l on true
            where s.key_hash = $1 and s.expires_at > now()"#,
            &key[..],
            fresh.as_secs_f64(),
        )
    };
    Ok(reads.rows("session_learner", ask).await?.pop())
}

/// Lets a session that has not ended go on for `life` from now. False when there is none.
///
/// # Errors
/// [`Error::Database`].
pub async fn prolong(way: impl Into<Way<'_>>, key: &KeyHash, life: Duration) -> Result<bool, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* prolong_session */
            update dailycast.session set expires_at = now() + make_interval(secs => $2)
            where key_hash = $1 and expires_at > now()
            returning true as "is_prolonged!""#,
            &key[..],
            life.as_secs_f64(),
        )
    };
    Ok(way.into().row("prolong_session", ask).await?.is_some())
}

/// Ends a session, if it has not ended.
///
/// # Errors
/// [`Error::Database`].
pub async fn end(way: impl Into<Way<'_>>, key: &KeyHash) -> Result<(), Error> {
    let ask = || {
        sqlx::query!(
            r#"/* end_login */
            delete from dailycast.session where key_hash = $1 returning true as "is_ended!""#,
            &key[..],
        )
    };
    way.into().row("end_login", ask).await.map(drop)
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

/// Whom a link lets in, as the academy knows him now; `None` when it was used, is too old, or never
/// was. It stays as it is: [`begin`] uses it up.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn guest(reads: &Reads, link: &KeyHash) -> Result<Option<TokenOwner>, Error> {
    let ask = || {
        sqlx::query_as!(
            TokenOwner,
            r#"/* entrance_guest */
            select e.user_id,
                   coalesce(l.is_active, false) as "is_active!",
                   coalesce(l.is_staff, false) as "is_staff!",
                   coalesce(l.is_superuser, false) as "is_superuser!"
            from dailycast.entrance e
            left join lateral (select * from learner v where v.user_id = e.user_id limit 1) l on true
            where e.key_hash = $1 and e.expires_at > now()"#,
            &link[..],
        )
    };
    Ok(reads.rows("entrance_guest", ask).await?.pop())
}
