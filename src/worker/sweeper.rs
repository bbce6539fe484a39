//! The sweeper: takes back what dead workers held, and finds what nothing would move.
//!
//! Every worker audits what it itself holds and looks for dead ones: the one that leads may be
//! the one that hangs. The rest is done by the leader, which may change at any moment: everything
//! here may happen twice at once without harm. What is thrown away is the `keeper`'s.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    machine::{Event, FailureKind, Lease, Status},
    store::{
        self, Store, chain, claim,
        podcasts::{OperatorMove, write_operator_moves},
        sweep, workers,
    },
    telemetry::count,
};

use super::{Settings, held::Held, host, liveness::Liveness};

/// How often dead workers are looked for. A death is proved by two missed beats, so that after this
/// it is known within the three seconds that are promised.
const LOOK: Duration = Duration::from_millis(800);

/// How often the unfinished podcasts are looked through, and the pause between two pages of one
/// round: a million of them are looked through within a minute.
const MEND: Duration = Duration::from_secs(5);
const NEXT_PAGE: Duration = Duration::from_secs(1);

/// Unfinished podcasts looked at in one page.
const PAGE: i64 = 20_000;

/// The longest wait for a part of the sweep: a little more than the server gives a statement, so
/// that only a connection which died unnoticed takes that long.
const PATIENCE: Duration = Duration::from_secs(70);

/// How long this worker must have been heard without a gap before it believes a free lock. After
/// an outage of the database every lock is free and every heartbeat old, for a moment.
const TRUST_LOCKS_AFTER: Duration = Duration::from_secs(2);

/// What sweeping needs to know.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The database.
    pub store: Store,
    /// How this worker works.
    pub settings: Settings,
    /// This worker.
    pub worker_id: i32,
    /// Whether it is heard, and leads.
    pub live: Arc<Liveness>,
}

/// Does a part of the sweep. One that fails, or is never answered, is tried again with the next.
pub(super) async fn attempt(what: &str, part: impl Future<Output = Result<(), store::Error>>) {
    match tokio::time::timeout(PATIENCE, part).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = chain(&error), what, "the sweep will try again"),
        Err(_) => tracing::warn!(what, timeout_s = PATIENCE.as_secs(), "no answer, the sweep will try again"),
    }
}

impl Sweep {
    /// Looks for dead workers and mends unfinished podcasts until the worker ends.
    pub async fn mend(self, ending: CancellationToken) {
        let (mut after, mut next_mend) = (0, Instant::now());
        while tokio::time::timeout(LOOK, ending.cancelled()).await.is_err() {
            if !self.live.may_call() {
                continue;
            }
            attempt("look for dead workers", self.bury()).await;
            if self.live.leads() && Instant::now() >= next_mend {
                attempt("mend unfinished podcasts", self.mend_page(&mut after)).await;
                next_mend = Instant::now() + if after == 0 { MEND } else { NEXT_PAGE };
            }
        }
    }

    /// Declares dead whoever is proved to be, and gives up the podcasts that brought them down.
    async fn bury(&self) -> Result<(), store::Error> {
        let healthy = self.live.healthy_for();
        for silent in workers::silent(&self.store, self.worker_id).await? {
            let reason = if silent.lock_is_free && host::is_gone(&silent) {
                "its process is gone"
            } else if silent.lock_is_free && silent.missed_two_beats && healthy >= TRUST_LOCKS_AFTER {
                "its session ended and its heartbeat stopped"
            } else if silent.lease_ran_out && healthy >= self.settings.lease {
                "it was not heard for longer than its lease"
            } else {
                continue;
            };
            let declared = workers::declare_dead(&self.store, &silent, reason, self.settings.crash_limit).await?;
            // It was heard meanwhile and keeps its session, or another has done all this.
            let Some(rescued) = declared else { continue };
            count::expired(rescued.len());
            tracing::warn!(
                worker.id = silent.id,
                worker.name = silent.name,
                reason,
                podcasts = rescued.len(),
                "worker declared dead"
            );
            if !silent.lock_is_free {
                attempt("end the session of a dead worker", workers::end_session(&self.store, silent.id)).await;
            }
            let limit = i32::try_from(self.settings.crash_limit).unwrap_or(i32::MAX);
            let guilty = rescued.iter().filter(|podcast| podcast.alone && podcast.crashes >= limit);
            let moves: Vec<_> = guilty.filter_map(give_up).collect();
            write_operator_moves(self.store.pool(), &moves, None).await?;
        }
        Ok(())
    }

    /// Mends the page of the unfinished podcasts behind `after`, which moves on, and to 0 at the
    /// end.
    async fn mend_page(&self, after: &mut i64) -> Result<(), store::Error> {
        if *after == 0 {
            let odd = sweep::put_away_odd_jobs(&self.store).await?;
            if odd > 0 {
                tracing::warn!(jobs = odd, "put away jobs that stood in the way of podcasts' own");
            }
        }
        let page = sweep::mend_page(&self.store, *after, PAGE).await?;
        *after = page.next_after.unwrap_or(0);
        if page.freed > 0 || page.armed > 0 {
            tracing::warn!(
                podcasts.freed = page.freed,
                podcasts.armed = page.armed,
                "mended podcasts that nothing would have moved"
            );
        }
        Ok(())
    }
}

/// The move that ends a podcast which brings its workers down.
fn give_up(podcast: &workers::Rescued) -> Option<OperatorMove> {
    let from: Status = podcast.status.parse().ok()?;
    let kind = FailureKind::WorkerCrashed;
    let detail = format!("{}: {} times without moving on, the last time alone", kind.words(), podcast.crashes);
    OperatorMove::new(podcast.podcast_id, from, Event::GaveUp, Some(kind), detail).ok()
}

/// Lets go of podcasts that the database says this worker holds, but which it does not: their
/// claim was committed and its answer got lost. A claim whose answer may still come is left alone:
/// its podcasts would be worked on under a lease that is gone.
pub async fn audit(store: Store, worker_id: i32, every: Duration, held: Held, ending: CancellationToken) {
    while tokio::time::timeout(every, ending.cancelled()).await.is_err() {
        let audited = async {
            let claimed = claim::held_by(&store, worker_id, store::LONGEST_ANSWER).await?;
            let known = held.leases();
            let unknown: Vec<Lease> = claimed.into_iter().filter(|lease| !known.contains(lease)).collect();
            if unknown.is_empty() { Ok(0) } else { claim::let_go(&store, &unknown, Duration::ZERO).await }
        };
        match audited.await {
            Ok(0) => {}
            Ok(podcasts) => tracing::warn!(podcasts, "let go of podcasts whose claim got lost on the way"),
            Err(error) => tracing::warn!(error = chain(&error), "could not audit what this worker holds"),
        }
    }
}
