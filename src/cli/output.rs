//! What a command prints: data to standard output, as a plain table or as JSON. Logs and progress
//! go to standard error.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

/// Tables are laid out for this many columns.
const WIDTH: usize = 80;

/// Columns are this far apart.
const GAP: &str = "  ";

/// The last column is wrapped if it has at least this much room.
const LEAST_WRAP: usize = 20;

/// Prints one line of data. A reader that has gone away (`| head`) is no failure.
///
/// # Errors
/// When standard output cannot be written for another reason.
pub fn line(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a value as one JSON document on one line.
///
/// # Errors
/// As [`line`]; also when the value cannot be JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string(value)?)
}

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// An aligned table. The last column is wrapped to fit 80 columns, the others never are.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    pub fn new(columns: impl IntoIterator<Item = (&'static str, Side)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, surplus ones are left out.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| plain(&cell.into())).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, name: &str| {
            let cells = self.rows.iter().map(|row| row[index].chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(|(index, (name, _))| width(index, name)).collect()
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        let Some((last, first)) = cells.split_last() else { return Ok(()) };
        let mut start = String::new();
        for ((cell, width), (_, side)) in first.iter().zip(widths).zip(&self.columns) {
            let padding = " ".repeat(width - cell.chars().count());
            match side {
                Side::Left => start.extend([cell, padding.as_str(), GAP]),
                Side::Right => start.extend([padding.as_str(), cell, GAP]),
            }
        }
        let indent = start.chars().count();
        if self.columns.last().is_some_and(|(_, side)| *side == Side::Right) {
            let width = widths.last().copied().unwrap_or(0);
            return writeln!(f, "{start}{last:>width$}");
        }
        let room = WIDTH.saturating_sub(indent);
        let lines = if room < LEAST_WRAP { vec![last.clone()] } else { wrap(last, room) };
        for (index, text) in lines.iter().enumerate() {
            let lead = if index == 0 { start.clone() } else { " ".repeat(indent) };
            writeln!(f, "{}", format!("{lead}{text}").trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        self.write_row(f, &names, &widths)?;
        self.rows.iter().try_for_each(|row| self.write_row(f, row, &widths))
    }
}

/// One line without anything a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Breaks a text at spaces into lines of at most `room` characters; longer words stay whole.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.len() - 1;
        let needed = lines[line].chars().count() + 1 + word.chars().count();
        if lines[line].is_empty() {
            lines[line].push_str(word);
        } else if needed <= room {
            lines[line].extend([" ", word]);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Millionths of a dollar as people write it: `$0.0123`.
pub fn dollars(micro_usd: i64) -> String {
    let sign = if micro_usd < 0 { "-" } else { "" };
    let amount = micro_usd.unsigned_abs();
    let (whole, micro) = (amount / 1_000_000, amount % 1_000_000);
    let cents = format!("{micro:06}");
    let decimals = cents.trim_end_matches('0');
    format!("{sign}${whole}.{decimals:0<2}")
}

/// A whole number as people write it: `1,234,567`.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as minutes and seconds: `4:02`.
pub fn minutes(seconds: i32) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
