//! A schedule in words.

use chrono::{DateTime, NaiveDate, Offset as _, Utc};
use chrono_tz::Tz;

use crate::worker::scheduler::Schedule;

/// The days of the week as cron counts them; 7 is Sunday, too.
const DAYS: [&str; 8] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// When nights start and end, in a sentence.
pub fn describe(schedule: &Schedule, now: DateTime<Utc>) -> String {
    let cron = schedule.cron.to_string();
    let zone = if schedule.zone == chrono_tz::UTC { "UTC" } else { schedule.zone.name() };
    let deadline = schedule.deadline.format("%H:%M");
    let start = match usual(&cron) {
        Some(words) => format!("{words} {zone}"),
        None => format!("By the cron `{cron}` in {zone}"),
    };
    let in_utc = match schedule.next(now).filter(|_| schedule.zone != chrono_tz::UTC) {
        Some(next) => format!(" (next: {})", next.format("%-d %b %H:%M UTC")),
        None => String::new(),
    };
    format!("{start}{in_utc}; unfinished work is given up at {deadline} {zone}.")
}

/// The words of a cron of five fields that many use; `None` for one that only cron says well.
fn usual(cron: &str) -> Option<String> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    if month != "*" {
        return None;
    }
    let minute: u32 = minute.parse().ok().filter(|minute| *minute < 60)?;
    let every_day = day == "*" && weekday == "*";
    if hour == "*" && every_day {
        return Some(format!("Every hour at minute {minute}"));
    }
    let hours: Option<Vec<u32>> = hour.split(',').map(|hour| hour.parse().ok().filter(|hour| *hour < 24)).collect();
    let times: Vec<String> = hours?.into_iter().map(|hour| format!("{hour:02}:{minute:02}")).collect();
    let times = listed(&times);
    match (day, weekday) {
        ("*", "*") => Some(format!("Every day at {times}")),
        ("*", weekday) => Some(format!("Every {} at {times}", weekdays(weekday)?)),
        (day, "*") => {
            let day: u32 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
            Some(format!("On day {day} of every month at {times}"))
        }
        _ => None,
    }
}

/// `1-5`, `0,6`, `MON`: what the days are called.
fn weekdays(field: &str) -> Option<String> {
    if let Some((first, last)) = field.split_once('-') {
        return Some(format!("{} to {}", weekday(first)?, weekday(last)?));
    }
    let days: Option<Vec<String>> = field.split(',').map(|day| weekday(day).map(str::to_owned)).collect();
    days.map(|days| listed(&days))
}

fn weekday(word: &str) -> Option<&'static str> {
    if let Ok(number) = word.parse::<usize>() {
        return DAYS.get(number).copied();
    }
    DAYS.into_iter().find(|day| word.len() == 3 && day[..3].eq_ignore_ascii_case(word))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A moment in UTC, with its date when it is of another day; beside it the time of the schedule's
/// zone where that is another one.
pub fn at(schedule: &Schedule, moment: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let is_today = moment.date_naive() == now.date_naive();
    let utc = moment.format(if is_today { "%H:%M UTC" } else { "%-d %b %H:%M UTC" }).to_string();
    if schedule.zone == chrono_tz::UTC {
        return utc;
    }
    format!("{utc} ({})", moment.with_timezone(&schedule.zone).format("%H:%M %Z"))
}

/// Says when the clocks change in the day before a night's start, or before its deadline.
pub(super) fn clock_change(zone: Tz, starts_at: DateTime<Utc>, deadline_at: DateTime<Utc>) -> Option<String> {
    let offset = |at: DateTime<Utc>| at.with_timezone(&zone).offset().fix().local_minus_utc();
    let day_before = starts_at - chrono::Duration::days(1);
    let (before, at_start, at_end) = (offset(day_before), offset(starts_at), offset(deadline_at));
    let (from, to, when) = match (before == at_start, at_start == at_end) {
        (false, _) => (before, at_start, "before this night"),
        (true, false) => (at_start, at_end, "during this night"),
        (true, true) => return None,
    };
    let direction = if to > from { "forward" } else { "back" };
    let minutes = (to - from).unsigned_abs() / 60;
    let by = if minutes.is_multiple_of(60) { format!("{} h", minutes / 60) } else { format!("{minutes} min") };
    let day: NaiveDate = starts_at.with_timezone(&zone).date_naive();
    Some(format!(
        "The clocks go {direction} by {by} {when}: {} on {} is {} UTC.",
        starts_at.with_timezone(&zone).format("%H:%M"),
        day.format("%-d %b"),
        starts_at.format("%H:%M"),
    ))
}
