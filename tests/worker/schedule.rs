//! The schedule in words, in UTC and where clocks change.

use chrono::{DateTime, Utc};
use dailycast::{
    ops::schedule::{at, describe, next_starts},
    worker::scheduler::Schedule,
};

use crate::store::nights;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn berlin() -> Schedule {
    Schedule { zone: chrono_tz::Europe::Berlin, ..nights::schedule(100) }
}

#[test]
fn the_usual_crons_are_said_in_words_and_the_others_as_they_are() {
    let now = time("2026-11-23T01:00:00Z");
    for (cron, words) in [
        ("0 3 * * *", "Every day at 03:00"),
        ("30 0,12,18 * * *", "Every day at 00:30, 12:30 and 18:30"),
        ("5 * * * *", "Every hour at minute 5"),
        ("0 3 * * 1-5", "Every Monday to Friday at 03:00"),
        ("0 3 * * 0,6", "Every Sunday and Saturday at 03:00"),
        ("0 3 * * mon", "Every Monday at 03:00"),
        ("0 3 1 * *", "On day 1 of every month at 03:00"),
        ("*/7 3 * * *", "By the cron `*/7 3 * * *` in"),
        ("0 3 1 1 *", "By the cron `0 3 1 1 *` in"),
        ("0 3 L * *", "By the cron `0 3 L * *` in"),
    ] {
        let plan = Schedule { cron: cron.parse().unwrap(), ..nights::schedule(100) };
        assert_eq!(
            describe(&plan, now).to_lowercase(),
            format!("{words} UTC; unfinished work is given up at 09:00 UTC.").to_lowercase()
        );
    }
}

#[test]
fn another_zone_is_named_beside_utc() {
    let now = time("2026-11-23T01:00:00Z");
    assert_eq!(
        describe(&berlin(), now),
        "Every day at 03:00 Europe/Berlin (next: 23 Nov 02:00 UTC); unfinished work is given up at 09:00 Europe/Berlin."
    );
    assert_eq!(at(&berlin(), time("2026-11-23T08:00:00Z"), now), "08:00 UTC (09:00 CET)");
    assert_eq!(at(&nights::schedule(1), time("2026-11-24T08:00:00Z"), now), "24 Nov 08:00 UTC");
    let next = next_starts(&berlin(), now, 1).remove(0);
    assert_eq!(next.local, Some(("03:00 CET".to_owned(), "09:00 CET".to_owned())));
    assert_eq!(next_starts(&nights::schedule(1), now, 1)[0].local, None);
}

#[test]
fn seven_nights_have_seven_dates_also_when_a_day_has_many_starts() {
    let often = Schedule { cron: "0 * * * *".parse().unwrap(), ..nights::schedule(100) };
    for plan in [nights::schedule(100), often, berlin()] {
        let starts = next_starts(&plan, time("2026-11-23T10:30:00Z"), 7);
        assert_eq!(starts.len(), 7);
        assert!(starts.windows(2).all(|pair| (pair[1].date - pair[0].date).num_days() == 1), "{starts:?}");
        assert!(starts.iter().all(|start| start.deadline_at > start.starts_at && start.note.is_none()));
    }
}

#[test]
fn a_night_before_or_in_which_the_clocks_change_says_so() {
    let spring = next_starts(&berlin(), time("2026-03-27T12:00:00Z"), 3);
    let notes: Vec<_> = spring.iter().map(|start| start.note.as_deref()).collect();
    let expected = "The clocks go forward by 1 h before this night: 03:00 on 29 Mar is 01:00 UTC.";
    assert_eq!(notes, [None, Some(expected), None]);
    assert_eq!(spring[1].local, Some(("03:00 CEST".to_owned(), "09:00 CEST".to_owned())));

    let autumn = next_starts(&berlin(), time("2026-10-23T12:00:00Z"), 3);
    let notes: Vec<_> = autumn.iter().map(|start| start.note.as_deref()).collect();
    assert_eq!(notes, [None, Some("The clocks go back by 1 h before this night: 03:00 on 25 Oct is 02:00 UTC."), None]);

    let early = Schedule { cron: "0 1 * * *".parse().unwrap(), ..berlin() };
    let spring = next_starts(&early, time("2026-03-28T12:00:00Z"), 2);
    assert_eq!(
        spring[0].note.as_deref(),
        Some("The clocks go forward by 1 h during this night: 01:00 on 29 Mar is 00:00 UTC.")
    );
    assert_eq!(
        spring[1].note.as_deref(),
        Some("The clocks go forward by 1 h before this night: 01:00 on 30 Mar is 23:00 UTC.")
    );
}
