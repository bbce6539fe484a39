//! The one way in which a step calls somebody outside: wait for the gate, ask whether a call may
//! still begin, call, tell the gate how it ended, write the ledger's line, and once or twice more
//! when that may help at once.
//!
//! What would surprise: a call that the gate refuses leaves no line, since none was made. And
//! `timeout` is never tried again in place: the provider may have done the work, and bills it.

use std::{future::Future, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    machine::{FailureKind, RetryPolicy},
    podcast::{Attempt, Bill, Failure, Intent, Podcast},
    provider::gate::{Gate, Open, Wish},
};

/// How a failed call is tried again in place: as the vendors' own clients do it.
pub const IN_PLACE: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    first_delay: Duration::from_millis(500),
    factor: 2.0,
    max_delay: Duration::from_secs(8),
    jitter: 0.25,
};

/// What a call may take with the timeouts that come with the program. When less of the attempt is
/// left, nothing further is begun: what is broken off may be billed.
pub const LONGEST_CALL: Duration = Duration::from_secs(60);

/// Where the calls of an attempt go through.
#[derive(Clone, Copy)]
pub struct Calls<'c> {
    /// Whom they are for.
    pub podcast: &'c Podcast,
    /// Its attempt.
    pub attempt: &'c Attempt<'c>,
    /// Admits them.
    pub gate: &'c dyn Gate,
}

/// A call that a step would like to make.
#[derive(Clone, Copy)]
pub struct Wanted<'w> {
    /// Who is called.
    pub provider: &'w str,
    /// The model or voice engine that is asked for.
    pub model: &'w str,
    /// `script`, `speech` or `upload`.
    pub operation: &'static str,
    /// The units as far as they are known before; they stand in the ledger when the answer does not
    /// tell.
    pub units: &'w Value,
    /// False for our own voice and the object store: no breaker, limit or budget holds them back.
    pub is_gated: bool,
    /// False for what the budget must not stop: it is free, or finishes what is paid for.
    pub is_budgeted: bool,
    /// Asked before another try: false when its success would be of no use any more.
    pub is_still_wanted: &'w (dyn Fn() -> bool + Send + Sync),
}

/// What was answered, and what it is billed for. A failed call may have a bill as well.
#[derive(Debug)]
pub struct Answered<T> {
    /// What was wished for, checked.
    pub result: Result<T, Failure>,
    /// What the provider told of units and price.
    pub bill: Bill,
}

impl<T> Answered<T> {
    /// A failure that nothing is known to be billed for.
    pub fn failed(failure: Failure) -> Self {
        let request_id = failure.billed.as_ref().and_then(|billed| billed.request_id.clone());
        Self { result: Err(failure), bill: Bill { request_id, ..Bill::default() } }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Missed {
    /// The gate let no call begin. Its kind is `breaker_open`, `own_limit` or `budget_reached`.
    Refused(Failure),
    /// The lease is not certain, so no call began.
    Barred,
    /// It was called, and failed.
    Failed(Failure),
}

impl Calls<'_> {
    /// Makes a call; `ask` is the call itself, run once for each try.
    ///
    /// # Errors
    /// [`Missed`]. A failure names the provider.
    pub async fn make<T, A>(&self, wanted: &Wanted<'_>, ask: impl Fn() -> A + Send + Sync) -> Result<T, Missed>
    where
        T: Send,
        A: Future<Output = Answered<T>> + Send,
    {
        let mut ended = self.once(wanted, 1, &ask).await;
        for number in 2..=IN_PLACE.max_attempts {
            let Err(Missed::Failed(failure)) = ended else { break };
            let Some(wait) = self.wait_in_place(&failure, number - 1) else { return Err(Missed::Failed(failure)) };
            sleep(wait).await;
            if !(wanted.is_still_wanted)() {
                return Err(Missed::Failed(failure));
            }
            ended = match self.once(wanted, number, &ask).await {
                // That it failed says more than that it may not be tried again.
                Err(Missed::Refused(_)) => return Err(Missed::Failed(failure)),
                ended => ended,
            };
        }
        ended
    }

    async fn once<T, A>(&self, wanted: &Wanted<'_>, number: u32, ask: &(impl Fn() -> A + Sync)) -> Result<T, Missed>
    where
        T: Send,
        A: Future<Output = Answered<T>> + Send,
    {
        let gate: &dyn Gate = if wanted.is_gated { self.gate } else { &Open };
        let wish = Wish {
            provider: wanted.provider,
            night: self.podcast.date,
            is_paid: wanted.is_gated && wanted.is_budgeted,
        };
        let pass = gate.admit(&wish).await.map_err(|refusal| Missed::Refused(named(refusal, wanted)))?;
        // Waiting takes time, in which a lease can be lost.
        if !(self.attempt.may_call)() {
            return Err(Missed::Barred);
        }
        let Wanted { provider, model, operation, units, .. } = *wanted;
        let line = self.attempt.ledger.begin(&Intent { provider, model, operation, units, number });
        let Answered { result, bill } = ask().await;
        let result = result.map_err(|failure| named(failure, wanted));
        let call = line.ended(result.as_ref().map(|_| ()), bill);
        pass.ended(result.as_ref().map(|_| ()), &call);
        result.map_err(Missed::Failed)
    }

    /// How long to wait after try `number` before the same call is tried again; `None` when that would not help, or
    /// not soon, or when the attempt has no time for it.
    fn wait_in_place(&self, failure: &Failure, number: u32) -> Option<Duration> {
        let helps = matches!(failure.kind, FailureKind::Unavailable | FailureKind::RateLimited);
        let asked = failure.retry_after.unwrap_or_default();
        if !helps || asked > IN_PLACE.max_delay {
            return None;
        }
        let wait = IN_PLACE.delay(number, (self.attempt.chance)()).max(asked);
        (self.attempt.time_left() >= wait + LONGEST_CALL).then_some(wait)
    }
}

fn named(mut failure: Failure, wanted: &Wanted<'_>) -> Failure {
    failure.provider.get_or_insert_with(|| wanted.provider.to_owned());
    failure
}
