//! Who has left the academy: found and made sure of. What is done about it is in `erasure.rs`.
//!
//! The leader walks over the learners who have podcasts, a feed, a log-in or an episode that was asked
//! for, page by page, and asks the academy for each. Who is not there is *missed*. Being missed proves
//! little: the academy may be restoring a backup, or its view may be broken. So nobody is erased who
//! was not missed at [`LOOKS`] looks an hour apart or more, over [`PATIENCE_HOURS`] hours at least, and
//! is found again at none of them. And nobody is while the view shows no learner at all, or while more
//! are missed at once than leave in a day: see [`Census`]. All this is kept in the database, so leaders
//! may change. An academy that cannot be read is no look. An account that is closed (`is_active`
//! false) is still there: who comes back finds the podcasts.
//!
//! An operator's word needs no proof ([`super::erasure::ask`]); it is for requests that come by mail,
//! and for a great many who really left ([`confirm_all`]).

use sqlx::PgPool;

use super::{Error, academy};

/// Looks at which a learner must have been missed.
pub const LOOKS: i32 = 3;

/// Hours between the first and the last of them, at least.
pub const PATIENCE_HOURS: i32 = 24;

/// So many may be missed at once, however few learners there are.
const ALWAYS_PLAUSIBLE: i64 = 3;

/// Of so many learners one may be missed.
const ONE_OF: i64 = 100;

/// No more learners than this are noted as missed: it is held up by then.
const MOST_MISSED: i64 = 10_000;

/// What a page of the walk met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Learners of whom something is kept.
    pub seen: i64,
    /// Of those, who is not in the academy.
    pub missing: i64,
    /// The walk is over; the next page begins a new one.
    pub is_last: bool,
}

/// Asks the academy for the next `size` learners of whom something is kept, and notes who is missing and
/// who is found again. Of two who look at once, one counts.
///
/// # Errors
/// [`Error::Database`], also when the academy cannot be read: then nothing is noted.
pub async fn look(pool: &PgPool, size: i32) -> Result<Look, Error> {
    let look = sqlx::query_as!(
        Look,
        r#"/* look_for_missing */
        with recursive place as (
            select after_user_id from dailycast.erasure_walk
        ), page (user_id, n) as (
            select after_user_id, 0 from place
            union all
            -- from one learner to the next, past all the dates of each
            select following.user_id, page.n + 1
            from page cross join lateral (
                select least(
                    (select min(user_id) from dailycast.daily_podcast where is_active and user_id > page.user_id),
                    (select min(user_id) from dailycast.feed where user_id > page.user_id),
                    (select min(user_id) from dailycast.session where user_id > page.user_id),
                    (select min(user_id) from dailycast.generation where user_id > page.user_id)) as user_id
            ) following
            where page.n < $1 and following.user_id is not null
        ), looked as (
            -- one by one: a page of learners must never make Postgres read all of the academy
            select page.user_id, learner.there is not null as is_there
            from page left join lateral (
                select true as there from learner l where l.user_id = page.user_id limit 1
            ) learner on true where page.n > 0
        ), walked as (
            update dailycast.erasure_walk w
            set after_user_id = case when total.seen = $1 then total.last else 0 end,
                seen = case when total.seen = $1 then w.seen + total.seen else 0 end,
                known = case when total.seen = $1 then w.known else w.seen + total.seen end,
                walked_at = case when total.seen = $1 then w.walked_at else now() end
            from (select count(*) as seen, max(user_id) as last from looked) total, place
            where w.after_user_id = place.after_user_id
            returning 1
        ), found as (
            delete from dailycast.erasure e using looked
            where e.user_id = looked.user_id and looked.is_there and e.confirmed_at is null
              and exists (select from walked)
        ), missed as (
            insert into dailycast.erasure as e (user_id)
            select user_id from looked
            where not is_there and exists (select from walked)
              and (select count(*) from dailycast.erasure where confirmed_at is null) < $2
            on conflict (user_id) do update set looks = e.looks + 1, missed_again_at = now()
            where e.confirmed_at is null and e.missed_again_at <= now() - interval '1 hour'
        )
        select count(*) as "seen!", count(*) filter (where not is_there) as "missing!", count(*) < $1 as "is_last!"
        from looked"#,
        size,
        MOST_MISSED,
    );
    look.fetch_one(pool).await.map_err(Error::in_statement("look_for_missing"))
}

/// How many are missed, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Learners of whom something is kept, as the last whole walk met them.
    pub known: i64,
    /// Learners who were missed at their last look and are not confirmed.
    pub missing: i64,
    /// The academy's view shows somebody.
    pub shows_somebody: bool,
}

impl Census {
    /// True when so many may really have left. More than a hundredth of all, and more than three,
    /// is taken for a broken or half-filled view.
    pub fn is_plausible(&self) -> bool {
        let limit = (self.known / ONE_OF).clamp(ALWAYS_PLAUSIBLE, MOST_MISSED - 1);
        self.shows_somebody && self.missing <= limit
    }
}

/// Counts. Who was missed once and not looked for again in `days` days has left nothing any more, and
/// is forgotten.
///
/// # Errors
/// [`Error::Database`], also when the academy cannot be read.
pub async fn census(pool: &PgPool, days: i32) -> Result<Census, Error> {
    sqlx::query_as!(
        Census,
        r#"/* count_missing */
        with forgotten as (
            delete from dailycast.erasure
            where confirmed_at is null and missed_again_at < now() - make_interval(days => $1)
            returning user_id
        )
        select (select known from dailycast.erasure_walk) as "known!",
               (select count(*) from dailycast.erasure
                where confirmed_at is null and user_id not in (select user_id from forgotten)) as "missing!",
               exists (select from learner) as "shows_somebody!""#,
        days,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("count_missing"))
}

/// Confirms those who were missed often and long enough, and are still missing. Only for a
/// [`Census`] that is plausible.
///
/// # Errors
/// As [`census`].
pub async fn confirm(pool: &PgPool) -> Result<u64, Error> {
    let confirmed = sqlx::query!(
        r#"/* confirm_missing */
        update dailycast.erasure e
        set confirmed_at = now(), confirmed_by = 'the academy, which no longer has the learner', due_at = now()
        where confirmed_at is null and looks >= $1 and missed_at <= now() - make_interval(hours => $2)
          and (select count(*) from (select from learner l where l.user_id = e.user_id limit 1) there) = 0"#,
        LOOKS,
        PATIENCE_HOURS,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("confirm_missing"))?;
    Ok(confirmed.rows_affected())
}

/// An operator's word that all who are missing now have left: who is still missing is confirmed,
/// however many and however short they were missed.
///
/// # Errors
/// As [`census`].
pub async fn confirm_all(pool: &PgPool, by: &str) -> Result<u64, Error> {
    let confirmed = sqlx::query!(
        r#"/* confirm_all_missing */
        update dailycast.erasure e set confirmed_at = now(), confirmed_by = $1, due_at = now()
        where confirmed_at is null
          and (select count(*) from (select from learner l where l.user_id = e.user_id limit 1) there) = 0"#,
        by,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("confirm_all_missing"))?;
    Ok(confirmed.rows_affected())
}

/// Of these learners, those whom the academy still has.
///
/// # Errors
/// When the academy cannot be read.
pub async fn still_there(pool: &PgPool, user_ids: &[i64]) -> Result<Vec<i64>, academy::Error> {
    let there = sqlx::query_scalar!(
        r#"/* still_there */
        select asked.user_id as "user_id!" from unnest($1::bigint[]) as asked (user_id)
        cross join lateral (select from learner l where l.user_id = asked.user_id limit 1) there
        order by asked.user_id"#,
        user_ids,
    );
    Ok(there.fetch_all(pool).await?)
}
