//! The breaker: what counts, what opens it, who may probe, and what never happens whatever comes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dailycast::{
    machine::FailureKind,
    podcast::Failure,
    provider::breaker::{Breaker, Cause, Change, Door, PROBE_TAKES, SHORT_PAUSE, Sighting, Signal},
    workflow::BreakerRules,
};
use proptest::prelude::*;

const RULES: BreakerRules =
    BreakerRules { open_after: 3, first_rest: Duration::from_secs(30), longest_rest: Duration::from_secs(100) };

const PATIENCE: Duration = Duration::from_secs(60);

fn at(second: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::from_secs(second)
}

/// A call of the present generation ends.
fn end(breaker: &mut Breaker, signal: Signal, second: u64) -> Option<Change> {
    breaker.note(&Sighting { generation: breaker.generation, signal, at: at(second) }, &RULES)
}

fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    assert_eq!(end(&mut breaker, Signal::Ill(2), 0), None);
    assert_eq!(end(&mut breaker, Signal::Ill(1), 0), Some(Change::Opened(Cause::Failures)));
    breaker
}

#[test]
fn every_kind_of_failure_says_what_it_should() {
    for kind in FailureKind::ALL {
        let wanted = match kind {
            FailureKind::Timeout | FailureKind::Unavailable | FailureKind::BadAnswer => Some(Signal::Ill(1)),
            FailureKind::ContentRefused | FailureKind::BadRequest | FailureKind::ModelRetired => Some(Signal::Well),
            FailureKind::OutOfCredit => Some(Signal::OutOfCredit),
            FailureKind::KeyRefused => Some(Signal::KeyRefused),
            FailureKind::RateLimited => Some(Signal::Pause(SHORT_PAUSE)),
            _ => None,
        };
        assert_eq!(Signal::of(Err(&Failure::new(kind, ""))), wanted, "{kind}");
    }
    let mut failure = Failure::new(FailureKind::RateLimited, "");
    failure.retry_after = Some(Duration::from_secs(7));
    assert_eq!(Signal::of(Err(&failure)), Some(Signal::Pause(Duration::from_secs(7))));
    failure.retry_after = Some(Duration::MAX);
    assert!(matches!(Signal::of(Err(&failure)), Some(Signal::Pause(wait)) if wait < Duration::from_secs(100_000)));
    assert_eq!(Signal::of(Ok(())), Some(Signal::Well));
}

#[test]
fn one_call_that_ends_well_makes_a_new_beginning() {
    let mut breaker = Breaker::default();
    for _ in 0..10 {
        assert_eq!(end(&mut breaker, Signal::Ill(2), 0), None);
        assert_eq!(end(&mut breaker, Signal::Well, 0), None);
    }
    assert_eq!(breaker.door(at(0)), Door::Open);
}

#[test]
fn each_failed_probe_doubles_the_rest_up_to_the_longest() {
    let mut breaker = opened();
    let mut now = 0;
    for rest in [30, 60, 100, 100] {
        assert_eq!(breaker.door(at(now + rest - 1)), Door::Shut(Some(at(now + rest))));
        now += rest;
        assert_eq!(breaker.door(at(now)), Door::Probe);
        assert!(breaker.take_probe("a", at(now), PATIENCE));
        assert!(!breaker.take_probe("b", at(now), PATIENCE), "one at a time");
        assert!(breaker.take_probe("a", at(now), PATIENCE), "who has it may not have heard so");
        assert_eq!(end(&mut breaker, Signal::Ill(1), now), Some(Change::Opened(Cause::Failures)));
    }
    assert!(breaker.take_probe("a", at(now + 100), PATIENCE));
    assert_eq!(end(&mut breaker, Signal::Well, now + 101), Some(Change::Closed));
    assert_eq!(breaker.door(at(now + 101)), Door::Open);
    assert_eq!(end(&mut breaker, Signal::Ill(3), 1000), Some(Change::Opened(Cause::Failures)));
    assert_eq!(breaker.door(at(1000)), Door::Shut(Some(at(1030))), "a new illness begins with the first rest");
}

#[test]
fn a_probe_that_is_lost_or_told_to_wait_leaves_the_way_to_the_next() {
    let mut breaker = opened();
    assert!(breaker.take_probe("a", at(30), PATIENCE));
    assert_eq!(breaker.door(at(31)), Door::Shut(Some(at(31) + PROBE_TAKES)), "it may end at any time");
    assert_eq!(breaker.door(at(89)), Door::Shut(Some(at(90))));
    assert!(breaker.take_probe("b", at(90), PATIENCE), "the first one was not heard of again");
    assert_eq!(end(&mut breaker, Signal::BrokenOff, 91), None);
    assert!(breaker.take_probe("c", at(91), PATIENCE));
    assert_eq!(end(&mut breaker, Signal::Pause(Duration::from_secs(9)), 92), None);
    assert_eq!(breaker.door(at(92)), Door::Shut(Some(at(101))));
    assert!(breaker.take_probe("d", at(101), PATIENCE));
}

#[test]
fn calls_from_before_a_change_neither_close_nor_open_it() {
    let before = Breaker::default().generation;
    let mut breaker = opened();
    for signal in [Signal::Well, Signal::Ill(9), Signal::OutOfCredit] {
        let late = Sighting { generation: before, signal, at: at(20) };
        assert_eq!(breaker.note(&late, &RULES), None);
    }
    assert_eq!(breaker.door(at(29)), Door::Shut(Some(at(30))));
    assert_eq!(breaker.close_by_hand(at(20)), Some(Change::Closed));
    let late = Sighting { generation: before, signal: Signal::OutOfCredit, at: at(21) };
    assert_eq!(breaker.note(&late, &RULES), None);
    assert_eq!(breaker.door(at(21)), Door::Open);
}

#[test]
fn closed_by_hand_a_pause_is_over_and_no_call_from_before_asks_for_another() {
    let mut breaker = Breaker::default();
    let wish = Sighting { generation: 0, signal: Signal::Pause(Duration::from_secs(50)), at: at(10) };
    assert_eq!(breaker.note(&wish, &RULES), None);
    assert_eq!(breaker.close_by_hand(at(11)), Some(Change::Closed));
    assert_eq!(breaker.note(&Sighting { at: at(12), ..wish }, &RULES), None);
    assert_eq!(breaker.door(at(12)), Door::Open);
    assert_eq!(breaker.close_by_hand(at(13)), None, "there is nothing to end");
}

#[test]
fn a_pause_holds_for_all_and_opens_nothing() {
    let mut breaker = Breaker::default();
    assert_eq!(end(&mut breaker, Signal::Pause(Duration::from_secs(5)), 10), None);
    assert_eq!(end(&mut breaker, Signal::Pause(Duration::from_secs(1)), 11), None);
    assert_eq!(breaker.door(at(14)), Door::Shut(Some(at(15))), "the longer wish holds");
    assert_eq!((breaker.door(at(15)), breaker.failures), (Door::Open, 0));
}

#[test]
fn without_credit_or_key_only_an_operator_closes_it() {
    for (signal, cause) in [(Signal::OutOfCredit, Cause::OutOfCredit), (Signal::KeyRefused, Cause::KeyRefused)] {
        let mut breaker = Breaker::default();
        assert_eq!(end(&mut breaker, signal, 0), Some(Change::Opened(cause)));
        assert_eq!(breaker.door(at(1_000_000_000)), Door::Shut(None));
        assert!(!breaker.take_probe("a", at(1_000_000_000), PATIENCE));
        assert_eq!(end(&mut breaker, Signal::Well, 1), None);
        assert_eq!(breaker.close_by_hand(at(1)), Some(Change::Closed));
        assert_eq!(breaker.door(at(1)), Door::Open);
        // As what a probe finds.
        let mut breaker = opened();
        assert!(breaker.take_probe("a", at(30), PATIENCE));
        assert_eq!(end(&mut breaker, signal, 31), Some(Change::Opened(cause)));
        assert_eq!(breaker.door(at(1_000_000_000)), Door::Shut(None));
    }
}

#[derive(Debug, Clone)]
enum Deed {
    End(i64, Signal),
    Probe,
    OpenByHand(Option<u64>),
    CloseByHand,
    Wait(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let signal = prop_oneof![
        4 => Just(Signal::Well),
        8 => (1u32..3).prop_map(Signal::Ill),
        1 => Just(Signal::OutOfCredit),
        1 => Just(Signal::KeyRefused),
        2 => (0u64..90).prop_map(|s| Signal::Pause(Duration::from_secs(s))),
        1 => Just(Signal::BrokenOff),
    ];
    let deed = prop_oneof![
        12 => (0i64..3, signal).prop_map(|(age, signal)| Deed::End(age, signal)),
        4 => Just(Deed::Probe),
        1 => proptest::option::of(0u64..200).prop_map(Deed::OpenByHand),
        1 => Just(Deed::CloseByHand),
        6 => (0u64..80).prop_map(Deed::Wait),
    ];
    proptest::collection::vec(deed, 0..80)
}

proptest! {
    #[test]
    fn whatever_comes_the_breaker_keeps_its_word(deeds in deeds()) {
        let mut breaker = Breaker::default();
        let (mut now, mut probes) = (0, 0);
        for deed in deeds {
            let before = breaker.clone();
            let is_for_good = before.opening.as_ref().is_some_and(|opening| opening.until.is_none());
            let probed = before.opening.as_ref().is_some_and(|o| o.probe.as_ref().is_some_and(|p| p.until > at(now)));
            match &deed {
                Deed::Wait(seconds) => now += seconds,
                Deed::Probe => {
                    probes += 1;
                    let is_taken = breaker.take_probe(&probes.to_string(), at(now), PATIENCE);
                    prop_assert_eq!(is_taken, before.door(at(now)) == Door::Probe);
                    prop_assert!(!(is_taken && probed), "two probes at once");
                }
                Deed::OpenByHand(time) => {
                    breaker.open_by_hand(at(now), time.map(|time| at(now + time)));
                    prop_assert!(breaker.opening.is_some());
                }
                Deed::CloseByHand => {
                    breaker.close_by_hand(at(now));
                    prop_assert_eq!(breaker.door(at(now)), Door::Open);
                }
                Deed::End(age, signal) => {
                    let seen = Sighting { generation: before.generation - age, signal: *signal, at: at(now) };
                    let change = breaker.note(&seen, &RULES);
                    prop_assert_eq!(change.is_some(), breaker.generation > before.generation);
                    prop_assert!(!is_for_good || change.is_none(), "it was to stay open");
                    prop_assert!(*age == 0 || change.is_none(), "a call from before counted");
                    if change == Some(Change::Closed) {
                        let had_probe = before.opening.is_some_and(|opening| opening.probe.is_some());
                        prop_assert!(had_probe && *signal == Signal::Well);
                    }
                }
            }
            prop_assert!(breaker.generation >= before.generation);
            match &breaker.opening {
                None => prop_assert!(breaker.failures < RULES.open_after),
                Some(opening) if opening.cause == Cause::Failures => {
                    prop_assert!(opening.rest >= RULES.first_rest && opening.rest <= RULES.longest_rest);
                }
                Some(_) => {}
            }
            if let Door::Shut(until) = breaker.door(at(now)) {
                let is_for_good = breaker.opening.as_ref().is_some_and(|opening| opening.until.is_none());
                prop_assert_eq!(until.is_none(), is_for_good, "who waits is told how long");
                prop_assert!(until.is_none_or(|until| until > at(now)));
            }
        }
    }
}
