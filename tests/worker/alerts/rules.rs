//! The rules alone.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use dailycast::{
    alert::rules::{Facts, NightFacts, enough, judge},
    store::{
        alerts::{Alert, Notice},
        watch::{GivenUp, Night},
    },
};

use super::LIMITS;

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 22, 4, 0, 0).unwrap()
}

fn given_up(status: &str, podcasts: i64) -> GivenUp {
    GivenUp { date: date(), status: status.to_owned(), kind: "timeout".to_owned(), podcasts }
}

/// A night of which so many podcasts failed, all while their script was written.
fn facts(failed: i64, finished: i64, is_over: bool) -> Facts {
    let enqueuing_since = now() - TimeDelta::hours(1);
    let night = Night {
        date: date(),
        enqueuing_since,
        deadline_at: enqueuing_since + TimeDelta::hours(6),
        enqueued_at: Some(enqueuing_since),
        finished_at: is_over.then_some(now()),
    };
    let finished = finished.min(enough(failed, &LIMITS, is_over));
    Facts {
        nights: Some((now(), vec![NightFacts { night, finished, late: 0 }])),
        given_up: Some(vec![given_up("pending", failed)]),
        ..Facts::default()
    }
}

fn open(notice: &Notice) -> Alert {
    let Notice::Raise { kind, subject, message, times } = notice else { panic!("{notice:?}") };
    Alert {
        id: 1,
        kind: (*kind).to_owned(),
        subject: subject.clone(),
        message: message.clone(),
        times: *times,
        raised_at: now(),
        last_at: now(),
        resolved_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
    }
}

fn kinds(notices: &[Notice]) -> Vec<(&str, bool)> {
    let kind = |notice: &'_ Notice| match notice {
        Notice::Raise { kind, .. } => (*kind, true),
        Notice::Resolve { kind, .. } => (*kind, false),
    };
    notices.iter().map(kind).collect()
}

#[test]
fn a_share_is_judged_from_twenty_on_and_must_be_above_its_limit() {
    let running = |failed, finished| kinds(&judge(&facts(failed, finished, false), &LIMITS, &[])).len();
    assert_eq!(running(19, 19), 0);
    assert_eq!(running(2, 20), 0, "ten in a hundred are not above ten in a hundred");
    assert_eq!(running(3, 20), 1);
    assert_eq!(running(100_000, 1_000_000), 0);
    assert_eq!(running(100_001, 1_000_000), 1);
    assert_eq!(running(0, 1_000_000), 0);
    let ended = |failed, finished| kinds(&judge(&facts(failed, finished, true), &LIMITS, &[])).len();
    assert_eq!((ended(1, 20), ended(2, 20), ended(1, 1)), (0, 1, 1), "at the end a small night counts, too");
}

#[test]
fn between_raising_and_the_end_nothing_is_news() {
    let raised = judge(&facts(11, 100, false), &LIMITS, &[]);
    let known = [open(&raised[0])];
    assert!(judge(&facts(11, 100, false), &LIMITS, &known).is_empty());
    for (failed, finished, news) in [(9, 100, vec![true]), (8, 100, vec![false]), (20, 100, vec![true])] {
        let notices = judge(&facts(failed, finished, false), &LIMITS, &known);
        assert_eq!(kinds(&notices).iter().map(|(_, raises)| *raises).collect::<Vec<_>>(), news, "{failed}");
    }
    let Notice::Raise { times, .. } = &judge(&facts(20, 100, false), &LIMITS, &known)[0] else { panic!() };
    assert_eq!(*times, 9, "it counts cases, not looks");
}

#[test]
fn what_was_not_looked_at_stays_as_it_is() {
    let raised = judge(&facts(11, 100, false), &LIMITS, &[]);
    assert!(judge(&Facts::default(), &LIMITS, &[open(&raised[0])]).is_empty());
}

#[test]
fn stuck_is_raised_after_a_minute_and_over_when_nobody_is() {
    let stuck = |podcasts: Vec<(NaiveDate, i64)>, seconds| Facts {
        stuck: Some((podcasts, Duration::from_secs(seconds))),
        ..Facts::default()
    };
    assert!(judge(&stuck(vec![(date(), 3)], 59), &LIMITS, &[]).is_empty());
    let raised = judge(&stuck(vec![(date(), 3)], 60), &LIMITS, &[]);
    assert_eq!(kinds(&raised), [("stuck", true)]);
    let known = [open(&raised[0])];
    assert!(judge(&stuck(vec![(date(), 3)], 5), &LIMITS, &known).is_empty(), "who leads anew does not end it");
    assert_eq!(kinds(&judge(&stuck(vec![], 0), &LIMITS, &known)), [("stuck", false)]);
}

#[test]
fn a_thousand_uploads_are_one_alert_and_every_message_fits_and_says_what_to_do() {
    let mut all = facts(0, 0, false);
    all.given_up = Some(vec![
        given_up("pending_upload", 1_000),
        given_up("script_generated", i64::MAX / 4),
        given_up("audio_generating", 1),
    ]);
    all.left_out = Some(date() - chrono::Days::new(1));
    all.stuck = Some((vec![(date(), i64::MAX)], Duration::from_secs(600)));
    all.without_room = Some(vec![("a-host-with-quite-a-long-name.cluster.academy.example".to_owned(), i64::MAX)]);
    let (_, nights) = all.nights.as_mut().unwrap();
    nights[0].finished = i64::MAX;
    nights[0].late = i64::MAX;
    let notices = judge(&all, &LIMITS, &[]);
    let mut found = kinds(&notices);
    found.sort_unstable();
    assert_eq!(found.iter().filter(|(kind, _)| *kind == "upload_failed").count(), 1);
    assert!(found.len() >= 6, "{found:?}");
    for notice in &notices {
        let Notice::Raise { message, .. } = notice else { panic!("{notice:?}") };
        assert!(message.chars().count() <= 500, "it would be cut: {message}");
        assert!(message.contains('`') || message.contains("spool.max_bytes"), "{message}");
    }
}

#[test]
fn a_night_that_is_not_enqueued_in_time_is_late_unless_everything_is_paused() {
    let mut facts = facts(0, 0, false);
    facts.nights.as_mut().unwrap().1[0].night.enqueued_at = None;
    let told = judge(&facts, &LIMITS, &[]);
    assert_eq!(kinds(&told), [("night_late", true)]);
    facts.is_paused = true;
    assert_eq!(judge(&facts, &LIMITS, &[]), []);
    assert_eq!(judge(&facts, &LIMITS, &[open(&told[0])]), [], "what was raised before stays");
}
