//! Reads TOML tables key by key and keeps every fault with its file and line, so that all of them
//! can be told together. A faulty value is replaced by an empty one and the reading goes on; what
//! was read counts only when the [`Report`] is empty at the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a workflow definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the workflow's directory.
    pub file: String,
    /// The line, from 1; 0 when the fault is in the file as a whole.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Violation>>);

impl Report {
    pub(super) fn add(&self, file: &str, line: usize, message: impl Into<String>) {
        self.0.borrow_mut().push(Violation { file: file.to_owned(), line, message: message.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Every fault once, by file and line.
    pub(super) fn into_violations(self) -> Vec<Violation> {
        let mut all = self.0.into_inner();
        all.sort();
        all.dedup();
        all
    }
}

/// A value and the line it stands in.
#[derive(Debug, Clone, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// Parses `text` and hands its root table to `read`; nothing when it is no TOML.
pub(super) fn document<T>(file: &str, text: &str, report: &Report, read: impl FnOnce(Table<'_>) -> T) -> Option<T> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(read(Table::new(file, text, report, "the file".to_owned(), 1, root.get_ref())));
    }
    for error in errors {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        report.add(file, line, format!("this is not TOML: {}", error.message().replace('\n', ", ")));
    }
    None
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Known values in a message: `a, b, c`.
pub(super) fn listed<S: AsRef<str>>(known: impl IntoIterator<Item = S>) -> String {
    let names: Vec<_> = known.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A table of which every key has to be taken.
pub(super) struct Table<'d> {
    file: &'d str,
    text: &'d str,
    report: &'d Report,
    what: String,
    line: usize,
    rest: BTreeMap<&'d str, (usize, &'d Spanned<DeValue<'d>>)>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    fn new(
        file: &'d str,
        text: &'d str,
        report: &'d Report,
        what: String,
        line: usize,
        table: &'d DeTable<'d>,
    ) -> Self {
        let rest = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), (line_of(text, key.span().start), value)))
            .collect();
        Self { file, text, report, what, line, rest, known: Vec::new() }
    }

    pub(super) const fn line(&self) -> usize {
        self.line
    }

    pub(super) fn fault(&self, line: usize, message: impl Into<String>) {
        self.report.add(self.file, line, message);
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, &'d Spanned<DeValue<'d>>)> {
        self.known.push(key);
        self.rest.remove(key)
    }

    fn require(&mut self, key: &'static str) -> Option<(usize, &'d Spanned<DeValue<'d>>)> {
        let found = self.take(key);
        if found.is_none() {
            self.fault(self.line, format!("{} lacks {key:?}", self.what));
        }
        found
    }

    fn wrong(&self, line: usize, key: &str, wanted: &str, found: &DeValue<'_>) {
        self.fault(line, format!("{key:?} of {} must be {wanted}, not {}", self.what, found.type_str()));
    }

    /// Refuses the keys that nobody took.
    pub(super) fn finish(self) {
        for (key, (line, _)) in &self.rest {
            let known = listed(&self.known);
            self.fault(*line, format!("{} has the unknown key {key:?}; known are {known}", self.what));
        }
    }

    fn string(&self, key: &str, value: &Spanned<DeValue<'d>>) -> Option<At<String>> {
        let start = value.span().start;
        let line = line_of(self.text, start);
        match value.get_ref() {
            DeValue::String(text) => {
                let opening = self.text.get(start..).unwrap_or_default();
                let below = opening.starts_with("\"\"\"\n") || opening.starts_with("'''\n");
                Some(At { value: text.clone().into_owned(), line: line + usize::from(below) })
            }
            other => {
                self.wrong(line, key, "a string", other);
                None
            }
        }
    }

    /// A string that must be there and not be empty.
    pub(super) fn text(&mut self, key: &'static str) -> At<String> {
        let Some((line, value)) = self.require(key) else { return At { value: String::new(), line: self.line } };
        let text = self.string(key, value).unwrap_or(At { value: String::new(), line });
        if text.value.is_empty() && value.get_ref().is_str() {
            self.fault(line, format!("{key:?} of {} is empty", self.what));
        }
        text
    }

    /// A string that may be missing.
    pub(super) fn maybe_text(&mut self, key: &'static str) -> Option<At<String>> {
        let (_, value) = self.take(key)?;
        self.string(key, value)
    }

    /// Whether something is so that may be left unsaid.
    pub(super) fn maybe_boolean(&mut self, key: &'static str) -> Option<bool> {
        let (line, value) = self.take(key)?;
        if let DeValue::Boolean(so) = value.get_ref() {
            return Some(*so);
        }
        self.wrong(line, key, "true or false", value.get_ref());
        None
    }

    /// A string that is one of `known`; empty when it is not.
    pub(super) fn one_of(&mut self, key: &'static str, known: &[&str]) -> At<String> {
        let mut text = self.text(key);
        if !text.value.is_empty() && !known.contains(&text.value.as_str()) {
            let message =
                format!("{} names the unknown {key} {:?}; known are {}", self.what, text.value, listed(known));
            self.fault(text.line, message);
            text.value.clear();
        }
        text
    }

    /// A list of strings with at least one entry.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let Some((line, value)) = self.require(key) else { return Vec::new() };
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(line, key, "a list of strings", value.get_ref());
            return Vec::new();
        };
        if entries.is_empty() {
            self.fault(line, format!("{key:?} of {} is empty", self.what));
        }
        entries.iter().filter_map(|entry| self.string(key, entry)).collect()
    }

    /// A whole number within `range`; the least one when it is missing or wrong.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> u32 {
        let Some((line, value)) = self.require(key) else { return *range.start() };
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u32::from_str_radix(digits.as_str(), digits.radix()).ok(),
            other => {
                self.wrong(line, key, "a whole number", other);
                return *range.start();
            }
        };
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            let message =
                format!("{key:?} of {} must be a whole number from {} to {}", self.what, range.start(), range.end());
            self.fault(line, message);
            *range.start()
        })
    }

    /// A number within `range`; the least one when it is missing or wrong.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> f64 {
        let Some((line, value)) = self.require(key) else { return *range.start() };
        let number: Option<f64> = match value.get_ref() {
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            DeValue::Integer(digits) => digits.as_str().parse().ok(),
            other => {
                self.wrong(line, key, "a number", other);
                return *range.start();
            }
        };
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            let message = format!("{key:?} of {} must be from {} to {}", self.what, range.start(), range.end());
            self.fault(line, message);
            *range.start()
        })
    }

    /// A time such as `"90s"`, `"5m"` or `"2h"`, from one second to one day; one second when wrong.
    pub(super) fn duration(&mut self, key: &'static str) -> Duration {
        let text = self.text(key);
        let seconds = seconds_of(&text.value).filter(|seconds| (1..=86_400).contains(seconds));
        if seconds.is_none() && !text.value.is_empty() {
            let message = format!(
                "{key:?} of {} must be a time from \"1s\" to \"24h\", such as \"90s\" or \"5m\", not {:?}",
                self.what, text.value
            );
            self.fault(text.line, message);
        }
        Duration::from_secs(seconds.unwrap_or(1))
    }

    /// A date that may be missing.
    pub(super) fn maybe_date(&mut self, key: &'static str) -> Option<At<NaiveDate>> {
        let (line, value) = self.take(key)?;
        let date = match value.get_ref() {
            DeValue::Datetime(moment) if moment.time.is_none() => moment.date.and_then(|date| {
                NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))
            }),
            _ => None,
        };
        if date.is_none() {
            self.fault(line, format!("{key:?} of {} must be a date such as 2027-01-14, without quotes", self.what));
        }
        date.map(|value| At { value, line })
    }

    /// A date that must be there.
    pub(super) fn date(&mut self, key: &'static str) -> NaiveDate {
        if !self.rest.contains_key(key) {
            self.known.push(key);
            self.fault(self.line, format!("{} lacks {key:?}", self.what));
        }
        self.maybe_date(key).map(|date| date.value).unwrap_or_default()
    }

    fn inner(&self, line: usize, what: String, value: &'d Spanned<DeValue<'d>>) -> Option<Table<'d>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(self.file, self.text, self.report, what, line, table)),
            other => {
                self.fault(line, format!("{what} must be a table, not {}", other.type_str()));
                None
            }
        }
    }

    /// The table `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table<'d>> {
        let (line, value) = self.require(key)?;
        self.inner(line, format!("[{key}]"), value)
    }

    /// The tables `[key.NAME]`, with their names.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Vec<(At<String>, Table<'d>)> {
        let Some(outer) = self.table(key) else { return Vec::new() };
        let named = |(name, (line, value)): (&&'d str, &(usize, &'d Spanned<DeValue<'d>>))| {
            let table = self.inner(*line, format!("{key} {name:?}"), value)?;
            Some((At { value: (*name).to_owned(), line: *line }, table))
        };
        outer.rest.iter().filter_map(named).collect()
    }

    /// The tables `[[key]]`.
    pub(super) fn listed_tables(&mut self, key: &'static str) -> Vec<Table<'d>> {
        let Some((line, value)) = self.require(key) else { return Vec::new() };
        let DeValue::Array(entries) = value.get_ref() else {
            self.wrong(line, key, "a list of tables", value.get_ref());
            return Vec::new();
        };
        let table = |entry: &'d Spanned<DeValue<'d>>| {
            self.inner(line_of(self.text, entry.span().start), format!("[[{key}]]"), entry)
        };
        entries.iter().filter_map(table).collect()
    }
}

fn seconds_of(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let amount: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    amount.checked_mul(factor)
}
