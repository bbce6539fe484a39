//! Operations: a verb on one podcast, some, or all that match, carried out page by page.
//!
//! A page is one transaction: it locks the operation, moves the podcasts of the page and moves the
//! cursor. So anyone may go on where another was killed, two at once do each page once, and nothing
//! is done twice. Podcasts made after the start are not met, and the cursor never goes back: what
//! fails again behind it is left alone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgPool};

use super::{
    Error, chain,
    podcasts::Filter,
    verbs::{self, FromStep, Order, Verb},
};

/// Podcasts moved in one commit.
const PAGE: usize = 500;

/// How often a page is tried that the database could not write for a moment: a deadlock with a busy
/// worker, a connection that broke.
const TRIES: u32 = 5;

/// The pause before the second try; each further one is twice as long.
const BACKOFF: Duration = Duration::from_millis(50);

/// An operation as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Primary key.
    pub id: i64,
    /// `requeue`, `cancel` or `regenerate`.
    pub verb: String,
    /// Where a regeneration begins: `script` or `speech`.
    pub from_step: Option<String>,
    /// Which podcasts are meant, as it is stored; [`Operation::filter`] reads it.
    pub filter: serde_json::Value,
    /// Why; may be empty.
    pub reason: String,
    /// Who began it.
    pub actor: String,
    /// `running`, `finished` or `stopped`.
    pub state: String,
    /// Podcasts that matched at the start, as far as was counted.
    pub expected: i64,
    /// Podcasts that were moved.
    pub done: i64,
    /// Podcasts that matched and were left as they are.
    pub skipped: i64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When its last page was written.
    pub updated_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// What ended it.
    pub error: Option<String>,
    /// The new deadline of podcasts whose own is earlier.
    #[serde(skip)]
    pub deadline_at: DateTime<Utc>,
    /// Ids below this are still to be looked at.
    #[serde(skip)]
    below: i64,
}

impl Operation {
    /// True while there is more to do.
    pub fn is_running(&self) -> bool {
        self.finished_at.is_none()
    }

    /// What is done.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for one of a newer version.
    pub fn verb(&self) -> Result<Verb, Error> {
        let from = self.from_step.as_deref().and_then(FromStep::named);
        Verb::named(&self.verb, from).ok_or_else(|| self.unreadable("verb", self.verb.clone()))
    }

    /// Which podcasts are meant.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a filter of a newer version.
    pub fn filter(&self) -> Result<Filter, Error> {
        serde_json::from_value(self.filter.clone()).map_err(|error| self.unreadable("filter", error.to_string()))
    }

    fn unreadable(&self, column: &'static str, what: String) -> Error {
        Error::Unreadable { table: "dailycast.operation", column, id: self.id, what }
    }
}

/// An operation to be begun.
#[derive(Debug, Clone, Copy)]
pub struct New<'n> {
    /// What, to whom, by whom, why, and until when.
    pub order: Order<'n>,
    /// The filter in words, for the audit.
    pub subject: &'n str,
    /// Names the wish: the same key of the same actor is the same operation.
    pub key: Option<&'n str>,
    /// Podcasts that match, as far as was counted.
    pub expected: i64,
}

/// How an operation was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It is new.
    Begun(Operation),
    /// An identical one is under way, or this key has begun it before.
    Joined(Operation),
    /// This key has begun another operation.
    OtherContent(Operation),
}

/// Begins an operation, with its line in the audit, or finds the one that is the same. Nothing is
/// moved yet; [`advance`] does that.
///
/// # Errors
/// [`Error::Database`].
pub async fn start(pool: &PgPool, new: New<'_>) -> Result<Started, Error> {
    let New { order, .. } = new;
    let mut wish = order.filter.clone();
    for numbers in [&mut wish.ids, &mut wish.user_ids].into_iter().flatten() {
        // In any order they mean the same.
        numbers.sort_unstable();
        numbers.dedup();
    }
    let filter = serde_json::to_value(&wish).unwrap_or_default();
    let mut tries = TRIES;
    loop {
        if let Some(key) = new.key
            && let Some((known, reason)) = by_key(pool, order.actor, key).await?
        {
            let is_same = known.filter == filter
                && known.verb == order.verb.as_str()
                && known.from_step.as_deref() == order.verb.from_step().map(FromStep::as_str)
                && reason == order.reason;
            return Ok(if is_same { Started::Joined(known) } else { Started::OtherContent(known) });
        }
        if let Some(begun) = insert(pool, new, &filter).await? {
            return Ok(Started::Begun(begun));
        }
        if let Some(running) = identical(pool, order.verb, &filter).await?
            && keep_key(pool, new, running.id).await?
        {
            return Ok(Started::Joined(running));
        }
        // The one that stood in the way is over by now, or has this key.
        tries -= 1;
        if tries == 0 {
            let source = sqlx::Error::RowNotFound;
            return Err(Error::Database { statement: "start_operation", source });
        }
    }
}

/// Names an operation that somebody joins, so that the same wish finds it when it is over, too. False
/// when the key names another one by now.
async fn keep_key(pool: &PgPool, new: New<'_>, id: i64) -> Result<bool, Error> {
    let Some(key) = new.key else { return Ok(true) };
    let kept = sqlx::query!(
        r#"/* keep_operation_key */
        insert into dailycast.operation_key (actor, key, operation_id, reason) values ($1, $2, $3, $4)
        on conflict do nothing"#,
        new.order.actor,
        key,
        id,
        new.order.reason,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("keep_operation_key"))?;
    Ok(kept.rows_affected() > 0)
}

/// `None` when an identical one runs, or the key is taken.
async fn insert(pool: &PgPool, new: New<'_>, filter: &serde_json::Value) -> Result<Option<Operation>, Error> {
    let Order { verb, actor, reason, deadline_at, .. } = new.order;
    let begun = sqlx::query_as!(
        Operation,
        r#"/* start_operation */
        with begun as (
            insert into dailycast.operation (verb, from_step, filter, reason, actor, expected, deadline_at, below)
            select $1, $2, $3, $4, $5, $7, $8, coalesce(max(id), 0) + 1 from dailycast.daily_podcast
            on conflict do nothing
            returning *
        ), named as (
            insert into dailycast.operation_key (actor, key, operation_id, reason)
            select actor, $6, id, reason from begun where $6::text is not null
        ), noted as (
            insert into dailycast.audit (actor, action, subject, detail, operation_id)
            select actor, verb, $9, reason, id from begun
        )
        select id as "id!", verb as "verb!", from_step, filter as "filter!", reason as "reason!", actor as "actor!",
               state as "state!", expected as "expected!", done as "done!", skipped as "skipped!",
               created_at as "created_at!", updated_at as "updated_at!", finished_at, error,
               deadline_at as "deadline_at!", below as "below!"
        from begun"#,
        verb.as_str(),
        verb.from_step().map(FromStep::as_str),
        filter,
        reason,
        actor,
        new.key,
        new.expected,
        deadline_at,
        new.subject,
    )
    .fetch_optional(pool)
    .await;
    match begun {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
        begun => begun.map_err(Error::in_statement("start_operation")),
    }
}

/// The operation of a key, and the reason that was given with it.
async fn by_key(pool: &PgPool, actor: &str, key: &str) -> Result<Option<(Operation, String)>, Error> {
    let named = sqlx::query!(
        r#"/* find_operation_by_key */
        select operation_id, reason from dailycast.operation_key where actor = $1 and key = $2"#,
        actor,
        key,
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("find_operation_by_key"))?;
    let Some(named) = named else { return Ok(None) };
    Ok(find(pool, named.operation_id).await?.map(|operation| (operation, named.reason)))
}

async fn identical(pool: &PgPool, verb: Verb, filter: &serde_json::Value) -> Result<Option<Operation>, Error> {
    sqlx::query_as!(
        Operation,
        r#"/* find_operation_under_way */
        select id, verb, from_step, filter, reason, actor, state, expected, done, skipped, created_at, updated_at,
               finished_at, error, deadline_at, below
        from dailycast.operation
        where verb = $1 and from_step is not distinct from $2 and filter = $3 and state = 'running'"#,
        verb.as_str(),
        verb.from_step().map(FromStep::as_str),
        filter,
    )
    .fetch_optional(pool)
    .await
    .map_err(Error::in_statement("find_operation_under_way"))
}

/// An operation.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<Operation>, Error> {
    Ok(list(pool, id.saturating_add(1), 1).await?.into_iter().find(|operation| operation.id == id))
}

/// Operations below an id, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(pool: &PgPool, below: i64, limit: i64) -> Result<Vec<Operation>, Error> {
    sqlx::query_as!(
        Operation,
        r#"/* list_operations */
        select id, verb, from_step, filter, reason, actor, state, expected, done, skipped, created_at, updated_at,
               finished_at, error, deadline_at, below
        from dailycast.operation where id < $1 order by id desc limit $2"#,
        below,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("list_operations"))
}

/// Operations that are not over and have not moved for so many seconds: who carried them out is
/// gone, or slow.
///
/// # Errors
/// [`Error::Database`].
pub async fn left_alone(pool: &PgPool, seconds: f64) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar!(
        r#"/* operations_left_alone */
        select id from dailycast.operation
        where state = 'running' and updated_at <= now() - make_interval(secs => $1) order by id"#,
        seconds,
    )
    .fetch_all(pool)
    .await
    .map_err(Error::in_statement("operations_left_alone"))
}

/// Stops an operation behind the page that is being written. What was moved stays so. False when it
/// was over.
///
/// # Errors
/// [`Error::Database`].
pub async fn stop(pool: &PgPool, id: i64, actor: &str) -> Result<bool, Error> {
    let stopped = sqlx::query!(
        r#"/* stop_operation */
        with stopped as (
            update dailycast.operation set state = 'stopped', finished_at = now(), updated_at = now()
            where id = $1 and state = 'running' returning id, verb, done
        )
        insert into dailycast.audit (actor, action, subject, detail, operation_id)
        select $2, 'stop', 'operation ' || id, verb || ', ' || done || ' done', id from stopped"#,
        id,
        actor,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("stop_operation"))?;
    Ok(stopped.rows_affected() > 0)
}

/// Carries out the next page, if the operation's deadline is not past. Returns the operation as it then stands, `None` when there is none.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] for one of a newer version.
pub async fn advance(pool: &PgPool, id: i64) -> Result<Option<Operation>, Error> {
    let mut transaction = pool.begin().await.map_err(Error::in_statement("lock_operation"))?;
    let Some(operation) = lock(&mut transaction, id).await? else { return Ok(None) };
    if !operation.is_running() {
        return Ok(Some(operation));
    }
    let (filter, verb) = (operation.filter()?, operation.verb()?);
    if verb != Verb::Cancel
        && let Some(over) = stop_late(&mut transaction, id).await?
    {
        transaction.commit().await.map_err(Error::in_statement("stop_late_operation"))?;
        return Ok(Some(over));
    }
    let order = Order {
        verb,
        filter: &filter,
        actor: &operation.actor,
        reason: &operation.reason,
        deadline_at: operation.deadline_at,
    };
    let walked = verbs::walk(&mut transaction, &filter, operation.below).await?;
    let mut page = verbs::look(&mut transaction, &walked, &filter).await?;
    let is_last = walked.len() < verbs::WALK && page.len() <= PAGE;
    page.truncate(PAGE);
    let looked_at = if page.len() == PAGE { page.last().map(|row| row.id) } else { walked.last().copied() };
    let met = page.len();
    let done = verbs::carry_out(&mut transaction, order, page).await?;
    let below = looked_at.unwrap_or(operation.below);
    let turned = turn(&mut transaction, id, below, [done, met - done], is_last).await?;
    transaction.commit().await.map_err(Error::in_statement("turn_page_of_operation"))?;
    Ok(Some(turned))
}

/// Stops an operation whose deadline is past: what it would make due would be given up at once.
async fn stop_late(connection: &mut PgConnection, id: i64) -> Result<Option<Operation>, Error> {
    sqlx::query_as!(
        Operation,
        r#"/* stop_late_operation */
        update dailycast.operation
        set state = 'stopped', finished_at = clock_timestamp(), updated_at = clock_timestamp(),
            error = 'its deadline passed before all was done, and what is left was not touched; begin it anew'
        where id = $1 and deadline_at <= clock_timestamp()
        returning id, verb, from_step, filter, reason, actor, state, expected, done, skipped, created_at, updated_at,
                  finished_at, error, deadline_at, below"#,
        id,
    )
    .fetch_optional(connection)
    .await
    .map_err(Error::in_statement("stop_late_operation"))
}

async fn lock(connection: &mut PgConnection, id: i64) -> Result<Option<Operation>, Error> {
    sqlx::query_as!(
        Operation,
        r#"/* lock_operation */
        select id, verb, from_step, filter, reason, actor, state, expected, done, skipped, created_at, updated_at,
               finished_at, error, deadline_at, below
        from dailycast.operation where id = $1 for update"#,
        id,
    )
    .fetch_optional(connection)
    .await
    .map_err(Error::in_statement("lock_operation"))
}

/// Notes that a page is done.
async fn turn(
    connection: &mut PgConnection,
    id: i64,
    below: i64,
    [done, skipped]: [usize; 2],
    is_last: bool,
) -> Result<Operation, Error> {
    sqlx::query_as!(
        Operation,
        r#"/* turn_page_of_operation */
        update dailycast.operation
        set below = $2, done = done + $3, skipped = skipped + $4, updated_at = clock_timestamp(),
            state = case when $5 then 'finished' else state end, finished_at = case when $5 then clock_timestamp() end
        where id = $1
        returning id, verb, from_step, filter, reason, actor, state, expected, done, skipped, created_at, updated_at,
                  finished_at, error, deadline_at, below"#,
        id,
        below,
        i64::try_from(done).unwrap_or(i64::MAX),
        i64::try_from(skipped).unwrap_or(i64::MAX),
        is_last,
    )
    .fetch_one(connection)
    .await
    .map_err(Error::in_statement("turn_page_of_operation"))
}

/// Carries out what is left of an operation, together with whoever else does, and shows it after
/// each page. May be dropped at any moment: the workers go on with it. One that the database
/// will never accept is stopped, with the reason.
///
/// # Errors
/// As [`advance`].
pub async fn carry_out(
    pool: &PgPool,
    id: i64,
    mut progress: impl FnMut(&Operation),
) -> Result<Option<Operation>, Error> {
    let mut tries = TRIES;
    loop {
        match advance(pool, id).await {
            Ok(Some(operation)) => {
                tries = TRIES;
                progress(&operation);
                if !operation.is_running() {
                    return Ok(Some(operation));
                }
            }
            Ok(None) => return Ok(None),
            Err(error) if error.is_passing() && tries > 1 => {
                tokio::time::sleep(BACKOFF * 2_u32.pow(TRIES - tries)).await;
                tries -= 1;
            }
            Err(error) => {
                if !error.is_passing() && !matches!(error, Error::Unreadable { .. }) {
                    give_up(pool, id, &chain(&error)).await?;
                }
                return Err(error);
            }
        }
    }
}

/// Ends an operation that cannot be carried out.
async fn give_up(pool: &PgPool, id: i64, error: &str) -> Result<(), Error> {
    sqlx::query!(
        r#"/* give_up_operation */
        update dailycast.operation set state = 'stopped', finished_at = now(), updated_at = now(), error = $2
        where id = $1 and state = 'running'"#,
        id,
        error,
    )
    .execute(pool)
    .await
    .map_err(Error::in_statement("give_up_operation"))?;
    Ok(())
}
