//! What an action does to the state. What it does to the database it tells as a [`Deed`], for the
//! properties to judge. The moves themselves are the machine's: `apply` and `decide` are called,
//! not copied.

mod operator;

use std::time::Duration;

use dailycast::machine::{Decision, Event, FailureKind, LeaseLost, RetryPolicy, Script, Status, apply, decide};

use super::action::{Action, Deed, Rules};
use super::state::{
    EMPTY, Ending, Hand, Job, LEASE, Look, Mend, NEWBORN, Outcome, PODCASTS, Process, Row, Stage, State, TWO_BEATS,
    WORKERS, Worker, Write, lease,
};

/// How the work of a status is retried here: twice.
const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 2,
    first_delay: Duration::from_secs(1),
    factor: 1.0,
    max_delay: Duration::from_secs(1),
    jitter: 0.0,
};

/// What `plan_move` of the executor makes of an outcome.
struct Planned {
    event: Event,
    to: Status,
    attempt: u8,
    goes_on: bool,
    is_due: bool,
}

fn plan(write: &Write) -> Planned {
    let stays =
        Planned { event: Event::AttemptFailed, to: write.from, attempt: write.attempt, goes_on: false, is_due: true };
    match write.outcome {
        Outcome::Done => {
            let event = match write.from {
                Status::Pending => Event::ScriptReady,
                Status::ScriptGenerated => Event::SpeechStarted,
                Status::AudioGenerating => Event::AudioReady,
                _ => Event::Uploaded(Script::Written),
            };
            let to = apply(write.from, event).expect("the step of a status answers with its event");
            Planned { event, to, attempt: 0, goes_on: !to.is_final() && !write.stops, is_due: true }
        }
        Outcome::AtOnce => Planned { goes_on: !write.stops, ..stays },
        Outcome::BrokenOff => stays,
        Outcome::Failed => {
            let (tried, hour) = (write.attempt + 1, Duration::from_secs(3600));
            match decide(FailureKind::Unavailable, u32::from(tried), &POLICY, None, hour, 0.0) {
                Decision::Retry { .. } => Planned { attempt: tried, is_due: false, ..stays },
                Decision::GiveUp { .. } => {
                    let to = apply(write.from, Event::GaveUp).expect("whatever is not finished can be given up");
                    Planned { event: Event::GaveUp, to, attempt: tried, ..stays }
                }
            }
        }
    }
}

/// A state, and what was done to reach it.
pub struct Next<'r> {
    pub state: State,
    pub deeds: Vec<Deed>,
    rules: &'r Rules,
}

impl<'r> Next<'r> {
    /// What `action` makes of `state`.
    pub fn of(state: &State, action: Action, rules: &'r Rules) -> Self {
        let mut next = Self { state: *state, deeds: Vec::new(), rules };
        next.act(action);
        next
    }

    fn act(&mut self, action: Action) {
        use Action::*;
        match action {
            Start(w) => self.state.workers[w] = NEWBORN,
            Beat(w) => self.beat(w),
            Reconnect(w) => self.set(w, |worker| (worker.has_lock, worker.heard) = (true, 0)),
            Tick => self.tick(),
            BecomeDue(p) => {
                self.state.rows[p].is_due = true;
                if let Job::Pending { is_due } = &mut self.state.jobs[p] {
                    *is_due = true;
                }
            }
            SendClaim(w) => self.set(w, |worker| worker.claims = true),
            CommitClaim(w, taken) => {
                self.state.workers[w].claims = false;
                self.claim(w, taken, true);
            }
            ReceiveClaim(w) => self.claimed(w, Stage::Ready),
            PutAway(p) => self.put_away(p),
            Begin(w, p) => self.begin(w, p),
            Finish(w, p, outcome) => self.finish(w, p, outcome),
            CommitMove(w, p) => {
                let held = self.write(p, self.state.workers[w].hands[p].write).is_ok();
                self.state.workers[w].hands[p].stage = Stage::Written(held);
            }
            ReceiveMove(w, p) => self.receive_move(w, p),
            GiveUpMove(w, p) => self.send_late(w, p, EMPTY),
            LetGo(w, p) => {
                let token = self.state.workers[w].hands[p].write.token;
                self.let_go(p, token);
                self.state.workers[w].hands[p] = EMPTY;
            }
            other => self.act_around(other),
        }
    }

    /// What is not about the way of one podcast with one worker.
    fn act_around(&mut self, action: Action) {
        use Action::*;
        match action {
            Audit(w) => {
                unknown_leases(&self.state, w, self.rules).into_iter().for_each(|(p, token)| self.let_go(p, token))
            }
            Look(judge, silent) => {
                let look = super::state::Look { silent: silent as u8, is_stale: false };
                self.set(judge, |worker| worker.look = Some(look));
            }
            DeclareDead(w) => self.declare_dead(w),
            ReadPage => self.state.page = page(&self.state, self.rules),
            MendPage => self.mend(),
            EndGrace(w) => {
                self.excuse_calls(w);
                self.set(w, |worker| worker.ending = Ending::GraceOver);
            }
            HandBack(w) => {
                (0..PODCASTS).filter(|p| is_held_by(&self.state, w, *p)).collect::<Vec<_>>().into_iter().for_each(
                    |p| {
                        self.let_go(p, self.state.rows[p].token);
                    },
                );
                self.set(w, |worker| worker.ending = Ending::HandedBack);
            }
            SignOff(w) => {
                self.set(w, |worker| worker.is_stopped = true);
                self.end_process(w);
            }
            LateMove(p) => {
                if let Some(write) = self.state.late_writes[p].take() {
                    let _ = self.write(p, write);
                }
            }
            LateMoveLost(p) => self.state.late_writes[p] = None,
            LateClaim(taken) => {
                if let Some(w) = self.state.late_claim.take() {
                    self.claim(usize::from(w), taken, false);
                }
            }
            LateClaimLost => self.state.late_claim = None,
            Requeue => self.requeue(),
            Cancel(p) => self.cancel(p),
            EndOutage => self.state.is_out = false,
            Resume(w) => self.set(w, |worker| worker.process = Process::Running),
            Wish(p) => {
                self.state.left.orders -= 1;
                self.state.wish = Some((p as u8, self.state.rows[p].status));
            }
            Stop(w) => {
                self.state.left.orders -= 1;
                self.set(w, |worker| worker.ending = Ending::Asked);
            }
            Fail(w, p, outcome) => {
                self.state.left.failures -= 1;
                self.finish(w, p, outcome);
            }
            fault => {
                self.state.left.faults -= 1;
                self.fault(fault);
            }
        }
    }

    fn fault(&mut self, action: Action) {
        use Action::*;
        match action {
            Kill(w) => {
                if self.state.workers[w].missed < TWO_BEATS {
                    self.excuse_calls(w);
                }
                self.end_process(w);
            }
            Freeze(w) => self.set(w, |worker| (worker.process, worker.was_away) = (Process::Frozen, true)),
            Cut(w) => self.set(w, |worker| (worker.has_lock, worker.was_away) = (false, true)),
            Outage => self.go_out(),
            LoseAnswer(w, p) => self.retry(w, p),
            DelayMove(w, p) => {
                let hand = Hand { is_in_doubt: true, ..self.state.workers[w].hands[p] };
                self.send_late(w, p, hand);
            }
            LoseClaim(w) => self.claimed(w, Stage::Empty),
            DelayClaim(w) => {
                self.state.late_claim = Some(w as u8);
                self.set(w, |worker| worker.claims = false);
            }
            LoseLetGo(w, p) => self.state.workers[w].hands[p] = EMPTY,
            LoseHandBack(w) => self.set(w, |worker| worker.ending = Ending::HandedBack),
            LoseJob(p) => self.state.jobs[p] = Job::Gone,
            DoubleJob(p) => self.state.jobs[p] = Job::Pending { is_due: true },
            other => unreachable!("{other:?} is not a fault"),
        }
    }

    fn set(&mut self, w: usize, change: impl FnOnce(&mut Worker)) {
        change(&mut self.state.workers[w]);
    }

    /// `beat`: tells the database, or learns of one's own death.
    fn beat(&mut self, w: usize) {
        if self.state.workers[w].is_stopped {
            self.end_process(w);
            return;
        }
        self.set(w, |worker| (worker.missed, worker.was_away) = (0, false));
        let looks = self.state.workers.iter_mut().filter_map(|worker| worker.look.as_mut());
        looks.filter(|look| usize::from(look.silent) == w).for_each(|look| look.is_stale = true);
    }

    /// A beat's time passes. Who can be heard beats in time.
    fn tick(&mut self) {
        for w in 0..WORKERS {
            let is_out = self.state.is_out;
            let worker = &mut self.state.workers[w];
            if matches!(worker.process, Process::Unborn | Process::Gone) {
                continue;
            }
            if worker.process == Process::Running && worker.has_lock && !is_out {
                worker.heard = (worker.heard + 1).min(LEASE);
                continue;
            }
            let fell_silent = worker.missed + 1 == TWO_BEATS;
            worker.missed = (worker.missed + 1).min(LEASE);
            if fell_silent {
                worker.heard = 0;
                self.excuse_calls(w);
            }
        }
    }

    /// The calls that `w` has in flight may be repeated by others.
    fn excuse_calls(&mut self, w: usize) {
        for p in 0..PODCASTS {
            let hand = &self.state.workers[w].hands[p];
            let row = &mut self.state.rows[p];
            let is_open = matches!(hand.stage, Stage::Calling | Stage::Writing);
            if is_open && row.is_spent && lease(p, hand.write.token) == lease(p, row.token) {
                row.excused += 1;
            }
        }
    }

    /// The process forgets everything; what it has sent may still arrive.
    fn end_process(&mut self, w: usize) {
        for p in 0..PODCASTS {
            if self.state.workers[w].hands[p].stage == Stage::Writing {
                self.send_late(w, p, EMPTY);
            }
        }
        if self.state.workers[w].claims {
            self.state.late_claim = Some(w as u8);
        }
        let is_stopped = self.state.workers[w].is_stopped;
        let gone = Worker { process: Process::Gone, is_stopped, has_lock: false, ..NEWBORN };
        self.state.workers[w] = gone;
    }

    /// The statement of a hand arrives later, or never.
    fn send_late(&mut self, w: usize, p: usize, hand: Hand) {
        self.state.late_writes[p] = Some(self.state.workers[w].hands[p].write);
        self.state.workers[w].hands[p] = hand;
    }

    /// The writer did not learn whether its statement committed, and sends it again.
    fn retry(&mut self, w: usize, p: usize) {
        let hand = &mut self.state.workers[w].hands[p];
        (hand.stage, hand.is_in_doubt) = (Stage::Writing, true);
    }

    /// No answer comes any more, and no session stands.
    fn go_out(&mut self) {
        self.state.is_out = true;
        self.state.page = [Mend::Nothing; PODCASTS];
        for w in 0..WORKERS {
            self.state.workers[w].look = None;
            (self.state.workers[w].has_lock, self.state.workers[w].claims) = (false, false);
            for p in 0..PODCASTS {
                match self.state.workers[w].hands[p].stage {
                    Stage::Writing | Stage::Written(_) => self.retry(w, p),
                    Stage::Claimed => self.state.workers[w].hands[p] = EMPTY,
                    _ => {}
                }
            }
        }
    }

    fn claim(&mut self, w: usize, taken: [bool; PODCASTS], is_awaited: bool) {
        for p in (0..PODCASTS).filter(|p| taken[*p]) {
            let token = self.state.new_token(p);
            let Row { moves: nth, status: from, attempt, .. } = self.state.rows[p];
            (self.state.rows[p].token, self.state.rows[p].worker) = (token, w as u8);
            self.state.jobs[p] = Job::Running(w as u8);
            if is_awaited {
                let write = Write { worker: w as u8, token, nth, from, attempt, ..EMPTY.write };
                self.state.workers[w].hands[p] = Hand { stage: Stage::Claimed, write, is_in_doubt: false };
            }
        }
    }

    /// The answer to a claim came, or did not.
    fn claimed(&mut self, w: usize, stage: Stage) {
        for hand in self.state.workers[w].hands.iter_mut().filter(|hand| hand.stage == Stage::Claimed) {
            *hand = if stage == Stage::Empty { EMPTY } else { Hand { stage, ..*hand } };
        }
    }

    fn put_away(&mut self, p: usize) {
        let row = self.state.rows[p];
        self.state.jobs[p] = if row.status.is_final() {
            Job::Gone
        } else if self.rules.gives_jobs_back {
            Job::Running(row.worker)
        } else {
            Job::Pending { is_due: false }
        };
    }

    fn begin(&mut self, w: usize, p: usize) {
        if self.state.workers[w].ending != Ending::No {
            self.state.workers[w].hands[p] = EMPTY;
            return;
        }
        let hand = &mut self.state.workers[w].hands[p];
        let row = &mut self.state.rows[p];
        hand.stage = Stage::Calling;
        let repeats = row.is_spent && row.excused == 0;
        self.deeds.push(Deed::Called { p, token: hand.write.token, repeats });
        if row.is_spent {
            row.excused = row.excused.saturating_sub(1);
        }
        row.is_spent = true;
    }

    fn finish(&mut self, w: usize, p: usize, outcome: Outcome) {
        let stops = self.state.workers[w].ending != Ending::No;
        let hand = &mut self.state.workers[w].hands[p];
        hand.stage = Stage::Writing;
        (hand.write.outcome, hand.write.stops) = (outcome, stops);
    }

    /// `write_moves`, for one podcast.
    fn write(&mut self, p: usize, write: Write) -> Result<(), LeaseLost> {
        let row = &mut self.state.rows[p];
        let asked = lease(p, write.token);
        let has_token = lease(p, row.token) == asked || !self.rules.fences_by_token;
        let has_count = row.moves == write.nth || !self.rules.fences_by_count;
        if !(has_token && has_count && row.status == write.from) {
            return Err(LeaseLost(asked));
        }
        let Planned { event, to, attempt, goes_on, is_due } = plan(&write);
        *row = Row { status: to, attempt, crashes: 0, moves: row.moves + 1, is_spent: false, excused: 0, ..*row };
        if !goes_on {
            (row.token, row.is_due) = (0, is_due);
            if to.is_final() {
                self.state.jobs[p] = Job::Gone;
            } else {
                self.arm(p);
            }
        }
        self.deeds.push(Deed::Wrote { p, write });
        self.tell(p, write.from, event, to);
        Ok(())
    }

    fn tell(&mut self, p: usize, from: Status, event: Event, to: Status) {
        self.state.rows[p].told = to;
        self.deeds.push(Deed::Line { p, from, event, to });
    }

    fn receive_move(&mut self, w: usize, p: usize) {
        let hand = &mut self.state.workers[w].hands[p];
        let planned = plan(&hand.write);
        match hand.stage {
            Stage::Written(true) if planned.goes_on => {
                let Write { worker, token, nth, .. } = hand.write;
                let (from, attempt) = (planned.to, planned.attempt);
                let write = Write { worker, token, nth: nth + 1, from, attempt, ..EMPTY.write };
                *hand = Hand { stage: Stage::Ready, write, is_in_doubt: false };
            }
            Stage::Written(false) if hand.is_in_doubt => hand.stage = Stage::LettingGo,
            _ => *hand = EMPTY,
        }
    }

    /// `let_go` of a lease that may no longer be the row's.
    fn let_go(&mut self, p: usize, token: u8) {
        if lease(p, self.state.rows[p].token) == lease(p, token) {
            self.state.rows[p].token = 0;
            self.arm(p);
        }
    }

    /// `arm_jobs`: whatever the job was, it is due with its row.
    fn arm(&mut self, p: usize) {
        self.state.jobs[p] = Job::Pending { is_due: self.state.rows[p].is_due };
    }

    fn declare_dead(&mut self, judge: usize) {
        let Some(Look { silent, is_stale }) = self.state.workers[judge].look.take() else { return };
        let w = usize::from(silent);
        if self.state.workers[w].is_stopped || is_stale && self.rules.buries_only_the_silent {
            return;
        }
        self.set(w, |worker| (worker.is_stopped, worker.has_lock) = (true, false));
        self.deeds.push(Deed::Buried { w });
        for p in 0..PODCASTS {
            if is_held_by(&self.state, w, p) {
                let row = &mut self.state.rows[p];
                let status = row.status;
                *row = Row { token: 0, crashes: row.crashes + 1, is_due: true, ..*row };
                self.tell(p, status, Event::Rescued, status);
                self.arm(p);
            }
        }
    }

    fn mend(&mut self) {
        for p in 0..PODCASTS {
            match std::mem::replace(&mut self.state.page[p], Mend::Nothing) {
                Mend::Nothing => {}
                Mend::Arm => self.arm(p),
                Mend::Free(token) => {
                    let row = &mut self.state.rows[p];
                    if row.token == token {
                        row.token = 0;
                        let status = row.status;
                        self.tell(p, status, Event::Rescued, status);
                        self.arm(p);
                    }
                }
            }
        }
    }
}

/// `held_by_worker`: by the row and by the job.
fn is_held_by(state: &State, w: usize, p: usize) -> bool {
    let row = &state.rows[p];
    row.token != 0 && usize::from(row.worker) == w && state.jobs[p] == Job::Running(w as u8)
}

/// What the database says `w` holds, and `w` does not know of.
pub fn unknown_leases(state: &State, w: usize, rules: &Rules) -> Vec<(usize, u8)> {
    let is_known = |p: usize| {
        let hand = &state.workers[w].hands[p];
        let is_in_hand = hand.stage != Stage::Empty && (hand.stage != Stage::Claimed || rules.audits_old_claims_only);
        is_in_hand && hand.write.token == state.rows[p].token
    };
    let held = (0..PODCASTS).filter(|p| is_held_by(state, w, *p) && !is_known(*p));
    held.map(|p| (p, state.rows[p].token)).collect()
}

/// What `mend_unfinished` would mend.
pub fn page(state: &State, rules: &Rules) -> [Mend; PODCASTS] {
    std::array::from_fn(|p| {
        let row = &state.rows[p];
        let is_free = row.token == 0;
        let worker = &state.workers[usize::from(row.worker)];
        let is_jobless = is_free && !matches!(state.jobs[p], Job::Pending { .. }) && rules.arms_the_jobless;
        let is_forgotten = !is_free && state.jobs[p] == Job::Gone && rules.gives_jobs_back;
        if row.status.is_final() {
            Mend::Nothing
        } else if !is_free && worker.is_stopped && rules.frees_from_the_stopped {
            Mend::Free(row.token)
        } else if is_jobless || is_forgotten {
            Mend::Arm
        } else {
            Mend::Nothing
        }
    })
}
