//! `completions` and `man`: made of the definition of the command line, so that they cannot be wrong.

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;
use serde_json::json;

use super::{
    args::{self, Cli},
    exit::{Advice, Exit},
    output,
};

/// The name of the program.
const NAME: &str = "dailycast";

/// Prints the completions of a shell.
///
/// # Errors
/// When nothing can be printed.
pub fn completions(args: &args::Completions, json: bool) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    let script = String::from_utf8(script)?;
    if json {
        output::json(&json!({ "shell": args.shell.to_string(), "script": script }))?;
    } else {
        output::line(script.trim_end())?;
    }
    Ok(Exit::Done)
}

/// Prints the page of the program, or writes those of all commands.
///
/// # Errors
/// [`Advice`] when the directory cannot be written.
pub fn man(args: &args::Man, json: bool) -> anyhow::Result<Exit> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        let page = String::from_utf8(page)?;
        if json {
            output::json(&json!({ "page": page }))?;
        } else {
            output::line(page.trim_end())?;
        }
        return Ok(Exit::Done);
    };
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    let wrong = || Advice::failed(format!("{} cannot be written", dir.display()), "name a directory with --dir");
    written.with_context(wrong)?;
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(NAME) && name.ends_with(".1") {
            pages.push(name);
        }
    }
    pages.sort();
    if json {
        output::json(&json!({ "dir": dir, "pages": pages }))?;
    } else {
        output::line(format!("{} pages in {}: `man -l {}/{NAME}.1`", pages.len(), dir.display(), dir.display()))?;
    }
    Ok(Exit::Done)
}
