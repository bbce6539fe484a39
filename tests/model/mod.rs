//! The protocol of claims, moves and rescues, explored exhaustively: every order in which two
//! workers, two podcasts, an operator and a few faults can meet.
//!
//! [`state`] is what there is, [`action`] what can happen, [`possible`] when, [`protocol`] what it
//! does, [`properties`] what must hold. Each action names the statement of `src/store` it stands
//! for; who changes such a statement changes its action. A step has no length and a beat is
//! counted, not measured. The model knows nothing of suspects (`crash_limit`), of lost audio, of
//! the lock of the leader (whoever sweeps may do so at any time, at once with others) and of a
//! batch: each podcast's move commits by itself, as the fences work by row.
//!
//! The number of faults is bounded, since each may happen at any moment; so that everything else is
//! not, there are several evenings ([`EVENINGS`]), long ones with few faults and short ones with
//! more.

mod action;
mod explore;
mod possible;
mod properties;
mod protocol;
mod state;

use std::mem;

use dailycast::machine::Status::{self, AudioGenerating, Completed, Pending, PendingUpload};

use action::{AS_IT_IS, Action, Rules};
use explore::{Found, explore};
use properties::EVERY_PODCAST_ENDS;
use protocol::Next;
use state::{Budget, State};

/// Where the two podcasts stand, and how much may go wrong.
type Evening = ([Status; 2], Budget);

const fn budget(faults: u8, failures: u8, orders: u8) -> Budget {
    Budget { faults, failures, orders }
}

/// A failing call in a whole night; orders; one fault with two podcasts; two faults with one.
const EVENINGS: [Evening; 5] = [
    ([Pending, Pending], budget(0, 1, 0)),
    ([AudioGenerating, PendingUpload], budget(0, 1, 1)),
    ([AudioGenerating, AudioGenerating], budget(1, 0, 0)),
    ([AudioGenerating, Completed], budget(2, 0, 0)),
    ([PendingUpload, Completed], budget(1, 1, 1)),
];

/// Kinds of actions.
const ACTIONS: usize = 46;

fn explored(evening: Evening, rules: &Rules) -> Found {
    let found = explore(State::evening(evening.0, evening.1), rules);
    let (states, steps) = (found.states, found.steps);
    println!("from {:?} with {:?}: {states} states, {steps} steps", evening.0, evening.1);
    found
}

fn holds(evening: Evening) -> Found {
    let found = explored(evening, &AS_IT_IS);
    if let Some((property, way)) = &found.broken {
        panic!("broken: {property}, by\n{way:#?}");
    }
    found
}

#[test]
fn whole_nights_with_a_failing_call_hold() {
    holds(EVENINGS[0]);
}

#[test]
fn stops_requeues_and_cancels_at_any_moment_hold() {
    holds(EVENINGS[1]);
}

#[test]
fn one_fault_between_two_podcasts_holds() {
    holds(EVENINGS[2]);
}

#[test]
fn two_faults_hold() {
    let found = holds(EVENINGS[3]);
    assert!(found.taken.contains(&mem::discriminant(&Action::LoseLetGo(0, 0))));
}

#[test]
fn a_fault_a_failing_call_and_an_order_hold() {
    let found = holds(EVENINGS[4]);
    // The one that takes two faults is in the test above.
    assert_eq!(found.taken.len(), ACTIONS - 1, "an action that never happens shows nothing");
}

/// Evenings that are long enough to show what a protocol lacks.
const TWO: Evening = ([AudioGenerating, AudioGenerating], budget(1, 0, 0));
const ONE: Evening = ([PendingUpload, Completed], budget(1, 0, 0));
const FAILING: Evening = ([PendingUpload, Completed], budget(1, 1, 0));
const TWICE: Evening = ([PendingUpload, Completed], budget(2, 0, 0));

/// A rule that the protocol is robbed of.
type Without = fn(&mut Rules);

/// Each rule, the property that breaks without it, and the evening on which it does.
const NEEDED: [(Without, &str, Evening); 12] = [
    (|rules| rules.fences_by_token = false, "only who holds the lease writes", TWO),
    (|rules| rules.fences_by_count = false, "a move is written once", FAILING),
    (|rules| rules.claims_free_rows_only = false, "a lease is never taken over while it holds", TWO),
    (|rules| rules.waits_two_beats = false, "only who fell silent is declared dead", TWO),
    (|rules| rules.trusts_after_a_while = false, "only who fell silent is declared dead", TWO),
    (|rules| rules.buries_only_the_silent = false, "only who fell silent is declared dead", TWO),
    (|rules| rules.calls_only_when_heard = false, "a call begins only under the lease of the row", TWO),
    (|rules| rules.audits_old_claims_only = false, "a call begins only under the lease of the row", TWO),
    (|rules| rules.audits = false, EVERY_PODCAST_ENDS, ONE),
    (|rules| rules.arms_the_jobless = false, EVERY_PODCAST_ENDS, ONE),
    (|rules| rules.frees_from_the_stopped = false, EVERY_PODCAST_ENDS, ONE),
    (|rules| rules.gives_jobs_back = false, EVERY_PODCAST_ENDS, TWICE),
];

#[test]
fn without_any_of_its_rules_the_protocol_breaks() {
    for (rob, property, evening) in NEEDED {
        let mut rules = AS_IT_IS;
        rob(&mut rules);
        let (broken, way) =
            explored(evening, &rules).broken.unwrap_or_else(|| panic!("{property}: holds with {rules:?}"));
        println!("{broken}, by\n{way:?}");
        assert_eq!(broken, property, "by {way:#?} with {rules:?}");
    }
}

#[test]
fn every_rule_of_a_step_can_break() {
    let mut state = State::evening(ONE.0, ONE.1);
    let deed = |state: &State, action| Next::of(state, action, &AS_IT_IS);
    for action in
        [Action::SendClaim(0), Action::CommitClaim(0, [true, false]), Action::ReceiveClaim(0), Action::Begin(0, 0)]
    {
        state = deed(&state, action).state;
    }
    let again = deed(&state, Action::Begin(0, 0));
    assert_eq!(
        properties::broken(&state, &again.deeds, &again.state),
        Some("a call is repeated only if it was in flight when its worker fell silent")
    );
    let breaks = |spoil: fn(&mut State)| {
        let mut after = state;
        spoil(&mut after);
        properties::broken(&state, &[], &after).unwrap()
    };
    assert_eq!(breaks(|after| after.rows[0].status = Pending), "the lines replay to the status of the row");
    assert_eq!(
        breaks(|after| (after.rows[0].status, after.rows[0].told) = (Pending, Pending)),
        "no move is outside the table"
    );
    assert_eq!(
        breaks(|after| (after.rows[0].status, after.rows[0].told) = (Completed, Completed)),
        "a finished row is nobody's"
    );
}
