//! Alerts: what an operator should know, raised once per cause. While one is open, the same cause
//! again only counts; soon after it was resolved, the same cause opens it again instead of a new
//! one, so that what comes and goes is one alert.
//!
//! What would surprise: the deliveries of news are written by a trigger of the table, in the same
//! transaction; sending them is [`super::deliveries`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{Error, Store};

/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 500;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// There is a cause for an alert.
    Raise {
        /// `provider_down`, …
        kind: &'static str,
        /// What it is about: a provider, a model, a date.
        subject: String,
        /// What happened and what to do. No secrets, no learner data.
        message: String,
        /// How often it was seen since it was told last; nought when only the words are new.
        times: i64,
    },
    /// The cause is gone.
    Resolve {
        /// As it was raised.
        kind: &'static str,
        /// As it was raised.
        subject: String,
    },
}

/// An alert.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// `provider_down`, …
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// What happened and what to do.
    pub message: String,
    /// How often its cause was seen.
    pub times: i64,
    /// First.
    pub raised_at: DateTime<Utc>,
    /// Last.
    pub last_at: DateTime<Utc>,
    /// When the cause went.
    pub resolved_at: Option<DateTime<Utc>>,
    /// When somebody took note.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// Stores notices, and returns those that are news: raised where none was open, or resolved where
/// one was. Part of the caller's transaction, if it has one.
pub(super) async fn tell(connection: &mut PgConnection, notices: Vec<Notice>) -> Result<Vec<Notice>, sqlx::Error> {
    let mut news = Vec::new();
    for notice in notices {
        let is_news = match &notice {
            Notice::Raise { kind, subject, message, times } => {
                raise(connection, kind, subject, message, *times).await?
            }
            Notice::Resolve { kind, subject } => resolve(connection, kind, subject).await?,
        };
        if is_news {
            news.push(notice);
        }
    }
    Ok(news)
}

async fn raise(
    connection: &mut PgConnection,
    kind: &str,
    subject: &str,
    message: &str,
    times: i64,
) -> Result<bool, sqlx::Error> {
    let message: String = message.chars().take(LONGEST_MESSAGE).collect();
    sqlx::query_scalar!(
        r#"/* raise_alert */
        with reopened as (
            update dailycast.alert
            set resolved_at = null, times = times + $4, last_at = now(), message = $3
            where id = (select max(id) from dailycast.alert where kind = $1 and subject = $2)
              and resolved_at > now() - dailycast.alert_calm()
            returning id
        ), raised as (
            insert into dailycast.alert as a (kind, subject, message, times)
            select $1, $2, $3, $4 where not exists (select from reopened)
            on conflict (kind, subject) where resolved_at is null
            do update set times = a.times + excluded.times, last_at = now(), message = excluded.message
            -- an updated row has a transaction in xmax, a new one has none
            returning xmax = 0 as is_new
        )
        select coalesce((select is_new from raised), false) as "is_new!""#,
        kind,
        subject,
        message,
        times,
    )
    .fetch_one(connection)
    .await
}

async fn resolve(connection: &mut PgConnection, kind: &str, subject: &str) -> Result<bool, sqlx::Error> {
    let resolved = sqlx::query!(
        r#"/* resolve_alert */
        update dailycast.alert set resolved_at = now() where kind = $1 and subject = $2 and resolved_at is null"#,
        kind,
        subject,
    )
    .execute(connection)
    .await?;
    Ok(resolved.rows_affected() > 0)
}

/// Stores notices, and returns those that are news.
///
/// # Errors
/// [`Error::Database`].
pub async fn write(store: &Store, notices: Vec<Notice>) -> Result<Vec<Notice>, Error> {
    let failed = Error::in_statement("raise_alert");
    let connection = store.connection().await.map_err(Error::connecting)?;
    connection.answer(async |connection| tell(connection, notices).await).await.map_err(failed)
}

/// The alerts of these kinds whose cause is still there.
///
/// # Errors
/// [`Error::Database`].
pub async fn open(pool: &PgPool, kinds: &[&str]) -> Result<Vec<Alert>, Error> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    sqlx::query_as!(
        Alert,
        r#"/* open_alerts */
        select id, kind, subject, message, times, raised_at, last_at, resolved_at, acknowledged_at, acknowledged_by
        from dailycast.alert where resolved_at is null and kind = any($1)"#,
        &kinds,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("open_alerts"))
}

/// Alerts: the open ones, or `all`, open ones first, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(pool: &PgPool, all: bool, limit: i64) -> Result<Vec<Alert>, Error> {
    sqlx::query_as!(
        Alert,
        r#"/* list_alerts */
        select id, kind, subject, message, times, raised_at, last_at, resolved_at, acknowledged_at, acknowledged_by
        from dailycast.alert where $1 or resolved_at is null
        order by resolved_at is not null, raised_at desc, id desc limit $2"#,
        all,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_alerts"))
}

/// Where a list of alerts that are over goes on: when the last one was over, and its number.
pub type Behind = (DateTime<Utc>, i64);

/// Alerts that were over in the last `days` days, the latest first, from behind a place.
///
/// # Errors
/// [`Error::Database`].
pub async fn over(pool: &PgPool, days: i32, behind: Option<Behind>, limit: i64) -> Result<Vec<Alert>, Error> {
    let (at, id) = behind.unzip();
    sqlx::query_as!(
        Alert,
        r#"/* alerts_that_are_over */
        select id, kind, subject, message, times, raised_at, last_at, resolved_at, acknowledged_at, acknowledged_by
        from dailycast.alert
        where resolved_at > now() - make_interval(days => $1)
          and ($2::timestamptz is null or (resolved_at, id) < ($2, $3))
        order by resolved_at desc, id desc limit $4"#,
        days,
        at,
        id,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("alerts_that_are_over"))
}

/// Takes note of alerts. Returns the numbers of those that are there; who took note first stays.
///
/// # Errors
/// [`Error::Database`].
pub async fn acknowledge(pool: &PgPool, ids: &[i64], by: &str) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* acknowledge_alerts */
        with seen as (
            update dailycast.alert
            set acknowledged_at = coalesce(acknowledged_at, now()), acknowledged_by = coalesce(acknowledged_by, $2)
            where id = any($1)
            returning id
        ), noted as (
            insert into dailycast.audit (actor, action, subject) select $2, 'alert_acknowledge', 'alert ' || id from seen
        )
        select id as "id!" from seen"#,
        ids,
        by,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("acknowledge_alerts"))
}

/// Resolves the alerts of these kinds that were not seen again for a day: nothing else says that
/// their cause is gone. So with a provider whose breaker is closed or that nobody calls any more.
/// Forgets what was resolved before the last `days` days, and what the nights before them have cost.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune(store: &Store, silent_kinds: &[&str], days: i32) -> Result<u64, Error> {
    let kinds: Vec<String> = silent_kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let gone = sqlx::query!(
        r#"/* prune_alerts */
        with silent as (
            update dailycast.alert set resolved_at = now()
            where resolved_at is null and kind = any($1) and last_at < now() - interval '1 day'
        ), away as (
            -- closed, or its rest has long been over and nobody has tried it since: no longer set up
            update dailycast.alert set resolved_at = now()
            where resolved_at is null and kind = 'provider_down' and not exists (
                select from dailycast.provider_state s
                where s.provider = subject and s.opened_at is not null
                  and (s.open_until is null or s.open_until > now() - interval '1 day'))
        ), spending as (
            delete from dailycast.night_spending where date < (now() - make_interval(days => $2))::date
        )
        delete from dailycast.alert where resolved_at < now() - make_interval(days => $2)"#,
        &kinds,
        days,
    )
    .execute(store.pool())
    .await
    .map_err(Error::in_statement("prune_alerts"))?;
    Ok(gone.rows_affected())
}
