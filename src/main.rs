//! The program: parse, run the command, print what went wrong.

use std::process::ExitCode;

use clap::Parser;
use dailycast::cli::{self, args::Cli, exit};

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{}", exit::Told(&error));
            exit::Exit::of(&error).into()
        }
    }
}
