//! From a status and an event to the next status.

use super::{
    event::Event,
    status::Status,
    table::{BIRTHS, TABLE},
};

/// An event that cannot happen to a podcast in this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot happen to a podcast that is {from}", event.as_str())]
pub struct Refused {
    /// The status it was applied to.
    pub from: Status,
    /// The event that was refused.
    pub event: Event,
}

/// The status after `event` happened to a podcast that was `from`.
///
/// # Errors
/// [`Refused`] when the table has no such move.
pub fn apply(from: Status, event: Event) -> Result<Status, Refused> {
    TABLE
        .iter()
        .find(|arrow| arrow.from == from && arrow.event == event)
        .map(|arrow| arrow.to)
        .ok_or(Refused { from, event })
}

/// Walks stored event lines (`from`, event name, `to`; the first has no `from`) and returns the
/// status they end in, or `None` when a line does not fit the one before it or no table allows it.
pub fn replay<'a>(lines: impl IntoIterator<Item = (Option<Status>, &'a str, Status)>) -> Option<Status> {
    lines.into_iter().try_fold(None, |at, (from, event, to)| {
        let legal = match (at, from) {
            (None, None) => event == Event::Enqueued.as_str() && BIRTHS.contains(&to),
            (Some(at), Some(from)) => {
                at == from && TABLE.iter().any(|a| a.from == from && a.event.as_str() == event && a.to == to)
            }
            _ => false,
        };
        legal.then_some(Some(to))
    })?
}
