//! The backend on apalis's trait: hands out what the fetcher has claimed.

use std::{
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use apalis::prelude::Task;
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    worker::context::WorkerContext,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tower::layer::util::Identity;

use super::{Delivery, fetcher::Fetcher};

/// The queue of claimed podcasts. No statement runs inside apalis's own polling: the fetcher is a
/// task of its own, so a slow database never keeps the worker from driving what is in flight.
#[derive(Debug)]
pub struct PodcastQueue {
    deliveries: mpsc::Receiver<Delivery>,
    start: Option<(Fetcher, mpsc::Sender<Delivery>)>,
    fetching: Option<AbortOnDropHandle<()>>,
}

impl PodcastQueue {
    /// A queue that begins to fetch when it is first polled.
    pub fn new(fetcher: Fetcher) -> Self {
        // A delivery holds a slot, so there are never more of them than slots.
        let (sender, deliveries) = mpsc::channel(fetcher.slots());
        Self { deliveries, start: Some((fetcher, sender)), fetching: None }
    }
}

impl Backend for PodcastQueue {
    type Task = Task<Delivery>;
    /// Nothing that happens to the queue ends the worker: what fails is tried again.
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        if let Some((fetcher, sender)) = self.start.take() {
            self.fetching = Some(AbortOnDropHandle::new(tokio::spawn(fetcher.run(sender))));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        self.deliveries.poll_recv(cx).map(|delivery| delivery.map(|delivery| Ok(Task::new(delivery))))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        if let Some(fetching) = &mut self.fetching {
            if Pin::new(fetching).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.fetching = None;
        }
        // What was claimed but not begun is still held by this worker's name, and handed back
        // with everything else when the worker ends.
        self.deliveries.close();
        while self.deliveries.try_recv().is_ok() {}
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for PodcastQueue {
    type Args = Delivery;
    type Id = i64;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        Identity::new()
    }
}
