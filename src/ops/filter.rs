//! Which podcasts are meant, in words that are the same in the address of a page, in flags and in
//! JSON: `status=failed`, `cause=timeout`, `date=2026-11-22`, `stuck=yes`, …
//!
//! A word with an empty value is as good as none; a word that is none, or one with a value that
//! cannot be meant, is refused by name and with what would do.

use chrono::{Datelike as _, NaiveDate};

use crate::{
    machine::{FailureKind, Status},
    store::podcasts::Filter,
};

/// The words, in the order in which they are shown.
pub const WORDS: [&str; 9] = ["id", "date", "status", "stuck", "cause", "user", "plan", "provider", "language"];

/// The most ids, or learners, that one filter names.
const MOST: usize = 1_000;

/// A word that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word}: {what}")]
pub struct Unclear {
    /// The word.
    pub word: &'static str,
    /// What is wrong and what would do.
    pub what: String,
}

/// Reads a filter; pairs whose first part is no word of it are left to others.
///
/// # Errors
/// [`Unclear`] for the first value that cannot be meant.
pub fn read<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Filter, Unclear> {
    let mut filter = Filter::default();
    for (word, value) in pairs {
        let Some(word) = WORDS.into_iter().find(|known| *known == word) else { continue };
        let value = value.trim();
        if !value.is_empty() {
            set(&mut filter, word, value).map_err(|what| Unclear { word, what })?;
        }
    }
    Ok(filter)
}

/// True for text on one line. What else there is people do not write, and the database cannot keep all
/// of it.
pub fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// A date as people write it, like `2026-11-22`. Years of a night have four digits; the database does
/// not know every other one.
pub fn date(text: &str) -> Option<NaiveDate> {
    text.trim().parse().ok().filter(|date: &NaiveDate| (1970..10_000).contains(&date.year()))
}

fn set(filter: &mut Filter, word: &'static str, value: &str) -> Result<(), String> {
    if !is_plain(value) {
        return Err("write it on one line".to_owned());
    }
    match word {
        "id" => add(&mut filter.ids, value)?,
        "user" => add(&mut filter.user_ids, value)?,
        "date" => filter.date = Some(date(value).ok_or("write it like 2026-11-22")?),
        "status" => filter.status = Some(value.parse::<Status>().map_err(|_| one_of(Status::ALL.map(Status::as_str)))?),
        "cause" => {
            let kind = FailureKind::ALL.into_iter().find(|kind| kind.as_str() == value);
            filter.cause = Some(kind.ok_or_else(|| one_of(FailureKind::ALL.map(FailureKind::as_str)))?.to_string());
        }
        "stuck" => {
            filter.stuck = match value {
                "yes" | "true" | "1" => true,
                "no" | "false" | "0" => false,
                _ => return Err("write yes or no".to_owned()),
            }
        }
        "plan" => filter.plan = Some(value.to_owned()),
        "provider" => filter.provider = Some(value.to_owned()),
        _ => filter.language = Some(value.to_owned()),
    }
    Ok(())
}

/// Adds numbers, parted by commas.
fn add(numbers: &mut Option<Vec<i64>>, value: &str) -> Result<(), String> {
    let numbers = numbers.get_or_insert_default();
    for number in value.split(',').map(str::trim).filter(|number| !number.is_empty()) {
        numbers.push(number.parse().map_err(|_| format!("{number:?} is no number"))?);
    }
    if numbers.len() > MOST { Err(format!("name {MOST} at most")) } else { Ok(()) }
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    format!("one of {}", names.join(", "))
}

/// The words of a filter with their values, as [`read`] takes them.
pub fn pairs(filter: &Filter) -> Vec<(&'static str, String)> {
    let numbers = |numbers: &Vec<i64>| numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let value = |word| match word {
        "id" => filter.ids.as_ref().map(numbers),
        "user" => filter.user_ids.as_ref().map(numbers),
        "date" => filter.date.map(|date| date.to_string()),
        "status" => filter.status.map(|status| status.to_string()),
        "cause" => filter.cause.clone(),
        "stuck" => filter.stuck.then(|| "yes".to_owned()),
        "plan" => filter.plan.clone(),
        "provider" => filter.provider.clone(),
        _ => filter.language.clone(),
    };
    WORDS.into_iter().filter_map(|word| Some((word, value(word)?))).collect()
}
