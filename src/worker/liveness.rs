//! What this worker knows about its own life: when the database last heard from it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::shutdown::Shutdown;

/// The worker's own view of its lease. The database's view decides; this one is stricter, so that
/// a worker stops beginning paid work before anyone else may think it dead.
#[derive(Debug)]
pub struct Liveness {
    beat: Duration,
    failing: Arc<AtomicUsize>,
    heard: Mutex<Heard>,
    again: Notify,
    leads: AtomicBool,
    paused: watch::Sender<bool>,
    dead: CancellationToken,
    finished: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    last: Option<Instant>,
    /// Since when no heartbeat failed.
    since: Option<Instant>,
}

impl Liveness {
    /// A worker that was not heard yet. `failing` counts the desks of
    /// its writer whose moves are not taken.
    pub fn new(beat: Duration, failing: Arc<AtomicUsize>) -> Self {
        Self {
            beat,
            failing,
            heard: Mutex::new(Heard { last: None, since: None }),
            again: Notify::new(),
            leads: AtomicBool::new(false),
            paused: watch::Sender::new(false),
            dead: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time between two heartbeats.
    pub fn beat(&self) -> Duration {
        self.beat
    }

    /// A heartbeat that was sent at `sent` has arrived.
    pub(super) fn heard_at(&self, sent: Instant) {
        {
            let mut heard = self.heard();
            // A process that was stopped missed no heartbeat that it knows of, but the time shows it.
            let is_a_gap = heard.last.is_some_and(|last| sent.duration_since(last) > self.beat * 2);
            if is_a_gap || heard.since.is_none() {
                heard.since = Some(sent);
            }
            heard.last = Some(sent);
        }
        self.again.notify_waiters();
    }

    /// A heartbeat failed: the session is gone, and with it the lock and the lead.
    pub(super) fn missed(&self) {
        *self.heard() = Heard { last: None, since: None };
        self.leads.store(false, Ordering::Relaxed);
    }

    /// May a call that costs money begin? Not unless the last heartbeat is younger than two beats
    /// and the last write succeeded: after that, others may begin to think this worker dead.
    pub fn may_call(&self) -> bool {
        !self.dead.is_cancelled()
            && self.failing.load(Ordering::Relaxed) == 0
            && self.heard().last.is_some_and(|last| last.elapsed() < self.beat * 2)
    }

    /// How long the database has heard this worker without a gap.
    pub fn healthy_for(&self) -> Duration {
        self.heard().since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Returns as soon as calls may begin.
    pub async fn healthy(&self) {
        loop {
            let again = self.again.notified();
            if self.may_call() {
                return;
            }
            // Woken by the next heartbeat, or looks again: a failed write mends without one.
            let _ = tokio::time::timeout(self.beat, again).await;
        }
    }

    /// True while this worker is the one that leads.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    pub(super) fn set_leads(&self, leads: bool) {
        if self.leads.swap(leads, Ordering::Relaxed) != leads && leads {
            tracing::info!("this worker leads: it schedules and sweeps");
        }
    }

    /// True while an operator has paused everything, as the last heartbeat was told. Claims are
    /// refused by their own statement; this is for what is already in hand.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Returns when everything is paused.
    pub async fn paused(&self) {
        // The sender is our own, so this never fails.
        let _ = self.paused.subscribe().wait_for(|is_paused| *is_paused).await;
    }

    pub(super) fn set_paused(&self, is_paused: bool) {
        if self.paused.send_replace(is_paused) != is_paused {
            let what = if is_paused { "paused: finishing the steps in hand" } else { "resumed" };
            tracing::info!("{what}");
        }
    }

    /// Others have taken this worker's podcasts.
    pub(super) fn declare_dead(&self) {
        self.dead.cancel();
    }

    /// Returns when others have taken this worker's podcasts.
    pub async fn dead(&self) {
        self.dead.cancelled().await;
    }

    /// True when others have taken this worker's podcasts.
    pub fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Lets the heartbeat end: everything was handed back.
    pub(super) fn finish(&self) {
        self.finished.cancel();
    }

    /// Returns when the heartbeat may end.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// A token that is cancelled when this worker should begin nothing more, whatever the reason.
    pub fn ending(&self, shutdown: &Shutdown) -> CancellationToken {
        let ending = CancellationToken::new();
        let (dead, asked, both) = (self.dead.clone(), shutdown.token(), ending.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = dead.cancelled() => {}
                () = asked.cancelled() => {}
            }
            both.cancel();
        });
        ending
    }
}
