//! A date in figures: what the front page of operators shows, and what is kept of a night that is
//! over.
//!
//! All figures of podcasts come of one scan of the date's rows, whatever it is that they count. For
//! a million podcasts that takes seconds, so views ask for a [`Tally`] now and then and never wait
//! for it. A night that is over keeps its [`Summary`] in its row; nobody has to count it again.
//!
//! What would surprise: podcasts that were made anew count with their cost alone, everything else
//! counts those that are active.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, types::Json};

use crate::{explain::Pause, machine::Status};

use super::{
    Error, Store,
    costs::{self, Ledger},
    stuck,
};

/// The most points of a night's curve; its slots are as long as that asks for.
const SLOTS: i32 = 120;

/// A date whose podcasts ended when it was long over has a curve of this many hours, and the rest in
/// its last point.
const LONGEST_CURVE_HOURS: i32 = 36;

/// Unfinished podcasts, the oldest first, among which those of nights that are over are looked for.
const OLDEST: i64 = 1_000;

/// The podcasts of a date in figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The database's clock when it was counted.
    pub counted_at: DateTime<Utc>,
    /// Podcasts, active ones.
    pub podcasts: i64,
    /// The same by status; every status is there.
    pub by_status: BTreeMap<String, i64>,
    /// Failed ones by failure kind, the most frequent first.
    pub failures: Vec<Cause>,
    /// Unfinished ones that nothing will move.
    pub stuck: i64,
    /// When the first of them last changed.
    pub stuck_since: Option<DateTime<Utc>>,
    /// Unfinished ones that nobody is at, and that are not due yet.
    #[serde(default)]
    pub waiting: i64,
    /// When the first of them is due.
    #[serde(default)]
    pub next_try_at: Option<DateTime<Utc>>,
    /// Finished in the last five minutes.
    pub lately: i64,
    /// When the first one was made.
    pub born_at: Option<DateTime<Utc>>,
    /// When the last one was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// Micro-dollars that all podcasts have cost.
    pub cost_micro_usd: i64,
    /// What the finished ones of them have cost.
    pub finished_cost_micro_usd: i64,
    /// By whom those that can be heard were made.
    pub makers: Vec<Makers>,
    /// Where the curve begins.
    pub curve_from: Option<DateTime<Utc>>,
    /// The length of a slot in seconds.
    pub slot_seconds: i64,
    /// Finished podcasts by the slot in which they ended; slots without one are left out.
    pub slots: Vec<Slot>,
}

/// Podcasts that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The failure kind.
    pub kind: String,
    /// Podcasts.
    pub count: i64,
    /// When the first one was given up.
    pub first_at: Option<DateTime<Utc>>,
}

/// Podcasts that can be heard, of one plan, written and spoken by the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Makers {
    /// The learners' subscription.
    pub plan: String,
    /// Who wrote: a model, or `template`; empty when nobody noted it.
    pub model: String,
    /// Who spoke; empty when nobody noted it.
    pub speaker: String,
    /// Podcasts.
    pub count: i64,
}

/// What ended in a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its number, from 0.
    pub at: i32,
    /// Podcasts that can be heard.
    pub ready: i64,
    /// Podcasts that failed.
    pub failed: i64,
}

/// What is kept of a night that is over.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Its podcasts.
    pub tally: Tally,
    /// Its calls.
    pub ledger: Ledger,
}

/// A night's own row.
#[derive(Debug, Clone, PartialEq)]
pub struct NightRow {
    /// Its date.
    pub date: NaiveDate,
    /// `enqueuing`, `running` or `finished`.
    pub state: String,
    /// `schedule`, `demo`, or who started it by hand.
    pub started_by: String,
    /// Learners that were to have a podcast.
    pub eligible: i64,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When its last podcast was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// After this its unfinished work is given up.
    pub deadline_at: DateTime<Utc>,
    /// What is kept of it; only when it is over.
    pub summary: Option<Summary>,
}

/// What one look at a date finds beside its podcasts.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The night, if there is one.
    pub night: Option<NightRow>,
    /// What the fleet counted as spent, in micro-dollars, where there is a budget.
    pub spent_micro_usd: Option<i64>,
    /// Workers that are alive.
    pub workers: i64,
    /// Who has everything on hold, if it is.
    pub pause: Option<Pause>,
    /// No night starts by itself on this date: who said so, and why.
    pub skip: Option<Skip>,
}

/// A date on which no night starts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The date.
    pub date: NaiveDate,
    /// Who said so.
    pub skipped_by: String,
    /// Why; may be empty.
    pub reason: String,
}

/// Counts the podcasts of a date: one scan of its rows, and a look at the unfinished ones.
///
/// # Errors
/// [`Error::Database`].
pub async fn tally(pool: &PgPool, date: NaiveDate) -> Result<Tally, Error> {
    let mut transaction = patient(pool).await?;
    let mut tally = count(&mut transaction, date).await?;
    if tally.by_status.iter().any(|(status, count)| *count > 0 && is_open(status)) {
        (tally.stuck, tally.stuck_since) = stuck::count(&mut transaction, Some(date)).await?;
    }
    transaction.commit().await.map_err(Error::in_statement("board_patience"))?;
    Ok(tally)
}

fn is_open(status: &str) -> bool {
    status.parse::<Status>().is_ok_and(|status| !status.is_final())
}

/// A transaction whose statements may take as long as a large night needs.
pub(super) async fn patient(pool: &PgPool) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
    let failed = Error::in_statement("board_patience");
    let begin = async {
        let mut transaction = pool.begin().await?;
        sqlx::query!(r#"/* board_patience */ select set_config('statement_timeout', '60s', true) as patience"#)
            .fetch_one(&mut *transaction)
            .await?;
        Ok(transaction)
    };
    begin.await.map_err(failed)
}

async fn count(connection: &mut PgConnection, date: NaiveDate) -> Result<Tally, Error> {
    let groups = sqlx::query!(
        r#"/* tally_podcasts */
        with began as (
            select n.finished_at, coalesce(n.started_at, (
                       select created_at from dailycast.daily_podcast where date = $1 order by id limit 1)) as at
            from (select $1::date as date) d left join dailycast.night n on n.date = d.date
        ), curve as (
            select at, greatest(1, ceil(date_part('epoch',
                       least(coalesce(finished_at, now()), at + make_interval(hours => $3::int)) - at) / $2::int))::bigint as seconds
            from began
        )
        select p.status as "status?", p.error_kind,
               p.plan as "plan?", p.model, p.speaker, p.slot,
               count(*) filter (where p.is_active) as "n!",
               count(*) filter (where p.is_active and p.status = 'failed') as "failed!",
               count(*) filter (where p.is_active and p.finished_at > now() - interval '5 minutes') as "lately!",
               sum(p.cost_micro_usd)::bigint as "cost!",
               count(*) filter (where p.is_waiting) as "waiting!",
               min(p.next_attempt_at) filter (where p.is_waiting) as next_try_at,
               min(p.created_at) filter (where p.is_active) as born_at,
               min(p.finished_at) filter (where p.is_active) as first_at,
               max(p.finished_at) filter (where p.is_active) as last_at,
               min(p.curve_from) as curve_from, min(p.seconds) as "seconds!", now() as "now!"
        from (
            select p.*, coalesce(p.ai_model_used, '') as model, coalesce(p.tts_provider, '') as speaker,
                   p.is_active and p.finished_at is null and p.lease_token is null and p.next_attempt_at > now() as is_waiting,
                   curve.at as curve_from, curve.seconds,
                   case when p.finished_at is not null then least($2::int - 1, greatest(0, floor(date_part('epoch', p.finished_at - curve.at) / curve.seconds)))::int end as slot
            from dailycast.daily_podcast p cross join curve where p.date = $1
        ) p
        group by grouping sets ((p.status, p.error_kind), (p.plan, p.model, p.speaker, p.status), (p.slot))"#,
        date,
        SLOTS,
        LONGEST_CURVE_HOURS,
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("tally_podcasts"))?;

    let by_status = Status::ALL.into_iter().map(|status| (status.as_str().to_owned(), 0)).collect();
    let mut tally = Tally { by_status, slot_seconds: 1, ..Tally::default() };
    for group in groups {
        let status = group.status.unwrap_or_default();
        (tally.counted_at, tally.curve_from, tally.slot_seconds) = (group.now, group.curve_from, group.seconds);
        if let Some(at) = group.slot {
            tally.slots.push(Slot { at, ready: group.n - group.failed, failed: group.failed });
        } else if let (Some(plan), Some(model), Some(speaker)) = (group.plan, group.model, group.speaker) {
            if status.starts_with(Status::Completed.as_str()) && group.n > 0 {
                tally.makers.push(Makers { plan, model, speaker, count: group.n });
            }
        } else if !status.is_empty() {
            tally.podcasts += group.n;
            tally.lately += group.lately;
            tally.waiting += group.waiting;
            tally.next_try_at = [tally.next_try_at, group.next_try_at].into_iter().flatten().min();
            tally.cost_micro_usd += group.cost;
            tally.finished_cost_micro_usd += if is_open(&status) { 0 } else { group.cost };
            tally.born_at = [tally.born_at, group.born_at].into_iter().flatten().min();
            tally.finished_at = tally.finished_at.max(group.last_at);
            if status == Status::Failed.as_str() && group.n > 0 {
                let kind = group.error_kind.unwrap_or_default();
                tally.failures.push(Cause { kind, count: group.n, first_at: group.first_at });
            }
            *tally.by_status.entry(status).or_default() += group.n;
        }
    }
    tally.failures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind)));
    tally.makers.sort_by(|a, b| (&a.plan, &a.model, &a.speaker).cmp(&(&b.plan, &b.model, &b.speaker)));
    tally.slots.retain(|slot| slot.ready + slot.failed > 0);
    tally.slots.sort_by_key(|slot| slot.at);
    Ok(tally)
}

/// What there is of a date beside its podcasts; never a scan.
///
/// # Errors
/// [`Error::Database`].
pub async fn frame(pool: &PgPool, date: NaiveDate) -> Result<Frame, Error> {
    let row = sqlx::query!(
        r#"/* frame_date */
        select now() as "now!", n.state as "state?", n.started_by as "started_by?", n.eligible as "eligible?",
               n.started_at as "started_at?", n.finished_at as "finished_at?", n.deadline_at as "deadline_at?",
               case when n.state = 'finished' and not exists (
                   select from (select date from dailycast.daily_podcast where finished_at is null order by id limit $2) p
                   where p.date = $1
               ) then n.summary end as "summary: Json<Summary>",
               (select micro_usd from dailycast.night_spending s where s.date = $1) as spent,
               (select count(*) from dailycast.worker
                where stopped_at is null and heartbeat_at > now() - lease_ms * interval '1 millisecond') as "workers!",
               h.paused_at as "paused_at?", h.paused_by as "paused_by?", h.reason as "pause_reason?",
               s.skipped_by as "skipped_by?", s.reason as "skip_reason?"
        from (select $1::date as date) d
        left join dailycast.night n on n.date = d.date
        left join dailycast.pause h on true
        left join dailycast.night_skip s on s.date = d.date"#,
        date,
        OLDEST,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("frame_date"))?;
    let night = match (row.state, row.started_by, row.started_at, row.deadline_at) {
        (Some(state), Some(started_by), Some(started_at), Some(deadline_at)) => Some(NightRow {
            date,
            state,
            started_by,
            eligible: row.eligible.unwrap_or_default(),
            started_at,
            finished_at: row.finished_at,
            deadline_at,
            summary: row.summary.map(|Json(summary)| summary),
        }),
        _ => None,
    };
    let pause = row.paused_at.zip(row.paused_by).zip(row.pause_reason);
    let skip = row.skipped_by.zip(row.skip_reason);
    Ok(Frame {
        now: row.now,
        night,
        spent_micro_usd: row.spent,
        workers: row.workers,
        pause: pause.map(|((paused_at, paused_by), reason)| Pause { paused_at, paused_by, reason }),
        skip: skip.map(|(skipped_by, reason)| Skip { date, skipped_by, reason }),
    })
}

/// The nights before a date, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn nights_before(pool: &PgPool, before: NaiveDate, limit: i64) -> Result<Vec<NightRow>, Error> {
    let rows = sqlx::query!(
        r#"/* nights_before */
        select date, state, started_by, eligible, started_at, finished_at, deadline_at,
               case when state = 'finished' then summary end as "summary: Json<Summary>"
        from dailycast.night where date < $1 order by date desc limit $2"#,
        before,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("nights_before"))?;
    let night = rows.into_iter().map(|row| NightRow {
        date: row.date,
        state: row.state,
        started_by: row.started_by,
        eligible: row.eligible,
        started_at: row.started_at,
        finished_at: row.finished_at,
        deadline_at: row.deadline_at,
        summary: row.summary.map(|Json(summary)| summary),
    });
    Ok(night.collect())
}

/// The dates from `first` to before `end` on which no night starts by itself, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn skips(pool: &PgPool, first: NaiveDate, end: NaiveDate) -> Result<Vec<Skip>, Error> {
    sqlx::query_as!(
        Skip,
        r#"/* skips_between */
        select date, skipped_by, reason from dailycast.night_skip
        where date >= $1 and date < $2 order by date desc limit 100"#,
        first,
        end,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("skips_between"))
}

/// The dates from `first` to before `end` that have podcasts, or that erased learners have left
/// calls for.
///
/// # Errors
/// [`Error::Database`].
pub async fn dates(pool: &PgPool, first: NaiveDate, end: NaiveDate) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* dates_with_podcasts */
        -- one look at the index for each date, not one for each podcast
        with recursive seen as (
            (select date from dailycast.daily_podcast where date >= $1 and date < $2 order by date limit 1)
            union all
            select (select p.date from dailycast.daily_podcast p where p.date > seen.date and p.date < $2
                    order by p.date limit 1)
            from seen where seen.date is not null
        )
        select date as "date!" from seen where date is not null
        union
        select date from dailycast.erased_spending where date >= $1 and date < $2
        order by 1"#,
        first,
        end,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("dates_with_podcasts"))
}

/// Nights that are over run again when some of their podcasts do: they were requeued or made anew.
/// Looked for among the oldest unfinished podcasts, which theirs are.
///
/// # Errors
/// [`Error::Database`].
pub async fn reopen(pool: &PgPool) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* reopen_worked_on */
        update dailycast.night set state = 'running', finished_at = null
        where state = 'finished' and date in (
            select date from (
                select date from dailycast.daily_podcast where finished_at is null order by id limit $1) oldest)
        returning date"#,
        OLDEST,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("reopen_worked_on"))
}

/// The newest night that is over and of which nothing is kept.
///
/// # Errors
/// [`Error::Database`].
pub async fn without_summary(pool: &PgPool) -> Result<Option<NaiveDate>, Error> {
    sqlx::query_scalar!(
        r#"/* night_without_summary */
        select date from dailycast.night where state = 'finished' and summary is null order by date desc limit 1"#
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("night_without_summary"))
}

/// Counts a night that is over and keeps that in its row. `None` when it runs again.
///
/// # Errors
/// [`Error::Database`].
pub async fn summarise(store: &Store, date: NaiveDate) -> Result<Option<Summary>, Error> {
    let Some(finished_at) = ended(store, date).await? else { return Ok(None) };
    let tally = tally(store.walks(), date).await?;
    let ledger = costs::date(store.walks(), date).await?;
    let summary = Summary { tally, ledger };
    Ok(keep(store, date, finished_at, &summary).await?.then_some(summary))
}

/// When a night ended that is over.
async fn ended(store: &Store, date: NaiveDate) -> Result<Option<DateTime<Utc>>, Error> {
    let ended = sqlx::query_scalar!(
        r#"/* end_of_night */ select finished_at from dailycast.night where date = $1 and state = 'finished'"#,
        date,
    )
    .fetch_optional(store.pool())
    .await
    .map_err(Error::in_statement("end_of_night"))?;
    Ok(ended.flatten())
}

/// Keeps what was counted of a night that was over at `finished_at`. False when it has run again
/// since: then this is how it was before.
///
/// # Errors
/// [`Error::Database`].
pub async fn keep(
    store: &Store,
    date: NaiveDate,
    finished_at: DateTime<Utc>,
    summary: &Summary,
) -> Result<bool, Error> {
    let kept = sqlx::query!(
        r#"/* keep_summary */
        update dailycast.night set summary = $2 where date = $1 and state = 'finished' and finished_at = $3"#,
        date,
        Json(summary) as _,
        finished_at,
    )
    .execute(store.pool())
    .await
    .map_err(Error::in_statement("keep_summary"))?;
    Ok(kept.rows_affected() > 0)
}
