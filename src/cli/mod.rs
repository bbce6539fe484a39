//! The command line: one file per command. This is the only room that speaks `anyhow`: an error
//! here is on its way to a person.
//!
//! `args.rs` says what can be written, `exit.rs` how it ends, `output.rs` how data is printed,
//! `context.rs` what every command knows.

pub mod args;
pub mod context;
pub mod doctor;
pub mod exit;
pub mod neighbours;
pub mod output;
pub mod sim;
pub mod speakers;
pub mod verbs;

mod academy;
mod alert;
mod audit;
mod bench;
mod cost;
mod demo;
mod learner;
mod manual;
mod migrate;
mod night;
mod ops;
mod podcast;
mod provider;
mod run;
mod sinks;
mod traces;
mod worker;
mod workflow;
mod writers;

use args::{Cli, Command};
use context::Context;
use exit::Exit;

use crate::{
    config::{self, Config, Sources},
    telemetry,
};

/// Reads the settings, begins to write logs, and runs the command.
///
/// # Errors
/// What the command could not do; [`Exit::of`] gives its code.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    // What these two print depends on no setting.
    match &command {
        Command::Completions(args) => return manual::completions(args, global.json),
        Command::Man(args) => return manual::man(args, global.json),
        _ => {}
    }
    let env = config::environment();
    let color = !global.no_color && env.iter().all(|(name, value)| name != "NO_COLOR" || value.is_empty());
    let config = match Config::load(Sources::of_process(global.config, env, command.settings())) {
        Ok(config) => config,
        Err(problems) if matches!(command, Command::Doctor(_)) => return doctor::misconfigured(&problems, global.json),
        Err(problems) => return Err(problems.into()),
    };
    let mut ops = config.ops.clone();
    if matches!(command, Command::Demo(_) | Command::Bench(_)) && global.verbosity == 0 {
        // People watch these two, and a bar tells them more than a line per attempt.
        ops.log = "warn".to_owned();
    }
    let is_traced = traces::is_traced(&command);
    let traces = if is_traced { traces::begin(&ops)? } else { None };
    telemetry::init(&ops, telemetry::Wish { verbosity: global.verbosity, plain: !color }, traces.as_ref())?;
    if is_traced {
        traces::warn_without(traces.as_ref(), &ops);
    }
    let context = Context { config, workflows: global.workflows, json: global.json };
    let ended = carry_out(command, context).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    ended
}

async fn carry_out(command: Command, context: Context) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, context).await,
        Command::Run(_) => run::run(context).await,
        Command::Serve(_) => run::serve(context).await,
        Command::Work(args) => run::work(args, context).await,
        Command::Migrate => migrate::run(context).await,
        Command::Night(args) => night::run(args, context).await,
        Command::Podcast(args) => podcast::run(args, context).await,
        Command::Provider(args) => provider::run(args, context).await,
        Command::Worker(args) => worker::run(args, context).await,
        Command::Alert(args) => alert::run(args, context).await,
        Command::Audit(args) => audit::run(args, context).await,
        Command::Ops(args) => ops::run(args, context).await,
        Command::Learner(args) => learner::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Cost(args) => cost::run(args, context).await,
        Command::Academy(args) => academy::run(args, context).await,
        Command::Workflow(args) => workflow::run(args, context),
        Command::Bench(args) => bench::run(args, context).await,
        Command::Sim(args) => sim::run(args, context).await,
        Command::Completions(args) => manual::completions(&args, context.json),
        Command::Man(args) => manual::man(&args, context.json),
    }
}
