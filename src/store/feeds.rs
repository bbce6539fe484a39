//! Private feeds of learners: by which link ([`super::links`]) one is found, and what is in it.
//!
//! The connections are the learners' own ([`Reads`]); a statement may be sent twice there, so each that
//! changes something does no more the second time.

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Error, Reads,
    links::{Link, LinkHash},
};

/// The most episodes that a feed offers: the newest ones.
pub const MOST: i64 = 100;

/// The link to the feed of a learner, if it was ever asked for.
///
/// # Errors
/// [`Error::Database`].
pub async fn link(reads: &Reads, user_id: i64) -> Result<Option<Link>, Error> {
    let ask = || {
        sqlx::query_as!(
            Link,
            r#"/* feed_link */ select seed, key_hash from dailycast.feed where user_id = $1"#,
            user_id,
        )
    };
    Ok(reads.rows("feed_link", ask).await?.pop())
}

/// Makes the feed of a learner with the link `fresh`, unless there is one. Returns the link that
/// counts: of two who ask at once, both get the same.
///
/// # Errors
/// [`Error::Database`].
pub async fn make(reads: &Reads, user_id: i64, fresh: &Link) -> Result<Link, Error> {
    let ask = || {
        sqlx::query_as!(
            Link,
            r#"/* make_feed */
            insert into dailycast.feed as kept (user_id, seed, key_hash) values ($1, $2, $3)
            on conflict (user_id) do update set seed = kept.seed
            returning seed, key_hash"#,
            user_id,
            fresh.seed,
            fresh.key_hash,
        )
    };
    let made = reads.rows("make_feed", ask).await?.pop();
    Ok(made.unwrap_or_else(|| fresh.clone()))
}

/// Replaces the link to the feed of a learner by `fresh`; the one before leads nowhere from now on.
/// With `expected` (a hash) only when that is still the link. False when nothing was replaced. Of two
/// at once both are carried out, one after the other, and no link is forgotten.
///
/// # Errors
/// [`Error::Database`].
pub async fn replace(reads: &Reads, user_id: i64, fresh: &Link, expected: Option<&[u8]>) -> Result<bool, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* replace_feed */
            with old as (
                select user_id, key_hash from dailycast.feed
                where user_id = $1 and key_hash <> $3 and ($4::bytea is null or key_hash = $4)
                for update
            ), revoked as (
                insert into dailycast.revoked_link (key_hash) select key_hash from old on conflict do nothing
            )
            update dailycast.feed f set seed = $2, key_hash = $3, rotated_at = now()
            from old
            where f.user_id = old.user_id
            returning f.user_id"#,
            user_id,
            fresh.seed,
            fresh.key_hash,
            expected,
        )
    };
    Ok(!reads.rows("replace_feed", ask).await?.is_empty())
}

/// Ends the feed of a learner, if there is one. A later one is another feed to whoever follows it.
///
/// # Errors
/// [`Error::Database`].
pub async fn end(reads: &Reads, user_id: i64) -> Result<(), Error> {
    let ask = || {
        sqlx::query!(
            r#"/* end_feed */
            with ended as (
                delete from dailycast.feed where user_id = $1 returning key_hash
            )
            insert into dailycast.revoked_link (key_hash) select key_hash from ended
            on conflict do nothing
            returning revoked_at"#,
            user_id,
        )
    };
    reads.rows("end_feed", ask).await?;
    Ok(())
}

/// Where a link leads.
#[derive(Debug, Clone)]
pub enum Found {
    /// To this feed.
    Feed(Feed),
    /// It was replaced or ended.
    Revoked,
    /// Nowhere, or to somebody whom the academy does not let in now.
    Nothing,
}

/// A feed that may be read.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Whose it is.
    pub user_id: i64,
    /// By what apps know it, whatever its address: a UUID.
    pub guid: String,
    /// When its address was made.
    pub linked_at: DateTime<Utc>,
}

/// Where the link of this hash leads. An account that is closed, or not found in the academy, may
/// come back, and its feed with it: so that is no revocation.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn find(reads: &Reads, key_hash: &LinkHash) -> Result<Found, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* find_feed */
            select f.user_id as "user_id?", f.guid::text as "guid?",
                   coalesce(f.rotated_at, f.created_at) as "linked_at?",
                   coalesce(l.is_active, false) as "is_active!",
                   r.key_hash is not null as "is_revoked!"
            from (select $1::bytea as key_hash) asked
            left join dailycast.feed f on f.key_hash = asked.key_hash
            left join dailycast.revoked_link r on r.key_hash = asked.key_hash
            left join lateral (select * from learner v where v.user_id = f.user_id limit 1) l on true"#,
            &key_hash[..],
        )
    };
    let Some(row) = reads.rows("find_feed", ask).await?.pop() else { return Ok(Found::Nothing) };
    Ok(match (row.user_id, row.guid, row.linked_at) {
        (Some(user_id), Some(guid), Some(linked_at)) if row.is_active => Found::Feed(Feed { user_id, guid, linked_at }),
        (Some(_), ..) => Found::Nothing,
        _ if row.is_revoked => Found::Revoked,
        _ => Found::Nothing,
    })
}

/// An episode as a feed offers it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The podcast's key.
    pub id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Its title.
    pub title: Option<String>,
    /// What it is about, in a few words.
    pub topic: Option<String>,
    /// Its words.
    pub script: Option<String>,
    /// BCP 47 primary tag.
    pub language: Option<String>,
    /// Where its paragraphs begin, if that was measured: an array of milliseconds.
    pub starts_ms: Option<serde_json::Value>,
    /// Length in whole seconds.
    pub duration_seconds: Option<i32>,
    /// Length of the MP3 in bytes.
    pub audio_bytes: Option<i64>,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What tells one state of an item from another, without its words.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The podcast's key.
    pub id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Item {
    /// What tells this state of it.
    pub fn stamp(&self) -> Stamp {
        Stamp { id: self.id, date: self.date, created_at: self.created_at, updated_at: self.updated_at }
    }
}

/// The stamps of [`items`], in their order: what the words are kept in is not read.
///
/// # Errors
/// [`Error::Database`].
pub async fn stamps(reads: &Reads, user_id: i64, today: NaiveDate, expired: NaiveDate) -> Result<Vec<Stamp>, Error> {
    let ask = || {
        sqlx::query_as!(
            Stamp,
            r#"/* feed_stamps */
            select id, date, created_at, updated_at
            from dailycast.daily_podcast
            where user_id = $1 and is_active and date <= $2 and date > $3
              and status in ('pending_upload', 'completed', 'completed_with_fallback')
            order by date desc
            limit $4"#,
            user_id,
            today,
            expired,
            MOST,
        )
    };
    reads.rows("feed_stamps", ask).await
}

/// What can be heard of a learner's episodes up to the date `today` and after `expired`: newest
/// first, [`MOST`] at most.
///
/// # Errors
/// [`Error::Database`].
pub async fn items(reads: &Reads, user_id: i64, today: NaiveDate, expired: NaiveDate) -> Result<Vec<Item>, Error> {
    let ask = || {
        sqlx::query_as!(
            Item,
            r#"/* feed_items */
            select id, date, title, topic, script_text as script, language,
                   metadata->'speech'->'paragraph_ms' as starts_ms, duration_seconds, audio_bytes,
                   created_at, updated_at
            from dailycast.daily_podcast
            where user_id = $1 and is_active and date <= $2 and date > $3
              and status in ('pending_upload', 'completed', 'completed_with_fallback')
            order by date desc
            limit $4"#,
            user_id,
            today,
            expired,
            MOST,
        )
    };
    reads.rows("feed_items", ask).await
}
