//! What can happen, what the protocol relies on, and what the properties get to see.
//!
//! An action is one commit, or one thing that a process does between two of them. One that stands
//! for a statement says its name.

use dailycast::machine::{Event, Status};

use super::state::{Outcome, PODCASTS, Write};

/// What the protocol relies on. Each is true; a test sets one to false and must be caught.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A write names its token, and changes nothing when the row has another.
    pub fences_by_token: bool,
    /// A write names how many moves the row has had.
    pub fences_by_count: bool,
    /// A claim takes rows that are free, and no others.
    pub claims_free_rows_only: bool,
    /// A free lock proves a death only with a heartbeat of two beats ago.
    pub waits_two_beats: bool,
    /// Who was out of touch itself does not judge others.
    pub trusts_after_a_while: bool,
    /// A worker is declared dead only when it was not heard since it was looked at.
    pub buries_only_the_silent: bool,
    /// A worker that was not heard for two beats begins no call.
    pub calls_only_when_heard: bool,
    /// A worker lets go of what it holds without knowing.
    pub audits: bool,
    /// It does so only when the answer of the claim can no longer come.
    pub audits_old_claims_only: bool,
    /// The sweep gives a job to what has none.
    pub arms_the_jobless: bool,
    /// The sweep frees what is held by who is no longer there.
    pub frees_from_the_stopped: bool,
    /// A job that is delivered while its podcast is held goes back to the holder.
    pub gives_jobs_back: bool,
}

/// The protocol as it is.
pub const AS_IT_IS: Rules = Rules {
    fences_by_token: true,
    fences_by_count: true,
    claims_free_rows_only: true,
    waits_two_beats: true,
    trusts_after_a_while: true,
    buries_only_the_silent: true,
    calls_only_when_heard: true,
    audits: true,
    audits_old_claims_only: true,
    arms_the_jobless: true,
    frees_from_the_stopped: true,
    gives_jobs_back: true,
};

/// Something that can happen. `usize` is first a worker, then a podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    // The engine's own, and time. They happen sooner or later.
    Start(usize),
    Beat(usize),
    Reconnect(usize),
    Tick,
    BecomeDue(usize),
    /// `claim_podcasts` begins: it has seen that its worker is alive.
    SendClaim(usize),
    /// `claim_podcasts` commits; which podcasts it takes is chance (`skip locked`, `limit`).
    CommitClaim(usize, [bool; PODCASTS]),
    ReceiveClaim(usize),
    /// The `later` and `needless` of `claim_podcasts`.
    PutAway(usize),
    /// The walk begins the step of the status, or ends because it may not.
    Begin(usize, usize),
    Finish(usize, usize, Outcome),
    /// `write_moves` commits.
    CommitMove(usize, usize),
    ReceiveMove(usize, usize),
    /// The writer gives up a move in doubt when the grace is over.
    GiveUpMove(usize, usize),
    /// `let_go`, by the writer.
    LetGo(usize, usize),
    /// `held_by_worker` and `let_go`, by the audit.
    Audit(usize),
    /// `silent_workers`.
    Look(usize, usize),
    /// `declare_dead`, `end_session`.
    DeclareDead(usize),
    /// `mend_unfinished` reads its page.
    ReadPage,
    /// `mend_unfinished` commits.
    MendPage,
    EndGrace(usize),
    /// `held_by_worker` and `let_go`, by the stop.
    HandBack(usize),
    /// `stop_worker`.
    SignOff(usize),
    /// A write that nobody waits for commits after all.
    LateMove(usize),
    LateMoveLost(usize),
    LateClaim([bool; PODCASTS]),
    LateClaimLost,
    /// `write_operator_moves`, of what nobody holds.
    Requeue,
    EndOutage,

    // What may happen, or not.
    Resume(usize),
    Fail(usize, usize, Outcome),
    Stop(usize),
    /// `look_at_podcasts`, for a requeue.
    Wish(usize),
    /// `write_operator_moves`, whoever holds it.
    Cancel(usize),

    // Faults.
    Kill(usize),
    Freeze(usize),
    Cut(usize),
    Outage,
    LoseAnswer(usize, usize),
    DelayMove(usize, usize),
    LoseClaim(usize),
    DelayClaim(usize),
    LoseLetGo(usize, usize),
    LoseHandBack(usize),
    LoseJob(usize),
    DoubleJob(usize),
}

/// What the properties look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A line of `podcast_event` was written, with the move it tells of.
    Line { p: usize, from: Status, event: Event, to: Status },
    /// A move was written by a worker.
    Wrote { p: usize, write: Write },
    /// A call was begun under this lease.
    Called { p: usize, token: u8, repeats: bool },
    /// A worker was declared dead.
    Buried { w: usize },
}
