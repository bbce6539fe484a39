//! The writer: one task through which every move of this worker goes, so that the moves of many
//! podcasts share a commit.
//!
//! While one batch is being committed the next one gathers; when nothing is being committed a
//! move goes out after a short linger at most. A database that is away is waited out: the batch is
//! kept and tried again, and everyone who waits for it waits too, so no new work starts meanwhile.
//! Only a worker that has to end gives up what the database does not take; its rows say the rest.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::machine::LeaseLost;

use super::{
    Error, Store, chain, claim,
    moves::{self, Move},
};

/// The most moves in one commit: beyond this a commit is no longer what costs.
const MAX_BATCH: usize = 512;

/// How long a move waits for company when the last commit had some. Far below the time of a
/// commit on a disk, so a lonely podcast does not feel it.
const LINGER: Duration = Duration::from_millis(1);

/// The pauses between tries while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of a move.
pub type Written = Result<(), LeaseLost>;

/// A handle to the writer; cheap to clone. The writer ends when the last handle is gone and
/// everything it was given is written.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<(Move, oneshot::Sender<Written>)>,
}

impl Writer {
    /// Starts the writer of `worker_id`. `capacity` bounds the moves that wait: at most one per
    /// podcast in flight. `failing` is true while the database does not take what is written. When
    /// `give_up` is cancelled, what it does not take is not tried again.
    pub fn start(
        store: Store,
        worker_id: i32,
        capacity: usize,
        failing: Arc<AtomicBool>,
        give_up: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (queue, moves) = mpsc::channel(capacity.max(1));
        let desk = Desk { store, worker_id, failing, give_up };
        (Self { queue }, tokio::spawn(desk.run(moves)))
    }

    /// Writes one move; returns when it is committed, or known not to be.
    ///
    /// # Errors
    /// [`LeaseLost`] when the row did not have this token and status any more.
    pub async fn write(&self, one: Move) -> Written {
        let lease = one.lease;
        let (answer, written) = oneshot::channel();
        if self.queue.send((one, answer)).await.is_err() {
            return Err(LeaseLost(lease));
        }
        written.await.unwrap_or(Err(LeaseLost(lease)))
    }
}

/// Where the moves are written.
struct Desk {
    store: Store,
    worker_id: i32,
    failing: Arc<AtomicBool>,
    give_up: CancellationToken,
}

impl Desk {
    async fn run(self, mut queue: mpsc::Receiver<(Move, oneshot::Sender<Written>)>) {
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
            for (one, answer) in batch.iter().zip(answers) {
                let written = if held.contains(&one.lease.podcast_id) { Ok(()) } else { Err(LeaseLost(one.lease)) };
                // Who asked may have been cancelled meanwhile; the row says what happened.
                let _ = answer.send(written);
            }
        }
    }

    /// Writes a batch whatever it takes. One that the database will never accept is written move
    /// by move, so that only the culprit is let go.
    async fn write(&self, batch: &[Move]) -> HashSet<i64> {
        match self.write_while_passing(batch).await {
            Ok(held) => held,
            Err(error) if batch.len() > 1 => {
                tracing::error!(
                    error = chain(&error),
                    batch.moves = batch.len(),
                    "the database refused the moves, writing them one by one"
                );
                let mut held = HashSet::new();
                for one in batch {
                    held.extend(Box::pin(self.write(std::slice::from_ref(one))).await);
                }
                held
            }
            Err(error) => {
                let ids: Vec<i64> = batch.iter().map(|one| one.lease.podcast_id).collect();
                tracing::error!(
                    error = chain(&error),
                    podcast.id = ids.first(),
                    "the database refused a move, the podcast is let go"
                );
                self.let_go(&ids).await;
                HashSet::new()
            }
        }
    }

    /// Tries until the database answers. After an error it is unknown whether the commit happened,
    /// and a second try may find nothing left to move; what these leases still hold is then let
    /// go, and goes on from its row by the front door.
    async fn write_while_passing(&self, batch: &[Move]) -> Result<HashSet<i64>, Error> {
        let mut pause = FIRST_PAUSE;
        let mut in_doubt = false;
        loop {
            match moves::write(&self.store, self.worker_id, batch).await {
                Ok(held) => {
                    self.failing.store(false, Ordering::Relaxed);
                    if in_doubt {
                        let ids = batch.iter().map(|one| one.lease.podcast_id);
                        self.let_go(&ids.filter(|id| !held.contains(id)).collect::<Vec<_>>()).await;
                    }
                    return Ok(held);
                }
                Err(error) if error.is_passing() => {
                    self.failing.store(true, Ordering::Relaxed);
                    tracing::warn!(
                        error = chain(&error),
                        batch.moves = batch.len(),
                        "the database did not take the moves, trying again"
                    );
                    in_doubt = true;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.give_up.cancelled() => return Ok(HashSet::new()),
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn let_go(&self, ids: &[i64]) {
        if ids.is_empty() {
            return;
        }
        // What cannot be let go now is found by the audit of what this worker holds.
        if let Err(error) = claim::let_go(&self.store, self.worker_id, ids).await {
            tracing::warn!(error = chain(&error), podcasts = ids.len(), "could not let go of podcasts");
        }
    }
}
