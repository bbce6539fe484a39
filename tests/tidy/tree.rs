//! The files of the house, read once, and those of the top level.

use std::{fs, path::Path, sync::LazyLock};

use super::{assert_none, lexer::Source};

/// What stands at the top, visible to `ls`.
const TOP: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "dashboards",
    "justfile",
    "migrations",
    "src",
    "tests",
    "workflows",
    "xtask",
];

/// A file of text that is not Rust, or a Rust source as text.
pub struct Text {
    /// From the root of the house, with `/`.
    pub path: String,
    pub text: String,
}

/// Every file of text, but for what a tool writes and what `.gitignore` names.
pub static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let mut texts = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut texts);
    texts
});

/// Every Rust source.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rust = TEXTS.iter().filter(|file| file.path.ends_with(".rs"));
    rust.map(|file| Source::new(&file.path, &file.text)).collect()
});

/// The sources below a folder.
pub fn below(folder: &str) -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().filter(move |source| source.path.starts_with(folder))
}

fn walk(root: &Path, folder: &str, texts: &mut Vec<Text>) {
    for name in names(&root.join(folder)) {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if [".git", ".sqlx", "Cargo.lock"].contains(&name.as_str()) || is_ignored(root, &path) {
            continue;
        }
        if root.join(&path).is_dir() {
            walk(root, &path, texts);
        } else if let Ok(text) = fs::read_to_string(root.join(&path)) {
            texts.push(Text { path, text });
        }
    }
}

/// True for what `.gitignore` names with its path from the root, which is all it may do.
fn is_ignored(root: &Path, path: &str) -> bool {
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap();
    ignored.lines().any(|line| line.strip_prefix('/') == Some(path))
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn strangers(names: &[String]) -> Vec<String> {
    let strangers = names.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()));
    strangers.map(|name| format!("{name}: does not belong at the top level")).collect()
}

#[test]
fn the_top_level_holds_what_it_should() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names: Vec<String> = names(root).into_iter().filter(|name| !is_ignored(root, name)).collect();
    assert_none(strangers(&names), "Newcomers read the top level first: it answers where things are.");
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    assert_eq!(strangers(&["src".to_owned(), ".editorconfig".to_owned(), "notes.txt".to_owned()]).len(), 1);
}

#[test]
fn the_sources_are_found() {
    for path in ["src/lib.rs", "src/machine/mod.rs", "tests/tidy/tree.rs", "xtask/src/main.rs"] {
        assert!(SOURCES.iter().any(|source| source.path == path), "{path}");
    }
}
