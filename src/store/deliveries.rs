//! Deliveries: what is to be told to whom, and what came of it.
//!
//! A sink is served under a lease, one message at a time: all unsent news of one alert. So news of an
//! alert never overtake each other, and an alert that was raised and resolved while its sink was
//! away is one message. A sink that fails rests as a whole; meanwhile nothing is sent there. After a
//! failure the message that was tried least is next: one that never gets through holds up no other.
//!
//! While an alert is open and nobody took note of it, that it was raised is not given up for good:
//! its age does not count, and a sink that refused it is asked again an hour later, since somebody
//! may have mended it.
//!
//! At least once: who dies between sending and [`sent`] leaves news that are sent again when the lease
//! is over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::{Error, alerts::Alert};

/// One message to a sink, leased.
#[derive(Debug, Clone)]
pub struct Due {
    /// What it is about.
    pub alert: Alert,
    /// It was raised, and this sink was not told.
    pub tells_raised: bool,
    /// It was resolved, and this sink was not told.
    pub tells_resolved: bool,
    /// How often this message was tried before.
    pub tries: i32,
    /// How often in a row this sink has failed before.
    pub failures_in_a_row: i32,
    /// The lease.
    pub token: i64,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// A delivery, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// The alert.
    pub alert_id: i64,
    /// The sink.
    pub sink: String,
    /// `raised` or `resolved`.
    pub news: String,
    /// Before this it is not sent.
    pub due_at: DateTime<Utc>,
    /// How often it was tried.
    pub tries: i32,
    /// When it arrived.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was given up.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Why it did not arrive, the last time. No secrets.
    pub error: Option<String>,
}

/// What came of a message that did not arrive.
#[derive(Debug, Clone)]
pub struct Missed<'m> {
    /// Why. No secrets.
    pub error: &'m str,
    /// Trying again would not help, as things are.
    pub is_final: bool,
    /// News older than this are given up, unless the alert is open and nobody took note of it.
    pub patience: Duration,
    /// How long the sink rests.
    pub rest: Duration,
}

/// Makes these the sinks there are. What was to be told to others is forgotten. New ones are told
/// of every alert that is open and that nobody took note of; so are, once more, those that refused
/// one an hour ago. Returns those for which there is something to do now.
///
/// # Errors
/// [`Error::Database`].
pub async fn keep_sinks(pool: &PgPool, names: &[String]) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        r#"/* keep_sinks */
        with gone as (
            delete from dailycast.alert_sink where not name = any($1) returning name
        ), forgotten as (
            delete from dailycast.alert_delivery d using gone
            where d.sink = gone.name and d.sent_at is null and d.given_up_at is null
        ), added as (
            insert into dailycast.alert_sink (name)
            select wanted from unnest($1::text[]) as wanted
            where not exists (select from dailycast.alert_sink s where s.name = wanted)
            on conflict do nothing
        ), told as (
            -- also whoever was raised just when a sink was new
            insert into dailycast.alert_delivery (alert_id, sink, news)
            select a.id, wanted, 'raised' from dailycast.alert a, unnest($1::text[]) as wanted
            where a.resolved_at is null and a.acknowledged_at is null
              and not exists (select from dailycast.alert_delivery d where d.alert_id = a.id and d.sink = wanted)
            on conflict do nothing
        ), again as (
            update dailycast.alert_delivery d set given_up_at = null
            from dailycast.alert a
            where a.resolved_at is null and a.acknowledged_at is null and d.alert_id = a.id
              and d.sink = any($1) and d.news = 'raised' and d.given_up_at < now() - interval '1 hour'
        )
        select name from dailycast.alert_sink s
        where name = any($1) and next_try_at <= now() and coalesce(leased_until <= now(), true)
          and exists (
              select from dailycast.alert_delivery d
              where d.sink = s.name and d.sent_at is null and d.given_up_at is null)"#,
        names,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("keep_sinks"))
}

/// Leases a sink for so long and takes the next message to it; `None` when there is none, or the
/// sink rests or is leased.
///
/// # Errors
/// [`Error::Database`].
pub async fn lease(pool: &PgPool, sink: &str, lease: Duration) -> Result<Option<Due>, Error> {
    let row = sqlx::query!(
        r#"/* lease_sink */
        with free as (
            select name, failures_in_a_row from dailycast.alert_sink
            where name = $1 and next_try_at <= now() and coalesce(leased_until <= now(), true)
            for update skip locked
        ), next as (
            select d.alert_id, bool_or(d.news = 'raised') as raised, bool_or(d.news = 'resolved') as resolved,
                   max(d.tries) as tries
            from dailycast.alert_delivery d join free on d.sink = free.name
            where d.sent_at is null and d.given_up_at is null
            group by d.alert_id
            -- what is resolved waits for its calm, with all there is to tell of it
            having max(d.due_at) <= now()
            order by max(d.tries), d.alert_id
            limit 1
        ), leased as (
            update dailycast.alert_sink s
            set lease_token = nextval('dailycast.lease_token'), leased_until = now() + make_interval(secs => $2)
            from next, free where s.name = free.name
            returning s.lease_token, free.failures_in_a_row
        )
        select a.id, a.kind, a.subject, a.message, a.times, a.raised_at, a.last_at, a.resolved_at, a.acknowledged_at,
               a.acknowledged_by, next.raised as "raised!", next.resolved as "resolved!", next.tries as "tries!",
               leased.failures_in_a_row as "failures!", leased.lease_token as "token!", now() as "now!"
        from next cross join leased join dailycast.alert a on a.id = next.alert_id"#,
        sink,
        lease.as_secs_f64(),
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("lease_sink"))?;
    Ok(row.map(|row| Due {
        alert: Alert {
            id: row.id,
            kind: row.kind,
            subject: row.subject,
            message: row.message,
            times: row.times,
            raised_at: row.raised_at,
            last_at: row.last_at,
            resolved_at: row.resolved_at,
            acknowledged_at: row.acknowledged_at,
            acknowledged_by: row.acknowledged_by,
        },
        tells_raised: row.raised,
        tells_resolved: row.resolved,
        tries: row.tries,
        failures_in_a_row: row.failures,
        token: row.token,
        now: row.now,
    }))
}

impl Due {
    fn news(&self) -> Vec<String> {
        let news = [(self.tells_raised, "raised"), (self.tells_resolved, "resolved")];
        news.into_iter().filter(|(is_told, _)| *is_told).map(|(_, name)| name.to_owned()).collect()
    }
}

/// The message arrived: true whoever holds the lease by now.
///
/// # Errors
/// [`Error::Database`].
pub async fn sent(pool: &PgPool, sink: &str, due: &Due, rest: Duration) -> Result<(), Error> {
    sqlx::query!(
        r#"/* note_sent */
        with told as (
            update dailycast.alert_delivery set sent_at = now(), tries = tries + 1, error = null
            where alert_id = $1 and sink = $2 and news = any($3) and sent_at is null and given_up_at is null
        )
        update dailycast.alert_sink
        set failures_in_a_row = 0, next_try_at = now() + make_interval(secs => $5), lease_token = null,
            leased_until = null
        where name = $2 and lease_token = $4"#,
        due.alert.id,
        sink,
        &due.news(),
        due.token,
        rest.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("note_sent"))?;
    Ok(())
}

/// The message did not arrive. Nothing is noted if the lease is over.
///
/// # Errors
/// [`Error::Database`].
pub async fn missed(pool: &PgPool, sink: &str, due: &Due, missed: &Missed<'_>) -> Result<(), Error> {
    sqlx::query!(
        r#"/* note_missed */
        with ours as (
            update dailycast.alert_sink
            set failures_in_a_row = failures_in_a_row + 1, next_try_at = now() + make_interval(secs => $5),
                lease_token = null, leased_until = null
            where name = $2 and lease_token = $4
            returning name
        )
        update dailycast.alert_delivery d
        set tries = tries + 1, error = $6,
            given_up_at = case when $7 or created_at < now() - make_interval(secs => $8) and not (
                news = 'raised' and exists (
                    select from dailycast.alert a
                    where a.id = d.alert_id and a.resolved_at is null and a.acknowledged_at is null)
            ) then now() end
        from ours
        where alert_id = $1 and sink = ours.name and news = any($3) and sent_at is null and given_up_at is null"#,
        due.alert.id,
        sink,
        &due.news(),
        due.token,
        missed.rest.as_secs_f64(),
        missed.error,
        missed.is_final,
        missed.patience.as_secs_f64(),
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("note_missed"))?;
    Ok(())
}

/// The deliveries of these alerts.
///
/// # Errors
/// [`Error::Database`].
pub async fn of(pool: &PgPool, alert_ids: &[i64]) -> Result<Vec<Delivery>, Error> {
    sqlx::query_as!(
        Delivery,
        r#"/* list_deliveries */
        select alert_id, sink, news, due_at, tries, sent_at, given_up_at, error
        from dailycast.alert_delivery where alert_id = any($1) order by alert_id, sink, created_at, news"#,
        alert_ids,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_deliveries"))
}

/// What was given up in the last week, and what was tried and has not arrived yet: the newest of
/// each sink.
///
/// # Errors
/// [`Error::Database`].
pub async fn troubled(pool: &PgPool) -> Result<Vec<Delivery>, Error> {
    sqlx::query_as!(
        Delivery,
        r#"/* troubled_deliveries */
        select distinct on (sink) alert_id, sink, news, due_at, tries, sent_at, given_up_at, error
        from dailycast.alert_delivery d
        where error is not null and coalesce(given_up_at > now() - interval '7 days', true)
          -- what arrived since shows that the sink is well
          and not exists (
              select from dailycast.alert_delivery later
              where later.sink = d.sink and later.sent_at > coalesce(d.given_up_at, d.created_at))
        order by sink, alert_id desc"#,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("troubled_deliveries"))
}
