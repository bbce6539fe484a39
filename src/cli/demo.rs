//! :Demo:The whole product on one machine.

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(_args: args::Demo, _context: Context) -> anyhow::Result<Exit> {
    Err(Advice::failed("`dailycast demo` is not in this build", "take a later one").into())
}
