//! What `.sqlx/` says of each query is what a database says of it, and is said of no other query.

use std::{collections::BTreeSet, fs, path::Path};

use dailycast::{local::academy::fill_sample, store};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _, PgPool, SqlSafeStr as _};

use super::{
    assert_none,
    lexer::Source,
    tree::{self, names},
};
use crate::support::database::TestDatabase;

/// Macros whose first literal is a query that the compiler checks.
const MACROS: [&str; 3] = ["query!(", "query_as!(", "query_scalar!("];

/// What is stored, by file name.
fn stored() -> Vec<(String, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let read = |name: String| (name.clone(), serde_json::from_slice(&fs::read(dir.join(&name)).unwrap()).unwrap());
    names(&dir).into_iter().map(read).collect()
}

/// The queries that the compiler checks.
fn checked(source: &Source) -> Vec<&str> {
    let calls = MACROS.iter().flat_map(|call| source.code.match_indices(call));
    let query = calls.filter_map(|(at, _)| source.literals.iter().find(|literal| literal.at > at));
    query.map(|literal| literal.text.as_str()).collect()
}

/// The line with the name of a query.
fn title(query: &str) -> &str {
    query.lines().next().unwrap_or_default()
}

/// What differs between the queries of the sources and those that are stored.
fn strays(sources: &BTreeSet<&str>, stored: &[(String, Value)]) -> Vec<String> {
    let known: BTreeSet<&str> = stored.iter().filter_map(|(_, query)| query["query"].as_str()).collect();
    let unused = stored.iter().filter(|(_, query)| query["query"].as_str().is_none_or(|text| !sources.contains(text)));
    let unused = unused.map(|(name, query)| {
        format!(".sqlx/{name}: no source has {}", title(query["query"].as_str().unwrap_or_default()))
    });
    unused.chain(sources.difference(&known).map(|query| format!("not stored in .sqlx: {}", title(query)))).collect()
}

/// Columns with their types, types of the parameters, and of how many columns it is known whether
/// they may be null. Which of them may be null depends on the plan, which differs between servers.
fn shape(describe: &Value) -> Value {
    let columns = describe["columns"].as_array().unwrap().iter();
    let columns: Vec<Value> = columns.map(|column| json!([column["name"], column["type_info"]])).collect();
    json!([columns, describe["parameters"], describe["nullable"].as_array().map(Vec::len)])
}

/// Compares a stored query with what the database says of it.
async fn stale(pool: &PgPool, name: &str, stored: &Value) -> Option<String> {
    let query = stored["query"].as_str()?.to_owned();
    let title = title(&query).to_owned();
    match pool.describe(AssertSqlSafe(query).into_sql_str()).await {
        Err(error) => Some(format!(".sqlx/{name}: {title}: the database does not take it: {error}")),
        Ok(told) => {
            let (told, kept) = (shape(&serde_json::to_value(told).unwrap()), shape(&stored["describe"]));
            (told != kept).then(|| format!(".sqlx/{name}: {title}:\n  stored {kept}\n  is     {told}"))
        }
    }
}

const PREPARE: &str = "A clean checkout builds from .sqlx: run `cargo xtask prepare` and commit it.";

#[test]
fn the_stored_queries_are_those_of_the_sources() {
    let sources: BTreeSet<&str> = tree::below("src/").flat_map(checked).collect();
    assert!(sources.len() > 30, "only {} queries were found in the sources", sources.len());
    assert_none(strays(&sources, &stored()), PREPARE);
}

#[tokio::test]
async fn the_stored_queries_are_what_a_database_says() {
    let database = TestDatabase::migrated_by("stored", async |pool: &PgPool| {
        store::migrate(pool).await.unwrap();
        fill_sample(pool, "academy", 1, 0).await.map(drop)
    })
    .await;
    let mut found = Vec::new();
    let all = stored();
    for (name, query) in &all {
        found.extend(stale(&database.pool, name, query).await);
    }
    assert_none(found, PREPARE);

    let (name, mut query) =
        all.into_iter().find(|(_, query)| query.to_string().contains("/* night_exists */")).unwrap();
    query["describe"]["parameters"]["Left"][0] = json!("Int8");
    assert!(stale(&database.pool, &name, &query).await.is_some(), "another type of a parameter is found");
    query["query"] = json!("select no_such_column from dailycast.night");
    assert!(stale(&database.pool, &name, &query).await.is_some(), "a column that is gone is found");
}

#[test]
fn a_stray_query_is_found_on_either_side() {
    let source = Source::new("src/store/x.rs", "sqlx::query_as!(Row, r#\"select 1\"#); query(\"select 2\")");
    assert_eq!(checked(&source), ["select 1"]);
    let stored = [("query-0.json".to_owned(), json!({"query": "select 3"}))];
    assert_eq!(strays(&BTreeSet::from(["select 1"]), &stored).len(), 2);
}
