//! What was spent: the ledger of calls, summed up by date.
//!
//! Money and units of a call count for the date of its podcast, whenever the call was made. A sum
//! reads every call of the month, mostly the whole table in one go, and groups them in little
//! memory: a few seconds for a million podcasts, of which an index would save nothing. What the
//! retention has pruned is not in any sum. What was spent on learners who were erased is, without
//! a word of whom; their podcasts are no longer counted.

use chrono::{Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::{Error, board::patient};

/// Calls of one date, plan, provider and model together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Date of the podcasts.
    pub date: NaiveDate,
    /// The learners' subscription.
    pub plan: String,
    /// Who was called.
    pub provider: String,
    /// Model or engine.
    pub model: String,
    /// Calls, failed ones among them.
    pub calls: i64,
    /// Calls that failed.
    pub failed: i64,
    /// Tokens that were read.
    pub input_tokens: i64,
    /// Tokens that were written.
    pub output_tokens: i64,
    /// Characters that were spoken.
    pub characters: i64,
    /// Requests that are billed by number.
    pub requests: i64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: i64,
}

/// How many podcasts a date has for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The date.
    pub date: NaiveDate,
    /// The plan.
    pub plan: String,
    /// Podcasts, whatever became of them.
    pub podcasts: i64,
}

/// Some dates of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Their calls, in order of date, plan, provider and model.
    pub spent: Vec<Spent>,
    /// Their podcasts.
    pub made: Vec<Made>,
}

/// The month that begins on `first`.
///
/// # Errors
/// [`Error::Database`].
pub async fn month(pool: &PgPool, first: NaiveDate) -> Result<Ledger, Error> {
    let mut connection = pool.acquire().await.map_err(Error::connecting)?;
    between(&mut connection, first, first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)).await
}

/// One date, however long it takes to count a large night.
///
/// # Errors
/// [`Error::Database`].
pub async fn date(pool: &PgPool, date: NaiveDate) -> Result<Ledger, Error> {
    let mut transaction = patient(pool).await?;
    let ledger = between(&mut transaction, date, date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)).await?;
    transaction.commit().await.map_err(Error::in_statement("sum_calls"))?;
    Ok(ledger)
}

async fn between(connection: &mut PgConnection, first: NaiveDate, end: NaiveDate) -> Result<Ledger, Error> {
    let spent = sqlx::query_as!(
        Spent,
        r#"/* sum_calls */
        select date as "date!", plan as "plan!", provider as "provider!", model as "model!", sum(calls)::bigint as "calls!",
               sum(failed)::bigint as "failed!", sum(input_tokens)::bigint as "input_tokens!",
               sum(output_tokens)::bigint as "output_tokens!", sum(characters)::bigint as "characters!",
               sum(requests)::bigint as "requests!", sum(cost_micro_usd)::bigint as "cost_micro_usd!"
        from (
            select p.date, p.plan, c.provider, c.model, count(*) as calls,
                   count(*) filter (where c.outcome <> 'ok') as failed,
                   coalesce(sum((c.units->>'input_tokens')::numeric), 0) as input_tokens,
                   coalesce(sum((c.units->>'output_tokens')::numeric), 0) as output_tokens,
                   coalesce(sum((c.units->>'characters')::numeric), 0) as characters,
                   coalesce(sum((c.units->>'requests')::numeric), 0) as requests,
                   sum(c.cost_micro_usd) as cost_micro_usd
            from dailycast.daily_podcast p join dailycast.provider_call c on c.podcast_id = p.id
            where p.date >= $1 and p.date < $2
            group by p.date, p.plan, c.provider, c.model
            union all
            select date, plan, provider, model, calls, failed, input_tokens, output_tokens, characters, requests,
                   cost_micro_usd
            from dailycast.erased_spending where date >= $1 and date < $2
        ) spent
        group by date, plan, provider, model
        order by date, plan, provider, model"#,
        first,
        end,
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(Error::in_statement("sum_calls"))?;
    let made = sqlx::query_as!(
        Made,
        r#"/* count_podcasts */
        select date, plan, count(*) as "podcasts!" from dailycast.daily_podcast
        where date >= $1 and date < $2 group by date, plan order by date, plan"#,
        first,
        end,
    )
    .fetch_all(connection)
    .await
    .map_err(Error::in_statement("count_podcasts"))?;
    Ok(Ledger { spent, made })
}
