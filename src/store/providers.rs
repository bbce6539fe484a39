//! What the fleet shares: the state of each provider, the slots of its rate limit, what a night has
//! cost. All times are the database's; a state is changed under its row's lock by whatever the
//! caller hands in, so that any number of workers agree.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::machine::Status;

use super::{
    Error, QUEUE, Store,
    alerts::{self, Notice},
    audit::{self, Deed},
};

/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 500;

/// Podcasts that are made due in one statement.
const PAGE: i64 = 2_000;

/// Such statements, at most.
const MOST_PAGES: u32 = 10;

/// A row of `dailycast.provider_state`.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// `openai`, `polly`, …
    pub provider: String,
    /// Grows with every change of the breaker.
    pub generation: i64,
    /// Why the breaker is open; `None`: it is closed.
    pub cause: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// Since when it is open.
    pub opened_at: Option<DateTime<Utc>>,
    /// Until when; `None` while it is open: until closed by hand.
    pub open_until: Option<DateTime<Utc>>,
    /// The length of its last rest, in milliseconds.
    pub rest_ms: i64,
    /// Whose the probe is.
    pub probe_by: Option<String>,
    /// When that probe is given up.
    pub probe_until: Option<DateTime<Utc>>,
    /// Failures since the last call that ended well.
    pub failures_in_a_row: i32,
    /// When the breaker last opened or closed.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who did so.
    pub changed_by: Option<String>,
    /// The provider asked for a pause until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// When the next call would be due if calls were evenly spaced.
    pub next_slot_at: DateTime<Utc>,
    /// Calls that ended.
    pub calls: i64,
    /// Those of them that failed.
    pub failures: i64,
    /// The average of the latest calls, in milliseconds.
    pub latency_ms: Option<f64>,
    /// When the last one ended.
    pub last_call_at: Option<DateTime<Utc>>,
}

/// What came of a change.
#[derive(Debug)]
pub struct Changed {
    /// The row as it is now.
    pub state: State,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Of the notices, those that are news.
    pub news: Vec<Notice>,
}

/// Changes the state of a provider under its row's lock, and stores the notices that `edit`
/// returns, in one commit.
///
/// # Errors
/// [`Error::Database`].
pub async fn change(
    store: &Store,
    provider: &str,
    edit: impl FnOnce(&mut State, DateTime<Utc>) -> Vec<Notice> + Send,
) -> Result<Changed, Error> {
    change_by_hand(store, provider, |state, now| (edit(state, now), None)).await
}

/// The same for an operator: what `edit` says was done, if anything was, is written down with it.
///
/// # Errors
/// [`Error::Database`].
pub async fn change_by_hand<'d>(
    store: &Store,
    provider: &str,
    edit: impl FnOnce(&mut State, DateTime<Utc>) -> (Vec<Notice>, Option<Deed<'d>>) + Send,
) -> Result<Changed, Error> {
    let connection = store.connection().await.map_err(Error::connecting)?;
    let changed = connection.answer(async |connection| {
        let mut transaction = connection.begin().await?;
        let (mut state, now) = match lock(&mut transaction, provider).await? {
            Some(locked) => locked,
            None => {
                add(&mut transaction, provider).await?;
                lock(&mut transaction, provider).await?.ok_or(sqlx::Error::RowNotFound)?
            }
        };
        let (notices, deed) = edit(&mut state, now);
        write(&mut transaction, &state).await?;
        if let Some(deed) = deed {
            audit::add(&mut *transaction, deed).await?;
        }
        let news = alerts::tell(&mut transaction, notices).await?;
        transaction.commit().await?;
        Ok(Changed { state, now, news })
    });
    changed.await.map_err(Error::in_statement("write_provider"))
}

/// Locks a row and reads it. The clock is read when the lock is held.
async fn lock(connection: &mut PgConnection, provider: &str) -> Result<Option<(State, DateTime<Utc>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"/* lock_provider */
        -- a worker that stopped while it holds the lock must not stop the others; for this transaction
        with bounded as materialized (select set_config('lock_timeout', '2s', true) as patience),
        locked as materialized (
            select s.* from bounded, dailycast.provider_state s
            where s.provider = $1 and bounded.patience is not null for update of s
        )
        select locked.*, clock_timestamp() as "now!" from locked"#,
        provider,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        let state = State {
            provider: row.provider,
            generation: row.generation,
            cause: row.cause,
            message: row.message,
            opened_at: row.opened_at,
            open_until: row.open_until,
            rest_ms: row.rest_ms,
            probe_by: row.probe_by,
            probe_until: row.probe_until,
            failures_in_a_row: row.failures_in_a_row,
            changed_at: row.changed_at,
            changed_by: row.changed_by,
            paused_until: row.paused_until,
            next_slot_at: row.next_slot_at,
            calls: row.calls,
            failures: row.failures,
            latency_ms: row.latency_ms,
            last_call_at: row.last_call_at,
        };
        (state, row.now)
    }))
}

async fn add(connection: &mut PgConnection, provider: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"/* add_provider */
        insert into dailycast.provider_state (provider) values ($1) on conflict (provider) do nothing"#,
        provider,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes all but the slots, which have a statement of their own.
async fn write(connection: &mut PgConnection, state: &State) -> Result<(), sqlx::Error> {
    let message: Option<String> = state.message.as_ref().map(|text| text.chars().take(LONGEST_MESSAGE).collect());
    sqlx::query!(
        r#"/* write_provider */
        update dailycast.provider_state
        set generation = $2, cause = $3, message = $4, opened_at = $5, open_until = $6, rest_ms = $7, probe_by = $8,
            probe_until = $9, failures_in_a_row = $10, changed_at = $11, changed_by = $12, paused_until = $13,
            calls = $14, failures = $15, latency_ms = $16, last_call_at = $17
        where provider = $1"#,
        state.provider,
        state.generation,
        state.cause,
        message,
        state.opened_at,
        state.open_until,
        state.rest_ms,
        state.probe_by,
        state.probe_until,
        state.failures_in_a_row,
        state.changed_at,
        state.changed_by,
        state.paused_until,
        state.calls,
        state.failures,
        state.latency_ms,
        state.last_call_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Who works, and what is known of the providers.
#[derive(Debug)]
pub struct Fleet {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Workers that are alive.
    pub workers: i64,
    /// The providers that were ever called.
    pub states: Vec<State>,
    /// What the nights that were asked for have cost so far, in micro-dollars.
    pub spent: Vec<(NaiveDate, i64)>,
}

async fn states(connection: &mut PgConnection) -> Result<Vec<State>, sqlx::Error> {
    sqlx::query_as!(
        State,
        r#"/* read_providers */
        select provider, generation, cause, message, opened_at, open_until, rest_ms, probe_by, probe_until,
               failures_in_a_row, changed_at, changed_by, paused_until, next_slot_at, calls, failures, latency_ms,
               last_call_at
        from dailycast.provider_state order by provider"#
    )
    .fetch_all(connection)
    .await
}

/// The providers that were ever called, for operators.
///
/// # Errors
/// [`Error::Database`].
pub async fn all(pool: &PgPool) -> Result<Vec<State>, Error> {
    let mut connection = pool.acquire().await.map_err(Error::connecting)?;
    states(&mut connection).await.map_err(Error::in_statement("read_providers"))
}

/// Reads what the fleet shares; of the costs only those of `nights`.
///
/// # Errors
/// [`Error::Database`].
pub async fn read(store: &Store, nights: &[NaiveDate]) -> Result<Fleet, Error> {
    let connection = store.connection().await.map_err(Error::connecting)?;
    let read = connection.answer(async |connection| {
        let states = states(connection).await?;
        let mut spent = Vec::new();
        if !nights.is_empty() {
            let rows = sqlx::query!(
                r#"/* read_spending */ select date, micro_usd from dailycast.night_spending where date = any($1)"#,
                nights,
            )
            .fetch_all(&mut *connection)
            .await?;
            spent.extend(rows.into_iter().map(|row| (row.date, row.micro_usd)));
        }
        let row = sqlx::query!(
            r#"/* count_workers */
            select clock_timestamp() as "now!", count(*) as "workers!" from dailycast.worker
            where stopped_at is null and heartbeat_at > now() - lease_ms * interval '1 millisecond'"#
        )
        .fetch_one(connection)
        .await?;
        Ok(Fleet { now: row.now, workers: row.workers, states, spent })
    });
    read.await.map_err(Error::in_statement("read_providers"))
}

/// How calls to a provider are spaced.
#[derive(Debug, Clone, Copy)]
pub struct Spacing {
    /// Between two calls.
    pub every: Duration,
    /// Calls that may begin at once after a quiet time.
    pub burst: u32,
    /// Slots later than this from now are not given.
    pub within: Duration,
}

/// Slots that were given to one process.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// When the first one begins; may be past. The others follow at even distances.
    pub first_at: DateTime<Utc>,
    /// How many; may be 0, and then `first_at` is when the next one would begin.
    pub given: u32,
}

/// Reserves up to `wanted` slots of a provider's rate limit, as many as begin in time. Nobody else
/// gets them.
///
/// # Errors
/// [`Error::Database`].
pub async fn reserve(store: &Store, provider: &str, wanted: u32, spacing: Spacing) -> Result<Slots, Error> {
    let connection = store.connection().await.map_err(Error::connecting)?;
    let (every, within) = (spacing.every.as_secs_f64(), spacing.within.as_secs_f64());
    let tolerance = every * f64::from(spacing.burst.max(1) - 1);
    let reserved = connection.answer(async |connection| {
        if let Some(slots) = take(connection, provider, wanted, (every, tolerance, within)).await? {
            return Ok(slots);
        }
        add(connection, provider).await?;
        take(connection, provider, wanted, (every, tolerance, within)).await?.ok_or(sqlx::Error::RowNotFound)
    });
    reserved.await.map_err(Error::in_statement("reserve_slots"))
}

async fn take(
    connection: &mut PgConnection,
    provider: &str,
    wanted: u32,
    (every, tolerance, within): (f64, f64, f64),
) -> Result<Option<Slots>, sqlx::Error> {
    let row = sqlx::query!(
        r#"/* reserve_slots */
        with bounded as materialized (select set_config('lock_timeout', '2s', true) as patience),
        locked as materialized (
            select s.next_slot_at from bounded, dailycast.provider_state s
            where s.provider = $1 and bounded.patience is not null for update of s
        ), timed as materialized (
            -- the clock is read when the lock is held
            select next_slot_at, clock_timestamp() as now from locked
        ), placed as (
            -- never later than any slot that is given at this rate, so that a new rate holds at once
            select now, least(greatest(next_slot_at, now), now + make_interval(secs => $3::float8 + $4::float8 + $5::float8)) as due
            from timed
        ), first as (
            select now, due, due - make_interval(secs => $4) as first_at from placed
        ), given as (
            select now, due, first_at, case when first_at > now + make_interval(secs => $5) then 0::float8
                else least($2::float8, floor(extract(epoch from now - first_at + make_interval(secs => $5))::float8 / $3) + 1)
                end as n
            from first
        ), taken as (
            update dailycast.provider_state set next_slot_at = given.due + make_interval(secs => $3 * given.n)
            from given where provider = $1 and given.n > 0
        )
        select now as "now!", first_at as "first_at!", n::bigint as "n!" from given"#,
        provider,
        f64::from(wanted),
        every,
        tolerance,
        within,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Slots { now: row.now, first_at: row.first_at, given: u32::try_from(row.n).unwrap_or_default() }))
}

/// A place in the order of jobs that are not due yet.
type Place = (DateTime<Utc>, String);

/// What one page of [`release`] came to: how many podcasts, and where the next page begins.
#[derive(Debug)]
struct Page {
    released: i64,
    at: Option<DateTime<Utc>>,
    id: Option<String>,
}

/// Podcasts in `statuses` that wait because nobody got calls are due `within` that time: by then
/// every worker knows that somebody does. The ones that are due first come first, [`MOST_PAGES`] of
/// them; who is left is tried when its own time comes. Returns how many.
///
/// # Errors
/// [`Error::Database`].
pub async fn release(pool: &PgPool, statuses: &[Status], within: Duration) -> Result<i64, Error> {
    let statuses: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
    let (mut released, mut after): (i64, Place) = (0, (DateTime::UNIX_EPOCH, String::new()));
    for _ in 0..MOST_PAGES {
        let page = release_page(pool, &statuses, within, &after).await?;
        released += page.released;
        let Some(next) = page.at.zip(page.id) else { break };
        after = next;
    }
    Ok(released)
}

async fn release_page(pool: &PgPool, statuses: &[&str], within: Duration, after: &Place) -> Result<Page, Error> {
    sqlx::query_as!(
        Page,
        r#"/* release_waiting */
        with waiting as materialized (
            select j.id, j.run_at from unnest(array[10, 5, 0, -1]) as class (priority)
            cross join lateral (
                select id, run_at from apalis.jobs
                where job_type = $1 and priority = class.priority and status = 'Pending'
                  and run_at > now() + make_interval(secs => $4)
                  and run_at >= $5 and (run_at, id) > ($5, $6)
                order by run_at, id limit $3
            ) j
            order by j.run_at, j.id limit $3
        ), locked as materialized (
            -- in the order of the claim, which takes the job first
            select id, idempotency_key from apalis.jobs
            where id = any (array(select id from waiting)) and status = 'Pending' order by id for update
        ), released as (
            update dailycast.daily_podcast p set next_attempt_at = now() + make_interval(secs => $4)
            from locked
            where p.id = locked.idempotency_key::bigint and p.finished_at is null and p.lease_token is null
              and p.error_kind = 'breaker_open' and p.status = any ($2)
              and p.next_attempt_at > now() + make_interval(secs => $4)
            returning locked.id
        ), armed as (
            update apalis.jobs j set run_at = now() + make_interval(secs => $4)
            from released where j.id = released.id
        ), last as (
            select run_at, id from waiting order by run_at desc, id desc limit 1
        )
        select (select count(*) from released) as "released!", (select run_at from last) as at, (select id from last) as id"#,
        QUEUE,
        statuses as &[&str],
        PAGE,
        within.as_secs_f64(),
        after.0,
        after.1,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::in_statement("release_waiting"))
}

/// What a night has cost, in micro-dollars, for a process that meets it for the first time: what its
/// podcasts have cost holds, where nobody counted or more than was counted. The sum takes a while.
///
/// # Errors
/// [`Error::Database`].
pub async fn meet(store: &Store, night: NaiveDate) -> Result<i64, Error> {
    let connection = store.connection().await.map_err(Error::connecting)?;
    let met = connection.answer(async |connection| {
        sqlx::query_scalar!(
            r#"/* meet_spending */
            insert into dailycast.night_spending as n (date, micro_usd)
            select $1, coalesce(sum(cost_micro_usd), 0)::bigint from dailycast.daily_podcast where date = $1
            on conflict (date) do update set micro_usd = greatest(n.micro_usd, excluded.micro_usd)
            returning micro_usd"#,
            night,
        )
        .fetch_one(connection)
        .await
    });
    met.await.map_err(Error::in_statement("meet_spending"))
}

/// Adds to what a night has cost, in micro-dollars.
///
/// # Errors
/// [`Error::Database`].
pub async fn spend(store: &Store, night: NaiveDate, micro_usd: i64) -> Result<(), Error> {
    let connection = store.connection().await.map_err(Error::connecting)?;
    let spent = connection.answer(async |connection| {
        sqlx::query!(
            r#"/* add_spending */
            insert into dailycast.night_spending as n (date, micro_usd) values ($1, $2)
            on conflict (date) do update set micro_usd = n.micro_usd + excluded.micro_usd"#,
            night,
            micro_usd,
        )
        .execute(connection)
        .await
    });
    spent.await.map(drop).map_err(Error::in_statement("add_spending"))
}
