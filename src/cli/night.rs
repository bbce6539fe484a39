//! :Night:Starting and watching a night.

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(_args: args::Night, _context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast night` is not in this build", "take a later one").into())
}
