//! Statements of SQL carry their names, and migrations are named by what they do and when.

use std::{collections::BTreeMap, path::Path};

use super::{
    assert_none,
    lexer::{Source, is_of_word},
    tree,
};

/// What a literal that is a statement begins with.
const VERBS: [&str; 11] =
    ["select", "insert", "update", "delete", "with", "create", "alter", "drop", "truncate", "analyze", "merge"];

/// What a migration may do.
const ACTIONS: [&str; 7] = ["add", "backfill", "change", "create", "drop", "rename", "tune"];

/// Places of statements that are no literal here: they are opened by hand and named all the same.
const UNWRITTEN: [&str; 2] = ["listen", "open_session"];

/// The name in front of a statement.
fn name(statement: &str) -> Option<&str> {
    let name = statement.strip_prefix("/* ")?.split(" */").next()?;
    let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    is_name.then_some(name)
}

/// Statements without a name.
fn nameless(source: &Source) -> Vec<String> {
    let is_statement = |text: &str| {
        let text = text.trim_start();
        let verb = text.split(|letter| !is_of_word(letter)).next().unwrap_or_default();
        text.starts_with("--") || text.starts_with("/*") || VERBS.contains(&verb) && text.contains(' ')
    };
    let statements = source.literals.iter().filter(|literal| is_statement(&literal.text));
    let nameless = statements.filter(|literal| name(&literal.text).is_none());
    nameless.map(|literal| source.says(literal.at, "a statement does not begin with `/* its_name */`")).collect()
}

/// Names that two statements have.
fn shared_names<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources {
        for literal in &source.literals {
            if let Some(name) = name(&literal.text) {
                places.entry(name).or_default().push(source.says(literal.at, name));
            }
        }
    }
    places.into_values().filter(|places| places.len() > 1).map(|places| places.join(" is the name of ")).collect()
}

/// Errors that name a statement which is not in their file.
fn misnamed_errors(source: &Source) -> Vec<String> {
    let calls = source.code.match_indices("in_statement(").map(|(at, call)| at + call.len());
    let named = calls.filter_map(|at| source.literals.iter().find(|literal| literal.at == at));
    let is_known = |wanted: &str| {
        UNWRITTEN.contains(&wanted) || source.literals.iter().any(|literal| name(&literal.text) == Some(wanted))
    };
    let misnamed = named.filter(|literal| !is_known(&literal.text));
    misnamed.map(|literal| source.says(literal.at, format_args!("no statement is named {}", literal.text))).collect()
}

/// Migrations that are not `YYYYMMDDHHMMSS_verb_object.sql`.
fn misnamed_migrations(names: &[String]) -> Vec<String> {
    let is_well = |name: &String| {
        let Some((time, rest)) = name.strip_suffix(".sql").and_then(|name| name.split_once('_')) else { return false };
        let (action, object) = rest.split_once('_').unwrap_or_default();
        let is_time = time.len() == 14 && chrono::NaiveDateTime::parse_from_str(time, "%Y%m%d%H%M%S").is_ok();
        is_time
            && ACTIONS.contains(&action)
            && object.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let is_other = |name: &&String| ["academy", "roles", "README.md"].contains(&name.as_str());
    let misnamed = names.iter().filter(|name| !is_other(name) && !is_well(name));
    misnamed.map(|name| format!("migrations/{name}: is not named YYYYMMDDHHMMSS_verb_object.sql")).collect()
}

#[test]
fn every_statement_has_a_name_of_its_own() {
    let store = || tree::below("src/store/");
    let found = store().flat_map(nameless).chain(shared_names(store())).chain(store().flat_map(misnamed_errors));
    assert_none(
        found.collect(),
        "A slow or failing statement in the server's log, in pg_stat_statements or in an error leads to one place.",
    );
}

#[test]
fn migrations_are_named_by_time_and_deed() {
    let names = tree::names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"));
    assert_none(misnamed_migrations(&names), "Migrations run in the order of their names, and are read in it.");
}

#[test]
fn a_statement_without_a_proper_name_is_found() {
    let source = |text: &str| Source::new("src/store/x.rs", text);
    for code in [
        "sqlx::query!(\"select 1\")",
        "sqlx::query(r#\"-- now\nselect now()\"#)",
        "f(\"\n  /* Name */ select 1\")",
        "f(\"/* */ select 1\")",
    ] {
        assert_eq!(nameless(&source(code)).len(), 1, "{code}");
    }
    assert!(nameless(&source("f(\"/* now */ select now()\", \"select\", \"it was not selected\")")).is_empty());
    let twice = [source("f(\"/* now */ select now()\")"), source("g(\"/* now */ select 1\")")];
    assert_eq!(shared_names(twice.iter()).len(), 1);
    assert_eq!(
        misnamed_errors(&source("f(\"/* now */ select 1\"); in_statement(\"then\"); in_statement(\"now\")")).len(),
        1
    );
}

#[test]
fn a_misnamed_migration_is_found() {
    let names = [
        "20261122000000_create_podcasts.sql",
        "20261122000000_podcasts.sql",
        "20269922000000_add_x.sql",
        "1_add_x.sql",
    ];
    assert_eq!(misnamed_migrations(&names.map(str::to_owned)).len(), 3);
}
