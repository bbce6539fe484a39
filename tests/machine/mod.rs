//! The state machine, over everything that can happen to it.

mod explain;

use std::{collections::BTreeSet, time::Duration};

use dailycast::machine::{
    BIRTHS, Decision, Event, FailureKind, Reason, Remedy, Resume, RetryPolicy, Script, Status, TABLE, apply, chart,
    decide, replay,
};
use proptest::prelude::*;

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 4,
    first_delay: Duration::from_secs(10),
    factor: 3.0,
    max_delay: Duration::from_secs(60),
    jitter: 0.2,
};

#[test]
fn every_pair_of_status_and_event_is_moved_or_refused_by_name() {
    let mut moves = 0;
    for from in Status::ALL {
        for event in Event::ALL {
            match apply(from, event) {
                Ok(to) => {
                    moves += 1;
                    assert!(TABLE.iter().any(|a| a.from == from && a.event == event && a.to == to));
                }
                Err(refused) => {
                    let words = refused.to_string();
                    assert!(words.contains(from.as_str()) && words.contains(event.as_str()), "{words}");
                }
            }
        }
    }
    assert_eq!(moves, TABLE.len(), "a pair has two arrows, or an arrow names an event that is not in ALL");
}

#[test]
fn final_statuses_are_left_by_a_requeue_only() {
    for arrow in TABLE.iter().filter(|arrow| arrow.from.is_final()) {
        assert_eq!(arrow.from, Status::Failed);
        assert!(matches!(arrow.event, Event::Requeued(_)));
    }
}

#[test]
fn whose_words_the_script_is_decides_how_it_is_completed() {
    assert_eq!(apply(Status::PendingUpload, Event::Uploaded(Script::Written)), Ok(Status::Completed));
    assert_eq!(apply(Status::PendingUpload, Event::Uploaded(Script::Template)), Ok(Status::CompletedWithFallback));
}

#[test]
fn a_requeue_goes_back_to_the_furthest_work_that_exists() {
    let back = |resume| apply(Status::Failed, Event::Requeued(resume)).unwrap();
    assert_eq!(back(Resume::FromStart), Status::Pending);
    assert_eq!(back(Resume::WithScript), Status::ScriptGenerated);
    assert_eq!(back(Resume::WithAudio), Status::PendingUpload);
    assert!(apply(Status::Failed, Event::Requeued(Resume::InPlace)).is_err());
}

#[test]
fn every_status_can_be_reached_and_every_unfinished_one_can_fail() {
    let mut reached: BTreeSet<Status> = BIRTHS.into();
    for _ in Status::ALL {
        for arrow in TABLE {
            if reached.contains(&arrow.from) {
                reached.insert(arrow.to);
            }
        }
    }
    assert_eq!(reached, BTreeSet::from(Status::ALL));
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        assert_eq!(apply(status, Event::GaveUp), Ok(Status::Failed));
        assert_eq!(apply(status, Event::Cancelled), Ok(Status::Failed));
    }
}

#[test]
fn names_are_read_back_and_unknown_ones_are_refused() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    assert!("Pending".parse::<Status>().is_err());
    for kind in FailureKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn the_chart_in_the_docs_is_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/machine/chart.md");
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(written, chart(), "src/machine/chart.md is not what machine::chart() prints");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(chart().trim()), "README.md does not hold the chart that machine::chart() prints");
}

#[test]
fn a_history_with_a_gap_or_an_illegal_line_does_not_replay() {
    let good = [
        (None, "enqueued", Status::Pending),
        (Some(Status::Pending), "attempt_failed", Status::Pending),
        (Some(Status::Pending), "script_ready", Status::ScriptGenerated),
    ];
    assert_eq!(replay(good), Some(Status::ScriptGenerated));
    assert_eq!(replay(good[1..].iter().copied()), None, "without its birth");
    assert_eq!(replay([good[0], good[2], good[1]]), None, "out of order");
    assert_eq!(replay([good[0], (Some(Status::Pending), "uploaded", Status::Completed)]), None, "no such move");
    assert_eq!(replay([(None, "enqueued", Status::Completed)]), None, "no such birth");
    assert_eq!(replay([]), None);
}

#[test]
fn hopeless_kinds_are_given_up_and_snoozes_use_no_attempt() {
    let day = Duration::from_secs(86_400);
    for kind in FailureKind::ALL {
        let decision = decide(kind, POLICY.max_attempts, &POLICY, None, day, 0.0);
        let expected = match kind.remedy() {
            Remedy::GiveUp => Some(Reason::Hopeless),
            Remedy::RetryLater | Remedy::NextProvider => Some(Reason::AttemptsExhausted),
            Remedy::Snooze => None,
        };
        match expected {
            Some(reason) => assert_eq!(decision, Decision::GiveUp { reason }, "{kind}"),
            None => assert!(matches!(decision, Decision::Retry { reason: Reason::Snoozed, .. }), "{kind}"),
        }
    }
}

#[test]
fn the_other_side_may_ask_for_a_longer_wait_but_not_for_a_shorter_one() {
    let day = Duration::from_secs(86_400);
    let minute = Duration::from_secs(60);
    let retry = |asked| decide(FailureKind::RateLimited, 1, &POLICY, asked, day, 0.0);
    assert_eq!(retry(Some(minute)), Decision::Retry { after: minute, reason: Reason::AskedToWait });
    assert_eq!(
        retry(Some(Duration::from_secs(1))),
        Decision::Retry { after: POLICY.first_delay, reason: Reason::Backoff }
    );
    let too_long = decide(FailureKind::RateLimited, 1, &POLICY, Some(day), minute, 0.0);
    assert_eq!(too_long, Decision::GiveUp { reason: Reason::DeadlineTooClose });
}

proptest! {
    #[test]
    fn any_walk_of_the_table_replays_to_where_it_ends(choices in prop::collection::vec(any::<usize>(), 0..60)) {
        let mut status = BIRTHS[choices.len() % BIRTHS.len()];
        let mut lines = vec![(None, Event::Enqueued.as_str(), status)];
        for choice in choices {
            let open: Vec<_> = TABLE.iter().filter(|arrow| arrow.from == status).collect();
            let Some(arrow) = open.get(choice % open.len().max(1)) else { break };
            lines.push((Some(status), arrow.event.as_str(), arrow.to));
            status = arrow.to;
        }
        prop_assert_eq!(replay(lines), Some(status));
    }

    #[test]
    fn delays_grow_to_their_bound_and_jitter_only_shortens(attempt in 1u32..200, chance in 0.0..1.0f64) {
        let plain = POLICY.delay(attempt, 0.0);
        prop_assert!(plain <= POLICY.max_delay && plain >= POLICY.first_delay);
        prop_assert!(plain <= POLICY.delay(attempt + 1, 0.0));
        let jittered = POLICY.delay(attempt, chance);
        prop_assert!(jittered <= plain && jittered >= plain.mul_f64(1.0 - POLICY.jitter));
    }

    #[test]
    fn a_retry_never_comes_after_the_deadline(
        kind in prop::sample::select(FailureKind::ALL.as_slice()),
        attempt in 0u32..10, asked in prop::option::of(0u64..1000), left in 0u64..1000, chance in 0.0..1.0f64,
    ) {
        let left = Duration::from_secs(left);
        if let Decision::Retry { after, .. } =
            decide(kind, attempt, &POLICY, asked.map(Duration::from_secs), left, chance)
        {
            prop_assert!(after < left);
            prop_assert!(after >= asked.map(Duration::from_secs).unwrap_or_default());
        }
    }
}
