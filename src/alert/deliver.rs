//! Sending: each sink on its own, so that one that hangs keeps nobody else waiting.
//!
//! Who sends is whoever leads; if two think so, the lease of the sink lets one of them through. A
//! message that was sent by a worker which died before it could write that down is sent again when
//! the lease is over, with the same key.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    machine::{FailureKind, RetryPolicy},
    podcast::Failure,
    provider::alert_sink::{self, AlertSink},
    store::{
        self, PgPool, chain,
        deliveries::{self, Due, Missed},
    },
    telemetry::count,
};

use super::message;

/// How long a sink is leased for one message: longer than any sink takes over one.
pub const LEASE: Duration = Duration::from_secs(60);

/// The pause after a message that arrived: what piled up while a sink was away comes one by one.
const PACE: Duration = Duration::from_secs(1);

/// How long a sink rests after failures in a row.
const REST: RetryPolicy = RetryPolicy {
    max_attempts: u32::MAX,
    first_delay: Duration::from_secs(2),
    factor: 2.0,
    max_delay: Duration::from_secs(300),
    jitter: 0.0,
};

/// News that could not be told for so long are given up, unless the alert is still open.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// An answer that nobody understands is believed to be final when it came so often.
const GIBBERISH: i32 = 5;

/// Sends what is due, one message to each sink. Returns how many were taken on.
///
/// # Errors
/// When the database does not answer.
pub async fn round(pool: &PgPool, sinks: &[Arc<dyn AlertSink>]) -> Result<usize, store::Error> {
    let names: Vec<String> = sinks.iter().map(|sink| sink.name().to_owned()).collect();
    let due = deliveries::keep_sinks(pool, &names).await?;
    let mut sending = Vec::new();
    for (at, sink) in sinks.iter().enumerate().filter(|(_, sink)| due.iter().any(|name| name == sink.name())) {
        sending.push(one(pool, sink.as_ref(), label(&sinks[..at], sink.kind())));
    }
    let mut taken = 0;
    for sent in join_all(sending).await {
        taken += usize::from(sent?);
    }
    Ok(taken)
}

/// What logs call a sink: `mail 2` is the second of its kind that is set up. Its name would tell
/// somebody's address.
fn label(before: &[Arc<dyn AlertSink>], kind: &str) -> String {
    format!("{kind} {}", before.iter().filter(|sink| sink.kind() == kind).count() + 1)
}

/// Sends one message, if there is one.
async fn one(pool: &PgPool, sink: &dyn AlertSink, label: String) -> Result<bool, store::Error> {
    let Some(due) = deliveries::lease(pool, sink.name(), LEASE).await? else { return Ok(false) };
    match sink.send(&message::of(&due)).await {
        Ok(()) => {
            count::alert(sink.kind(), true);
            tracing::info!(alert.id = due.alert.id, alert.kind = due.alert.kind, sink = label, "alert sent");
            deliveries::sent(pool, sink.name(), &due, PACE).await?;
        }
        Err(failure) => {
            count::alert(sink.kind(), false);
            let missed = missed(&due, &failure, &label);
            deliveries::missed(pool, sink.name(), &due, &missed).await?;
        }
    }
    Ok(true)
}

/// What is noted of a message that did not arrive. Says so.
fn missed<'f>(due: &Due, failure: &'f Failure, label: &str) -> Missed<'f> {
    let is_gibberish = failure.kind == FailureKind::BadAnswer && due.tries + 1 >= GIBBERISH;
    let is_final = alert_sink::is_final(failure.kind) || is_gibberish;
    let rest = rest(due.failures_in_a_row, failure.retry_after);
    tracing::warn!(
        alert.id = due.alert.id,
        alert.kind = due.alert.kind,
        sink = label,
        is_final,
        rest_s = rest.as_secs(),
        error.kind = failure.kind.as_str(),
        error.message = failure.message,
        "alert not sent"
    );
    Missed { error: &failure.message, is_final, patience: PATIENCE, rest }
}

/// How long a sink rests that has failed so often in a row before: growing, and at least as long as
/// it asked for.
pub fn rest(failures_in_a_row: i32, asked: Option<Duration>) -> Duration {
    let nth = u32::try_from(failures_in_a_row).unwrap_or_default().saturating_add(1);
    REST.delay(nth, 0.0).max(asked.unwrap_or_default())
}

/// Told once per outage of the database.
pub(super) fn complain(error: &store::Error) {
    tracing::warn!(error = chain(error), "alerts cannot be looked after, trying again");
}
