//! Who speaks when the chosen provider does not: the next of the chain, or the first again after a
//! wait.
//!
//! What would surprise: the way through the chain takes several attempts, one for each provider,
//! and none of them uses up an attempt but the last. What became of those before is in the chunk
//! plan of the row, so that the last one knows whether the podcast only has to wait.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Candidate, Plan, Speech, planned};
use crate::{
    machine::{FailureKind, Remedy},
    podcast::{Failure, Outcome, PassedOver},
};

/// A refusal that ends this soon is waited for by a podcast that has spoken chunks.
const SHORT: Duration = Duration::from_secs(60);

/// When it is worth asking again where nobody says so.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The failed attempts after which a provider that asks for fewer calls loses a podcast it has
/// begun.
const FAITHFUL: u32 = 3;

/// So close to the deadline any voice is better than none.
const LAST_CALL: Duration = Duration::from_secs(20 * 60);

/// The most characters that are kept of what became of a provider.
const LONGEST_WHY: usize = 200;

impl Speech<'_> {
    /// The gate lets no call to the provider begin. When it is only not our turn yet, the podcast
    /// waits: the next provider may have another voice and price. One that has chunks waits a short
    /// while for other reasons, too, since they are paid for and nobody else can go on with them.
    /// Every other goes on elsewhere.
    pub(super) fn refused(&self, plan: &Plan<'_>, mut refusal: Failure) -> Outcome {
        let is_turn = refusal.kind == FailureKind::OwnLimit;
        let is_short = refusal.retry_after.map_or(is_turn, |after| after <= SHORT);
        let waits = is_turn && self.has_time() || plan.has_begun.load(Ordering::Relaxed);
        if waits && is_short {
            refusal.at_once = false;
            return Outcome::failed(refusal);
        }
        self.go_on_elsewhere(plan, refusal)
    }

    /// The provider was called and failed. One that only asks for fewer calls is given some
    /// attempts when chunks of its voice are paid for; else somebody else speaks.
    pub(super) fn failed(&self, plan: &Plan<'_>, failure: Failure) -> Outcome {
        let is_short = failure.retry_after.is_none_or(|after| after <= SHORT);
        let has_begun = plan.has_begun.load(Ordering::Relaxed);
        if failure.kind == FailureKind::RateLimited && is_short && has_begun && plan.podcast.attempt < FAITHFUL {
            return Outcome::failed(failure);
        }
        self.go_on_elsewhere(plan, failure)
    }

    /// True while the deadline is so far that waiting for one's turn loses nothing.
    fn has_time(&self) -> bool {
        self.calls.attempt.time_to_deadline() > LAST_CALL
    }

    /// Fails the attempt and leaves in the row who is next: the next candidate at once, or after
    /// the last one the first again, after the usual delay. With a single candidate its plan stays,
    /// and the chunks that are already spoken.
    ///
    /// When nobody in the whole chain was even called, the failure is one that uses no attempt and
    /// is over when the first of them may be called again.
    fn go_on_elsewhere(&self, plan: &Plan<'_>, mut failure: Failure) -> Outcome {
        failure.provider.get_or_insert_with(|| plan.candidate.speaker.name().to_owned());
        let mut passed_over = plan.podcast.made.chunk_plan.clone().unwrap_or_default().passed_over;
        passed_over.push(passed(&failure));
        let Some(next) = self.next(plan, &passed_over) else { return self.begin_again(plan, failure, &passed_over) };
        failure.at_once = true;
        // The wait was asked for by the one that failed, and that only it has no voice is no
        // reason to give up.
        failure.retry_after = None;
        failure.kind = elsewhere(failure.kind);
        self.hand_over(plan, next, failure, passed_over)
    }

    /// The place of the candidate that speaks instead; `None` after the last one. The budget is
    /// the same for all vendors. And our own limit is no reason for a plainer voice: it is our turn
    /// in a while.
    fn next(&self, plan: &Plan<'_>, passed_over: &[PassedOver]) -> Option<usize> {
        let is_spent = passed_over.iter().any(|passed| passed.kind == FailureKind::BudgetReached);
        let is_only_busy = self.has_time() && passed_over.iter().all(|passed| passed.kind == FailureKind::OwnLimit);
        let fits = |candidate: &Candidate<'_>| if candidate.is_vendor() { !is_spent } else { !is_only_busy };
        let behind = self.candidates.iter().enumerate().skip(plan.position + 1);
        behind.filter(|(_, candidate)| fits(candidate)).map(|(place, _)| place).next()
    }

    /// Nobody is left: the chain begins again later.
    fn begin_again(&self, plan: &Plan<'_>, mut failure: Failure, passed_over: &[PassedOver]) -> Outcome {
        failure.at_once = false;
        let is_alone = plan.position == 0;
        let nobody_was_called = passed_over.iter().all(|passed| passed.kind.remedy() == Remedy::Snooze);
        if nobody_was_called {
            let waits = passed_over.iter().filter_map(|passed| passed.retry_after_ms).min();
            failure.retry_after = Some(waits.map_or(ASK_AGAIN, Duration::from_millis));
        } else if let Some(failed) = passed_over.iter().rev().find(|passed| passed.kind.remedy() != Remedy::Snooze) {
            // Somebody was called, so it counts: else the chain would be asked until the deadline.
            failure.kind = if is_alone { failed.kind } else { elsewhere(failed.kind) };
            failure.retry_after = failure.retry_after.filter(|_| is_alone);
        }
        if passed_over.len() > 1 {
            let told = passed_over.iter().map(|passed| format!("{}: {}", passed.provider, passed.why));
            failure.message = told.collect::<Vec<_>>().join("; ");
        }
        // What waits for its turn or for the budget keeps its chunks.
        if is_alone || nobody_was_called && plan.has_begun.load(Ordering::Relaxed) {
            return Outcome::failed(failure);
        }
        self.hand_over(plan, 0, failure, Vec::new())
    }

    fn hand_over(&self, plan: &Plan<'_>, place: usize, failure: Failure, passed_over: Vec<PassedOver>) -> Outcome {
        let made = self.candidates.get(place).map(|next| planned(plan.podcast, plan.script, next));
        let mut made = made.unwrap_or_default();
        if let Some(chunk_plan) = &mut made.chunk_plan {
            chunk_plan.passed_over = passed_over;
        }
        Outcome { made, ..Outcome::failed(failure) }
    }
}

/// The kind of a failure for the podcast as a whole: what one provider gives up, another may do.
fn elsewhere(kind: FailureKind) -> FailureKind {
    if kind.remedy() == Remedy::GiveUp { FailureKind::ModelRetired } else { kind }
}

fn passed(failure: &Failure) -> PassedOver {
    PassedOver {
        provider: failure.provider.clone().unwrap_or_default(),
        kind: failure.kind,
        why: failure.message.chars().take(LONGEST_WHY).collect(),
        retry_after_ms: failure.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
    }
}
