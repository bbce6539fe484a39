//! Words that are not used: names that mean something else here, notes to oneself, and places that
//! only one machine has.

use super::{
    assert_none,
    lexer::{Source, is_of_word},
    tree::{SOURCES, TEXTS, Text},
};

/// Parts of names that are never used, what we say instead, and where they are at home.
const NAMES: &[(&str, &str, &str)] = &[
    ("reap", "sweep", ""),
    ("reaper", "sweeper", ""),
    ("janitor", "sweeper", ""),
    ("dequeue", "claim", ""),
    ("failover", "fallback", ""),
    ("grab", "claim", ""),
    ("hung", "stuck", ""),
    ("tier", "plan", "src/workflow/"),
    ("tiers", "plans", "src/workflow/"),
    ("utils", "what it is about", ""),
    ("manager", "what it does", ""),
    ("misc", "what it is about", ""),
    ("unbounded", "a bound", ""),
];

/// Notes to oneself.
const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Beginnings of paths that only one machine has.
const PATHS: [&str; 5] = ["/home/", "/root/", "/tmp/", "/Users/", "/mnt/"];

/// Where packages come from is the business of whoever installs them.
const REGISTRIES: [&str; 6] = [
    "index-url",
    "index.crates.io",
    "files.pythonhosted.org",
    "pypi.org/simple",
    "registry.npmjs.org",
    "proxy.golang.org",
];

/// This file is made of the words that it forbids.
const THIS: &str = "tests/tidy/words.rs";

/// The parts of a name in snake or camel case, in small letters.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        if letter == '_' || letter.is_uppercase() && was_small {
            parts.push(String::new());
        }
        was_small = letter.is_lowercase();
        if let Some(part) = parts.last_mut().filter(|_| letter != '_') {
            part.extend(letter.to_lowercase());
        }
    }
    parts
}

fn wrong_names(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, name) in source.words() {
        for part in parts(name) {
            let known = NAMES
                .iter()
                .find(|(word, _, home)| part == *word && (home.is_empty() || !source.path.starts_with(home)));
            if let Some((word, instead, _)) = known {
                found.push(source.says(at, format_args!("`{name}`: not {word}, say {instead}")));
            }
        }
    }
    found
}

/// Where a word stands by itself, if `is_border` says so of the letter before it.
fn finds(file: &Text, words: &[&str], is_border: fn(char) -> bool, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        for word in words {
            let is_there = |(at, _): (usize, &str)| line[..at].chars().next_back().is_none_or(is_border);
            if line.match_indices(word).any(is_there) {
                found.push(format!("{}:{number}: {what} `{word}`", file.path));
            }
        }
    }
    found
}

fn notes(file: &Text) -> Vec<String> {
    finds(file, &NOTES, |letter| !is_of_word(letter), "a note,")
}

fn machine_paths(file: &Text) -> Vec<String> {
    let is_border = |letter: char| !is_of_word(letter) && !"-.})>*~".contains(letter);
    let mut found = finds(file, &PATHS, is_border, "a path of one machine,");
    found.extend(finds(file, &REGISTRIES, |_| true, "a registry,"));
    found
}

#[test]
fn names_are_those_of_the_glossary() {
    let sources = SOURCES.iter().filter(|source| source.path != THIS);
    assert_none(sources.flat_map(wrong_names).collect(), "One thing has one name, everywhere.");
}

#[test]
fn no_file_has_notes_or_places_of_one_machine() {
    let texts = || TEXTS.iter().filter(|file| file.path != THIS);
    assert_none(texts().flat_map(notes).collect(), "What is left to do is done, or is an issue.");
    assert_none(texts().flat_map(machine_paths).collect(), "The next machine has no such place: take it as a setting.");
}

#[test]
fn a_wrong_word_is_found() {
    let source = |text: &str| Source::new("src/store/x.rs", text);
    for code in ["struct JobReaper;", "fn dequeue_next() {}", "let plan_tier = 1;", "const UTILS: u8 = 1;"] {
        assert_eq!(wrong_names(&source(code)).len(), 1, "{code}");
    }
    assert!(wrong_names(&source("let reaped = frontier; // a helper")).is_empty());
    assert!(wrong_names(&Source::new("src/workflow/plans.rs", "let tier = 1;")).is_empty());

    let file = |text: &str| Text { path: "x.toml".to_owned(), text: text.to_owned() };
    assert_eq!(notes(&file("# TODO: later\nTXXX\n(FIXME)")).len(), 2);
    for text in ["dir = \"/home/me/x\"", "cd /tmp/x", "file:///root/x", "pip --index-url x"] {
        assert_eq!(machine_paths(&file(text)).len(), 1, "{text}");
    }
    assert!(machine_paths(&file("src/home/x.rs ~/home/x ${HOME}/tmp/x below `/root`")).is_empty());
}
