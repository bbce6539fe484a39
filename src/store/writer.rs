//! The writer: through it goes every move of this worker, so that the moves of many podcasts share
//! a commit.
//!
//! It has two desks, because one connection keeps one processor of the server busy; a podcast
//! always goes to the same desk. While one batch is being committed the next one gathers; when
//! nothing is being committed a move goes out after a short linger at most.
//!
//! A database that is away is waited out: the batch is kept and tried again, and everyone who
//! waits for it waits too, so no new work starts meanwhile. Only a worker that has to end gives up
//! what the database does not take; its rows say the rest. A move that the database refuses for
//! good is replaced by a failed attempt that says so, because work that was paid for and cannot be
//! written down must not be done again and again.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    machine::{Event, FailureKind, Lease, LeaseLost, Status},
    podcast::Artefacts,
    telemetry::count,
};

use super::{
    Error, Store, chain, claim,
    moves::{self, Move, Then},
};

/// Batches that are written at the same time.
const DESKS: usize = 2;

/// The most moves in one commit: beyond this a commit is no longer what costs.
const MAX_BATCH: usize = 512;

/// How long a move waits for company when the last commit had some. Far below the time of a
/// commit on a disk, so a lonely podcast does not feel it.
const LINGER: Duration = Duration::from_millis(1);

/// The pauses between tries while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long a podcast rests whose move was refused, and how often that may happen to it.
const REFUSED_REST: Duration = Duration::from_secs(60);
const MOST_REFUSALS: u32 = 3;

/// What became of a move: what it made, given back, or nothing.
pub type Written = Result<Artefacts, LeaseLost>;

/// A handle to the writer; cheap to clone. The writer ends when the last handle is gone and
/// everything it was given is written.
#[derive(Debug, Clone)]
pub struct Writer {
    desks: [mpsc::Sender<(Move, oneshot::Sender<Written>)>; DESKS],
}

/// What the desks of a writer share.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// Desks whose batch the database does not take at the moment.
    pub failing: Arc<AtomicUsize>,
    /// When cancelled, what the database does not take is not tried again.
    pub give_up: CancellationToken,
}

impl Writer {
    /// Starts the writer of `worker_id`. `capacity` bounds the moves that wait at a desk: at most
    /// one per podcast in flight.
    pub fn start(store: &Store, worker_id: i32, capacity: usize, supervision: &Supervision) -> (Self, JoinSet<()>) {
        let mut writing = JoinSet::new();
        let desks = std::array::from_fn(|_| {
            let (desk, moves) = mpsc::channel(capacity.max(1));
            let work = Desk { store: store.clone(), worker_id, supervision: supervision.clone(), is_failing: false };
            writing.spawn(work.run(moves));
            desk
        });
        (Self { desks }, writing)
    }

    /// Writes one move; returns when it is committed, or known not to be. Answers with what the
    /// move made, so that nobody copies a script to keep it.
    ///
    /// # Errors
    /// [`LeaseLost`] when the row did not have this token and status any more.
    pub async fn write(&self, one: Move) -> Written {
        let lease = one.lease;
        let (answer, written) = oneshot::channel();
        let desk = usize::try_from(lease.podcast_id).unwrap_or_default() % DESKS;
        if self.desks[desk].send((one, answer)).await.is_err() {
            return Err(LeaseLost(lease));
        }
        written.await.unwrap_or(Err(LeaseLost(lease)))
    }
}

/// Where moves are written.
struct Desk {
    store: Store,
    worker_id: i32,
    supervision: Supervision,
    is_failing: bool,
}

impl Desk {
    async fn run(mut self, mut queue: mpsc::Receiver<(Move, oneshot::Sender<Written>)>) {
        let mut gathered = Vec::with_capacity(MAX_BATCH);
        let mut had_company = false;
        while queue.recv_many(&mut gathered, MAX_BATCH).await > 0 {
            let linger_until = Instant::now() + LINGER;
            while had_company && gathered.len() < MAX_BATCH {
                let room = MAX_BATCH - gathered.len();
                match tokio::time::timeout_at(linger_until, queue.recv_many(&mut gathered, room)).await {
                    Ok(more) if more > 0 => {}
                    Ok(_) | Err(_) => break,
                }
            }
            had_company = gathered.len() > 1;
            let (batch, answers): (Vec<Move>, Vec<_>) = gathered.drain(..).unzip();
            let held = self.write(&batch).await;
            self.set_failing(false);
            for (one, answer) in batch.into_iter().zip(answers) {
                let written = if held.contains(&one.lease) { Ok(one.made) } else { Err(LeaseLost(one.lease)) };
                // Who asked may have been cancelled meanwhile; the row says what happened.
                let _ = answer.send(written);
            }
        }
    }

    /// Tells the worker whether this desk's moves are taken; without that no paid work begins.
    fn set_failing(&mut self, is_failing: bool) {
        if std::mem::replace(&mut self.is_failing, is_failing) == is_failing {
            return;
        }
        let failing = &self.supervision.failing;
        if is_failing {
            failing.fetch_add(1, Ordering::Relaxed)
        } else {
            failing.fetch_sub(1, Ordering::Relaxed)
        };
    }

    /// Writes a batch whatever it takes. One that the database will never accept is written move
    /// by move, so that only the culprit is replaced. Answers with the leases under which
    /// something was written as it was asked.
    async fn write(&mut self, batch: &[Move]) -> HashSet<Lease> {
        let refusal = match self.write_while_passing(batch).await {
            Ok(held) => return held,
            Err(refusal) => refusal,
        };
        tracing::error!(
            error = chain(&refusal),
            batch.moves = batch.len(),
            podcast.id = batch.first().map(|one| one.lease.podcast_id),
            "the database refused moves"
        );
        if let [one] = batch {
            self.replace(one, &refusal).await;
            return HashSet::new();
        }
        let mut held = HashSet::new();
        for one in batch {
            held.extend(Box::pin(self.write(std::slice::from_ref(one))).await);
        }
        held
    }

    /// Writes a failed attempt in place of a move that was refused, with its calls: what it cost
    /// was paid. If even that is refused, the podcast is let go and rests.
    async fn replace(&mut self, one: &Move, refusal: &Error) {
        let gives_up = one.tried >= MOST_REFUSALS;
        let substitute = Move {
            event: if gives_up { Event::GaveUp } else { Event::AttemptFailed },
            to: if gives_up { Status::Failed } else { one.from },
            then: if gives_up { Then::Finish } else { Then::Rest(REFUSED_REST) },
            attempt: one.tried,
            made: Artefacts::default(),
            error: Some((FailureKind::Internal, format!("what was made could not be written: {}", chain(refusal)))),
            provider: None,
            ..one.clone()
        };
        if let Err(error) = self.write_while_passing(std::slice::from_ref(&substitute)).await {
            tracing::error!(error = chain(&error), podcast.id = one.lease.podcast_id, "the podcast is let go");
            self.let_go(&[one.lease], REFUSED_REST).await;
        }
    }

    /// Tries until the database answers. After an error it is unknown whether the commit happened,
    /// and a second try may find nothing left to move; what these leases still hold is then let
    /// go, and goes on from its row by the front door.
    async fn write_while_passing(&mut self, batch: &[Move]) -> Result<HashSet<Lease>, Error> {
        let mut pause = FIRST_PAUSE;
        let mut in_doubt = false;
        loop {
            match moves::write(&self.store, self.worker_id, batch).await {
                Ok(held) => {
                    count::committed(held.len());
                    if in_doubt {
                        let leases = batch.iter().map(|one| one.lease);
                        let lost: Vec<Lease> = leases.filter(|lease| !held.contains(lease)).collect();
                        self.let_go(&lost, Duration::ZERO).await;
                    }
                    return Ok(held);
                }
                Err(error) if error.is_passing() => {
                    self.set_failing(true);
                    tracing::warn!(
                        error = chain(&error),
                        batch.moves = batch.len(),
                        "the database did not take the moves, trying again"
                    );
                    in_doubt = true;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.supervision.give_up.cancelled() => return Ok(HashSet::new()),
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn let_go(&self, leases: &[Lease], rest: Duration) {
        if leases.is_empty() {
            return;
        }
        // What cannot be let go now is found by the audit of what this worker holds.
        if let Err(error) = claim::let_go(&self.store, leases, rest).await {
            tracing::warn!(error = chain(&error), podcasts = leases.len(), "could not let go of podcasts");
        }
    }
}
