//! Figures of a night, without a database.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use dailycast::{
    explain::advice::advice,
    machine::{FailureKind, Status},
    ops::board::{Board, Rules, attention::attention},
    store::{
        board::{Cause, Frame, Makers, NightRow, Slot, Tally},
        night::{Eta, eta},
    },
    workflow::Workflow,
};

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

#[test]
fn nobody_foretells_an_end_too_early_or_without_anything_finished() {
    let now = at("03:10:00");
    for (left, whole, last) in [
        (10, (5, 14.9), (5, 14.9)),
        (10, (0, 600.0), (0, 150.0)),
        (10, (50, 600.0), (0, 150.0)),
        (0, (50, 600.0), (10, 150.0)),
        (i64::MAX, (1, 600.0), (1, 150.0)),
    ] {
        assert_eq!(eta(now, left, whole, last), None, "{left} left, {whole:?}, {last:?}");
    }
}

#[test]
fn a_steady_rate_gives_a_time_and_an_unsteady_one_a_range() {
    let now = at("03:10:00");
    let after = |seconds| now + TimeDelta::seconds(seconds);
    let steady = eta(now, 60, (120, 600.0), (33, 150.0)).unwrap();
    assert_eq!((steady.from, steady.to), (after(272) + TimeDelta::milliseconds(727), steady.from));
    // One in five seconds over all, one in fifteen lately.
    assert_eq!(eta(now, 60, (120, 600.0), (10, 150.0)), Some(Eta { from: after(300), to: after(900) }));
    assert_eq!(eta(now, 60, (40, 600.0), (30, 150.0)), Some(Eta { from: after(300), to: after(900) }));
}

fn tally() -> Tally {
    let mut by_status: std::collections::BTreeMap<String, i64> =
        Status::ALL.into_iter().map(|status| (status.to_string(), 0)).collect();
    by_status.extend(
        [("completed", 70), ("completed_with_fallback", 5), ("failed", 5), ("pending", 20)]
            .map(|(status, count)| (status.to_owned(), count)),
    );
    let makers = |plan: &str, model: &str, speaker: &str, count| Makers {
        plan: plan.to_owned(),
        model: model.to_owned(),
        speaker: speaker.to_owned(),
        count,
    };
    Tally {
        counted_at: at("03:10:00"),
        podcasts: 100,
        by_status,
        failures: vec![Cause { kind: "timeout".to_owned(), count: 5, first_at: Some(at("03:04:00")) }],
        stuck: 2,
        stuck_since: Some(at("03:05:00")),
        lately: 40,
        cost_micro_usd: 900_000,
        finished_cost_micro_usd: 800_000,
        makers: vec![
            makers("free", "gpt-4o-mini", "polly", 60),
            makers("free", "template", "polly", 5),
            makers("free", "template", "google", 2),
            makers("premium", "gpt-4o-mini", "google", 5),
            makers("premium", "gpt-4o-mini", "azure", 3),
        ],
        curve_from: Some(at("03:00:00")),
        slot_seconds: 5,
        slots: vec![Slot { at: 0, ready: 10, failed: 0 }, Slot { at: 118, ready: 65, failed: 5 }],
        ..Tally::default()
    }
}

fn frame() -> Frame {
    Frame {
        now: at("03:10:00"),
        night: Some(NightRow {
            date: date(),
            state: "running".to_owned(),
            started_by: "schedule".to_owned(),
            eligible: 100,
            started_at: at("03:00:00"),
            finished_at: None,
            deadline_at: at("09:00:00"),
            summary: None,
        }),
        spent_micro_usd: Some(950_000),
        workers: 1,
        pause: None,
        skip: None,
    }
}

fn date() -> NaiveDate {
    "2026-11-22".parse().unwrap()
}

fn board(tally: &Tally, frame: &Frame, budget: Option<i64>) -> Board {
    let workflow = Workflow::builtin().unwrap();
    let called: BTreeSet<String> = ["openai", "polly", "google", "azure"].map(str::to_owned).into();
    let rules = Rules { workflow: &workflow, budget, failure_rate_running: 0.10, failure_rate_night: 0.05 };
    Board::new(date(), frame, Some(tally), Duration::ZERO, &called, rules)
}

#[test]
fn the_forecast_goes_on_at_the_price_of_what_is_finished() {
    let figures = board(&tally(), &frame(), Some(980_000)).figures.unwrap();
    assert_eq!((figures.ready, figures.finished, figures.left), (75, 80, 20));
    let money = figures.money;
    assert_eq!((money.spent, money.forecast, money.per_podcast), (950_000, Some(1_000_000), Some(10_000)));
    assert_eq!((money.is_used, money.will_be_used), (false, true));
    let money = board(&tally(), &frame(), Some(950_000)).figures.unwrap().money;
    assert_eq!((money.is_used, money.will_be_used), (true, false));
    let dearer = Frame { spent_micro_usd: Some(2_000_000), ..frame() };
    assert_eq!(
        board(&tally(), &dearer, None).figures.unwrap().money.forecast,
        Some(2_000_000),
        "never below what is spent"
    );
}

#[test]
fn who_is_not_the_first_that_is_set_up_fills_in() {
    let fallback = board(&tally(), &frame(), None).figures.unwrap().fallback;
    let by: Vec<_> = fallback.by.iter().map(|one| (one.name.as_str(), one.podcasts, one.filter.as_str())).collect();
    let template = ("template", 7, "status=completed_with_fallback");
    assert_eq!(by, [template, ("azure", 3, "provider=azure"), ("google", 2, "provider=google")]);
    assert_eq!(fallback.podcasts, 10, "one for which two filled in is one");
}

#[test]
fn the_curve_rises_where_something_was_finished_and_ends_with_the_count() {
    let points: Vec<_> = board(&tally(), &frame(), None).figures.unwrap().burn_up;
    let points: Vec<_> = points.iter().map(|point| (point.at, point.ready, point.failed)).collect();
    let expected = [("03:00:00", 0, 0), ("03:00:05", 10, 0), ("03:09:50", 10, 0), ("03:09:55", 75, 5)];
    assert_eq!(points, expected.map(|(time, ready, failed)| (at(time), ready, failed)));
}

#[test]
fn each_cause_wants_attention_with_what_mends_it() {
    let kinds = |board: &Board| attention(board, &[], at("03:10:00")).iter().map(|item| item.kind).collect::<Vec<_>>();
    let now = board(&tally(), &frame(), Some(950_000));
    assert_eq!(kinds(&now), ["stuck", "failed", "budget", "fallback"]);
    let items = attention(&now, &[], at("03:10:00"));
    let mends = |at: usize| items[at].mend.as_ref().map(|link| link.href.as_str());
    assert_eq!(mends(0), Some("/ops/operations/new?verb=requeue&stuck=yes&date=2026-11-22"));
    assert_eq!(mends(1), Some("/ops/operations/new?verb=requeue&status=failed&cause=timeout&date=2026-11-22"));
    assert_eq!(items[1].sentence.split('.').next(), Some("Given up because the provider did not answer in time"));
    let alone = Frame { workers: 0, ..frame() };
    assert_eq!(kinds(&board(&tally(), &alone, None))[0], "no_workers");
}

#[test]
fn what_a_requeue_does_not_mend_is_not_offered_one() {
    for (kind, mends) in [
        (FailureKind::LearnerGone, None),
        (FailureKind::AudioLost, Some("verb=regenerate&from=speech&status=failed&cause=audio_lost")),
        (FailureKind::SpoolFull, Some("verb=requeue&status=failed&cause=spool_full")),
    ] {
        let cause = Cause { kind: kind.to_string(), count: 3, first_at: None };
        let board = board(&Tally { failures: vec![cause], ..tally() }, &frame(), None);
        let items = attention(&board, &[], at("03:10:00"));
        let item = items.iter().find(|item| item.kind == "failed").unwrap();
        assert!(item.sentence.ends_with(advice(kind)), "{item:?}");
        let mend = item.mend.as_ref().map(|link| link.href.as_str());
        let expected = mends.map(|query| format!("/ops/operations/new?{query}&date=2026-11-22"));
        assert_eq!(mend, expected.as_deref());
    }
}
