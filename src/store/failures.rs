//! What ended podcasts, by cause: read from the event lines, which are found by index and never
//! change.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::Error;

/// The most lines that are counted, newest first.
const MOST_LINES: i64 = 50_000;

/// The bars that a range is cut into.
pub const BARS: i32 = 24;

/// The failures that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// From this moment on, or the beginning of the first bar for a date.
    pub from: DateTime<Utc>,
    /// The end of the last bar.
    pub to: DateTime<Utc>,
    /// Only podcasts of this date, whenever they failed.
    pub date: Option<NaiveDate>,
}

/// Podcasts that failed for one cause within one bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// The failure kind.
    pub kind: String,
    /// The provider that failed last, if one did.
    pub provider: Option<String>,
    /// The status whose work failed.
    pub step: String,
    /// Which bar, from 0.
    pub bar: i32,
    /// Podcasts.
    pub podcasts: i64,
    /// The first.
    pub first_at: DateTime<Utc>,
    /// The last.
    pub last_at: DateTime<Utc>,
    /// One of them.
    pub sample_id: i64,
}

/// What was counted.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The bars that have podcasts.
    pub bars: Vec<Bar>,
    /// As many lines were read as may be: there may be older failures.
    pub is_cut: bool,
}

/// Podcasts that are failed still, by kind, provider, step and bar. A podcast that failed, was
/// requeued and failed again counts once, where it failed last.
///
/// # Errors
/// [`Error::Database`].
pub async fn bars(pool: &PgPool, range: Range) -> Result<Counted, Error> {
    let rows = sqlx::query!(
        r#"/* failures_by_cause */
        with line as (
            (select podcast_id, id, at, provider, from_status from dailycast.podcast_event
             where $3::date is null and event = 'gave_up' and at >= $1
             order by at desc limit $4)
            union all
            (select podcast_id, id, at, provider, from_status from dailycast.podcast_event
             where $3::date is not null and event = 'gave_up' and event in ('gave_up', 'cancelled')
               and podcast_id >= (select min(id) from dailycast.daily_podcast where date = $3)
               and podcast_id <= (select max(id) from dailycast.daily_podcast where date = $3)
             order by podcast_id desc limit $4)
        ), last as (
            select distinct on (podcast_id) podcast_id, at, provider, coalesce(from_status, 'pending') as step
            from line order by podcast_id, id desc
        ), bar as (
            select p.error_kind as kind, last.provider, last.step,
               greatest(0, least($5 - 1, floor(extract(epoch from last.at - $1)
                   / greatest(extract(epoch from $2::timestamptz - $1), 1) * $5)))::integer as nth,
               count(*) as podcasts, min(last.at) as first_at, max(last.at) as last_at, max(p.id) as sample_id
            from last join dailycast.daily_podcast p on p.id = last.podcast_id
            where p.status = 'failed' and p.error_kind <> 'cancelled' and ($3::date is null or p.date = $3)
            group by 1, 2, 3, 4
        )
        select read.lines as "lines!", kind as "kind?", provider as "provider?", step as "step?", nth as "nth?",
               podcasts as "podcasts?", first_at as "first_at?", last_at as "last_at?", sample_id as "sample_id?"
        from (select count(*) as lines from line) read left join bar on true"#,
        range.from,
        range.to,
        range.date,
        MOST_LINES,
        BARS,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("failures_by_cause"))?;
    let is_cut = rows.first().is_some_and(|row| row.lines >= MOST_LINES);
    let bars = rows.into_iter().filter_map(|row| {
        Some(Bar {
            kind: row.kind?,
            provider: row.provider,
            step: row.step?,
            bar: row.nth?,
            podcasts: row.podcasts?,
            first_at: row.first_at?,
            last_at: row.last_at?,
            sample_id: row.sample_id?,
        })
    });
    Ok(Counted { bars: bars.collect(), is_cut })
}

/// The words of the last failure of each of these podcasts.
///
/// # Errors
/// [`Error::Database`].
pub async fn messages(pool: &PgPool, ids: &[i64]) -> Result<Vec<(i64, String)>, Error> {
    let rows = sqlx::query!(
        r#"/* failure_messages */
        select id, left(error_message, 300) as "message!" from dailycast.daily_podcast
        where id = any ($1) and error_message is not null"#,
        ids
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("failure_messages"))?;
    Ok(rows.into_iter().map(|row| (row.id, row.message)).collect())
}
