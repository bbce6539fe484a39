//! Episodes that learners ask for at once. Times are the database's.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::{Connection as _, PgConnection};

use super::{Error, Reads, night};

/// Hours before the same learner may ask again.
pub const PAUSE_HOURS: i32 = 24;

/// When somebody who asked at that time may ask again.
pub fn next_after(asked_at: DateTime<Utc>) -> DateTime<Utc> {
    asked_at + TimeDelta::hours(PAUSE_HOURS.into())
}

/// Whether a learner may ask.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The time.
    pub now: DateTime<Utc>,
    /// When it is possible again; `None` when it is.
    pub next_available_at: Option<DateTime<Utc>>,
}

/// Looks whether a learner may ask.
///
/// # Errors
/// [`Error::Database`].
pub async fn standing(reads: &Reads, user_id: i64) -> Result<Standing, Error> {
    let ask = || {
        sqlx::query_as!(
            Standing,
            r#"/* may_generate */
            select now() as "now!",
                   (select asked_at + make_interval(hours => $2) from dailycast.generation
                    where user_id = $1 and asked_at > now() - make_interval(hours => $2)) as next_available_at"#,
            user_id,
            PAUSE_HOURS,
        )
    };
    let standing = reads.rows("may_generate", ask).await?.pop();
    standing.ok_or_else(|| Error::in_statement("may_generate")(sqlx::Error::RowNotFound))
}

/// Has an episode made for a date, and notes when that was. False, and nothing is done, when the learner has
/// asked within [`PAUSE_HOURS`], has a podcast of the date, or is not active: of two who ask at once,
/// one waits for the other and finds that. It needs no night, and no pause holds it back from being enqueued.
///
/// # Errors
/// [`Error::Database`], also when the academy cannot be read.
pub async fn ask(reads: &Reads, user_id: i64, date: NaiveDate, deadline_at: DateTime<Utc>) -> Result<bool, Error> {
    reads.work("note_generation", move |connection| Box::pin(ask_on(connection, user_id, date, deadline_at))).await
}

async fn ask_on(
    connection: &mut PgConnection,
    user_id: i64,
    date: NaiveDate,
    deadline_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let mut transaction = connection.begin().await.map_err(Error::in_statement("note_generation"))?;
    let is_noted = sqlx::query!(
        r#"/* note_generation */
        insert into dailycast.generation as g (user_id) values ($1)
        on conflict (user_id) do update set asked_at = now()
        where g.asked_at <= now() - make_interval(hours => $2)"#,
        user_id,
        PAUSE_HOURS,
    )
    .execute(&mut *transaction)
    .await
    .map_err(Error::in_statement("note_generation"))?;
    let is_made = is_noted.rows_affected() == 1
        && night::enqueue_learners(&mut *transaction, date, deadline_at, &[user_id]).await? == 1;
    let ended = if is_made { transaction.commit().await } else { transaction.rollback().await };
    ended.map_err(Error::in_statement("note_generation"))?;
    Ok(is_made)
}
