//! The sweeper: takes back what dead workers held, and finds what nothing would move.
//!
//! Every worker audits what it itself holds and looks for dead ones: the one that leads may be
//! the one that hangs. The rest is done by the leader, which may change at any moment: everything
//! here may happen twice at once without harm.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    machine::{Event, FailureKind, Status},
    store::{
        self, Store, chain, claim,
        podcasts::{OperatorMove, write_operator_moves},
        sweep, workers,
    },
};

use super::{Settings, Work, host, liveness::Liveness};

/// How often dead workers are looked for.
const LOOK: Duration = Duration::from_millis(500);

/// How often a page of the unfinished podcasts is mended.
const MEND: Duration = Duration::from_secs(5);

/// Unfinished podcasts looked at in one page.
const PAGE: i64 = 10_000;

/// How often old rows are pruned and leftovers of finished podcasts are thrown away.
const TIDY: Duration = Duration::from_secs(60);

/// Podcasts pruned in one commit.
const PRUNE: i64 = 1_000;

/// The longest wait for a part of the sweep: a little more than the server gives a statement, so
/// that only a connection which died unnoticed takes that long.
const PATIENCE: Duration = Duration::from_secs(70);

/// How long this worker must have been heard without a gap before it believes a free lock. After
/// an outage of the database every lock is free and every heartbeat old, for a moment.
const TRUST_LOCKS_AFTER: Duration = Duration::from_secs(2);

/// Sweeps until the worker ends.
pub async fn run<W: Work>(
    store: Store,
    settings: Settings,
    work: Arc<W>,
    worker_id: i32,
    live: Arc<Liveness>,
    ending: CancellationToken,
) {
    let mut sweeper = Sweeper { store, settings, worker_id, live, mend_after: 0 };
    let (mut next_mend, mut next_tidy) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ending.cancelled() => return,
        }
        if !sweeper.live.may_call() {
            continue;
        }
        attempt("look for dead workers", sweeper.bury()).await;
        if !sweeper.live.leads() {
            continue;
        }
        let now = Instant::now();
        if now >= next_mend {
            next_mend = now + MEND;
            attempt("mend unfinished podcasts", sweeper.mend()).await;
        }
        if now >= next_tidy {
            next_tidy = now + TIDY;
            attempt("tidy up", sweeper.tidy(work.as_ref())).await;
        }
    }
}

struct Sweeper {
    store: Store,
    settings: Settings,
    worker_id: i32,
    live: Arc<Liveness>,
    mend_after: i64,
}

/// Does a part of the sweep. One that fails, or is never answered, is tried again with the next.
async fn attempt(what: &str, part: impl Future<Output = Result<(), store::Error>>) {
    match tokio::time::timeout(PATIENCE, part).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = chain(&error), what, "the sweep will try again"),
        Err(_) => tracing::warn!(what, timeout_s = PATIENCE.as_secs(), "no answer, the sweep will try again"),
    }
}

impl Sweeper {
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
            let rescued = workers::declare_dead(&self.store, &[silent.id], reason, self.settings.crash_limit).await?;
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

    /// Mends one page of the unfinished podcasts; the next call goes on behind it.
    async fn mend(&mut self) -> Result<(), store::Error> {
        let page = sweep::mend_page(self.store.pool(), self.mend_after, PAGE).await?;
        self.mend_after = page.next_after.unwrap_or(0);
        if page.freed > 0 || page.armed > 0 {
            tracing::warn!(
                podcasts.freed = page.freed,
                podcasts.armed = page.armed,
                "mended podcasts that nothing would have moved"
            );
        }
        Ok(())
    }

    async fn tidy<W: Work>(&self, work: &W) -> Result<(), store::Error> {
        let days = self.settings.retention_days;
        while sweep::prune(self.store.pool(), days, PRUNE).await? == PRUNE {}
        workers::prune(&self.store, days).await?;
        let leftovers = work.leftovers().await;
        for id in sweep::settled(self.store.pool(), &leftovers).await? {
            work.clean_up(id).await;
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
/// claim was committed and its answer got lost.
pub async fn audit(
    store: Store,
    worker_id: i32,
    grown: Duration,
    held: impl Fn() -> HashSet<i64> + Send,
    ending: CancellationToken,
) {
    let grown_ms = i64::try_from(grown.as_millis()).unwrap_or(i64::MAX);
    loop {
        tokio::select! {
            () = tokio::time::sleep(grown) => {}
            () = ending.cancelled() => return,
        }
        let audited = async {
            let claimed = claim::held_by(&store, worker_id, grown_ms).await?;
            let held = held();
            let unknown: Vec<i64> = claimed.into_iter().filter(|id| !held.contains(id)).collect();
            if unknown.is_empty() { Ok(0) } else { claim::let_go(&store, worker_id, &unknown).await }
        };
        match audited.await {
            Ok(0) => {}
            Ok(podcasts) => tracing::warn!(podcasts, "let go of podcasts whose claim got lost on the way"),
            Err(error) => tracing::warn!(error = chain(&error), "could not audit what this worker holds"),
        }
    }
}
