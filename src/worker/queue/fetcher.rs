//! The fetcher: claims as many due podcasts as there are free slots.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    podcast::Podcast,
    store::{
        self, Store, chain,
        claim::{self, Marks, Wanted},
    },
    telemetry::count,
};

use super::{
    super::{Settings, held::Held, liveness::Liveness},
    Delivery,
};

/// The most podcasts of one claim: beyond this the statement, not the round trip, is what costs.
const MAX_CLAIM: usize = 256;

/// How long a free slot waits for others while there is a backlog, so that instant work does not
/// turn into one claim per podcast. Nothing beside the seconds a real step takes.
const LINGER: Duration = Duration::from_millis(2);

/// How often an idle worker looks for suspects.
const SUSPECTS: Duration = Duration::from_secs(5);

/// How often a claim begins at the front of the queue, where it also finds jobs that were armed for
/// a time before its marks; and how many times longer than such a claim lasts the others go on at
/// least, when old snapshots make it slow.
const FROM_THE_FRONT: Duration = Duration::from_secs(1);
const FRONT_SHARE: u32 = 20;

/// The pause after a claim that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Claims due podcasts for one worker.
#[derive(Debug)]
pub struct Fetcher {
    store: Store,
    worker_id: i32,
    slots: usize,
    poll: Duration,
    live: Arc<Liveness>,
    held: Held,
    ending: CancellationToken,
    free: Arc<Semaphore>,
    nudge: Arc<Notify>,
}

impl Fetcher {
    /// A fetcher that ends when `ending` is cancelled.
    pub fn new(
        store: Store,
        worker_id: i32,
        settings: &Settings,
        live: Arc<Liveness>,
        held: Held,
        ending: CancellationToken,
    ) -> Self {
        let slots = settings.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(slots));
        Self { store, worker_id, slots, poll: settings.poll, live, held, ending, free, nudge: Arc::new(Notify::new()) }
    }

    /// Podcasts in flight at most.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Claims until it is told to end.
    pub async fn run(self, deliveries: mpsc::Sender<Delivery>) {
        let _listener = AbortOnDropHandle::new(tokio::spawn(listen(
            self.store.clone(),
            Arc::clone(&self.nudge),
            self.ending.clone(),
        )));
        let mut backlog = false;
        let mut next_suspect = Instant::now();
        let mut front = Front { marks: Marks::default(), next: Instant::now(), is_idle: false };
        while !self.ending.is_cancelled() {
            let Some(mut permits) = self.free_slots(backlog).await else { break };
            let asked = permits.len();
            let claimed = match front.claim(&self.store, self.worker_id, asked).await {
                Ok(podcasts) => podcasts,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "cannot claim podcasts, trying again");
                    drop(permits);
                    self.pause(PAUSE).await;
                    continue;
                }
            };
            count::claimed(claimed.len());
            backlog = claimed.len() == asked;
            let idle = claimed.is_empty();
            for podcast in claimed {
                let Some(slot) = permits.pop() else { break };
                let in_hand = self.held.take(podcast.lease);
                if deliveries.send(Delivery { podcast, in_hand, slot }).await.is_err() {
                    break;
                }
            }
            drop(permits);
            if idle {
                let looks = Instant::now() >= next_suspect;
                if !(looks && self.run_a_suspect(&deliveries).await) {
                    if looks {
                        next_suspect = Instant::now() + SUSPECTS;
                    }
                    self.pause(self.poll).await;
                }
            }
        }
    }

    /// Waits for a free slot, then takes all that are free. `None` when the worker ends.
    async fn free_slots(&self, backlog: bool) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            permit = Arc::clone(&self.free).acquire_owned() => permit.ok()?,
            () = self.ending.cancelled() => return None,
        };
        if backlog && self.free.available_permits() < self.slots / 2 {
            tokio::time::sleep(LINGER).await;
        }
        tokio::select! {
            () = self.live.healthy() => {}
            () = self.ending.cancelled() => return None,
        }
        let mut permits = vec![first];
        while permits.len() < MAX_CLAIM {
            let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else { break };
            permits.push(permit);
        }
        Some(permits)
    }

    /// When nothing else is due: takes one suspect, with every slot, so that it is alone. Returns
    /// false when there is none.
    async fn run_a_suspect(&self, deliveries: &mpsc::Sender<Delivery>) -> bool {
        let Ok(all) = u32::try_from(self.slots) else { return false };
        let Ok(slot) = Arc::clone(&self.free).try_acquire_many_owned(all) else { return false };
        let suspect = async {
            match claim::is_any_due(&self.store, Wanted::Suspect, &mut Marks::default()).await? {
                true => claim::claim(&self.store, self.worker_id, 1, Wanted::Suspect).await,
                false => Ok(Vec::new()),
            }
        };
        match suspect.await {
            Ok(podcasts) => {
                let Some(podcast) = podcasts.into_iter().next() else { return false };
                tracing::warn!(podcast.id = podcast.id, "running a podcast alone: it was in flight at several crashes");
                let in_hand = self.held.take(podcast.lease);
                deliveries.send(Delivery { podcast, in_hand, slot }).await.is_ok()
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot claim a suspect");
                false
            }
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.nudge.notified() => {}
            () = self.ending.cancelled() => {}
        }
    }
}

/// Where claims begin: behind the marks, and at the front when it is time.
#[derive(Debug)]
struct Front {
    marks: Marks,
    next: Instant,
    /// The last claim found nothing, so the next one looks first.
    is_idle: bool,
}

impl Front {
    async fn claim(&mut self, store: &Store, worker_id: i32, limit: usize) -> Result<Vec<Podcast>, store::Error> {
        let began = Instant::now();
        let is_whole = began >= self.next;
        if is_whole {
            self.marks = Marks::default();
        }
        let is_any = !self.is_idle || claim::is_any_due(store, Wanted::Healthy, &mut self.marks).await?;
        let claimed = if is_any {
            claim::claim_behind(store, worker_id, limit, Wanted::Healthy, &mut self.marks).await?
        } else {
            Vec::new()
        };
        if is_whole {
            self.next = Instant::now() + FROM_THE_FRONT.max(began.elapsed() * FRONT_SHARE);
        }
        self.is_idle = claimed.is_empty();
        Ok(claimed)
    }
}

/// Wakes the fetcher when work becomes due. Without a connection the fetcher just polls.
async fn listen(store: Store, nudge: Arc<Notify>, ending: CancellationToken) {
    while !ending.is_cancelled() {
        match store.listen().await {
            Ok(mut listener) => {
                while let Ok(notification) = listener.try_recv().await {
                    // `None` says that the connection was lost; it is opened again, and what was
                    // told meanwhile is found by the fetch that this wakes.
                    let _ = notification;
                    nudge.notify_one();
                }
            }
            Err(error) => tracing::debug!(error = chain(&error), "cannot listen for due work, polling only"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = ending.cancelled() => {}
        }
    }
}
