//! The time of day as an argument. Leases, due times and schedules use the database's clock
//! instead, because hosts disagree about the time and the database does not disagree with itself.

use chrono::{DateTime, Utc};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the host for the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
