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

/// A column of texts is never made narrower than this.
const LEAST: usize = 10;

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

/// An aligned table that fits 80 columns: texts are wrapped, the widest column first. Where that is not
/// enough, each row becomes a list of its cells by name. Numbers are never broken.
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

    /// The widths of the columns; `None` when they cannot fit.
    fn widths(&self) -> Option<Vec<usize>> {
        let width = |index: usize, name: &str| {
            let cells = self.rows.iter().map(|row| row[index].chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(index, (name, _))| width(index, name)).collect();
        let room = WIDTH.saturating_sub(GAP.len() * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let texts = self.columns.iter().enumerate().filter(|(_, (_, side))| *side == Side::Left);
            let widest = texts.map(|(at, (name, _))| (widths[at], at, name.chars().count())).max()?;
            let (width, at, name) = widest;
            if width <= LEAST.max(name) {
                return None;
            }
            widths[at] -= 1;
        }
        Some(widths)
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
        let wrapped: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for number in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::new();
            for ((cell, width), (_, side)) in wrapped.iter().zip(widths).zip(&self.columns) {
                let text = cell.get(number).map_or("", String::as_str);
                match side {
                    Side::Left => line.push_str(&format!("{text:<width$}{GAP}")),
                    Side::Right => line.push_str(&format!("{text:>width$}{GAP}")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Each row as a list: a name and a cell on each line, a blank line between rows.
    fn write_lists(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let room = WIDTH.saturating_sub(width + GAP.len()).max(LEAST);
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            for ((name, _), cell) in self.columns.iter().zip(row) {
                for (at, text) in wrap(cell, room).iter().enumerate() {
                    let name = if at == 0 { name } else { "" };
                    writeln!(f, "{}", format!("{name:<width$}{GAP}{text}").trim_end())?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(widths) = self.widths() else { return self.write_lists(f) };
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        self.write_row(f, &names, &widths)?;
        self.rows.iter().try_for_each(|row| self.write_row(f, row, &widths))
    }
}

/// One line without anything a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Breaks a text into lines of at most `room` characters: at spaces, and within a word that is longer.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut left = room;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        let mut is_first = true;
        for part in letters.chunks(room.max(1)) {
            let space = usize::from(left < room && is_first);
            if part.len() + space > left {
                lines.push(String::new());
                left = room;
            }
            if let Some(line) = lines.last_mut() {
                if left < room && is_first {
                    line.push(' ');
                    left -= 1;
                }
                line.extend(part);
                left = left.saturating_sub(part.len());
            }
            is_first = false;
        }
    }
    lines
}

/// A text behind a label, wrapped to fit 80 columns; what follows the first line is indented.
pub fn hanging(label: &str, text: &str) -> String {
    let indent = label.chars().count() + 1;
    let lines = wrap(&plain(text), WIDTH.saturating_sub(indent).max(LEAST));
    format!("{label} {}", lines.join(&format!("\n{:indent$}", "")))
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

/// A number that may be large, in at most six letters: `9,999`, `36.5M`.
pub fn short(number: i64) -> String {
    let steps = [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    let step = steps.into_iter().find(|(step, _)| number.unsigned_abs() >= *step && number.unsigned_abs() > 99_999);
    step.map_or_else(|| count(number), |(step, name)| format!("{:.1}{name}", number as f64 / step as f64))
}

/// Seconds as minutes and seconds: `4:02`.
pub fn minutes(seconds: i32) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
