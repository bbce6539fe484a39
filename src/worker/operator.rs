//! Goes on with what an operator began: operations whose process was killed, or stopped, in the
//! middle. The worker that leads does it; should there be two for a moment, each page is done once.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::store::{Error, Store, chain, operations};

use super::liveness::Liveness;

/// How often operations are looked for.
const LOOK: Duration = Duration::from_secs(2);

/// An operation that has not moved for so many seconds has nobody who carries it out.
const LEFT_ALONE_S: f64 = 5.0;

/// One that only a newer version can read waits so long for it.
const PUT_OFF: Duration = Duration::from_secs(5 * 60);

/// Carries out operations that were left alone, while this worker leads.
pub async fn run(store: Store, live: Arc<Liveness>, ending: CancellationToken) {
    let mut put_off = HashMap::new();
    while tokio::time::timeout(LOOK, ending.cancelled()).await.is_err() {
        if !live.leads() || !live.may_call() {
            continue;
        }
        tokio::select! {
            () = go_on(&store, &mut put_off) => {}
            () = ending.cancelled() => return,
        }
    }
}

/// One that cannot be carried out does not hold up the others.
async fn go_on(store: &Store, put_off: &mut HashMap<i64, Instant>) {
    let left_alone = operations::left_alone(store.walks(), LEFT_ALONE_S).await.unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "cannot look for operations, trying again");
        Vec::new()
    });
    put_off.retain(|_, since| since.elapsed() < PUT_OFF);
    for id in left_alone.into_iter().filter(|id| !put_off.contains_key(id)).collect::<Vec<_>>() {
        match operations::carry_out(store.walks(), id, |_| {}).await {
            Ok(Some(over)) => tracing::info!(
                operation.id = id,
                operation.verb = over.verb,
                operation.done = over.done,
                operation.skipped = over.skipped,
                "operation carried out"
            ),
            Ok(None) => {}
            Err(error) => {
                if matches!(error, Error::Unreadable { .. }) {
                    put_off.insert(id, Instant::now());
                }
                tracing::warn!(
                    operation.id = id,
                    error = chain(&error),
                    "the operation could not be carried out yet, trying again"
                );
            }
        }
    }
}
