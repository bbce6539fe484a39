//! `workflow check`, `show` and `graph`.

use serde_json::json;

use super::{args, context::Context, exit::Exit, output};

/// Runs the command. A definition that is wrong is refused as a whole, with exit code 2.
///
/// # Errors
/// Everything that is wrong with the definition.
pub fn run(args: args::Workflow, mut context: Context) -> anyhow::Result<Exit> {
    if let Some(dir) = args.dir() {
        context.workflows = Some(dir.clone());
    }
    let workflow = context.workflow()?;
    match args {
        args::Workflow::Check(_) if context.json => output::json(&json!({ "name": workflow.name, "valid": true }))?,
        args::Workflow::Check(_) => output::line(format!("the workflow {} is in order", workflow.name))?,
        args::Workflow::Show(_) if context.json => output::json(&workflow.to_json())?,
        args::Workflow::Show(_) => output::line(serde_json::to_string_pretty(&workflow.to_json())?)?,
        args::Workflow::Graph(_) if context.json => output::json(&json!({ "mermaid": workflow.to_mermaid() }))?,
        args::Workflow::Graph(_) => output::line(workflow.to_mermaid().trim_end())?,
    }
    Ok(Exit::Done)
}
