//! The long-lived processes: `run`, `serve` and `work`.

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
};

/// Scheduler, worker and HTTP in one process.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run(_args: args::Serve, _context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast run` is not in this build", "take a later one").into())
}

/// HTTP only.
///
/// # Errors
/// As [`run`].
pub async fn serve(_args: args::Serve, _context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast serve` is not in this build", "take a later one").into())
}

/// Scheduler, worker and sweep only.
///
/// # Errors
/// As [`run`].
pub async fn work(_context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast work` is not in this build", "take a later one").into())
}
