//! The whole fleet in figures: what metrics ask for. Two of these statements read a whole night;
//! the others look at a bounded number of rows.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::{Error, Store, stuck};

/// The unfinished podcasts among which the one is looked for that waits longest, the oldest first.
const LOOKED_THROUGH: i64 = 10_000;

/// The time over which the pace of a night is taken.
pub const LATELY_SECONDS: f64 = 300.0;

/// What is known of the fleet at one moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The newest night.
    pub night: Option<Night>,
    /// When a night was last finished.
    pub last_success: Option<DateTime<Utc>>,
    /// Stuck podcasts.
    pub stuck: i64,
    /// When the one of the oldest unfinished podcasts was due that nobody works on and that waits
    /// longest.
    pub oldest_due: Option<DateTime<Utc>>,
    /// Everything is on hold.
    pub is_paused: bool,
    /// Workers that were heard within their lease.
    pub alive: i64,
    /// Workers that were not, and have not stopped.
    pub silent: i64,
    /// Alerts whose cause is still there.
    pub open_alerts: i64,
    /// Sinks that did not take their last message.
    pub sinks_failing: i64,
    /// Providers that were ever called, with the state of the breaker: `closed`, `half_open`, `open`.
    pub breakers: Vec<(String, String)>,
}

/// One night.
#[derive(Debug, Clone)]
pub struct Night {
    /// Its date.
    pub date: NaiveDate,
    /// Learners that were to have a podcast, as far as it is enqueued.
    pub eligible: i64,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// After this its unfinished work is given up.
    pub deadline_at: DateTime<Utc>,
    /// When its last podcast was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// What its calls have cost, in micro-dollars.
    pub spent_micro_usd: i64,
    /// Podcasts by status.
    pub by_status: BTreeMap<String, i64>,
    /// Finished within [`LATELY_SECONDS`].
    pub lately: i64,
    /// Unfinished, due, and nobody is at it.
    pub due: i64,
    /// Unfinished and due later.
    pub waiting: i64,
    /// Unfinished, and a worker is at it.
    pub held: i64,
}

/// Reads all of it.
///
/// # Errors
/// [`Error::Database`].
pub async fn read(store: &Store) -> Result<Facts, Error> {
    let pool = store.desk();
    let few = sqlx::query!(
        r#"/* figures_of_the_fleet */
        select now() as "now!",
               (select max(finished_at) from dailycast.night) as last_success,
               (select count(*) from dailycast.worker where stopped_at is null
                  and heartbeat_at > now() - lease_ms * interval '1 millisecond') as "alive!",
               (select count(*) from dailycast.worker where stopped_at is null
                  and heartbeat_at <= now() - lease_ms * interval '1 millisecond') as "silent!",
               exists (select from dailycast.pause) as "is_paused!",
               (select count(*) from dailycast.alert where resolved_at is null) as "open_alerts!",
               (select count(*) from dailycast.alert_sink where failures_in_a_row > 0) as "sinks_failing!""#
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("figures_of_the_fleet"))?;
    let oldest_due = sqlx::query_scalar!(
        r#"/* figures_of_the_oldest */
        with page as (
            select worker_id, next_attempt_at from dailycast.daily_podcast
            where finished_at is null order by id limit $1
        )
        select min(next_attempt_at) filter (where worker_id is null and next_attempt_at <= now()) as due
        from page"#,
        LOOKED_THROUGH,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("figures_of_the_oldest"))?;
    let mut walk = store.walks().acquire().await.map_err(Error::connecting)?;
    let (stuck, _) = stuck::count(&mut walk, None).await?;
    drop(walk);
    let breakers = sqlx::query!(
        r#"/* figures_of_breakers */
        select provider, case when cause is null then 'closed' when open_until <= now() then 'half_open'
                              else 'open' end as "state!"
        from dailycast.provider_state order by provider"#
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("figures_of_breakers"))?;
    Ok(Facts {
        now: few.now,
        night: night(pool).await?,
        last_success: few.last_success,
        stuck,
        oldest_due,
        is_paused: few.is_paused,
        alive: few.alive,
        silent: few.silent,
        open_alerts: few.open_alerts,
        sinks_failing: few.sinks_failing,
        breakers: breakers.into_iter().map(|row| (row.provider, row.state)).collect(),
    })
}

/// The newest night. Its podcasts are counted.
async fn night(pool: &PgPool) -> Result<Option<Night>, Error> {
    let newest = sqlx::query!(
        r#"/* figures_of_the_night */
        select n.date, n.eligible, n.started_at, n.deadline_at, n.finished_at, s.micro_usd as "micro_usd?"
        from dailycast.night n left join dailycast.night_spending s on s.date = n.date
        order by n.date desc limit 1"#
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("figures_of_the_night"))?;
    let Some(row) = newest else { return Ok(None) };
    let counted = sqlx::query!(
        r#"/* figures_of_podcasts */
        select status, count(*) as "n!",
               count(*) filter (where finished_at > now() - make_interval(secs => $2)) as "lately!",
               count(*) filter (where finished_at is null and worker_id is not null) as "held!",
               count(*) filter (where finished_at is null and worker_id is null and next_attempt_at <= now()) as "due!",
               count(*) filter (where finished_at is null and worker_id is null and next_attempt_at > now()) as "waiting!"
        from dailycast.daily_podcast where date = $1 and is_active group by status"#,
        row.date,
        LATELY_SECONDS,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("figures_of_podcasts"))?;
    Ok(Some(Night {
        date: row.date,
        eligible: row.eligible,
        started_at: row.started_at,
        deadline_at: row.deadline_at,
        finished_at: row.finished_at,
        spent_micro_usd: row.micro_usd.unwrap_or_default(),
        lately: counted.iter().map(|group| group.lately).sum(),
        due: counted.iter().map(|group| group.due).sum(),
        waiting: counted.iter().map(|group| group.waiting).sum(),
        held: counted.iter().map(|group| group.held).sum(),
        by_status: counted.into_iter().map(|group| (group.status, group.n)).collect(),
    }))
}
