//! `audit`: what operators did.

use super::{
    args,
    context::Context,
    exit::Exit,
    output::{self, Side, Table},
};
use crate::{ops::audit, store::audit::Wanted};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Audit, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let wanted = Wanted { actor: args.actor, action: args.action, day: args.day, before: None };
    let lines = audit::list(store.desk(), &wanted, i64::from(args.limit)).await?;
    if context.json {
        output::json(&lines)?;
    } else if lines.is_empty() {
        output::line("nothing was done")?;
    } else {
        let mut table = Table::new([("at (UTC)", Side::Left), ("who", Side::Left), ("what", Side::Left)]);
        for told in lines {
            let detail = if told.line.detail.is_empty() { String::new() } else { format!(" ({})", told.line.detail) };
            let at = told.line.at.format("%m-%d %H:%M:%S").to_string();
            table.row([at, told.line.actor, format!("{}{detail}", told.words)]);
        }
        output::line(table.to_string().trim_end())?;
    }
    Ok(Exit::Done)
}
