//! Every command there is, found in the definition of the command line: each prints JSON, each table
//! fits, each has its manual page, and shells can complete it.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use clap::{Arg, CommandFactory};
use dailycast::cli::args::Cli;

use crate::support::{Folder, ground::Ground};

/// Commands that are not run here, and why.
const LEFT_OUT: [(&str, &str); 6] = [
    ("demo", "makes a whole night; tests/faults/demo.rs reads its JSON"),
    ("run", "goes on until it is stopped; tells by its log"),
    ("serve", "goes on until it is stopped; tells by its log"),
    ("work", "goes on until it is stopped; tells by its log"),
    ("sim serve", "goes on until it is stopped"),
    ("bench", "measures for minutes"),
];

/// Commands whose output is no text for people: a script, a page, a document, a chart, an address.
const DOCUMENTS: [&str; 6] = ["completions", "learner link", "man", "ops link", "workflow show", "workflow graph"];

/// A model whose name is longer than any column.
const LONG: &str = "a-model-whose-name-is-so-long-that-no-table-has-room-for-it-in-one-line-and-longer-still";

/// Every command that can be run, by its words.
fn leaves() -> Vec<(String, clap::Command)> {
    fn walk(command: &clap::Command, words: &str, found: &mut Vec<(String, clap::Command)>) {
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let words = format!("{words} {}", inner.get_name()).trim().to_owned();
            if !inner.is_subcommand_required_set() {
                found.push((words.clone(), inner.clone()));
            }
            walk(inner, &words, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), "", &mut found);
    found.retain(|(words, _)| !LEFT_OUT.iter().any(|(out, _)| words == out || words.starts_with(&format!("{out} "))));
    found
}

/// Something for each argument that has to be given, or that says which.
fn arguments(command: &clap::Command) -> Vec<String> {
    let is_wanted = |arg: &&Arg| !arg.is_global_set() && (arg.is_required_set() || arg.is_positional());
    let mut words = Vec::new();
    for arg in command.get_arguments().filter(is_wanted) {
        if let Some(flag) = arg.get_long().filter(|_| !arg.is_positional()) {
            words.push(format!("--{flag}"));
        }
        if !arg.get_action().takes_values() {
            continue;
        }
        let name = arg.get_value_names().and_then(<[_]>::first).map_or_else(String::new, ToString::to_string);
        let value = match (arg.get_possible_values().first(), name.as_str()) {
            (Some(value), _) => value.get_name().to_owned(),
            (None, "YYYY-MM-DD" | "DATE") => "2026-11-22".to_owned(),
            (None, "NAME") => "polly".to_owned(),
            (None, _) => "1".to_owned(),
        };
        words.push(value);
    }
    words
}

/// A database in which each list has something to show, with texts that are longer than a line.
async fn ground() -> Ground {
    let ground = Ground::new(2).await;
    ground.start_night().await;
    ground
        .execute(&format!(
            "insert into dailycast.alert (kind, subject, message) values ('{LONG}', '{LONG}', repeat('why ', 60));
             insert into dailycast.provider_state (provider, cause, message, opened_at, calls, failures, latency_ms)
             values ('polly', 'failures', repeat('{LONG} ', 3), now(), 123456789, 12345678, 12345.6);
             insert into dailycast.provider_call
                 (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
             select id, 'openai', '{LONG}', 'script', '{{\"input_tokens\": 36000000000, \"output_tokens\": 12345678901}}',
                    123456789012, 60000, 'content_refused' from dailycast.daily_podcast;
             insert into dailycast.worker
                 (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
             values ('{LONG}', '{LONG}', 'b', 1, 1, '0.1.0', 256, 30000, 800);
             update dailycast.daily_podcast set title = repeat('A long title ', 20), cost_micro_usd = 123456789012"
        ))
        .await;
    ground
}

async fn run(ground: &Ground, words: &str, arguments: &[String], json: bool) -> (Option<i32>, String, String) {
    let mut all: Vec<&str> = words.split(' ').chain(arguments.iter().map(String::as_str)).collect();
    if json {
        all.push("--json");
    }
    let Output { status, stdout, stderr } = ground.run(&all).await;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A refusal says on standard error what is wrong and how to mend it, and prints no data.
fn is_refusal(code: Option<i32>, out: &str, err: &str) -> bool {
    code != Some(0) && out.is_empty() && err.contains("error: ") && err.contains("\n  mend: ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_prints_json_and_no_table_is_too_wide() {
    let ground = ground().await;
    let mut wrong = Vec::new();
    let mut refused = 0;
    let leaves = leaves();
    for (words, command) in &leaves {
        let arguments = arguments(command);
        let (told, shown) =
            tokio::join!(run(&ground, words, &arguments, true), run(&ground, words, &arguments, false),);
        let (code, out, err) = told;
        let is_json =
            !out.is_empty() && out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        refused += u32::from(is_refusal(code, &out, &err));
        if !is_json && !is_refusal(code, &out, &err) {
            wrong.push(format!("{words} {arguments:?} --json ends with {code:?} and prints:\n{out}{err}"));
        }
        if DOCUMENTS.contains(&words.as_str()) {
            continue;
        }
        // What an estimate assumes is told in sentences, as the README shows them.
        let shown = shown.1.split("\nassumed: ").next().unwrap();
        let wide: Vec<&str> = shown.lines().filter(|line| line.chars().count() > 80).collect();
        if !wide.is_empty() {
            wrong.push(format!("{words} prints lines of more than 80 columns:\n{}", wide.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(leaves.len() >= 24 && refused <= 6, "{refused} of {} commands were refused", leaves.len());
}

#[test]
fn what_is_left_out_is_there() {
    let command = Cli::command();
    for (words, why) in LEFT_OUT {
        let found = words.split(' ').try_fold(&command, |command, word| command.find_subcommand(word));
        assert!(found.is_some(), "there is no `{words}` any more ({why})");
    }
}

fn dailycast(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dailycast")).args(args).env_clear().output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_reads_the_completions_and_completes_every_command() {
    let script = dailycast(&["completions", "bash"]);
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("dailycast.bash"), &script).unwrap();
    let bash = |script: &str| {
        let mut command = Command::new("bash");
        let output = command.args(["-c", script]).current_dir(&folder.0).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    bash("bash -n dailycast.bash");
    let ask = "source dailycast.bash; COMP_WORDS=(dailycast podcast r); COMP_CWORD=2; _dailycast dailycast r podcast; \
               echo \"${COMPREPLY[@]}\"";
    assert!(bash(ask).contains("requeue"), "{}", bash(ask));
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(dailycast(&["completions", shell]).contains("requeue"), "{shell}");
    }
}

#[test]
fn every_command_has_its_page() {
    assert!(dailycast(&["man"]).contains(".TH dailycast 1"));
    let folder = Folder::new();
    dailycast(&["man", "--dir", folder.0.to_str().unwrap()]);
    for (words, _) in leaves() {
        let page = folder.0.join(format!("dailycast-{}.1", words.replace(' ', "-")));
        assert!(page.is_file(), "{} is missing", page.display());
    }
}

/// The whole report, with what differs from machine to machine and day to day left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_doctor_reads_well() {
    let mut ground = ground().await;
    ground.set("http.public_url", "http://podcasts.example");
    let (code, out, err) = run(&ground, "doctor", &[], false).await;
    // What is installed, and how much room there is, differs from machine to machine.
    let others = ["database", "durability", "speech", "espeak-ng", "spool"];
    let is_of_the_machine = |line: &str| line.split_whitespace().nth(1).is_some_and(|check| others.contains(&check));
    let mut kept: Vec<String> = Vec::new();
    let mut is_left_out = false;
    for line in out.lines() {
        if !line.starts_with(' ') {
            is_left_out = is_of_the_machine(line);
        }
        if !is_left_out {
            kept.push(line.to_owned());
        }
    }
    let digits = |text: String| {
        text.split(|letter: char| letter.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#")
    };
    let report = kept.into_iter().map(digits).collect::<Vec<_>>().join("\n");
    assert_eq!((code, err.as_str()), (Some(3), ""), "{out}");
    assert_eq!(report, include_str!("../fixtures/doctor.txt").trim_end(), "{report}");
}
