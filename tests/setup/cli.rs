//! The command line from outside: what it understands, how it ends, how it prints.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use dailycast::cli::{
    args::{self, Cli},
    exit::{Advice, Exit, Told},
    output::{Side, Table, count, dollars, minutes, short},
};

use crate::support::{Folder, engine::TestNight};

/// Runs the program in an empty directory, without the settings of this host.
fn dailycast(args: &[&str], env: &[(&str, &str)]) -> Output {
    let dir = std::env::temp_dir().join(format!("dailycast-cli-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dailycast"));
    command.args(args).current_dir(dir).env_clear().env("PATH", path).envs(env.iter().copied());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_promised_verb_is_understood() {
    let verbs = [
        "demo --learners 3 --data d --listen 127.0.0.1:0 --sim --once --json",
        "sim serve --port 0 --listen 127.0.0.1 --faults f.toml --latency-scale 0.5",
        "run",
        "serve --listen 0.0.0.0:80",
        "work -vv",
        "migrate --config f --workflows w --no-color",
        "night start --date 2026-11-22 --user 1 --user 2 --requeue-failed",
        "night status --date 2026-11-22 --watch",
        "night pause --reason holiday --json",
        "night resume",
        "night skip --date 2026-11-22 --reason holiday",
        "night skip --undo",
        "podcast list --date 2026-11-22 --status pending_upload --user 7 --stuck --limit 10",
        "podcast show 7 --json",
        "podcast requeue 7 8 9",
        "podcast requeue --stuck",
        "podcast requeue --failed --date 2026-11-22 --cause no_voice",
        "podcast requeue --status pending --user 7 --user 8 --plan free --provider polly --language en --dry-run --json",
        "podcast cancel 7 8 --reason no --yes",
        "podcast cancel --status audio_generating --date 2026-11-22",
        "podcast regenerate 7",
        "podcast regenerate --provider polly --date 2026-11-22 --from speech",
        "provider list --json",
        "provider open openai --for 30m",
        "provider open polly",
        "provider close polly",
        "alert list --all",
        "alert ack 1 2",
        "alert test",
        "cost --month 2026-11 --by plan --json",
        "cost --json estimate --learners 1000 --plan-mix free=70,premium=25,enterprise=5 --month 2026-12",
        "doctor",
        "doctor --online --json",
        "academy sample --learners 5 --seed 2",
        "academy check",
        "workflow check --dir d",
        "workflow show",
        "workflow graph",
        "bench engine --podcasts 100 --concurrency 10 --json",
        "bench episodes --learners 10 --seed 2 --only-text --json",
        "work --listen 127.0.0.1:9464",
        "completions zsh",
        "man --dir d",
    ];
    for verb in verbs {
        let parsed = Cli::try_parse_from(["dailycast"].into_iter().chain(verb.split(' ')));
        assert!(parsed.is_ok(), "{verb}: {}", parsed.unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let verbs = [
        "",
        "demo --learners 0",
        "podcast requeue",
        "podcast requeue 7 --stuck",
        "podcast requeue --stuck --failed",
        "podcast requeue --stuck --cause timeout",
        "podcast requeue 7 --date 2026-11-22",
        "podcast requeue --failed --cause bad_luck",
        "podcast requeue --failed --status pending",
        "podcast cancel",
        "podcast cancel 7 --plan free",
        "podcast regenerate --from speech",
        "podcast regenerate 7 --from upload",
        "podcast list --status ready",
        "cost --by learner",
        "cost estimate",
        "cost estimate --learners 0",
        "night start --date tomorrow",
        "night skip --date tomorrow",
        "night skip --undo --reason holiday",
    ];
    for verb in verbs {
        let parsed = Cli::try_parse_from(["dailycast"].into_iter().chain(verb.split_whitespace()));
        assert!(parsed.is_err(), "{verb}");
    }
}

#[test]
fn the_demo_has_the_promised_defaults() {
    let args::Command::Demo(demo) = Cli::try_parse_from(["dailycast", "demo"]).unwrap().command else { unreachable!() };
    assert_eq!((demo.learners, demo.data, demo.sim, demo.once), (12, PathBuf::from(".dailycast"), false, false));
}

#[test]
fn a_wrong_setting_ends_with_2_and_names_every_problem() {
    let output = dailycast(&["migrate"], &[("DAILYCAST_WORKER__LEASE", "soon"), ("DAILYCAST_NIGHT__CRON", "never")]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.starts_with("error: the configuration has 2 problems, nothing was started\n"), "{told}");
    assert!(told.contains("worker.lease") && told.contains("night.cron"), "{told}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_missing_database_ends_with_2_and_the_mend() {
    let output = dailycast(&["migrate"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("error: no database is configured\n  mend: set DATABASE_URL"), "{told}");
}

#[test]
fn a_database_that_does_not_answer_ends_with_2_and_shows_no_password() {
    let output = dailycast(&["migrate"], &[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d")]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("error: the database does not answer\n  because "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn doctor_ends_with_3_when_it_finds_something() {
    let output = dailycast(&["doctor", "--json"], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let found = |check: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check}: {report}")).clone()
    };
    assert_eq!(found("config")["ok"], true);
    assert_eq!(found("spool")["ok"], true);
    for check in ["database", "bucket", "speech"] {
        assert_eq!(found(check)["ok"], false);
        assert!(found(check)["mend"].is_string());
    }
}

#[test]
fn doctor_tells_a_wrong_configuration_as_findings() {
    let output = dailycast(&["doctor"], &[("DAILYCAST_WORKER__LEASE", "soon")]);
    assert_eq!(output.status.code(), Some(3));
    let told = text(&output.stdout);
    assert!(told.starts_with("✗ config      DAILYCAST_WORKER__LEASE: worker.lease: "), "{told}");
    assert!(told.contains("mend: write a whole number"), "{told}");
}

#[test]
fn doctor_shows_no_key() {
    let keys = [("OPENAI_API_KEY", "hunter2"), ("AZURE_SPEECH_KEY", "hunter2"), ("AZURE_SPEECH_REGION", "westeurope")];
    let output = dailycast(&["doctor"], &keys);
    let told = text(&output.stdout);
    assert!(told.contains("writers: openai; speakers: azure"), "{told}");
    assert!(!told.contains("hunter2") && !text(&output.stderr).contains("hunter2"));
}

/// What `doctor` finds of this check, as `ok what`.
fn findings(check: &str, args: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let output = dailycast(&[&["doctor", "--json"], args].concat(), env);
    let report: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let found = report["checks"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    found.map(|finding| format!("{} {}", finding["ok"], finding["what"].as_str().unwrap())).collect()
}

#[test]
fn doctor_looks_at_vendors_beside_the_offline_voice() {
    let local = ("DAILYCAST_PROVIDERS__LOCAL_TTS__ENABLED", "true");
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("account.json");
    std::fs::write(&file, r#"{"type": "authorized_user", "refresh_token": "hunter2"}"#).unwrap();
    let file = file.to_str().unwrap();
    for variable in ["DAILYCAST_PROVIDERS__GOOGLE_TTS__CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS"] {
        let found = findings("speech", &[], &[local, (variable, file)]);
        assert!(found[0].starts_with("false the service account of Google in"), "{variable}: {found:?}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
    let borrowed = [("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere"), ("GEMINI_API_KEY", "x")];
    assert_eq!(findings("keys", &[], &borrowed), ["true writers: gemini; speakers: none"]);
}

#[test]
fn doctor_finds_a_model_that_ended_and_a_key_in_the_open() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let models = include_str!("../../workflows/models.toml").replace("2027-01-14", "2026-01-14");
    std::fs::write(folder.0.join("models.toml"), models).unwrap();
    let env = [
        ("OPENAI_API_KEY", "hunter2"),
        ("DAILYCAST_PROVIDERS__OPENAI__MODEL", "gpt-4o-mini"),
        ("DAILYCAST_PROVIDERS__OPENAI__BASE_URL", "http://llm.example/v1"),
    ];
    let found = findings("writer", &["--workflows", folder.0.to_str().unwrap()], &env);
    assert_eq!(found, ["false openai is asked for gpt-4o-mini, which ended on 2026-01-14"]);
    let found = findings("keys", &[], &env);
    assert_eq!(found[1], "false the key of openai can be read on its way to http://llm.example/v1");
}

#[test]
fn the_compiled_in_workflow_can_be_shown() {
    assert_eq!(dailycast(&["workflow", "check"], &[]).status.code(), Some(0));
    let shown = dailycast(&["workflow", "show", "--json"], &[]);
    let workflow: serde_json::Value = serde_json::from_str(&text(&shown.stdout)).unwrap();
    assert!(workflow["plans"].is_object());
    let graph = dailycast(&["workflow", "graph"], &[]);
    assert!(text(&graph.stdout).starts_with("flowchart"), "{}", text(&graph.stdout));
    let missing = dailycast(&["workflow", "check", "--dir", "nowhere"], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("nowhere"));
}

#[test]
fn an_error_is_told_with_its_causes_and_the_mend() {
    let cause = std::io::Error::other("the disk is full");
    let error = Err::<(), _>(cause).context(Advice::failed("nothing was written", "make room")).unwrap_err();
    assert_eq!(Told(&error).to_string(), "error: nothing was written\n  because the disk is full\n  mend: make room");
    assert_eq!(Exit::of(&error), Exit::Failed);
    assert_eq!(Exit::of(&anyhow::anyhow!("a defect")), Exit::Failed);
    assert_eq!(Exit::of(&Advice::usage("no", "yes").into()), Exit::Usage);
}

#[test]
fn a_table_is_aligned_and_fits_80_columns() {
    let mut table = Table::new([("id", Side::Right), ("status", Side::Left), ("why", Side::Left)]);
    table.row(["7", "failed", "the provider did not answer in time, and all the others had been tried before it"]);
    table.row(["1024", "completed", ""]);
    table.row(["1", "pending", "a\u{1b}[31mb\nc"]);
    assert_eq!(
        table.to_string(),
        concat!(
            "  ID  STATUS     WHY\n",
            "   7  failed     the provider did not answer in time, and all the others had\n",
            "                 been tried before it\n",
            "1024  completed\n",
            "   1  pending    a [31mb c\n",
        )
    );
}

/// Whatever stands in the cells.
#[test]
fn no_table_is_wider_than_80_columns() {
    let shapes: [&[Side]; 4] = [
        &[Side::Left, Side::Left, Side::Left],
        &[Side::Left, Side::Right, Side::Right, Side::Right, Side::Right, Side::Right, Side::Right, Side::Right],
        &[Side::Right; 9],
        &[Side::Right, Side::Left],
    ];
    let texts = ["", "a", &"word ".repeat(40), &"unbroken".repeat(30), "ワードワード"];
    for shape in shapes {
        let mut table = Table::new(shape.iter().map(|side| ("a name", *side)));
        for start in 0..texts.len() {
            table.row((0..shape.len()).map(|at| match shape[at] {
                Side::Left => texts[(start + at) % texts.len()],
                Side::Right => ["7", "123,456,789,012"][(start + at) % 2],
            }));
        }
        let printed = table.to_string();
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
        let is_whole = printed.contains("123,456,789,012") == shape.contains(&Side::Right);
        assert!(is_whole, "a number is broken: {printed}");
    }
}

#[test]
fn a_row_that_cannot_be_narrow_enough_becomes_a_list() {
    let columns = ["first", "second", "third", "fourth", "fifth", "sixth"].map(|name| (name, Side::Right));
    let mut table = Table::new(columns);
    table.row(["123,456,789,012,345"; 6]);
    assert!(table.to_string().starts_with("first   123,456,789,012,345\nsecond  123"), "{table}");
}

#[test]
fn numbers_money_and_time_read_as_people_write_them() {
    let money = [(0, "$0.00"), (1, "$0.000001"), (12_300, "$0.0123"), (2_500_000, "$2.50"), (-40_000, "-$0.04")];
    for (micro_usd, written) in money {
        assert_eq!(dollars(micro_usd), written);
    }
    let counts = [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")];
    for (number, written) in counts {
        assert_eq!(count(number), written);
    }
    let shorts =
        [(0, "0"), (99_999, "99,999"), (123_456, "123.5k"), (-36_000_000_000, "-36.0G"), (i64::MAX, "9223372.0T")];
    for (number, written) in shorts {
        assert_eq!(short(number), written);
    }
    assert_eq!((minutes(242), minutes(59), minutes(3600)), ("4:02".into(), "0:59".into(), "60:00".into()));
}

#[tokio::test]
async fn an_operator_opens_and_closes_breakers_and_takes_note_of_alerts() {
    let night = TestNight::new().await;
    let run = |args: &str| {
        let output = dailycast(&args.split(' ').collect::<Vec<_>>(), &[("DATABASE_URL", night.url())]);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (code, out, _) = run("provider list --json");
    let all = json(&out);
    assert_eq!((code, all.as_array().unwrap().len()), (0, 6));
    assert!(all.as_array().unwrap().iter().all(|one| one["state"] == "closed" && one["headroom"] == one["burst"]));

    let env = [("DATABASE_URL", night.url()), ("DAILYCAST_PROVIDERS__OPENAI__RATE_PER_MINUTE", "7")];
    let output = dailycast(&["provider", "list", "--json"], &env);
    let openai = json(&text(&output.stdout))[4].clone();
    assert_eq!((openai["provider"].as_str(), openai["calls_per_minute"].as_i64()), (Some("openai"), Some(7)));

    let (code, out, _) = run("provider open gemini --for 2h --reason slow --json");
    assert_eq!((code, json(&out)["state"].as_str()), (0, Some("open")));
    let (code, out, _) = run("provider list");
    assert_eq!(code, 0, "what an operator opened waits for no operator: {out}");
    assert!(out.contains("open until") && out.contains("@"), "{out}");
    let (code, out, _) = run("provider close gemini --json");
    assert_eq!((code, json(&out)["state"].as_str()), (0, Some("closed")));
    for (args, said) in [("provider open elevenlabs", "azure, gemini"), ("provider open polly --for ever", "2h")] {
        let (code, _, told) = run(args);
        assert!(code == 2 && told.contains(said), "{args}: {code} {told}");
    }
    night
        .execute(
            "insert into dailycast.provider_state (provider, cause, message, opened_at)
             values ('polly', 'out_of_credit', 'no money', now())",
        )
        .await;
    assert_eq!(run("provider list").0, 3, "somebody has to pay");

    assert_eq!(run("alert list").0, 0);
    night
        .execute("insert into dailycast.alert (kind, subject, message) values ('model_retired', 'openai x', 'gone')")
        .await;
    let (code, out, _) = run("alert list --json");
    let alerts = json(&out);
    assert_eq!((code, alerts[0]["kind"].as_str(), alerts[0]["times"].as_i64()), (3, Some("model_retired"), Some(1)));
    let id = alerts[0]["id"].to_string();
    assert_eq!(
        run(&format!("alert ack {id} --json")),
        (0, format!("{{\"acknowledged\":[{id}],\"unknown\":[]}}\n"), String::new())
    );
    assert_eq!(run("alert list").0, 0, "somebody took note");
    assert_eq!(run("alert ack 999").0, 1);

    let (code, out, _) = run("audit --json");
    let lines = json(&out);
    let told = |at: usize| (lines[at]["action"].as_str().unwrap(), lines[at]["subject"].as_str().unwrap());
    assert_eq!(
        (code, lines.as_array().unwrap().len(), told(0)),
        (0, 3, ("alert_acknowledge", format!("alert {id}").as_str()))
    );
    assert_eq!(
        (told(2), lines[2]["detail"].as_str()),
        (("provider_open", "provider gemini"), Some("for 120 min: slow"))
    );
    assert!(lines[2]["actor"].as_str().unwrap().contains('@'), "{out}");
    let (_, out, _) = run("audit --action provider_close --limit 1");
    assert!(out.contains("lets calls go to provider gemini again"), "{out}");

    let (code, out, _) = run("worker list");
    assert!(code == 3 && out.contains("No worker lives"), "{code} {out}");
}
