//! Where apalis meets the engine; the only room that names it.
//!
//! apalis brings the worker: it polls a backend for tasks and drives the futures that a handler
//! makes of them. The backend is ours ([`backend`]), over apalis's own table of jobs, and its task
//! is a *claimed podcast*: fetching the job, claiming the row and marking the job are one
//! statement ([`fetcher`]). What becomes of the job is decided with the row's last move and
//! written in its commit, so apalis itself acknowledges nothing and retries nothing.

mod backend;
mod fetcher;

use std::sync::Arc;

use apalis::prelude::{BoxDynError, Data, WorkerBuilder};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use apalis_core::error::WorkerError;

use crate::{podcast::Podcast, store::Store};

use super::{
    Error, Settings, Work,
    executor::Executor,
    held::{Held, InHand},
    liveness::Liveness,
};

use backend::PodcastQueue;

/// A claimed podcast, in hand, and the slot it occupies; dropping it frees both.
#[derive(Debug)]
pub struct Delivery {
    podcast: Podcast,
    in_hand: InHand,
    slot: tokio::sync::OwnedSemaphorePermit,
}

/// Delivers due podcasts to the executor until the worker ends, then returns when every podcast
/// that was being worked on has come to rest.
///
/// # Errors
/// [`Error::Apalis`] when apalis gives up by itself.
pub async fn serve<W: Work>(
    store: &Store,
    worker_id: i32,
    settings: &Settings,
    executor: Arc<Executor<W>>,
    live: &Arc<Liveness>,
    held: &Held,
    ending: CancellationToken,
) -> Result<(), Error> {
    let fetcher =
        fetcher::Fetcher::new(store.clone(), worker_id, settings, Arc::clone(live), held.clone(), ending.clone());
    let worker = WorkerBuilder::new(crate::store::workers::job_owner(worker_id).as_str())
        .backend(PodcastQueue::new(fetcher))
        .data(executor)
        .build(handle::<W>);
    let stop = async move {
        ending.cancelled().await;
        Ok::<(), WorkerError>(())
    };
    worker.run_until(stop).await.map_err(Error::Apalis)
}

/// Walks one delivered podcast, on a task of its own: apalis drives all handlers on one.
async fn handle<W: Work>(delivery: Delivery, executor: Data<Arc<Executor<W>>>) -> Result<(), BoxDynError> {
    let Delivery { podcast, in_hand, slot } = delivery;
    let walk = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&executor.0).walk(podcast))).await;
    drop(in_hand);
    drop(slot);
    if let Err(panic) = walk {
        // The row is still held by this worker; the audit of what it holds lets it go.
        tracing::error!(error = %panic, "the walk of a podcast panicked");
    }
    Ok(())
}
