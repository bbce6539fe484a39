//! What the model knows: the database, the workers' memory, and what is on its way between them.
//!
//! Everything is as small as it can be without a difference that matters. A token is a small number
//! that nothing else about the podcast has, since tokens are only ever compared. Time is the number
//! of beats a worker missed, and whether a row is due. Workers are alike, and so are podcasts:
//! [`State::in_order`] gives states that differ by names only one form.

use std::hash::{Hash, Hasher};

use dailycast::machine::{Lease, Status};

/// Podcasts of the night.
pub const PODCASTS: usize = 2;

/// Registrations: two processes at a time, and one that is not buried yet.
pub const WORKERS: usize = 3;

/// Beats after which a free lock counts, and after which the lease has run out.
pub const TWO_BEATS: u8 = 2;
pub const LEASE: u8 = 3;

/// A row of `daily_podcast`, its lines of `podcast_event`, and what the properties remember of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    pub status: Status,
    /// 0 when nobody holds it.
    pub token: u8,
    pub worker: u8,
    pub moves: u8,
    pub attempt: u8,
    pub crashes: u8,
    /// `next_attempt_at` is past.
    pub is_due: bool,
    /// Where the lines written so far end.
    pub told: Status,
    /// A call of this attempt was begun, and no move has told of it yet.
    pub is_spent: bool,
    /// Calls that may be repeated: they were in flight when their worker fell silent.
    pub excused: u8,
    /// An operator ended it, whoever held it.
    pub is_cancelled: bool,
}

/// A row of `apalis.jobs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    Gone,
    Pending {
        is_due: bool,
    },
    /// `lock_by` is this worker.
    Running(u8),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Done,
    /// Tried again later, or given up: the machine decides.
    Failed,
    /// Tried again at once, under the same lease.
    AtOnce,
    /// Broken off without using an attempt.
    BrokenOff,
}

/// One statement `write_moves`, as far as it is about one podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Write {
    pub worker: u8,
    pub token: u8,
    pub nth: u8,
    pub from: Status,
    pub attempt: u8,
    pub outcome: Outcome,
    /// The worker was asked to stop, so the podcast rests.
    pub stops: bool,
}

/// Where a worker is with a podcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Not in hand.
    Empty,
    /// The claim is committed, its answer is on its way.
    Claimed,
    /// Before the next step.
    Ready,
    /// The step's call is in flight.
    Calling,
    /// The statement that writes the move is on its way.
    Writing,
    /// It is carried out, its answer is on its way: did the row move?
    Written(bool),
    /// A write in doubt found nothing to move; what its lease holds is let go.
    LettingGo,
}

/// A podcast in a worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hand {
    pub stage: Stage,
    pub write: Write,
    /// An earlier statement was not answered.
    pub is_in_doubt: bool,
}

/// The process of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Process {
    Unborn,
    Running,
    /// Stopped by SIGSTOP; its connections stand.
    Frozen,
    Gone,
}

/// How far a stop in order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    No,
    Asked,
    GraceOver,
    HandedBack,
}

/// A registration, and the memory of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker {
    pub process: Process,
    /// `stopped_at` is set.
    pub is_stopped: bool,
    /// Its session is open: the advisory lock is held.
    pub has_lock: bool,
    /// Beats since `heartbeat_at`.
    pub missed: u8,
    /// Beats without a gap, as it knows itself.
    pub heard: u8,
    /// It was frozen or cut off by itself, and has not been heard since.
    pub was_away: bool,
    pub ending: Ending,
    /// A claim is on its way; its worker was alive when the statement began.
    pub claims: bool,
    pub look: Option<Look>,
    pub hands: [Hand; PODCASTS],
}

/// What a sweep has read of a podcast and is about to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mend {
    Nothing,
    /// The worker of this lease is no longer there.
    Free(u8),
    /// No job names it.
    Arm,
}

/// A worker that another has seen silent, and is about to declare dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    pub silent: u8,
    /// It was heard since.
    pub is_stale: bool,
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub rows: [Row; PODCASTS],
    pub jobs: [Job; PODCASTS],
    pub workers: [Worker; WORKERS],
    /// Writes that nobody waits for any more, and that may still arrive.
    pub late_writes: [Option<Write>; PODCASTS],
    /// A claim of this worker that nobody waits for any more.
    pub late_claim: Option<u8>,
    pub page: [Mend; PODCASTS],
    /// An operator requeues a podcast that was seen in this status.
    pub wish: Option<(u8, Status)>,
    /// The database cannot be reached by anyone.
    pub is_out: bool,
    /// Faults, failing calls and orders (a stop, a requeue, a cancel) that may still happen.
    pub left: Budget,
}

/// How much may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    pub faults: u8,
    pub failures: u8,
    pub orders: u8,
}

const NO_WRITE: Write =
    Write { worker: 0, token: 0, nth: 0, from: Status::Pending, attempt: 0, outcome: Outcome::Done, stops: false };

pub const EMPTY: Hand = Hand { stage: Stage::Empty, write: NO_WRITE, is_in_doubt: false };

const UNBORN: Worker = Worker {
    process: Process::Unborn,
    is_stopped: false,
    has_lock: false,
    missed: 0,
    heard: 0,
    was_away: false,
    ending: Ending::No,
    claims: false,
    look: None,
    hands: [EMPTY; PODCASTS],
};

/// A worker that has just registered.
pub const NEWBORN: Worker = Worker { process: Process::Running, has_lock: true, ..UNBORN };

impl State {
    /// Podcasts that have come as far as this, and two workers that have been heard for long.
    pub fn evening(statuses: [Status; PODCASTS], left: Budget) -> Self {
        let row = |status| Row {
            status,
            token: 0,
            worker: 0,
            moves: 0,
            attempt: 0,
            crashes: 0,
            is_due: true,
            told: status,
            is_spent: false,
            excused: 0,
            is_cancelled: false,
        };
        let worker = Worker { heard: LEASE, ..NEWBORN };
        let job = |status: Status| if status.is_final() { Job::Gone } else { Job::Pending { is_due: true } };
        Self {
            rows: statuses.map(row),
            jobs: statuses.map(job),
            workers: [worker, worker, UNBORN],
            late_writes: [None; PODCASTS],
            late_claim: None,
            page: [Mend::Nothing; PODCASTS],
            wish: None,
            is_out: false,
            left,
        }
    }

    /// Everything is done and nothing is left of it.
    pub fn is_settled(&self) -> bool {
        self.rows.iter().all(|row| row.status.is_final()) && self.jobs == [Job::Gone; PODCASTS]
    }

    /// A token that nothing else about the podcast has.
    pub fn new_token(&self, p: usize) -> u8 {
        let is_taken = |token: u8| {
            self.rows[p].token == token
                || self.page[p] == Mend::Free(token)
                || self.late_writes[p].is_some_and(|write| write.token == token)
                || self.workers.iter().any(|w| w.hands[p].stage != Stage::Empty && w.hands[p].write.token == token)
        };
        (1..u8::MAX).find(|token| !is_taken(*token)).expect("few tokens are in use")
    }

    /// The one form of all states that differ only by the names of workers and podcasts.
    pub fn in_order(mut self) -> Self {
        let is_needed = |state: &Self, w: usize| {
            let id = w as u8;
            state.rows.iter().any(|row| row.token != 0 && row.worker == id)
                || state.jobs.contains(&Job::Running(id))
                || state.late_claim == Some(id)
                || state.workers.iter().any(|worker| worker.look.is_some_and(|look| look.silent == id))
                || state.late_writes.iter().flatten().any(|write| write.worker == id)
        };
        for w in 0..WORKERS {
            let worker = &self.workers[w];
            if worker.process == Process::Gone && worker.is_stopped && !is_needed(&self, w) {
                self.workers[w] = UNBORN;
            }
        }
        // While nobody is silent it makes no difference how long anybody was heard: whoever falls
        // silent from now on does so under the eyes of all.
        if self.workers.iter().all(|worker| {
            worker.missed == 0
                && (worker.has_lock || worker.process == Process::Unborn || worker.process == Process::Gone)
        }) {
            for worker in self.workers.iter_mut().filter(|worker| worker.process == Process::Running) {
                worker.heard = LEASE;
            }
        }
        for row in &mut self.rows {
            row.worker = if row.token == 0 { 0 } else { row.worker };
        }
        if fingerprint(&self.look_of_podcast(0)) > fingerprint(&self.look_of_podcast(1)) {
            self.swap_podcasts();
        }
        for (a, b) in [(0, 1), (1, 2), (0, 1)] {
            if fingerprint(&self.look_of_worker(a)) > fingerprint(&self.look_of_worker(b)) {
                self.swap_workers(a, b);
            }
        }
        self
    }

    fn look_of_podcast(&self, p: usize) -> impl Hash {
        let job = match self.jobs[p] {
            Job::Running(_) => Job::Running(0),
            job => job,
        };
        (Row { worker: 0, ..self.rows[p] }, job, self.page[p], self.workers.map(|w| w.hands[p].stage == Stage::Calling))
    }

    fn look_of_worker(&self, w: usize) -> impl Hash {
        let worker = &self.workers[w];
        let hands = worker.hands.map(|hand| (hand.stage, hand.write.token, hand.write.nth));
        let flags = (worker.process, worker.is_stopped, worker.has_lock, worker.missed, worker.heard, worker.claims);
        (flags, worker.ending, hands, self.rows.map(|row| row.token != 0 && usize::from(row.worker) == w))
    }

    fn swap_podcasts(&mut self) {
        self.rows.swap(0, 1);
        self.jobs.swap(0, 1);
        self.late_writes.swap(0, 1);
        self.page.swap(0, 1);
        for worker in &mut self.workers {
            worker.hands.swap(0, 1);
        }
        if let Some((p, _)) = &mut self.wish {
            *p = 1 - *p;
        }
    }

    fn swap_workers(&mut self, a: usize, b: usize) {
        self.workers.swap(a, b);
        let rename = |id: &mut u8| {
            *id = match usize::from(*id) {
                id if id == a => b as u8,
                id if id == b => a as u8,
                id => id as u8,
            };
        };
        for row in self.rows.iter_mut().filter(|row| row.token != 0) {
            rename(&mut row.worker);
        }
        for job in &mut self.jobs {
            if let Job::Running(id) = job {
                rename(id);
            }
        }
        for write in self.late_writes.iter_mut().flatten() {
            rename(&mut write.worker);
        }
        for worker in &mut self.workers {
            worker.look.iter_mut().for_each(|look| rename(&mut look.silent));
            for hand in worker.hands.iter_mut().filter(|hand| hand.stage != Stage::Empty) {
                rename(&mut hand.write.worker);
            }
        }
        self.late_claim.iter_mut().for_each(rename);
    }
}

/// The lease that a token means, as the machine has it.
pub fn lease(p: usize, token: u8) -> Lease {
    Lease { podcast_id: p as i64, token: i64::from(token) }
}

/// Stands for a value; two values share one about as often as two snowflakes do.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = Folded(0x243f_6a88_85a3_08d3);
    value.hash(&mut hasher);
    hasher.finish()
}

/// A quick hasher: it folds a product of 128 bits, word by word. The one of the standard library
/// takes most of the time here.
struct Folded(u64);

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.fold(u64::from(*byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.fold(u64::from(word));
    }

    fn write_isize(&mut self, word: isize) {
        self.fold(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }
}
