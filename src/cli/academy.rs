//! `academy sample` and `academy check`.

use serde_json::json;

use super::{args, context::Context, exit::Exit, output};
use crate::{
    local::academy::{Sample, fill_sample},
    store::academy,
};

/// Runs the command.
///
/// # Errors
/// When the database is away or refuses.
pub async fn run(args: args::Academy, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Academy::Sample(args) => sample(args, context).await,
        args::Academy::Check => check(context).await,
    }
}

async fn sample(args: args::AcademySample, context: Context) -> anyhow::Result<Exit> {
    let store = context.database().await?;
    let schema = &context.config.academy.schema;
    let sample = fill_sample(store.pool(), schema, args.learners, args.seed).await?;
    if context.json {
        let Sample { eligible, ineligible, is_new } = sample;
        output::json(&json!({ "schema": schema, "eligible": eligible, "ineligible": ineligible, "is_new": is_new }))?;
    } else {
        let (eligible, others) = (sample.eligible, sample.ineligible);
        output::line(format!("the schema {schema} has {eligible} learners who are due a podcast and {others} others"))?;
    }
    Ok(Exit::Done)
}

async fn check(context: Context) -> anyhow::Result<Exit> {
    let store = context.database().await?;
    let schema = &context.config.academy.schema;
    let missing: Vec<String> = academy::check(store.pool(), schema).await?.iter().map(ToString::to_string).collect();
    if context.json {
        output::json(&json!({ "schema": schema, "missing": missing }))?;
    } else if missing.is_empty() {
        output::line(format!("the schema {schema} has every view and column that is read"))?;
    } else {
        missing.iter().try_for_each(output::line)?;
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Attention })
}
