//! What was spent and what a month will cost, as the program prints it; the example in the README is
//! computed again.

use std::process::{Command, Output};

use dailycast::{store, workflow::Workflow};
use serde_json::{Value, json};

use crate::{
    store::costs::november,
    support::{Folder, database::TestDatabase},
};

const README: &str = include_str!("../../README.md");

/// Runs the program in a directory without settings.
fn dailycast(args: &[&str], env: &[(&str, &str)]) -> Output {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dailycast"));
    command.args(args).current_dir(&folder.0).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(env.iter().copied()).output().unwrap()
}

fn told(args: &[&str], env: &[(&str, &str)]) -> String {
    let output = dailycast(args, env);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn document(args: &[&str], env: &[(&str, &str)]) -> Value {
    serde_json::from_str(&told(args, env)).unwrap()
}

/// The command and what it printed, as the README has them.
fn example() -> (Vec<&'static str>, &'static str) {
    let (_, rest) = README.split_once("$ dailycast cost estimate ").expect("README.md shows an estimate");
    let (command, rest) = rest.split_once('\n').unwrap();
    (["cost", "estimate"].into_iter().chain(command.split(' ')).collect(), rest.split_once("```").unwrap().0)
}

#[test]
fn the_example_of_the_readme_is_what_the_program_prints() {
    let (command, printed) = example();
    assert_eq!(told(&command, &[]), printed);
}

/// The same sum by hand, from the vendors' prices.
#[test]
fn the_example_adds_up() {
    let (command, _) = example();
    let estimate = document(&[&command[..], &["--json"]].concat(), &[]);
    let podcasts = |learners: i64| learners * 30;
    let script = 1200 * 15 / 100 + 1000 * 60 / 100;
    let (standard, neural2, neural) = (4000 * 4, 4000 * 16, 4000 * 15);
    let expected = [
        ("basic", "script", podcasts(700) * script),
        ("basic", "speech", podcasts(700) * standard),
        ("premium", "script", podcasts(250) * script),
        ("premium", "speech", podcasts(250) * neural2),
        ("enterprise", "script", podcasts(50) * script),
        ("enterprise", "speech", podcasts(50) * neural),
        ("", "upload", podcasts(1000) * 5),
        ("", "storage", podcasts(1000) * 144 * 23 / 100),
    ];
    let rows = estimate["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, (plan, what, cost)) in rows.iter().zip(expected) {
        assert_eq!((row["plan"].as_str().unwrap_or(""), &row["what"]), (plan, &json!(what)));
        assert_eq!(row["cost_micro_usd"], cost, "{row}");
    }
    let total: i64 = expected.iter().map(|(_, _, cost)| cost).sum();
    assert_eq!(estimate["total"]["cost_micro_usd"], total);
    assert!((925_000_000..935_000_000).contains(&total), "{total}");
}

#[test]
fn every_learner_has_a_plan_however_the_shares_divide() {
    let of = |mix: &str| {
        let estimate = document(&["cost", "estimate", "--learners", "1000", "--plan-mix", mix, "--json"], &[]);
        let plans = estimate["plans"].as_array().unwrap().iter();
        plans.map(|plan| plan["learners"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("free=1,basic=1,premium=1"), [334, 333, 333]);
    assert_eq!(of("free=2,premium=999,enterprise=0"), [2, 998, 0]);
    let default = document(&["cost", "estimate", "--learners", "7", "--json"], &[]);
    assert_eq!(default["plans"], json!([{ "plan": Workflow::builtin().unwrap().default_plan(), "learners": 7 }]));
}

/// A model that retires is paid for until then, its successor from then on.
#[test]
fn the_month_chooses_the_model() {
    for (month, model) in [("2027-01", "gpt-4o-mini"), ("2027-02", "gpt-6-luna")] {
        let estimate = document(&["cost", "estimate", "--learners", "1", "--month", month, "--json"], &[]);
        assert_eq!(estimate["rows"][0]["model"], model);
    }
}

#[test]
fn a_store_of_another_house_has_no_price() {
    let endpoint = [("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")];
    let estimate = document(&["cost", "estimate", "--learners", "1", "--json"], &endpoint);
    assert!(estimate["rows"].as_array().unwrap().iter().all(|row| row["provider"] != "s3"), "{estimate}");
}

#[test]
fn a_wrong_plan_share_or_month_is_told() {
    for (args, words) in [
        (
            ["--plan-mix", "fre=1"],
            "error: there is no plan \"fre\"\n  mend: the plans are basic, enterprise, free, premium",
        ),
        (["--plan-mix", "free=0"], "the plans have no share"),
        (["--plan-mix", "free"], "premium=25"),
        (["--month", "2026-13"], "2026-11"),
        (["--month", "2026-11-01"], "2026-11"),
    ] {
        let output = dailycast(&[&["cost", "estimate", "--learners", "9"], &args[..]].concat(), &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn an_estimate_is_not_summed_up_by_anything() {
    let output = dailycast(&["cost", "--by", "plan", "estimate", "--learners", "1"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("mend: leave out --by"));
}

#[tokio::test]
async fn what_was_spent_is_told_by_provider_plan_and_day() {
    let database = TestDatabase::migrated_by("store", store::migrate).await;
    november(&database.pool).await;
    let env = [("DATABASE_URL", database.url.as_str())];
    let month = ["cost", "--month", "2026-11"];
    let by = |by: &str| document(&[&month[..], &["--json", "--by", by]].concat(), &env);

    let total = json!({
        "calls": 15, "failed": 3, "input_tokens": 3600, "output_tokens": 3000, "characters": 11_997, "requests": 3,
        "cost_micro_usd": 50_343, "podcasts": 4, "per_podcast_micro_usd": 12_586
    });
    for (name, keys, costs) in [
        ("provider", json!(["openai", "polly", "s3"]), json!([2340, 47_988, 15])),
        ("plan", json!(["free", "premium"]), json!([33_562, 16_781])),
        ("day", json!(["2026-11-01", "2026-11-30"]), json!([33_562, 16_781])),
    ] {
        let told = by(name);
        assert_eq!((&told["month"], &told["by"], &told["total"]), (&json!("2026-11"), &json!(name), &total));
        let column = |key: &str| told["rows"].as_array().unwrap().iter().map(|row| row[key].clone()).collect::<Value>();
        assert_eq!(column(if name == "day" { "date" } else { name }), keys);
        assert_eq!(column("cost_micro_usd"), costs);
    }
    assert_eq!(by("plan")["rows"][0]["per_podcast_micro_usd"], 11_187, "shared by the three podcasts of the plan");
    assert_eq!(document(&["cost", "--json"], &env)["by"], "provider");

    let told = told(&month, &env);
    assert!(told.starts_with("November 2026: 4 podcasts\n"), "{told}");
    let line =
        |start: &str| told.lines().find(|line| line.starts_with(start)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line("polly standard"), ["polly", "standard", "6", "0", "0", "0", "11,997", "$0.047988", "$0.011997"]);
    assert_eq!(line("total"), ["total", "15", "3", "3,600", "3,000", "11,997", "$0.050343", "$0.012586"]);
}

/// A month whose rows have begun to go says from when on its sum is whole.
#[tokio::test]
async fn a_month_that_was_pruned_says_so() {
    let database = TestDatabase::migrated_by("store", store::migrate).await;
    let env = [("DATABASE_URL", database.url.as_str())];
    let old = document(&["cost", "--month", "2020-02", "--json"], &env);
    assert!(old["complete_from"].is_string(), "{old}");
    assert_eq!(old["total"]["per_podcast_micro_usd"], 0);
    assert!(told(&["cost", "--month", "2020-02"], &env).contains("rows are kept 30 days (storage.retention_days)"));
    assert_eq!(document(&["cost", "--month", "9999-12", "--json"], &env)["complete_from"], Value::Null);
}
