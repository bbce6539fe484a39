//! :Podcast:Looking at podcasts and running them again.

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(_args: args::Podcast, _context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast podcast` is not in this build", "take a later one").into())
}
