//! Which room may use which, and which crates, keywords and globals belong to one room only.

use super::{
    assert_none,
    lexer::{Source, is_of_word},
    tree,
};

/// What each room may use. A room that is not named here may not exist; it goes below those that
/// it uses.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &[EVERY]),
    (
        "bench",
        &["audio", "http", "learner", "machine", "ops", "podcast", "provider", "step", "store", "worker", "workflow"],
    ),
    (
        "http",
        &[
            "alert",
            "clock",
            "config",
            "explain",
            "learner",
            "machine",
            "ops",
            "podcast",
            "provider",
            "store",
            "telemetry",
        ],
    ),
    (
        "ops",
        &[
            "alert",
            "clock",
            "config",
            "explain",
            "machine",
            "podcast",
            "provider",
            "store",
            "telemetry",
            "worker",
            "workflow",
        ],
    ),
    (
        "worker",
        &["alert", "clock", "learner", "machine", "podcast", "provider", "step", "store", "telemetry", "workflow"],
    ),
    ("alert", &["clock", "config", "explain", "machine", "podcast", "provider", "store", "telemetry"]),
    ("step", &["audio", "learner", "machine", "podcast", "provider", "workflow"]),
    ("provider", &["audio", "clock", "machine", "podcast", "workflow"]),
    ("store", &["explain", "learner", "machine", "podcast", "telemetry"]),
    ("workflow", &["learner", "machine"]),
    ("telemetry", &["config", "machine"]),
    ("sim", &["audio"]),
    ("explain", &["machine"]),
    ("podcast", &["machine"]),
    ("machine", &[]),
    ("audio", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("learner", &[]),
    ("local", &[]),
];

const EVERY: &str = "every room";

/// Crates that few places may name. One that ends in `_` stands for all that begin so.
const CRATES: &[(&str, &[&str])] = &[
    ("anyhow", &["src/cli/", "src/main.rs"]),
    ("apalis", &["src/worker/queue/"]),
    ("apalis_core", &["src/worker/queue/"]),
    ("apalis_postgres", &["src/worker/queue/", "src/store/migrate.rs"]),
    ("aws_", &["src/provider/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    ("indicatif", &["src/cli/"]),
    ("lettre", &["src/provider/alert_sink/"]),
    ("minijinja", &["src/http/", "src/workflow/"]),
    ("opentelemetry", &["src/telemetry/"]),
    ("opentelemetry_http", &["src/provider/otlp.rs", "src/telemetry/"]),
    ("opentelemetry_otlp", &["src/telemetry/"]),
    ("opentelemetry_sdk", &["src/telemetry/"]),
    ("poem", &["src/http/", "src/sim/"]),
    ("prometheus", &["src/telemetry/"]),
    ("reqwest", &["src/provider/"]),
    ("s3s", &["src/local/"]),
    ("sqlx", &["src/store/", "src/local/"]),
    ("tracing_opentelemetry", &["src/telemetry/"]),
];

/// The room of a file and how deep its module lies below the root of the crate.
fn place(path: &str) -> (&str, usize) {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs").trim_end_matches("/mod");
    let room = inner.split('/').next().unwrap_or(inner);
    (room, if ["lib", "main"].contains(&inner) { 0 } else { inner.split('/').count() })
}

/// The rooms that a source names, with where it does so.
fn uses(source: &Source) -> Vec<(usize, &str)> {
    let (_, depth) = place(&source.path);
    let mut found = Vec::new();
    for (at, word) in source.words() {
        let mut rest = &source.code[at + word.len()..];
        let mut is_root = word == "crate" || word == "dailycast";
        if word == "super" && !source.code[..at].trim_end().ends_with("::") {
            let mut climbed = 1;
            while let Some(above) = below(rest).strip_prefix("super").filter(|_| rest.trim_start().starts_with("::")) {
                (rest, climbed) = (above, climbed + 1);
            }
            is_root = climbed == depth;
        }
        if is_root && rest.trim_start().starts_with("::") {
            let names = firsts(below(rest));
            found.extend(names.into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// What follows `::`.
fn below(path: &str) -> &str {
    path.trim_start().trim_start_matches("::").trim_start()
}

/// The first names of the paths in a list with braces, or of the one path.
fn firsts(paths: &str) -> Vec<&str> {
    let Some(list) = paths.strip_prefix('{') else { return vec![first(paths)] };
    let mut depth = 0;
    let mut names = vec![first(list)];
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first(&list[at + 1..])),
            _ => {}
        }
    }
    names
}

fn first(path: &str) -> &str {
    let path = path.trim_start();
    &path[..path.find(|letter| !is_of_word(letter)).unwrap_or(path.len())]
}

fn forbidden_edges(source: &Source) -> Vec<String> {
    let (room, _) = place(&source.path);
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: {room} is no room of the house", source.path)];
    };
    let is_room = |name: &str| ROOMS.iter().any(|(room, _)| *room == name);
    uses(source)
        .into_iter()
        .filter(|(_, used)| *used != room && is_room(used) && !allowed.contains(used) && !allowed.contains(&EVERY))
        .map(|(at, used)| source.says(at, format_args!("{room} must not use {used}")))
        .collect()
}

fn misplaced_crates(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in source.words() {
        let is_crate = |name: &str| if name.ends_with('_') { word.starts_with(name) } else { word == name };
        let (before, after) = (source.code[..at].trim_end(), &source.code[at + word.len()..]);
        let is_path = after.starts_with("::") || before.ends_with("use");
        let Some((_, places)) = CRATES.iter().find(|(name, _)| is_crate(name)).filter(|_| is_path) else { continue };
        if !before.ends_with("::") && !places.iter().any(|place| source.path.starts_with(place)) {
            found.push(source.says(at, format_args!("{word} belongs in {}", places.join(" and "))));
        }
    }
    found
}

fn misplaced_globals(source: &Source) -> Vec<String> {
    let is_in = |room: &str| place(&source.path).0 == room;
    let mut found = Vec::new();
    for (at, word) in source.words() {
        if is_in("machine") && ["async", "await", "tokio", "sqlx"].contains(&word) {
            found.push(source.says(at, format_args!("{word} in the machine, which is pure and synchronous")));
        }
        let is_environment = source.code[at..].starts_with("env::") || source.code[..at].ends_with("std::");
        if word == "env" && is_environment && !is_in("config") {
            found.push(source.says(at, "the environment is read by config alone"));
        }
    }
    found
}

#[test]
fn rooms_use_only_what_lies_below_them() {
    assert_none(
        tree::below("src/").filter(|source| source.path != "src/lib.rs").flat_map(forbidden_edges).collect(),
        "An edge that points up ties two rooms into one: move what is shared below both, or pass it in.",
    );
}

#[test]
fn crates_stay_in_their_room() {
    assert_none(
        tree::below("src/").flat_map(misplaced_crates).collect(),
        "Whoever replaces a crate should have to read one room.",
    );
}

#[test]
fn the_machine_is_pure_and_only_config_reads_the_environment() {
    assert_none(
        tree::below("src/").flat_map(misplaced_globals).collect(),
        "What a room depends on comes in through its arguments, so that a test can say what it is.",
    );
}

#[test]
fn the_table_has_no_circle() {
    let mut left: Vec<_> = ROOMS.iter().filter(|(_, uses)| !uses.contains(&EVERY)).collect();
    left.retain(|(room, _)| *room != "main");
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(room, _)| *room).collect();
        left.retain(|(_, uses)| uses.iter().any(|used| names.contains(used)));
        assert!(left.len() < names.len(), "these rooms use each other in a circle: {names:?}");
    }
}

#[test]
fn an_edge_that_points_up_is_found_however_it_is_written() {
    for (path, code) in [
        ("src/store/night.rs", "use crate::worker::Settings;"),
        ("src/store/night.rs", "use crate::{\n    machine::{Event, Status},\n    worker::{self, Settings},\n};"),
        ("src/store/night.rs", "fn f(x: crate::http::App) {}"),
        ("src/store/night.rs", "use super::super::cli;"),
        ("src/store/mod.rs", "use super::step::script;"),
        ("src/clock.rs", "use super::{machine, cli};"),
        ("src/step/speech/split.rs", "use super::super::super::store::Store;"),
        ("src/step/speech.rs", "use crate::{podcast::{Call, Failure}, store::Store};"),
        ("src/main.rs", "use dailycast::{cli, store};"),
        ("src/cellar/mod.rs", "fn f() {}"),
    ] {
        assert!(!forbidden_edges(&Source::new(path, code)).is_empty(), "{path}: {code}");
    }
    for (path, code) in [
        ("src/store/night.rs", "use super::Error; // use crate::worker"),
        ("src/store/night.rs", "use crate::{machine::{worker, Status}, podcast};"),
        ("src/step/speech/split.rs", "use super::super::store;"),
        ("src/machine/table.rs", "pub(crate) fn f() { \"crate::store\"; }"),
    ] {
        assert_eq!(forbidden_edges(&Source::new(path, code)), Vec::<String>::new());
    }
}

#[test]
fn a_crate_or_a_global_outside_its_room_is_found() {
    for (path, code) in [
        ("src/http/mod.rs", "use sqlx::PgPool;"),
        ("src/step/upload.rs", "use reqwest;"),
        ("src/cli/run.rs", "fn f(x: aws_sdk_s3::Client) {}"),
        ("src/store/night.rs", "use apalis_core::worker;"),
        ("src/worker/executor.rs", "fn f() -> anyhow::Result<()> {}"),
    ] {
        assert_eq!(misplaced_crates(&Source::new(path, code)).len(), 1, "{path}: {code}");
    }
    assert!(misplaced_crates(&Source::new("src/cli/doctor.rs", "level.apalis; x::sqlx::y")).is_empty());
    for (path, code) in [
        ("src/machine/apply.rs", "async fn f() {}"),
        ("src/store/mod.rs", "std::env::var_os(\"HOME\")"),
        ("src/local/mod.rs", "use std::{env, fs}; fn f() { env::var_os(x) }"),
    ] {
        assert_eq!(misplaced_globals(&Source::new(path, code)).len(), 1, "{path}: {code}");
    }
    assert!(
        misplaced_globals(&Source::new("src/http/mod.rs", "async fn f() { env!(\"HOME\"); command.env(x) }"))
            .is_empty()
    );
}
