//! `migrate`: brings the database to the level of this program.

use serde_json::json;

use super::{context::Context, exit::Exit, output};
use crate::store;

/// Runs the command. Many hosts may do so at once.
///
/// # Errors
/// What the database refused.
pub async fn run(context: Context) -> anyhow::Result<Exit> {
    let store = context.database().await?;
    store::migrate(store.pool()).await?;
    let level = store::level(store.pool()).await?;
    if context.json {
        output::json(&json!({ "level": level.ours, "apalis_level": level.apalis }))?;
    } else {
        output::line(format!("the database is at level {}", level.ours.unwrap_or_default()))?;
    }
    store.close().await;
    Ok(Exit::Done)
}
