//! `worker list`.

use super::{
    args,
    context::Context,
    exit::Exit,
    output::{self, Side, Table},
};
use crate::ops::workers::{self, Shown};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(_list: args::Worker, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let all = workers::list(store.desk()).await?;
    if context.json {
        output::json(&all)?;
    } else {
        output::line(&all.sentence)?;
        if !all.workers.is_empty() {
            output::line(table(&all.workers).to_string().trim_end())?;
        }
    }
    Ok(if all.living == 0 { Exit::Attention } else { Exit::Done })
}

fn table(workers: &[Shown]) -> Table {
    let mut table = Table::new([
        ("worker", Side::Left),
        ("pid", Side::Right),
        ("holds", Side::Right),
        ("since (UTC)", Side::Left),
        ("state", Side::Left),
    ]);
    for Shown { worker, state, silent_for_s, .. } in workers {
        let state = match (worker.stopped_at, silent_for_s) {
            (Some(at), _) => {
                let reason = worker.stop_reason.as_deref().unwrap_or("no reason is known");
                format!("{state} since {}: {reason}", at.format("%m-%d %H:%M:%S"))
            }
            (None, Some(seconds)) => {
                format!("{state}, heard {seconds} s ago{}", if worker.leads { ", leads" } else { "" })
            }
            (None, None) => (*state).to_owned(),
        };
        table.row([
            format!("{} on {}", worker.name, worker.host),
            worker.pid.to_string(),
            format!("{}/{}", worker.held, worker.concurrency),
            worker.started_at.format("%m-%d %H:%M").to_string(),
            state,
        ]);
    }
    table
}
