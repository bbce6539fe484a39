//! The state machine: pure, synchronous, total. No clock, no chance, no I/O.
//!
//! A podcast is a row with a [`Status`]. Something happens, an [`Event`]; [`apply`] says which
//! status follows, by looking it up in one [`TABLE`]; a pair that is not in the table is
//! [`Refused`]. What a failure means for the row (try again and when, or give up) is decided by
//! [`decide`] from its [`FailureKind`] and a [`RetryPolicy`]. Who may write the answer down is
//! told by a [`Lease`].
//!
//! The chart below is printed from the table; a test keeps the two alike.
#![doc = include_str!("chart.md")]

mod apply;
mod event;
mod failure;
mod lease;
mod retry;
mod status;
mod table;

pub use apply::{Refused, apply, replay};
pub use event::{Event, Resume, Script};
pub use failure::{FailureKind, Remedy};
pub use lease::{Lease, LeaseLost};
pub use retry::{Decision, Reason, RetryPolicy, decide};
pub use status::{Status, UnknownStatus};
pub use table::{Arrow, BIRTHS, TABLE, chart};
