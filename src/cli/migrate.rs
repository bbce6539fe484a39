//! `migrate`: brings the database to the level of this program.

use anyhow::Context as _;
use serde_json::json;

use super::{
    context::Context,
    exit::{Advice, Exit},
    output,
};
use crate::store;

/// Applies every missing migration, ours and apalis's, and says where the database stands.
///
/// # Errors
/// When the database is away or refuses.
pub async fn run(context: Context) -> anyhow::Result<Exit> {
    let store = context.database().await?;
    let mend = "the role needs to create schemas, tables and the extensions pgcrypto and hstore";
    store::migrate(store.pool()).await.context(Advice::failed("the migrations were not applied", mend))?;
    let level = store::level(store.pool()).await?;
    if context.json {
        output::json(&json!({ "ours": level.ours, "apalis": level.apalis }))?;
    } else {
        output::line(format!("the database is at {}, apalis at {}", level.wanted, level.apalis_wanted))?;
    }
    Ok(Exit::Done)
}
