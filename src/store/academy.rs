//! The academy's side: what is read of it, and what it must offer. Everything is read through
//! views whose names and columns are the contract; which schema they are in is a matter of the
//! connection's search path. Nothing is ever written.
//!
//! Integers may be `integer` or `bigint` and texts `varchar` or `text` in the academy, so every
//! column is cast where it is read, and never where it is compared: a cast hides an index.

use std::{collections::BTreeMap, fmt};

use sqlx::{PgConnection, PgExecutor};

use super::{Reads, Store};
use crate::learner::{Ability, Facts, Mistake, Quiz, Week};

/// The academy's data could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the academy's views cannot be read")]
pub struct Error(#[from] pub sqlx::Error);

/// Languages of one learner that are looked at; the rest is noise.
const MOST_LANGUAGES: usize = 8;

/// A view of the contract: its name, and its columns with their types.
type View = (&'static str, &'static [(&'static str, Type)]);

/// What a column may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Integer,
    Number,
    Text,
    Texts,
    Boolean,
    Time,
    Json,
}

/// All views that are read, with every column.
const CONTRACT: [View; 8] = [
    (
        "learner",
        &[
            ("user_id", Type::Integer),
            ("display_name", Type::Text),
            ("languages", Type::Texts),
            ("plan", Type::Text),
            ("is_active", Type::Boolean),
            ("last_seen_at", Type::Time),
            ("is_staff", Type::Boolean),
            ("is_superuser", Type::Boolean),
        ],
    ),
    ("learner_token", &[("key", Type::Text), ("user_id", Type::Integer)]),
    (
        "learner_ability",
        &[("user_id", Type::Integer), ("score", Type::Number), ("rank", Type::Integer), ("by_subject", Type::Json)],
    ),
    (
        "learner_week",
        &[
            ("user_id", Type::Integer),
            ("answered", Type::Integer),
            ("correct", Type::Integer),
            ("answered_before", Type::Integer),
            ("correct_before", Type::Integer),
        ],
    ),
    ("learner_due_review", &[("user_id", Type::Integer), ("text", Type::Text), ("due_at", Type::Time)]),
    (
        "learner_mistake",
        &[
            ("user_id", Type::Integer),
            ("question", Type::Text),
            ("subject", Type::Text),
            ("correct_answer", Type::Text),
            ("at", Type::Time),
        ],
    ),
    (
        "learner_quiz",
        &[
            ("user_id", Type::Integer),
            ("title", Type::Text),
            ("subject", Type::Text),
            ("difficulty", Type::Text),
            ("match_score", Type::Number),
        ],
    ),
    ("learner_interest", &[("user_id", Type::Integer), ("name", Type::Text)]),
];

impl Type {
    /// What Postgres may call it; the first is what to use.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Integer => &["bigint", "integer", "smallint"],
            Self::Number => &["double precision", "real", "numeric"],
            Self::Text => &["text", "character varying"],
            Self::Texts => &["text[]", "character varying[]"],
            Self::Boolean => &["boolean"],
            Self::Time => &["timestamp with time zone"],
            Self::Json => &["jsonb", "json"],
        }
    }
}

/// Something that the academy's views lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// There is no such view (or table).
    View {
        /// With its schema.
        view: String,
    },
    /// The database role may not read it.
    Permission {
        /// With its schema.
        view: String,
    },
    /// The view has no such column.
    Column {
        /// With its schema.
        view: String,
        /// Its name.
        column: &'static str,
        /// The type it should have.
        wanted: &'static str,
    },
    /// The column is of a type that cannot be read.
    Type {
        /// With its schema.
        view: String,
        /// Its name.
        column: &'static str,
        /// The type it should have.
        wanted: &'static str,
        /// The type it has.
        found: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View { view } => write!(f, "the view {view} is missing: see migrations/academy/"),
            Self::Permission { view } => write!(f, "{view} may not be read: run `grant select on {view} to` our role"),
            Self::Column { view, column, wanted } => write!(f, "{view} has no column {column}: add it as {wanted}"),
            Self::Type { view, column, wanted, found } => {
                write!(f, "{view}.{column} is of type {found}: make it {wanted}")
            }
        }
    }
}

/// Who a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOwner {
    /// The learner.
    pub user_id: i64,
    /// False when the account was closed; its token stays.
    pub is_active: bool,
    /// May look at the operators' pages.
    pub is_staff: bool,
    /// May use the operators' verbs.
    pub is_superuser: bool,
}

/// What is known about one learner; `None` when the academy no longer has it. A connection that
/// died unnoticed is given up.
///
/// # Errors
/// When a view cannot be read, or no answer comes.
pub async fn facts_of(store: &Store, user_id: i64) -> Result<Option<Facts>, Error> {
    let ask = async |connection: &mut PgConnection| facts(connection, &[user_id]).await.map_err(|error| error.0);
    Ok(store.connection().await?.answer(ask).await?.pop())
}

/// How a learner is called; `None` for one whom the academy does not have, or has no name of.
///
/// # Errors
/// [`super::Error::Database`].
pub async fn name_of(pool: &super::PgPool, user_id: i64) -> Result<Option<String>, super::Error> {
    let name = sqlx::query_scalar!(
        r#"/* learner_name */
        select left(display_name::text, 200) as "name?" from learner where user_id = $1 limit 1"#,
        user_id
    );
    let name = name.fetch_optional(pool).await.map_err(super::Error::in_statement("learner_name"))?;
    Ok(name.flatten().filter(|name| !name.is_empty()))
}

/// What is known about these learners, all as of one moment: one statement sees one snapshot.
/// Learners who are gone are left out; the order is that of `user_ids`. Long texts are cut at
/// 2,000 characters, lists at five reviews and twenty interests.
///
/// # Errors
/// When a view cannot be read.
pub async fn facts(executor: impl PgExecutor<'_>, user_ids: &[i64]) -> Result<Vec<Facts>, Error> {
    // A `limit` in each join keeps one learner one row, whatever a view does, and makes Postgres
    // ask a grouped view for one learner instead of grouping everybody.
    let rows = sqlx::query!(
        r#"/* learner_facts */
        select
            l.user_id::bigint as "user_id!",
            left(l.display_name::text, 200) as display_name,
            array_remove(l.languages::text[], null) as languages,
            l.plan::text as plan,
            ability.score::float8 as score,
            ability.rank::integer as rank,
            ability.by_subject::jsonb as by_subject,
            week.answered::integer as answered,
            week.correct::integer as correct,
            week.answered_before::integer as answered_before,
            week.correct_before::integer as correct_before,
            array(
                select left(r.text::text, 2000) from learner_due_review r
                where r.user_id = l.user_id and r.text is not null and r.due_at <= now()
                order by r.due_at, r.text limit 5
            ) as "due_reviews!: Vec<String>",
            left(mistake.question::text, 2000) as question,
            left(mistake.subject::text, 200) as mistake_subject,
            left(mistake.correct_answer::text, 2000) as correct_answer,
            left(quiz.title::text, 200) as quiz_title,
            left(quiz.subject::text, 200) as quiz_subject,
            quiz.difficulty::text as quiz_difficulty,
            array(
                select left(i.name::text, 200) from learner_interest i
                where i.user_id = l.user_id and i.name is not null order by i.name limit 20
            ) as "interests!: Vec<String>"
        from unnest($1::bigint[]) with ordinality as wanted (user_id, place)
        cross join lateral (select * from learner v where v.user_id = wanted.user_id limit 1) l
        left join lateral (select * from learner_ability v where v.user_id = wanted.user_id limit 1) ability on true
        left join lateral (select * from learner_week v where v.user_id = wanted.user_id limit 1) week on true
        left join lateral (
            select * from learner_mistake v where v.user_id = wanted.user_id and v.question is not null
            order by v.at desc, v.question limit 1
        ) mistake on true
        left join lateral (
            select * from learner_quiz v where v.user_id = wanted.user_id and v.title is not null
            order by v.match_score desc nulls last, v.title limit 1
        ) quiz on true
        order by wanted.place"#,
        user_ids
    )
    .fetch_all(executor)
    .await?;
    let facts = rows.into_iter().map(|row| Facts {
        user_id: row.user_id,
        display_name: row.display_name.unwrap_or_default(),
        languages: primary_tags(row.languages.unwrap_or_default()),
        plan: row.plan.unwrap_or_default(),
        interests: row.interests,
        ability: row.score.map(|score| ability(score, row.rank, row.by_subject)),
        week: Week {
            answered: count(row.answered),
            correct: count(row.correct),
            answered_before: count(row.answered_before),
            correct_before: count(row.correct_before),
        },
        due_reviews: row.due_reviews,
        last_mistake: row.question.map(|question| Mistake {
            question,
            subject: row.mistake_subject,
            correct_answer: row.correct_answer,
        }),
        recommended_quiz: row.quiz_title.map(|title| Quiz {
            title,
            subject: row.quiz_subject,
            difficulty: row.quiz_difficulty,
        }),
    });
    Ok(facts.collect())
}

/// Who the token `key` belongs to; `None` for a token that nobody has.
///
/// # Errors
/// [`super::Error::Database`] when a view cannot be read.
pub async fn learner_by_token(reads: &Reads, key: &str) -> Result<Option<TokenOwner>, super::Error> {
    let ask = || {
        sqlx::query!(
            r#"/* token_owner */
            select
                t.key::text as "key!",
                t.user_id::bigint as "user_id!",
                coalesce(l.is_active, false) as "is_active!",
                coalesce(l.is_staff, false) as "is_staff!",
                coalesce(l.is_superuser, false) as "is_superuser!"
            from learner_token t
            join learner l on l.user_id = t.user_id
            where t.key = $1
            limit 1"#,
            key
        )
    };
    let row = reads.rows("token_owner", ask).await?.pop();
    // MySQL, behind a foreign table, takes capitals and small letters for the same.
    Ok(row.filter(|row| row.key == key).map(|row| TokenOwner {
        user_id: row.user_id,
        is_active: row.is_active,
        is_staff: row.is_staff,
        is_superuser: row.is_superuser,
    }))
}

/// The account of `user_id`; `None` when the academy has no such.
///
/// # Errors
/// When the view cannot be read.
pub async fn account(executor: impl PgExecutor<'_>, user_id: i64) -> Result<Option<TokenOwner>, Error> {
    let account = sqlx::query_as!(
        TokenOwner,
        r#"/* account */
        select
            user_id::bigint as "user_id!",
            coalesce(is_active, false) as "is_active!",
            coalesce(is_staff, false) as "is_staff!",
            coalesce(is_superuser, false) as "is_superuser!"
        from learner where user_id = $1 limit 1"#,
        user_id
    )
    .fetch_optional(executor)
    .await?;
    Ok(account)
}

/// Somebody of the staff whose account is open: a superuser, or somebody who is none. Reads all
/// learners.
///
/// # Errors
/// When the view cannot be read.
pub async fn some_staff(executor: impl PgExecutor<'_>, is_superuser: bool) -> Result<Option<i64>, Error> {
    let user_id = sqlx::query_scalar!(
        r#"/* some_staff */
        select user_id::bigint as "user_id!" from learner
        where is_active and coalesce(is_superuser, false) = $1 and (is_superuser or is_staff)
        order by user_id limit 1"#,
        is_superuser
    )
    .fetch_optional(executor)
    .await?;
    Ok(user_id)
}

/// Compares the views in `schema` with what is read of them; empty when nothing is missing.
///
/// # Errors
/// When the database's own catalogue cannot be read.
pub async fn check(executor: impl PgExecutor<'_>, schema: &str) -> Result<Vec<Missing>, Error> {
    let views: Vec<String> = CONTRACT.iter().map(|(view, _)| (*view).to_owned()).collect();
    let rows = sqlx::query!(
        r#"/* academy_columns */
        select
            c.relname::text as "view!",
            has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as "may_read!",
            a.attname::text as "column!",
            format_type(a.atttypid, null) as "type!"
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where n.nspname = $1::text and c.relname = any ($2::text[]) and c.relkind in ('v', 'm', 'r', 'p', 'f')"#,
        schema,
        &views
    )
    .fetch_all(executor)
    .await?;
    let mut found: BTreeMap<String, (bool, BTreeMap<String, String>)> = BTreeMap::new();
    for row in rows {
        let (may_read, columns) = found.entry(row.view).or_default();
        *may_read = row.may_read;
        columns.insert(row.column, row.r#type);
    }
    let missing = CONTRACT.iter().flat_map(|&(name, wanted)| {
        let view = format!("{schema}.{name}");
        match found.get(name) {
            None => vec![Missing::View { view }],
            Some((false, _)) => vec![Missing::Permission { view }],
            Some((true, columns)) => wanted.iter().filter_map(|column| lacks(&view, columns, *column)).collect(),
        }
    });
    Ok(missing.collect())
}

/// What is wrong with one column, if anything is.
fn lacks(view: &str, found: &BTreeMap<String, String>, (column, kind): (&'static str, Type)) -> Option<Missing> {
    let (names, view) = (kind.names(), view.to_owned());
    let wanted = names[0];
    match found.get(column) {
        None => Some(Missing::Column { view, column, wanted }),
        Some(found) if names.contains(&found.as_str()) => None,
        Some(found) => Some(Missing::Type { view, column, wanted, found: found.clone() }),
    }
}

/// The standing, with its two ends; subjects whose score is no number do not count.
fn ability(score: f64, rank: Option<i32>, by_subject: Option<serde_json::Value>) -> Ability {
    let scores = by_subject.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten();
    let mut subjects: Vec<(String, f64)> = scores
        .filter(|(name, _)| !name.trim().is_empty())
        .filter_map(|(name, score)| Some((name.clone(), score.as_f64()?)))
        .collect();
    subjects.sort_by(|one, other| one.1.total_cmp(&other.1).then_with(|| one.0.cmp(&other.0)));
    let mut subjects = subjects.into_iter();
    Ability { score, rank, weakest: subjects.next(), strongest: subjects.next_back() }
}

/// `["EN-us", "ja", "en", ""]` as `["en", "ja"]`.
fn primary_tags(languages: Vec<String>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for language in languages {
        let tag = language.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let is_tag = (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_tag && tags.len() < MOST_LANGUAGES && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// A count that is missing or below zero is none.
fn count(value: Option<i32>) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
}

/// A learner who can log in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Learner {
    /// The learner.
    pub user_id: i64,
    /// How the learner is called; may be empty.
    pub name: String,
    /// The token.
    pub token: String,
}

/// The first `limit` learners that have a podcast, with their tokens: for a sample academy, whose
/// tokens are no secret.
///
/// # Errors
/// When the views cannot be read.
pub async fn with_tokens(executor: impl PgExecutor<'_>, limit: i64) -> Result<Vec<Learner>, Error> {
    let learners = sqlx::query_as!(
        Learner,
        r#"/* learners_with_tokens */
        select l.user_id::bigint as "user_id!", coalesce(l.display_name, '')::text as "name!", t.key::text as "token!"
        from learner l join learner_token t on t.user_id = l.user_id
        where exists (select from dailycast.daily_podcast p where p.user_id = l.user_id and p.is_active)
        order by l.user_id
        limit $1"#,
        limit,
    )
    .fetch_all(executor)
    .await?;
    Ok(learners)
}
