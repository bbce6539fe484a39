//! What an operator's verb does to each podcast: who is meant, what becomes of it, and the page of
//! moves that does so.
//!
//! Who is meant is found in two steps, so that no filter reads the table twice. A walk gives ids
//! from the highest to the lowest, by the index that fits the filter best; a look at these rows
//! keeps those that match. What becomes of a row is decided by [`fate`] alone, for the preview and
//! for the deed alike.
//!
//! Between look and move a row may go on. Then nothing is written, and it is looked at again: a
//! cancel must not miss a podcast because its worker was quick.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use crate::machine::{Event, FailureKind, Resume, Status};

use super::{
    Error,
    podcasts::{Filter, OperatorMove, write_operator_moves},
    stuck,
};

/// Ids that one walk gives at most.
pub const WALK: usize = 5_000;

/// How often a row is looked at that moves on while it is to be moved.
const LOOKS: u32 = 3;

/// Newest podcasts from which usual costs are taken.
const SAMPLE: i64 = 1_000;

/// Where an episode is made anew from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FromStep {
    /// From the script: everything is made again.
    Script,
    /// From the speech: the script is kept.
    Speech,
}

/// What an operator wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Go on, after all or sooner.
    Requeue,
    /// Do no more.
    Cancel,
    /// Make a new episode in place of a finished one.
    Regenerate(FromStep),
}

impl Verb {
    /// The names of all verbs.
    pub const NAMES: [&str; 3] = ["requeue", "cancel", "regenerate"];

    /// The verb of this name; `from` is where a regeneration begins, from the script if nothing is
    /// said.
    pub fn named(name: &str, from: Option<FromStep>) -> Option<Self> {
        match name {
            "requeue" => Some(Self::Requeue),
            "cancel" => Some(Self::Cancel),
            "regenerate" => Some(Self::Regenerate(from.unwrap_or(FromStep::Script))),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requeue => "requeue",
            Self::Cancel => "cancel",
            Self::Regenerate(_) => "regenerate",
        }
    }

    /// What is said of a podcast when it is done, which is also the name of its count in JSON.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Requeue => "requeued",
            Self::Cancel => "cancelled",
            Self::Regenerate(_) => "regenerated",
        }
    }

    /// Where a regeneration begins.
    pub const fn from_step(self) -> Option<FromStep> {
        match self {
            Self::Regenerate(from) => Some(from),
            Self::Requeue | Self::Cancel => None,
        }
    }
}

impl FromStep {
    /// The step of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Script, Self::Speech].into_iter().find(|step| step.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Speech => "speech",
        }
    }
}

/// What a verb does to a podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It goes on where it is, now.
    GoesOn,
    /// The same, and it is taken from a worker that is not alive.
    TakenOver,
    /// It had failed: from the beginning.
    FromStart,
    /// It had failed: from the speech, the script is kept.
    FromSpeech,
    /// It had failed: from the upload, the audio is kept.
    FromUpload,
    /// It was cancelled: one of the three before. Only a preview tells it from them.
    Revived,
    /// It ends.
    Ends,
    /// It ends, and the worker that is at it drops it.
    EndsHeld,
    /// A new episode, from the script.
    NewScript,
    /// A new episode with the old script.
    NewSpeech,
}

/// Why a verb leaves a podcast as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A worker is at it.
    Held,
    /// It is made.
    Completed,
    /// It has failed already.
    Failed,
    /// It is not finished yet.
    Unfinished,
    /// A newer episode of the same date replaces it.
    Replaced,
    /// Its status is known only to a newer version.
    Unknown,
}

/// What becomes of a podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is moved.
    Moves(Effect),
    /// It is left as it is.
    Stays(Reason),
}

/// A podcast that a filter means, as far as it decides what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Primary key.
    pub id: i64,
    /// It has failed because somebody cancelled it.
    pub was_cancelled: bool,
    status: String,
    is_active: bool,
    has_script: bool,
    has_audio: bool,
    lease_token: Option<i64>,
    is_abandoned: bool,
}

impl Candidate {
    /// Where it stands; `None` when only a newer version knows.
    pub fn status(&self) -> Option<Status> {
        self.status.parse().ok()
    }
}

/// What `verb` does to a podcast.
pub fn fate(verb: Verb, row: &Candidate) -> Fate {
    let Some(status) = row.status() else { return Fate::Stays(Reason::Unknown) };
    match (verb, status) {
        (Verb::Cancel, Status::Failed) => Fate::Stays(Reason::Failed),
        (Verb::Requeue | Verb::Cancel, Status::Completed | Status::CompletedWithFallback) => {
            Fate::Stays(Reason::Completed)
        }
        (Verb::Requeue | Verb::Regenerate(_), _) if !row.is_active => Fate::Stays(Reason::Replaced),
        (Verb::Requeue, Status::Failed) if row.has_script && row.has_audio => Fate::Moves(Effect::FromUpload),
        (Verb::Requeue, Status::Failed) if row.has_script => Fate::Moves(Effect::FromSpeech),
        (Verb::Requeue, Status::Failed) => Fate::Moves(Effect::FromStart),
        (Verb::Requeue, _) if row.lease_token.is_none() => Fate::Moves(Effect::GoesOn),
        (Verb::Requeue, _) if row.is_abandoned => Fate::Moves(Effect::TakenOver),
        (Verb::Requeue, _) => Fate::Stays(Reason::Held),
        (Verb::Cancel, _) if row.lease_token.is_none() => Fate::Moves(Effect::Ends),
        (Verb::Cancel, _) => Fate::Moves(Effect::EndsHeld),
        (Verb::Regenerate(_), status) if !status.is_final() => Fate::Stays(Reason::Unfinished),
        (Verb::Regenerate(FromStep::Speech), _) if row.has_script => Fate::Moves(Effect::NewSpeech),
        (Verb::Regenerate(_), _) => Fate::Moves(Effect::NewScript),
    }
}

/// Up to [`WALK`] ids below `below`, the highest first, among which is every podcast that `filter`
/// means there. Fewer say that there are no more.
///
/// # Errors
/// [`Error::Database`].
pub async fn walk(connection: &mut PgConnection, filter: &Filter, below: i64) -> Result<Vec<i64>, Error> {
    if let Some(ids) = &filter.ids {
        let mut ids: Vec<i64> = ids.iter().copied().filter(|id| *id < below).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        ids.truncate(WALK);
        return Ok(ids);
    }
    let limit = WALK as i64;
    let (name, ids) = if let Some(users) = &filter.user_ids {
        let ids = sqlx::query_scalar!(
            r#"/* walk_learners */
            select id as "id!" from (
                select id from dailycast.daily_podcast where user_id = any ($1) and is_active and id < $2
                union all
                select id from dailycast.daily_podcast where user_id = any ($1) and not is_active and id < $2
            ) of_learners order by id desc limit $3"#,
            users,
            below,
            limit,
        );
        ("walk_learners", ids.fetch_all(connection).await)
    } else if filter.stuck {
        return stuck::find_on(connection, filter.date, below, limit).await;
    } else if filter.status.is_some_and(|status| !status.is_final()) {
        let ids = sqlx::query_scalar!(
            r#"/* walk_unfinished */
            select id from dailycast.daily_podcast where finished_at is null and id < $1 order by id desc limit $2"#,
            below,
            limit,
        );
        ("walk_unfinished", ids.fetch_all(connection).await)
    } else if filter.status == Some(Status::Failed) {
        let ids = sqlx::query_scalar!(
            r#"/* walk_ended */
            select podcast_id from dailycast.podcast_event
            where event in ('gave_up', 'cancelled') and podcast_id < $1
            group by podcast_id order by podcast_id desc limit $2"#,
            below,
            limit,
        );
        ("walk_ended", ids.fetch_all(connection).await)
    } else if let Some(date) = filter.date {
        let ids = sqlx::query_scalar!(
            r#"/* walk_date */
            select id from dailycast.daily_podcast
            -- by no equality, so that only the index of dates has the order
            where date >= $1 and (date, id) < ($1, $2) order by date desc, id desc limit $3"#,
            date,
            below,
            limit,
        );
        ("walk_date", ids.fetch_all(connection).await)
    } else {
        let ids = sqlx::query_scalar!(
            r#"/* walk_podcasts */ select id from dailycast.daily_podcast where id < $1 order by id desc limit $2"#,
            below,
            limit,
        );
        ("walk_podcasts", ids.fetch_all(connection).await)
    };
    ids.map_err(|source| Error::Database { statement: name, source })
}

/// Of these podcasts, the ones that `filter` means, the highest id first.
///
/// # Errors
/// [`Error::Database`].
pub async fn look(connection: &mut PgConnection, ids: &[i64], filter: &Filter) -> Result<Vec<Candidate>, Error> {
    sqlx::query_as!(
        Candidate,
        r#"/* look_at_podcasts */
        select id, status = 'failed' and error_kind = 'cancelled' as "was_cancelled!", status, is_active,
               script_text is not null as "has_script!", spool_ref is not null as "has_audio!",
               lease_token, case when lease_token is null then false else dailycast.is_stuck(p) end as "is_abandoned!"
        from dailycast.daily_podcast p
        where id = any ($1)
          and ($2::date is null or date = $2)
          and ($3::text is null or status = $3)
          and ($4::bigint[] is null or user_id = any ($4))
          and ($5::text is null or error_kind = $5)
          and ($6::text is null or plan = $6)
          and ($7::text is null or tts_provider = $7 or ai_model_used = $7)
          and ($8::text is null or language = $8)
          and (not $9 or dailycast.is_stuck(p))
        order by id desc"#,
        ids,
        filter.date,
        filter.status.map(Status::as_str),
        filter.user_ids.as_deref(),
        filter.cause,
        filter.plan,
        filter.provider,
        filter.language,
        filter.stuck,
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("look_at_podcasts"))
}

/// Who does it, and until when it may last.
#[derive(Debug, Clone, Copy)]
pub struct Order<'o> {
    /// What is done.
    pub verb: Verb,
    /// To whom.
    pub filter: &'o Filter,
    /// Who asked.
    pub actor: &'o str,
    /// Why; may be empty.
    pub reason: &'o str,
    /// The new deadline where the old one is earlier.
    pub deadline_at: DateTime<Utc>,
}

/// Does the verb to a page of podcasts that was just looked at. Returns how many were moved.
///
/// # Errors
/// [`Error::Database`].
pub async fn carry_out(
    connection: &mut PgConnection,
    order: Order<'_>,
    mut page: Vec<Candidate>,
) -> Result<usize, Error> {
    let mut done = 0;
    for look_again in (0..LOOKS).rev() {
        page.retain(|row| matches!(fate(order.verb, row), Fate::Moves(_)));
        if page.is_empty() {
            break;
        }
        let moved: HashSet<i64> = match order.verb {
            Verb::Regenerate(_) => make_anew(connection, order, &page).await?,
            Verb::Requeue | Verb::Cancel => {
                let moves: Vec<OperatorMove> = page.iter().filter_map(|row| operator_move(order, row)).collect();
                write_operator_moves(&mut *connection, &moves, Some(order.deadline_at)).await?
            }
        }
        .into_iter()
        .collect();
        done += moved.len();
        let left: Vec<i64> = page.iter().map(|row| row.id).filter(|id| !moved.contains(id)).collect();
        if left.is_empty() || look_again == 0 {
            break;
        }
        page = look(connection, &left, order.filter).await?;
    }
    Ok(done)
}

fn operator_move(order: Order<'_>, row: &Candidate) -> Option<OperatorMove> {
    let Fate::Moves(effect) = fate(order.verb, row) else { return None };
    let (event, kind) = match effect {
        Effect::GoesOn | Effect::TakenOver => (Event::Requeued(Resume::InPlace), None),
        Effect::FromStart => (Event::Requeued(Resume::FromStart), None),
        Effect::FromSpeech => (Event::Requeued(Resume::WithScript), None),
        Effect::FromUpload => (Event::Requeued(Resume::WithAudio), None),
        Effect::Ends | Effect::EndsHeld => (Event::Cancelled, Some(FailureKind::Cancelled)),
        Effect::NewScript | Effect::NewSpeech | Effect::Revived => return None,
    };
    let detail = said(order.verb.done(), order);
    let one = OperatorMove::new(row.id, row.status()?, event, kind, detail).ok()?;
    Some(match row.lease_token {
        Some(token) => one.taking(token),
        None => one,
    })
}

/// Who did what, and why, for an event line.
fn said(done: &str, order: Order<'_>) -> String {
    let Order { actor, reason, .. } = order;
    if reason.is_empty() { format!("{done} by {actor}") } else { format!("{done} by {actor}: {reason}") }
}

/// Puts a new episode in the place of each that is finished: the old one is no longer active, the
/// new one has its job and its first line. Who is no longer active by now is left alone, so that
/// two at once make one. Returns the old ids.
async fn make_anew(connection: &mut PgConnection, order: Order<'_>, page: &[Candidate]) -> Result<HashSet<i64>, Error> {
    let ids: Vec<i64> = page.iter().map(|row| row.id).collect();
    let keeps: Vec<bool> = page.iter().map(|row| fate(order.verb, row) == Fate::Moves(Effect::NewSpeech)).collect();
    let made = sqlx::query_scalar!(
        r#"/* make_podcasts_anew */
        with wish as (
            select * from unnest($1::bigint[], $2::boolean[]) as w (podcast_id, keeps_script)
        ), old as (
            update dailycast.daily_podcast p set is_active = false, updated_at = now()
            from wish w
            where p.id = w.podcast_id and p.is_active and p.finished_at is not null
              and (p.script_text is not null or not w.keeps_script)
            returning p.id, p.user_id, p.date, p.plan, w.keeps_script,
                      case when w.keeps_script then p.script_text end as script_text,
                      case when w.keeps_script then p.language end as language,
                      case when w.keeps_script then p.title end as title,
                      case when w.keeps_script then p.topic end as topic,
                      case when w.keeps_script then p.ai_model_used end as ai_model_used,
                      case when w.keeps_script then p.is_fallback end as is_fallback
        ), born as (
            insert into dailycast.daily_podcast
                (user_id, date, plan, status, deadline_at, script_text, language, title, topic, ai_model_used,
                 is_fallback, metadata)
            select user_id, date, plan, case when keeps_script then 'script_generated' else 'pending' end, $3,
                   script_text, language, title, topic, ai_model_used, is_fallback,
                   jsonb_build_object('regenerated_from', id)
            from old
            returning id, date, status, next_attempt_at, (metadata->>'regenerated_from')::bigint as old_id
        ), reopened as (
            update dailycast.night set state = 'running', finished_at = null
            where state = 'finished' and date in (select date from born)
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, to_status, detail)
            select id, 'enqueued', status, 'regenerated from ' || old_id || ' by ' || $4 from born
        ), armed as (
            select dailycast.first_jobs(array_agg(id), array_agg(next_attempt_at), 10) as n
            from born having count(*) > 0
        ), told as (
            select pg_notify('dailycast_due', '') from armed
        )
        -- a select that nobody reads is not carried out
        select old_id as "old_id!" from born where (select count(*) from told) >= 0"#,
        &ids,
        &keeps,
        order.deadline_at,
        if order.reason.is_empty() { order.actor.to_owned() } else { format!("{}: {}", order.actor, order.reason) },
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("make_podcasts_anew"))?;
    Ok(made.into_iter().collect())
}

/// What an episode has cost lately, by what the calls were for, in micro-dollars an episode.
///
/// # Errors
/// [`Error::Database`].
pub async fn usual_costs(pool: &PgPool) -> Result<BTreeMap<String, i64>, Error> {
    let rows = sqlx::query!(
        r#"/* usual_costs */
        with lately as (
            (select id, status from dailycast.daily_podcast order by id desc limit $1)
            union
            -- in a night that has only begun none of the newest is made
            (select id, status from dailycast.daily_podcast
             where id < (select min(id) from dailycast.daily_podcast where finished_at is null) order by id desc limit $1)
        ), made as (
            select id from lately where status in ('completed', 'completed_with_fallback')
        )
        select operation, (sum(cost_micro_usd) / (select count(*) from made))::bigint as "each!"
        from dailycast.provider_call where podcast_id = any (array(select id from made))
        group by operation"#,
        SAMPLE,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("usual_costs"))?;
    Ok(rows.into_iter().map(|row| (row.operation, row.each)).collect())
}
