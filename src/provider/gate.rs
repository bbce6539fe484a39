//! What stands between a step and a vendor: whether a call may begin now, and who learns how it
//! ended. The worker keeps one gate for all its steps, shared with the whole fleet; tests and
//! benchmarks use [`Open`].

use async_trait::async_trait;
use chrono::NaiveDate;

use crate::podcast::{Call, Failure};

/// A call that a step would like to make.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'w> {
    /// `openai`, `polly`, …
    pub provider: &'w str,
    /// The night that pays for it: the podcast's date.
    pub night: NaiveDate,
    /// False for what nobody bills; the budget does not bound it.
    pub is_paid: bool,
}

/// Lets calls through, or not.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Waits a short, bounded time for its turn.
    ///
    /// # Errors
    /// A [`Failure`] of kind `breaker_open`, `own_limit` or `budget_reached`: no call may begin
    /// now. Its `retry_after` says when it is worth asking again, where that is known.
    async fn admit(&self, wish: &Wish<'_>) -> Result<Box<dyn Pass>, Failure>;
}

/// The right to make one call. Dropped without a word, the call was broken off and tells nothing
/// about its provider.
pub trait Pass: Send + Sync {
    /// The call ended like this; `call` is its line in the ledger.
    fn ended(self: Box<Self>, result: Result<(), &Failure>, call: &Call);
}

/// Lets every call through at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn admit(&self, _wish: &Wish<'_>) -> Result<Box<dyn Pass>, Failure> {
        Ok(Box::new(Self))
    }
}

impl Pass for Open {
    fn ended(self: Box<Self>, _result: Result<(), &Failure>, _call: &Call) {}
}
