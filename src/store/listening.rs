//! What learners do with their episodes: where they stopped, what they like, what others may hear.
//!
//! Each change is one statement that asks in the same breath whose the episode is. One of somebody
//! else, without audio, about to go, or replaced is as good as none. The connections are the
//! learners' own ([`Reads`]); a statement may be sent twice there, so each of them does no more the
//! second time.
//!
//! What hangs on an episode goes with it. An episode that is made again is another one: it begins at
//! its start, not liked and not shared. The place where its learner stopped is nowhere in the new
//! words; and a link was given away for what its learner had heard, so it leads to nothing that
//! nobody has heard yet: it is as if it was taken back.

use chrono::NaiveDate;

use super::{
    Error, Reads,
    links::{Link, LinkHash},
};

/// An episode that somebody says is theirs.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// The podcast.
    pub id: i64,
    /// Who says so.
    pub user_id: i64,
    /// The newest date whose episodes can no longer be heard.
    pub expired: NaiveDate,
}

/// Keeps where the learner stopped, in milliseconds; behind the end is at the end. Returns what is
/// kept, or `None` when there is no such episode of this learner.
///
/// The commit is not waited for: a crash of the server may cost some seconds of a position, and
/// players tell it again and again.
///
/// # Errors
/// [`Error::Database`].
pub async fn keep_position(reads: &Reads, own: Own, position_ms: i32) -> Result<Option<i32>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* keep_position */
            with own as (
                select id, least($4, duration_seconds * 1000) as position_ms,
                       set_config('synchronous_commit', 'off', true)
                from dailycast.daily_podcast
                where id = $1 and user_id = $2 and date > $3 and is_active
                  and status in ('pending_upload', 'completed', 'completed_with_fallback')
            ), moved as (
                -- nearly always, and without a lock on the podcast
                update dailycast.listening l set position_ms = own.position_ms, heard_at = now()
                from own where l.podcast_id = own.id
                returning l.position_ms
            ), begun as (
                insert into dailycast.listening (podcast_id, position_ms, heard_at)
                select id, position_ms, now() from own where not exists (select from moved)
                on conflict (podcast_id) do update
                set position_ms = excluded.position_ms, heard_at = excluded.heard_at
                returning position_ms
            )
            select position_ms as "position_ms!" from moved union all select position_ms from begun"#,
            own.id,
            own.user_id,
            own.expired,
            position_ms,
        )
    };
    Ok(reads.rows("keep_position", ask).await?.pop().map(|row| row.position_ms))
}

/// Keeps whether the learner likes an episode; false when there is no such episode of this learner.
///
/// # Errors
/// [`Error::Database`].
pub async fn keep_like(reads: &Reads, own: Own, is_liked: bool) -> Result<bool, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* keep_like */
            with own as (
                select id from dailycast.daily_podcast
                where id = $1 and user_id = $2 and date > $3 and is_active
                  and status in ('pending_upload', 'completed', 'completed_with_fallback')
                for key share
            )
            insert into dailycast.listening as l (podcast_id, liked_at)
            select id, case when $4 then now() end from own
            on conflict (podcast_id) do update set liked_at = case when $4 then coalesce(l.liked_at, now()) end
            returning podcast_id"#,
            own.id,
            own.user_id,
            own.expired,
            is_liked,
        )
    };
    Ok(!reads.rows("keep_like", ask).await?.is_empty())
}

/// Shares an episode by the link `fresh`, unless it is shared already; returns the link that counts,
/// or `None` when there is no such episode of this learner. A link of the hash `lost`, whose key
/// nobody can make again, is taken back for the fresh one.
///
/// # Errors
/// [`Error::Database`].
pub async fn share(reads: &Reads, own: Own, fresh: &Link, lost: Option<&[u8]>) -> Result<Option<Link>, Error> {
    let ask = || {
        sqlx::query_as!(
            Link,
            r#"/* share_episode */
            with own as (
                select id from dailycast.daily_podcast
                where id = $1 and user_id = $2 and date > $3 and is_active
                  and status in ('pending_upload', 'completed', 'completed_with_fallback')
                for key share
            ), revoked as (
                insert into dailycast.revoked_link (key_hash)
                select share_hash from dailycast.listening join own on own.id = podcast_id where share_hash = $6
                on conflict do nothing
            )
            insert into dailycast.listening as l (podcast_id, share_seed, share_hash, shared_at)
            select id, $4, $5, now() from own
            on conflict (podcast_id) do update
            set share_seed = case when l.share_hash <> $6 then l.share_seed else excluded.share_seed end,
                share_hash = case when l.share_hash <> $6 then l.share_hash else excluded.share_hash end,
                shared_at = case when l.share_hash <> $6 then l.shared_at else excluded.shared_at end
            returning share_seed as "seed!", share_hash as "key_hash!""#,
            own.id,
            own.user_id,
            own.expired,
            fresh.seed,
            fresh.key_hash,
            lost.unwrap_or_default(),
        )
    };
    Ok(reads.rows("share_episode", ask).await?.pop())
}

/// Takes the link to an episode back, if there is one; whoever follows it is told so. False when the
/// episode is not this learner's. One that was replaced, or is about to go, can be taken back as well.
///
/// # Errors
/// [`Error::Database`].
pub async fn unshare(reads: &Reads, own: Own) -> Result<bool, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* unshare_episode */
            with own as (
                select id from dailycast.daily_podcast where id = $1 and user_id = $2
            ), held as (
                select podcast_id, share_hash from dailycast.listening
                where podcast_id = (select id from own) and share_hash is not null
                for update
            ), gone as (
                update dailycast.listening l set share_seed = null, share_hash = null, shared_at = null
                from held where l.podcast_id = held.podcast_id
                returning held.share_hash
            ), revoked as (
                insert into dailycast.revoked_link (key_hash) select share_hash from gone on conflict do nothing
            )
            select id from own"#,
            own.id,
            own.user_id,
        )
    };
    Ok(!reads.rows("unshare_episode", ask).await?.is_empty())
}

/// Where the link to an episode leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// To this podcast. It may have become too old to be heard.
    Podcast(i64),
    /// Nowhere any more: it was taken back, or its episode was replaced.
    Revoked,
    /// There never was such a link, or it went with its episode.
    Unknown,
}

/// Follows the link whose key has this hash.
///
/// # Errors
/// [`Error::Database`].
pub async fn shared(reads: &Reads, key_hash: &LinkHash) -> Result<Shared, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* shared_link */
            select case when p.is_active then p.id end as "id?"
            from dailycast.listening l join dailycast.daily_podcast p on p.id = l.podcast_id
            where l.share_hash = $1
            union all
            select null from dailycast.revoked_link where key_hash = $1"#,
            &key_hash[..],
        )
    };
    Ok(match reads.rows("shared_link", ask).await?.pop() {
        Some(row) => row.id.map_or(Shared::Revoked, Shared::Podcast),
        None => Shared::Unknown,
    })
}
