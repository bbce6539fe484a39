//! The sample academy: learners made up by set-based SQL, the same for the same seed.
//!
//! Whoever asks for `n` learners gets exactly `n` who are due a podcast tonight, and some more who
//! are not: two accounts of the staff, and inactive and long-unseen learners. The first two are
//! those of the product's own example: Sarah (42) and John (43). Ages instead of times are stored,
//! so a sample stays fresh.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::Error;

/// Tables, catalogue and views; names carry no schema.
const SAMPLE: &str = include_str!("../../migrations/academy/sample.sql");

/// Fills a range of learners.
const FILL: &str = include_str!("academy/fill.sql");

/// Raised when [`FILL`] makes other learners from the same seed.
const VERSION: i32 = 1;

/// Learners per statement: bounds the memory of one statement, not the speed.
const BATCH: i64 = 50_000;

/// The most learners that can be asked for.
pub const MOST_LEARNERS: u32 = 1_000_000;

/// The account that may do everything at the sample academy.
pub const SUPERUSER: i64 = 1;

/// The account of the staff that may look.
pub const STAFF: i64 = 2;

/// What a sample consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Active and seen within 14 days.
    pub eligible: u32,
    /// The others, two of them staff.
    pub ineligible: u32,
    /// False when the very same sample was there already.
    pub is_new: bool,
}

/// Makes tables and views in `schema` and fills them with `learners` eligible learners (1 to
/// [`MOST_LEARNERS`]; more or fewer are brought into that range). All or nothing; what was there
/// before stays when it came from the same numbers and is replaced otherwise.
///
/// # Errors
/// When the database refuses, for instance because `schema` holds another kind of academy.
pub async fn fill_sample(pool: &PgPool, schema: &str, learners: u32, seed: i64) -> Result<Sample, Error> {
    let learners = learners.clamp(1, MOST_LEARNERS);
    fill(pool, schema, learners, seed)
        .await
        .map_err(Error::database(format!("fill the sample academy into {schema:?}")))
}

async fn fill(pool: &PgPool, schema: &str, learners: u32, seed: i64) -> Result<Sample, sqlx::Error> {
    // Beside the staff: one inactive and one long unseen at least, a twentieth of a large sample.
    let others = learners / 20 + 2;
    let mut sample = Sample { eligible: learners, ineligible: others + 2, is_new: false };
    let mut transaction = pool.begin().await?;
    // Two who fill at once take turns.
    sqlx::query("select pg_advisory_xact_lock(hashtext('dailycast.sample_academy'))")
        .execute(&mut *transaction)
        .await?;
    go_to(&mut transaction, schema).await?;
    sqlx::raw_sql(SAMPLE).execute(&mut *transaction).await?;
    let known: Option<(i32, i64, i32)> =
        sqlx::query_as("select learners, seed, version from sample_fill").fetch_optional(&mut *transaction).await?;
    if known != Some((learners as i32, seed, VERSION)) {
        sqlx::raw_sql("truncate sample_learner, sample_fill").execute(&mut *transaction).await?;
        let total = i64::from(learners) + i64::from(others);
        for first in (0..total).step_by(BATCH as usize) {
            sqlx::query(FILL)
                .bind(first)
                .bind((first + BATCH).min(total))
                .bind(i64::from(learners))
                .bind(i64::from(others))
                .bind(seed)
                .execute(&mut *transaction)
                .await?;
        }
        add_staff(&mut transaction, seed).await?;
        sqlx::query("insert into sample_fill (learners, seed, version) values ($1, $2, $3)")
            .bind(learners as i32)
            .bind(seed)
            .bind(VERSION)
            .execute(&mut *transaction)
            .await?;
        sqlx::raw_sql("analyze sample_learner").execute(&mut *transaction).await?;
        sample.is_new = true;
    }
    transaction.commit().await?;
    Ok(sample)
}

/// Makes the schema and lets names without one mean it, until the end of the transaction.
async fn go_to(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let schema = format!("\"{}\"", schema.replace('"', "\"\""));
    let statement = format!("create schema if not exists {schema}; set local search_path to {schema}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// Two accounts that no podcast is made for: they were last seen too long ago.
async fn add_staff(connection: &mut PgConnection, seed: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into sample_learner
             (user_id, token, display_name, languages, plan, is_active, seen_ago, is_staff, is_superuser)
         select user_id, left(encode(sha256(convert_to(format('token %s %s', $1::bigint, user_id), 'UTF8')), 'hex'), 40),
                name, '{en}', 'free', true, interval '60 days', true, user_id = $2
         from (values ($2::bigint, 'Grace, who runs the academy'), ($3::bigint, 'Alan, who looks after learners'))
             as staff (user_id, name)",
    )
    .bind(seed)
    .bind(SUPERUSER)
    .bind(STAFF)
    .execute(connection)
    .await
    .map(drop)
}
