//! How large files and functions are, what they open with, and what is left lying about in them.

use super::{
    assert_none,
    lexer::{Source, is_of_word},
    tree::{self, SOURCES},
};

/// Lines of a file.
const LONGEST_FILE: usize = 500;

/// Lines of a function, without those that lie wholly inside a literal: a statement of SQL is one
/// value, and reading it in pieces helps nobody.
const LONGEST_FUNCTION: usize = 70;

/// Lines of a function with its literals.
const LONGEST_WITH_LITERALS: usize = 110;

/// Tests that may sleep, and why.
const SLEEPERS: &[(&str, &str)] = &[
    ("tests/support/mod.rs", "asks again whether a condition holds"),
    ("tests/provider/tts.rs", "asks again whether a process of the system is gone"),
    ("tests/worker/apalis_defects.rs", "work that takes time is what these defects need"),
];

fn long_files(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let found = (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, {LONGEST_FILE} allowed", source.path));
    found.into_iter().collect()
}

fn long_functions(source: &Source) -> Vec<String> {
    let functions = source.words().filter(|(_, word)| *word == "fn").filter_map(|(at, _)| {
        let (name, end) = function(&source.code[at..])?;
        let (first, last) = (source.line(at), source.line(at + end));
        let inside = source.literals.iter().filter(|literal| (at..at + end).contains(&literal.at));
        let quoted: usize = inside.map(|literal| literal.text.matches('\n').count().saturating_sub(1)).sum();
        let lines = last - first + 1;
        let is_long = lines > LONGEST_WITH_LITERALS || lines - quoted > LONGEST_FUNCTION;
        is_long.then(|| source.says(at, format_args!("{name} has {lines} lines, {quoted} of them in literals")))
    });
    functions.collect()
}

/// The name of a function with a body, and where the body ends.
fn function(code: &str) -> Option<(&str, usize)> {
    let name = code.strip_prefix("fn")?.trim_start();
    let name = &name[..name.find(|letter| !is_of_word(letter))?];
    let mut open = 0;
    let mut is_body = false;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' | '(' | '[' => {
                is_body |= letter == '{' && open == 0;
                open += 1;
            }
            '}' | ')' | ']' => {
                open -= 1;
                if open == 0 && is_body {
                    return Some((name, at)).filter(|_| !name.is_empty());
                }
            }
            ';' if open == 0 => return None,
            _ => {}
        }
    }
    None
}

fn undocumented(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//! ");
    (!opens).then(|| format!("{}: does not open with `//!`", source.path)).into_iter().collect()
}

fn silenced(source: &Source) -> Vec<String> {
    let places = source.code.match_indices("[allow(");
    places.map(|(at, _)| source.says(at, "silences a warning; `expect` with a reason says when it is over")).collect()
}

/// Comments that look like statements. Prose may end in a semicolon, too, but not like this.
fn commented_out(source: &Source) -> Vec<String> {
    let lines = source.comments.lines().zip(1..);
    let found = lines.filter_map(|(line, number)| {
        let text = line.trim_start().strip_prefix("//").filter(|text| !text.starts_with(['/', '!']))?.trim();
        let begins = ["let ", "use ", "return ", "pub ", "fn ", "mod ", "#["].iter().any(|word| text.starts_with(word));
        let ends = [");", "};", "?;", "})"].iter().any(|end| text.ends_with(end));
        let is_code = ends || begins && text.ends_with([';', '{', ']']) || ["}", "{"].contains(&text);
        is_code.then(|| format!("{}:{number}: `{text}` is code that does not run", source.path))
    });
    found.collect()
}

fn sleeps(source: &Source) -> Vec<String> {
    let places = source.words().filter(|(at, word)| *word == "sleep" && source.code[at + 5..].starts_with('('));
    places.map(|(at, _)| source.says(at, "sleeps")).collect()
}

#[test]
fn files_and_functions_are_short() {
    let found = SOURCES.iter().flat_map(|source| long_files(source).into_iter().chain(long_functions(source)));
    assert_none(found.collect(), "What fits on a screen or two can be read at once: take a part out and name it.");
}

#[test]
fn every_file_says_what_it_owns() {
    assert_none(
        SOURCES.iter().flat_map(undocumented).collect(),
        "The first lines of a file say what it owns and what would surprise.",
    );
}

#[test]
fn nothing_is_silenced_or_commented_out() {
    let sources = SOURCES.iter().filter(|source| source.path != "tests/main.rs");
    let found = sources.flat_map(silenced).chain(SOURCES.iter().flat_map(commented_out));
    assert_none(found.collect(), "Git remembers what is gone; a warning is answered.");
}

#[test]
fn tests_wait_on_conditions() {
    let (may, must_not): (Vec<&Source>, Vec<&Source>) =
        tree::below("tests/").partition(|source| SLEEPERS.iter().any(|(path, _)| source.path == *path));
    assert_none(
        must_not.into_iter().flat_map(sleeps).collect(),
        "A sleep is too long on one machine and too short on another: wait until something holds.",
    );
    for (path, why) in SLEEPERS {
        let is_needed = may.iter().any(|source| source.path == *path && !sleeps(source).is_empty());
        assert!(is_needed, "{path} sleeps no more ({why}): take it off the list");
    }
}

#[test]
fn what_is_too_long_is_found() {
    let function =
        |lines: usize| format!("impl X {{\n    fn f() -> [u8; 2] {{\n{}    }}\n}}\n", "x();\n".repeat(lines));
    let found = |text: &str| long_functions(&Source::new("x.rs", text)).len();
    assert_eq!((found(&function(LONGEST_FUNCTION - 2)), found(&function(LONGEST_FUNCTION - 1))), (0, 1));
    let quoting = |lines: usize| format!("fn f() {{\n    g(\"\n{}\")\n}}", "text\n".repeat(lines));
    assert_eq!((found(&quoting(LONGEST_FUNCTION)), found(&quoting(LONGEST_WITH_LITERALS))), (0, 1));
    assert_eq!(found(&format!("trait X {{ fn f(x: fn(u8)); }}\n{}", "mod x {}\n".repeat(LONGEST_WITH_LITERALS))), 0);
    let file = |lines: usize| long_files(&Source::new("x.rs", &"\n".repeat(lines))).len();
    assert_eq!((file(LONGEST_FILE), file(LONGEST_FILE + 1)), (0, 1));
}

#[test]
fn what_is_left_lying_about_is_found() {
    let source = |text: &str| Source::new("x.rs", text);
    assert_eq!(undocumented(&source("use std::fs;\n//! Late.")).len(), 1);
    assert_eq!(silenced(&source("#[allow(dead_code)]\nfn f() {}\n#![allow(unused)]")).len(), 2);
    assert_eq!(sleeps(&source("tokio::time::sleep(pause).await; thread::sleep(pause); // sleep(x)")).len(), 2);
    for line in ["// let x = 1;", "    // close(pool).await?;", "// if is_done {\n// }", "// #[test]"] {
        assert_eq!(commented_out(&source(line)).len(), 1, "{line}");
    }
    for line in ["// It waits;", "/// let x = 1;", "//! use x;", "let x = 1; // the first", "// use it before it ends"]
    {
        assert_eq!(commented_out(&source(line)), Vec::<String>::new());
    }
}
