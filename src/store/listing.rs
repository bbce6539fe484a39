//! Lists of podcasts that stay fast whatever is asked for, with a million rows of one date too.
//!
//! A page is found in two steps: the ids that match ([`find`]), then what is shown of them
//! ([`lines`]). The first goes through the one index that fits the filter best, newest id first, and
//! looks at a bounded number of its entries: it ends early when the page is full, and says how far
//! it came when it is not. So nothing is ever counted or sorted as a whole.
//!
//! What would surprise: failed podcasts are found by the event lines that ended them, since an index
//! on the status would have to be written with every move.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgPool;

use crate::machine::Status;

use super::{Error, podcasts::Filter};

/// Podcasts that are looked at for one page.
pub const LOOK: i32 = 5_000;

/// The same when each of them has to be asked whether it is stuck, which takes longer.
pub const STUCK_LOOK: i32 = 1_000;

/// The part of a list that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Only ids below this one.
    pub below: i64,
    /// The most podcasts.
    pub most: i64,
    /// Only those that are not finished.
    pub unfinished: bool,
    /// The most podcasts to look at; `None` for the usual bound.
    pub look: Option<i32>,
}

impl Part {
    /// The newest `most` podcasts below an id.
    pub fn below(below: Option<i64>, most: i64) -> Self {
        Self { below: below.unwrap_or(i64::MAX), most, unfinished: false, look: None }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Podcasts that match, newest first.
    pub ids: Vec<i64>,
    /// Podcasts that were looked at, and the last of them, when the bound was reached before the
    /// part was full. There may be more below.
    pub looked: Option<Looked>,
}

/// How far a look came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Podcasts that were looked at.
    pub podcasts: i32,
    /// The last of them.
    pub down_to: i64,
}

/// Which index leads to what a filter means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Way {
    /// The primary key.
    all: bool,
    /// `daily_podcast_date`.
    date: bool,
    /// `daily_podcast_unfinished`.
    unfinished: bool,
    /// `podcast_event_ended`.
    ended: bool,
}

impl Way {
    fn to(filter: &Filter, unfinished: bool) -> Self {
        let way = Self::default();
        if filter.ids.is_some() || filter.user_ids.is_some() {
            return way;
        }
        match filter.status {
            _ if unfinished || filter.stuck => Self { unfinished: true, ..way },
            Some(Status::Failed) => Self { ended: true, ..way },
            Some(status) if !status.is_final() => Self { unfinished: true, ..way },
            // A completed podcast has no cause.
            None if filter.cause.is_some() => Self { unfinished: true, ended: true, ..way },
            _ if filter.date.is_some() => Self { date: true, ..way },
            _ => Self { all: true, ..way },
        }
    }
}

/// Finds a part of the podcasts that match.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(pool: &PgPool, filter: &Filter, part: Part) -> Result<Found, Error> {
    let way = Way::to(filter, part.unfinished);
    let look = part.look.unwrap_or(if filter.stuck { STUCK_LOOK } else { LOOK });
    let rows = sqlx::query!(
        r#"/* find_podcasts */
        with bounds as (
            select case when $2::date is null then $1
                        else least($1, (select max(id) + 1 from dailycast.daily_podcast where date = $2)) end as below,
                   coalesce((select min(id) from dailycast.daily_podcast where date = $2), 0) as least
        ), looked as (
            (select id, false as ended from dailycast.daily_podcast
             where $3 and id < (select below from bounds) order by id desc limit $9)
            union all
            (select id, false from dailycast.daily_podcast
             where $4 and date = $2 and id < $1 order by id desc limit $9)
            union all
            (select id, false from dailycast.daily_podcast
             where $5 and finished_at is null
               and id < (select below from bounds) and id >= (select least from bounds)
             order by id desc limit $9)
            union all
            (select distinct podcast_id, true from dailycast.podcast_event
             where $6 and event in ('gave_up', 'cancelled')
               and podcast_id < (select below from bounds) and podcast_id >= (select least from bounds)
             order by podcast_id desc limit $9)
            union all
            (select id, false from (select distinct id from unnest($7::bigint[]) as n (id)) named
             where id < $1 order by id desc limit $9)
            union all
            (select id, false from (
                 select id from dailycast.daily_podcast where user_id = any ($8::bigint[]) and is_active
                 union all
                 select id from dailycast.daily_podcast where user_id = any ($8::bigint[]) and not is_active
             ) of_learners
             where $7::bigint[] is null and id < $1 order by id desc limit $9)
        ), numbered as (
            select id, ended, row_number() over (order by id desc) as nth from looked
        )
        select n.id as "id!", m.matches is not null as "matches!", n.nth = $9 as "is_last!"
        from numbered n
        -- its limit keeps it one look by primary key for each, in the order of the index
        left join lateral (
            select true as matches from dailycast.daily_podcast p
            -- one that failed and was requeued is met by both ways
            where p.id = n.id and (not n.ended or p.finished_at is not null)
              and (not $17 or p.finished_at is null)
              and ($7::bigint[] is null or p.id = any ($7))
              and ($8::bigint[] is null or p.user_id = any ($8))
              and ($2::date is null or p.date = $2)
              and ($10::text is null or p.status = $10)
              and ($11::text is null or p.error_kind = $11)
              and ($12::text is null or p.plan = $12)
              and ($13::text is null or p.tts_provider = $13 or p.ai_model_used = $13)
              and ($14::text is null or p.language = $14)
              and (not $15 or dailycast.is_stuck(p))
            limit 1
        ) m on true
        where n.nth <= $9 and (m.matches or n.nth = $9)
        order by n.id desc
        limit $16"#,
        part.below,
        filter.date,
        way.all,
        way.date,
        way.unfinished,
        way.ended,
        filter.ids.as_deref(),
        filter.user_ids.as_deref(),
        i64::from(look),
        filter.status.map(Status::as_str),
        filter.cause,
        filter.plan,
        filter.provider,
        filter.language,
        filter.stuck,
        part.most,
        part.unfinished,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("find_podcasts"))?;
    let ids: Vec<i64> = rows.iter().filter(|row| row.matches).map(|row| row.id).collect();
    let is_full = i64::try_from(ids.len()).is_ok_and(|found| found >= part.most);
    let last = rows.last().filter(|row| row.is_last && !is_full);
    Ok(Found { ids, looked: last.map(|row| Looked { podcasts: look, down_to: row.id }) })
}

/// A podcast in a list: nothing of its script, and nothing of its learner but the number.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Primary key.
    pub id: i64,
    /// The learner.
    pub user_id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Where it stands.
    pub status: String,
    /// Nothing will move it.
    pub is_stuck: bool,
    /// False when a newer episode of the same date replaces it.
    pub is_active: bool,
    /// The learner's subscription.
    pub plan: String,
    /// Failed attempts in this status.
    pub attempt: i32,
    /// Language of the script.
    pub language: Option<String>,
    /// Model id, or `template`.
    pub ai_model_used: Option<String>,
    /// Who speaks.
    pub tts_provider: Option<String>,
    /// With which voice.
    pub tts_voice: Option<String>,
    /// It can be heard.
    pub has_audio: bool,
    /// Its length.
    pub duration_seconds: Option<i32>,
    /// What it cost.
    pub cost_micro_usd: i64,
    /// Class of its last failure. A provider's words may hold anything, so lists do not show them.
    pub error_kind: Option<String>,
    /// When it is due.
    pub next_attempt_at: DateTime<Utc>,
    /// After this it is given up.
    pub deadline_at: DateTime<Utc>,
    /// The worker that holds it.
    pub worker_id: Option<i32>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
}

/// These podcasts, in this order; those that are gone are left out.
///
/// # Errors
/// [`Error::Database`].
pub async fn lines(pool: &PgPool, ids: &[i64]) -> Result<Vec<Line>, Error> {
    sqlx::query_as!(
        Line,
        r#"/* podcast_lines */
        select p.id, user_id, date, status, dailycast.is_stuck(p) as "is_stuck!", is_active, plan, attempt, language,
               ai_model_used, tts_provider, tts_voice,
               coalesce(case status when 'pending_upload' then spool_ref
                                    when 'completed' then object_key
                                    when 'completed_with_fallback' then object_key end, '') <> '' as "has_audio!",
               duration_seconds, cost_micro_usd, error_kind, next_attempt_at, deadline_at, worker_id, created_at,
               updated_at, finished_at
        from unnest($1::bigint[]) with ordinality as n (id, nth)
        join dailycast.daily_podcast p on p.id = n.id
        order by n.nth"#,
        ids
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("podcast_lines"))
}

/// The other podcasts of the same learner and date, oldest first: what this one replaced, and what
/// replaces it.
///
/// # Errors
/// [`Error::Database`].
pub async fn versions(pool: &PgPool, user_id: i64, date: NaiveDate) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* podcast_versions */
        select id as "id!" from (
            select id from dailycast.daily_podcast where user_id = $1 and date = $2 and is_active
            union all
            select id from dailycast.daily_podcast where user_id = $1 and date = $2 and not is_active
        ) versions
        order by id limit 100"#,
        user_id,
        date
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("podcast_versions"))
}
