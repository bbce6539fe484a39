//! `cargo xtask demo`, `cargo xtask test`: install what the machine lacks, then hand over to
//! cargo. `cargo xtask voice ja`: install the voice that nobody gets unasked. `cargo xtask prepare`: write down what the SQL macros need to build without a database.
//!
//! Nothing but the standard library, so that it is there in a second. It says on stderr what it
//! does and leaves stdout to the program that it hands over to. Safe to repeat: what is there is
//! not installed again.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

mod prepare;
mod setup;

const USAGE: &str = "usage: cargo xtask COMMAND
  demo [OPTION]…     install what is missing, then run `dailycast demo` with these options
  test [FILTER]…     install what is missing, then check the style and run the tests;
                     without a filter also those of the build with traces (otlp)
  voice ja           install the neural Japanese voice; dailycast finds it by itself
  prepare [--check]  write .sqlx from the database at DATABASE_URL, or see whether it is stale";

/// What went wrong, in words for the person at the terminal.
type Problem = String;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let rest: Vec<OsString> = arguments.collect();
    let done = match command.as_ref().and_then(|command| command.to_str()) {
        Some("demo") => demo(&rest),
        Some("test") => test(&rest),
        Some("voice") if rest == ["ja"] => voice_ja(),
        Some("prepare") => prepare::run(&rest),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Ends this process: the program takes its place, with its terminal and its exit code. Without
/// the neural voice the demo is worse, not broken: espeak-ng speaks.
fn demo(options: &[OsString]) -> Result<(), Problem> {
    setup::packages(&setup::TO_RUN)?;
    if let Err(problem) = setup::environment(&root(), &setup::VOICE) {
        eprintln!("xtask: going on without the neural voice, espeak-ng will speak: {problem}");
    }
    let mut run = cargo();
    run.args(["run", "--package", "dailycast", "--bin", "dailycast", "--", "demo"]).args(options);
    Err(format!("cannot run cargo: {}", run.exec()))
}

fn voice_ja() -> Result<(), Problem> {
    setup::packages(&setup::TO_SPEAK)?;
    setup::environment(&root(), &setup::VOICE_JA)
}

fn test(filters: &[OsString]) -> Result<(), Problem> {
    setup::packages(&setup::TO_RUN)?;
    setup::packages(&setup::TO_TEST)?;
    setup::promtool()?;
    setup::environment(&root(), &setup::VOICE)?;
    setup::environment(&root(), &setup::VENDORS)?;
    setup::environment(&root(), &setup::READERS)?;
    setup::browser(&root())?;
    call(cargo().args(["fmt", "--all", "--check"]))?;
    call(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    call(cargo().args(["test", "--workspace", "--"]).args(filters))?;
    if filters.is_empty() {
        // What only a build with traces has. Last, for it builds the program once more.
        call(cargo().args(["test", "--package", "dailycast", "--features", "otlp", "--test", "all", "--", "traces"]))?;
    }
    Ok(())
}

/// The cargo that runs this, as if it were called by hand. What it told us about our own package
/// would make some dependencies think that they had changed, and build anew.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let about_us = name.to_str().is_some_and(|name| {
            name == "CARGO" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if about_us {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Runs a command to its end, showing what it says.
fn call(command: &mut Command) -> Result<(), Problem> {
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", shown(command))) }
}

/// Runs a command silently and asks only whether it succeeds.
fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
