//! `alert list` and `ack`.

use serde_json::json;

use super::{
    args::{self, AlertAck, AlertList},
    context::Context,
    exit::{Advice, Exit},
    output::{self, Side, Table},
};
use crate::store::alerts::{self, Alert};

/// The most alerts that are listed.
const MOST: i64 = 1_000;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Alert, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Alert::List(list) => show(list, context).await,
        args::Alert::Ack(ack) => acknowledge(ack, context).await,
    }
}

/// Prints them. An operator is needed where nobody took note yet.
async fn show(args: AlertList, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let all = alerts::list(store.pool(), args.all, MOST).await?;
    if context.json {
        output::json(&all)?;
    } else if all.is_empty() {
        output::line("no alerts")?;
    } else {
        let mut table = Table::new([
            ("id", Side::Right),
            ("raised (UTC)", Side::Left),
            ("times", Side::Right),
            ("state", Side::Left),
            ("kind", Side::Left),
            ("about", Side::Left),
            ("what", Side::Left),
        ]);
        for alert in &all {
            table.row([
                alert.id.to_string(),
                alert.raised_at.format("%m-%d %H:%M:%S").to_string(),
                alert.times.to_string(),
                state(alert).to_owned(),
                alert.kind.clone(),
                alert.subject.clone(),
                alert.message.clone(),
            ]);
        }
        output::line(table.to_string().trim_end())?;
    }
    Ok(if all.iter().any(|alert| state(alert) == "new") { Exit::Attention } else { Exit::Done })
}

fn state(alert: &Alert) -> &'static str {
    match (alert.resolved_at, alert.acknowledged_at) {
        (Some(_), _) => "over",
        (None, Some(_)) => "seen",
        (None, None) => "new",
    }
}

async fn acknowledge(args: AlertAck, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let seen = alerts::acknowledge(store.pool(), &args.ids, "an operator at the command line").await?;
    let unknown: Vec<i64> = args.ids.into_iter().filter(|id| !seen.contains(id)).collect();
    if context.json {
        output::json(&json!({ "acknowledged": seen, "unknown": unknown }))?;
    } else {
        output::line(format!("took note of {}", seen.len()))?;
    }
    if let Some(id) = unknown.first() {
        let mend = "`dailycast alert list --all` shows those there are";
        return Err(Advice::failed(format!("there is no alert {id}"), mend).into());
    }
    Ok(Exit::Done)
}
