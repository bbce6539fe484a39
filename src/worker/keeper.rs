//! The keeper: throws away what is no longer needed, and what belonged to learners who left.
//!
//! Leftovers in the spool are every worker's own, unless all share one. The rest is the leader's:
//! what is older than the retention goes (`store::retention`), learners who left are found
//! (`store::missed`) and erased (`store::erasure`). It all goes in small steps with pauses, so that a
//! night and its listeners hardly notice; a round has its time, and what is not done by then is done
//! in the next.

use std::{sync::Arc, time::Duration};

use chrono::NaiveDate;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::shout,
    podcast::Failure,
    store::{
        self, Store,
        alerts::{self, Notice},
        audit, chain,
        erasure::{self, Due},
        missed::{self, Census},
        retention, sweep, workers,
    },
};

use super::{
    Work,
    fleet::SILENT_KINDS,
    sweeper::{Sweep, attempt},
};

/// The pause between two rounds, and how often it is looked whether it is over.
const PAUSE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(500);

/// How long each part of a round may go on beginning new steps.
const ROUND: Duration = Duration::from_secs(30);

/// Podcasts pruned in one commit, and the pause between two commits.
const PRUNE: i64 = 1_000;
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

/// Learners for whom the academy is asked in one round.
const LOOK: i32 = 5_000;

/// Podcasts of one learner that are deleted in one commit.
const ERASE: i64 = 500;

/// Erasures that are read at once.
const DUE: i64 = 20;

/// How long erasures wait for a store that is away, and one whose rows could not be deleted.
const PUT_OFF: Duration = Duration::from_secs(5 * 60);

/// Raised while erasures are held up: too many are missing, or the store does not delete.
const HELD: &str = "erasure_held";

/// What it is about then.
const ACADEMY: &str = "academy";
const STORAGE: &str = "storage";

/// What one pass over a learner deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Podcasts.
    pub podcasts: i64,
    /// Objects.
    pub objects: i64,
    /// Nothing was found any more, and the learner is forgotten.
    pub is_over: bool,
}

/// Why a pass did not come to its end. It is done again from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// The rows are there, or the line that says that they are gone.
    #[error(transparent)]
    Database(#[from] store::Error),
    /// The rows are gone, the objects are there.
    #[error("the episodes of an erased learner could not be deleted: {}", .0.message)]
    Storage(Failure),
}

/// One pass over a learner who is to be erased; `delete_objects` deletes everything that the store
/// has of them and says how many objects that were.
///
/// # Errors
/// [`Unfinished`].
pub async fn erase(
    store: &Store,
    pass: Due,
    delete_objects: impl Future<Output = Result<u64, Failure>>,
) -> Result<Passed, Unfinished> {
    erasure::delete_others(store.pool(), pass.user_id).await?;
    let mut podcasts = 0;
    loop {
        let gone = erasure::delete_podcasts(store.pool(), pass.user_id, ERASE).await?;
        podcasts += gone;
        if gone < ERASE {
            break;
        }
    }
    let objects = delete_objects.await.map_err(Unfinished::Storage)?;
    let objects = i64::try_from(objects).unwrap_or(i64::MAX);
    let is_over = erasure::end_pass(store.pool(), pass, objects).await?;
    Ok(Passed { podcasts, objects, is_over })
}

impl Sweep {
    /// Throws away what is no longer needed until the worker ends. Whoever begins to lead begins
    /// with a round.
    pub async fn tidy<W: Work>(self, work: Arc<W>, ending: CancellationToken) {
        let mut behind = None;
        let (mut next_clean_up, mut next_round) = (Instant::now(), Instant::now());
        while tokio::time::timeout(TICK, ending.cancelled()).await.is_err() {
            if !self.live.may_call() {
                continue;
            }
            if Instant::now() >= next_clean_up {
                attempt("tidy up the spool", self.clean_up(work.as_ref(), &ending)).await;
                next_clean_up = Instant::now() + PAUSE;
            }
            if self.live.leads() && Instant::now() >= next_round {
                attempt("prune old podcasts", self.prune(&mut behind, &ending)).await;
                attempt("prune what old podcasts leave", self.prune_rest()).await;
                attempt("look for learners who left", self.look()).await;
                self.erase_all(work.as_ref(), &ending).await;
                next_round = Instant::now() + PAUSE;
            }
        }
    }

    async fn clean_up<W: Work>(&self, work: &W, ending: &CancellationToken) -> Result<(), store::Error> {
        let leftovers = work.leftovers().await;
        for id in sweep::settled(self.store.pool(), &leftovers).await? {
            if ending.is_cancelled() {
                break;
            }
            work.clean_up(id).await;
        }
        Ok(())
    }

    /// Prunes page by page. Where the time of a round ends the next one goes on; where nothing is
    /// left it begins anew.
    async fn prune(
        &self,
        behind: &mut Option<(NaiveDate, i64)>,
        ending: &CancellationToken,
    ) -> Result<(), store::Error> {
        let ends = Instant::now() + ROUND;
        while Instant::now() < ends && !ending.is_cancelled() {
            let page = retention::prune(self.store.pool(), self.settings.retention_days, PRUNE, *behind).await?;
            *behind = page.last.filter(|_| page.podcasts == PRUNE);
            if behind.is_none() {
                break;
            }
            tokio::time::sleep(PRUNE_PAUSE).await;
        }
        Ok(())
    }

    async fn prune_rest(&self) -> Result<(), store::Error> {
        let days = self.settings.retention_days;
        retention::prune_nights(self.store.pool(), days).await?;
        retention::prune_jobs(&self.store, days).await?;
        workers::prune(&self.store, days).await?;
        alerts::prune(&self.store, &SILENT_KINDS, days).await?;
        audit::prune(self.store.pool(), days).await?;
        retention::prune_desk(self.store.pool(), days).await?;
        Ok(())
    }

    /// Looks at one page of learners and, at the end of a walk, confirms who really left.
    async fn look(&self) -> Result<(), store::Error> {
        let pool = self.store.pool();
        if !missed::look(pool, LOOK).await?.is_last {
            return Ok(());
        }
        let census = missed::census(pool, self.settings.retention_days).await?;
        if census.is_plausible() {
            let confirmed = missed::confirm(pool).await?;
            if confirmed > 0 {
                tracing::info!(learners = confirmed, "learners left the academy and are erased");
            }
            return self.tell(Notice::Resolve { kind: HELD, subject: ACADEMY.to_owned() }).await;
        }
        let (kind, subject) = (HELD, ACADEMY.to_owned());
        self.tell(Notice::Raise { kind, subject, message: held(census), times: 1 }).await
    }

    /// Erases who is due. A store that does not delete holds up all of them for a while.
    async fn erase_all<W: Work>(&self, work: &W, ending: &CancellationToken) {
        let ends = Instant::now() + ROUND;
        let mut has_more = true;
        while has_more && Instant::now() < ends {
            has_more = false;
            attempt("erase learners who left", async {
                let due = erasure::due(self.store.pool(), DUE).await?;
                for pass in &due {
                    if ending.is_cancelled() || !self.live.may_call() || !self.pass(work, *pass).await? {
                        return Ok(());
                    }
                }
                has_more = due.len() as i64 == DUE;
                Ok(())
            })
            .await;
        }
    }

    /// One pass; false when the store holds it up. Where the rows are what fails, this learner waits
    /// and the others do not.
    async fn pass<W: Work>(&self, work: &W, pass: Due) -> Result<bool, store::Error> {
        let subject = STORAGE.to_owned();
        match erase(&self.store, pass, work.delete_objects_of(pass.user_id)).await {
            Ok(passed) => {
                tracing::info!(
                    erasure.podcasts = passed.podcasts,
                    erasure.objects = passed.objects,
                    erasure.is_over = passed.is_over,
                    "a learner was erased"
                );
                self.tell(Notice::Resolve { kind: HELD, subject }).await?;
                Ok(true)
            }
            Err(Unfinished::Database(error)) => {
                erasure::postpone(self.store.pool(), Some(pass.user_id), PUT_OFF.as_secs_f64()).await?;
                tracing::warn!(error = chain(&error), "a learner could not be erased; it is tried again");
                Ok(true)
            }
            Err(Unfinished::Storage(failure)) => {
                let waiting = erasure::postpone(self.store.pool(), None, PUT_OFF.as_secs_f64()).await?;
                tracing::warn!(
                    error.kind = failure.kind.as_str(),
                    error.message = failure.message,
                    learners = waiting,
                    "episodes of erased learners could not be deleted; it is tried again"
                );
                let message = format!(
                    "episodes of {waiting} erased learners could not be deleted: {}. It is tried again; the key needs \
                     s3:ListBucket on the bucket and s3:DeleteObject on its objects",
                    failure.message
                );
                self.tell(Notice::Raise { kind: HELD, subject, message, times: 1 }).await?;
                Ok(false)
            }
        }
    }

    async fn tell(&self, notice: Notice) -> Result<(), store::Error> {
        shout(&alerts::write(&self.store, vec![notice]).await?);
        Ok(())
    }
}

/// Why nobody is erased, in words for an operator.
fn held(census: Census) -> String {
    let Census { known, missing, shows_somebody } = census;
    let nobody = if shows_somebody { "" } else { ", whose learner view shows nobody" };
    format!(
        "{missing} of {known} learners with podcasts are missing in the academy{nobody}: too many to be believed, so \
         nobody is erased. A view that is broken or half-filled: mend it, and they are found again. If they really \
         left: `dailycast learner erase --missing`"
    )
}
