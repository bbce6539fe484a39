//! The rules of the house, held over its own sources.
//!
//! A rule is a function from sources to sentences that say what is wrong and where; its test runs
//! it over the tree and says why the rule is there. Beside each stands a test that it finds what
//! it forbids: a rule that has rotted must not pass for a tidy house. The rules read text, they do
//! not compile it; where reading is not enough, clippy or the compiler holds the rule.

mod crates;
mod lexer;
mod rooms;
mod shape;
mod statements;
mod stored;
mod tree;
mod words;

/// Panics with everything that breaks a rule, and why there is such a rule.
fn assert_none(found: Vec<String>, why: &str) {
    assert!(found.is_empty(), "{}\n{why}", found.join("\n"));
}
