//! Which actions are possible in a state.

use super::{
    action::{Action, Rules},
    protocol::{page, unknown_leases},
    state::{Ending, Job, LEASE, Mend, Outcome, PODCASTS, Process, Stage, State, TWO_BEATS, WORKERS, Worker},
};

impl Action {
    /// True for what happens sooner or later as long as it is possible: time and the engine's own
    /// doing. False for faults, orders and chance.
    pub fn is_sure(self) -> bool {
        use Action::*;
        !matches!(
            self,
            Resume(_)
                | Fail(..)
                | Stop(_)
                | Wish(_)
                | Cancel(_)
                | Kill(_)
                | Freeze(_)
                | Cut(_)
                | Outage
                | LoseAnswer(..)
                | DelayMove(..)
                | LoseClaim(_)
                | DelayClaim(_)
                | LoseLetGo(..)
                | LoseHandBack(_)
                | LoseJob(_)
                | DoubleJob(_)
        )
    }
}

/// May `w` begin a call that costs money? As `Liveness::may_call` has it.
fn may_call(worker: &Worker, rules: &Rules) -> bool {
    let fails = worker.hands.iter().any(|hand| hand.is_in_doubt);
    worker.process == Process::Running && !fails && (worker.missed < TWO_BEATS || !rules.calls_only_when_heard)
}

/// Every action that is possible.
pub fn actions(state: &State, rules: &Rules) -> Vec<Action> {
    let mut found = Vec::with_capacity(32);
    (0..WORKERS).for_each(|w| of_worker(state, w, rules, &mut found));
    (0..PODCASTS).for_each(|p| of_podcast(state, p, &mut found));
    of_all(state, rules, &mut found);
    found
}

/// The podcasts that a claim could take now.
fn claimable(state: &State, rules: &Rules) -> [bool; PODCASTS] {
    std::array::from_fn(|p| {
        let row = &state.rows[p];
        let is_free = row.token == 0 && row.is_due || !rules.claims_free_rows_only;
        state.jobs[p] == Job::Pending { is_due: true } && !row.status.is_final() && is_free
    })
}

/// A claim takes any of them, or all.
fn choices(can: [bool; PODCASTS]) -> impl Iterator<Item = [bool; PODCASTS]> {
    let all = [[true, false], [false, true], [true, true]];
    all.into_iter().filter(move |choice| (0..PODCASTS).all(|p| can[p] || !choice[p]))
}

fn of_worker(state: &State, w: usize, rules: &Rules, found: &mut Vec<Action>) {
    use Action::*;
    let worker = &state.workers[w];
    let is_in_reach = !state.is_out;
    let is_running = worker.process == Process::Running;
    let living = state.workers.iter().filter(|one| matches!(one.process, Process::Running | Process::Frozen)).count();
    if worker.process == Process::Unborn && living < 2 && is_in_reach {
        found.push(Start(w));
    }
    if is_running && is_in_reach {
        if !worker.has_lock {
            found.push(Reconnect(w));
        } else if worker.missed > 0 || worker.is_stopped || worker.was_away {
            found.push(Beat(w));
        }
        let may_work = may_call(worker, rules);
        let can: [bool; PODCASTS] = claimable(state, rules);
        let has_room = |p: usize| can[p] && worker.hands[p].stage == Stage::Empty;
        if may_work
            && worker.ending == Ending::No
            && !worker.claims
            && (0..PODCASTS).any(has_room)
            && !worker.is_stopped
        {
            found.push(SendClaim(w));
        }
        if rules.audits && !unknown_leases(state, w, rules).is_empty() {
            found.push(Audit(w));
        }
        if worker.look.is_some() {
            found.push(DeclareDead(w));
        } else if may_work && state.workers.iter().all(|one| one.look.is_none() || one.process != Process::Running) {
            found.extend(
                (0..WORKERS).filter(|one| *one != w && is_silent(state, w, *one, rules)).map(|one| Look(w, one)),
            );
        }
    }
    if worker.claims && is_in_reach {
        let can = claimable(state, rules);
        let can = std::array::from_fn(|p| can[p] && worker.hands[p].stage == Stage::Empty);
        found.extend(choices(can).map(|taken| CommitClaim(w, taken)));
        found.push(CommitClaim(w, [false; PODCASTS]));
    }
    if is_running && worker.hands.iter().any(|hand| hand.stage == Stage::Claimed) {
        found.push(ReceiveClaim(w));
    }
    (0..PODCASTS).for_each(|p| of_hand(state, w, p, rules, found));
    stop_of_worker(state, w, found);
    faults_of_worker(state, w, found);
}

/// The walk of one podcast, and its writes.
fn of_hand(state: &State, w: usize, p: usize, rules: &Rules, found: &mut Vec<Action>) {
    use Action::*;
    let worker = &state.workers[w];
    let hand = &worker.hands[p];
    let is_running = worker.process == Process::Running;
    let has_fault = state.left.faults > 0;
    match hand.stage {
        Stage::Ready if is_running && (worker.ending != Ending::No || may_call(worker, rules)) => {
            found.push(Begin(w, p))
        }
        Stage::Calling if is_running && worker.ending == Ending::GraceOver => {
            found.push(Finish(w, p, Outcome::BrokenOff));
        }
        Stage::Calling if is_running => {
            found.push(Finish(w, p, Outcome::Done));
            if state.left.failures > 0 {
                let outcome = if may_call(worker, rules) { Outcome::Failed } else { Outcome::BrokenOff };
                found.extend([Fail(w, p, outcome), Fail(w, p, Outcome::AtOnce)]);
            }
        }
        Stage::Writing if !state.is_out => {
            found.push(CommitMove(w, p));
            if is_running && worker.ending == Ending::GraceOver && hand.is_in_doubt {
                found.push(GiveUpMove(w, p));
            }
            if has_fault && is_running && state.late_writes[p].is_none() {
                found.push(DelayMove(w, p));
            }
        }
        Stage::Writing if is_running && worker.ending == Ending::GraceOver => found.push(GiveUpMove(w, p)),
        Stage::Written(_) if is_running => {
            found.push(ReceiveMove(w, p));
            if has_fault {
                found.push(LoseAnswer(w, p));
            }
        }
        Stage::LettingGo if is_running && !state.is_out => {
            found.push(LetGo(w, p));
            if has_fault {
                found.push(LoseLetGo(w, p));
            }
        }
        _ => {}
    }
}

/// The stop in order.
fn stop_of_worker(state: &State, w: usize, found: &mut Vec<Action>) {
    use Action::*;
    let worker = &state.workers[w];
    if worker.process != Process::Running {
        return;
    }
    let is_empty = !worker.claims && worker.hands.iter().all(|hand| hand.stage == Stage::Empty);
    match worker.ending {
        Ending::No if state.left.orders > 0 => found.push(Stop(w)),
        Ending::No => {}
        Ending::Asked | Ending::GraceOver if is_empty && !state.is_out => {
            found.push(HandBack(w));
            if state.left.faults > 0 {
                found.push(LoseHandBack(w));
            }
        }
        Ending::Asked => found.push(EndGrace(w)),
        Ending::GraceOver => {}
        Ending::HandedBack if !state.is_out => found.push(SignOff(w)),
        Ending::HandedBack => {}
    }
}

fn faults_of_worker(state: &State, w: usize, found: &mut Vec<Action>) {
    use Action::*;
    let worker = &state.workers[w];
    match worker.process {
        Process::Frozen => found.push(Resume(w)),
        Process::Running if state.left.faults > 0 => {
            found.push(Kill(w));
            // Somebody has to be left who can go on.
            if state.workers.iter().all(|one| one.process != Process::Frozen) {
                found.push(Freeze(w));
            }
            if worker.has_lock {
                found.push(Cut(w));
            }
            if worker.hands.iter().any(|hand| hand.stage == Stage::Claimed) {
                found.push(LoseClaim(w));
            }
            if worker.claims && state.late_claim.is_none() {
                found.push(DelayClaim(w));
            }
        }
        _ => {}
    }
}

/// As `Sweep::bury` judges.
fn is_silent(state: &State, judge: usize, w: usize, rules: &Rules) -> bool {
    let (judge, worker) = (&state.workers[judge], &state.workers[w]);
    if worker.process == Process::Unborn || worker.is_stopped {
        return false;
    }
    let trusts = |beats: u8| judge.heard >= beats || !rules.trusts_after_a_while;
    let is_old = worker.missed >= TWO_BEATS || !rules.waits_two_beats;
    !worker.has_lock && worker.process == Process::Gone
        || !worker.has_lock && is_old && trusts(TWO_BEATS)
        || worker.missed >= LEASE && trusts(LEASE)
}

fn of_podcast(state: &State, p: usize, found: &mut Vec<Action>) {
    use Action::*;
    let (row, job) = (&state.rows[p], state.jobs[p]);
    let somebody_works = state.workers.iter().any(|one| one.process == Process::Running && !one.is_stopped);
    if job == (Job::Pending { is_due: true })
        && (row.status.is_final() || row.token != 0)
        && somebody_works
        && !state.is_out
    {
        found.push(PutAway(p));
    }
    if !row.is_due || job == (Job::Pending { is_due: false }) {
        found.push(BecomeDue(p));
    }
    if state.late_writes[p].is_some() {
        found.push(LateMoveLost(p));
        if !state.is_out {
            found.push(LateMove(p));
        }
    }
    if state.left.orders > 0 && state.wish.is_none() {
        found.push(Wish(p));
    }
    if state.left.orders > 0 && !row.status.is_final() && !state.is_out {
        found.push(Cancel(p));
    }
    if state.left.faults > 0 {
        if job != Job::Gone {
            found.push(LoseJob(p));
        }
        if job != (Job::Pending { is_due: true }) {
            found.push(DoubleJob(p));
        }
    }
}

fn of_all(state: &State, rules: &Rules, found: &mut Vec<Action>) {
    use Action::*;
    // Who runs and can reach the database is heard within a beat.
    let is_late = |worker: &Worker| {
        let must_open = !worker.has_lock && !worker.was_away;
        let must_beat = worker.has_lock && (worker.missed > 0 || worker.is_stopped);
        worker.process == Process::Running && !state.is_out && (must_open || must_beat)
    };
    let is_unheard = |worker: &Worker| {
        let is_alive = matches!(worker.process, Process::Running | Process::Frozen);
        is_alive && (!worker.has_lock || worker.process == Process::Frozen || state.is_out)
    };
    if state.workers.iter().any(is_unheard) && !state.workers.iter().any(is_late) {
        found.push(Tick);
    }
    if state.is_out {
        found.push(EndOutage);
        return;
    }
    if state.page != [Mend::Nothing; PODCASTS] {
        found.push(MendPage);
    } else if page(state, rules) != [Mend::Nothing; PODCASTS]
        && state.workers.iter().any(|worker| worker.has_lock && may_call(worker, rules))
    {
        found.push(ReadPage);
    }
    if state.late_claim.is_some() {
        found.extend(choices(claimable(state, rules)).map(LateClaim));
        found.push(LateClaimLost);
    }
    if state.wish.is_some() {
        found.push(Requeue);
    }
    if state.left.faults > 0 {
        found.push(Outage);
    }
}
