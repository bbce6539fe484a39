//! `doctor --online`: what it makes of what a provider says of itself.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{
    Folder,
    vendor::{Reply, Vendor},
};

const KEY: &str = "sk-test-1234567890";

/// The findings of one check, each as `ok what mend`.
async fn told(check: &str, provider: &str, reply: Reply, env: &[(&str, &str)]) -> Vec<String> {
    let vendor = Vendor::playing(vec![reply]).await;
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let setting = |key: &str| format!("DAILYCAST_PROVIDERS__{}__{key}", provider.to_uppercase());
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_dailycast"))
        .args(["doctor", "--online", "--json"])
        .current_dir(&folder.0)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env(setting("API_KEY"), KEY)
        .env(setting("BASE_URL"), vendor.url())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.contains(KEY), "{printed}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let found = checks.iter().filter(|finding| finding["check"] == check);
    found.map(|finding| format!("{} {} {}", finding["ok"], text(finding, "what"), text(finding, "mend"))).collect()
}

#[tokio::test]
async fn a_good_key_and_its_models_are_told() {
    let list = json!({"data": [{"id": "gpt-4o-mini", "shutdown_date": "2027-01-14"}, {"id": "gpt-6-luna"}]});
    let env = [("DAILYCAST_PROVIDERS__OPENAI__MODEL", "gpt-4o-mini")];
    let found = told("online", "openai", Reply::json(200, &list), &env).await;
    assert_eq!(
        found,
        [
            "true openai accepts the key ",
            "true openai has gpt-4o-mini, today's model ",
            "true openai has gpt-6-luna, which follows it ",
            "true openai ends gpt-4o-mini on 2027-01-14, as known ",
        ]
    );
}

#[tokio::test]
async fn a_model_that_ends_sooner_and_a_missing_successor_are_findings() {
    let list = json!({"data": [{"id": "gpt-4o-mini", "shutdown_date": "2026-12-01"}]});
    let env = [("DAILYCAST_PROVIDERS__OPENAI__MODEL", "gpt-4o-mini")];
    let found = told("online", "openai", Reply::json(200, &list), &env).await;
    assert!(found[2].starts_with("false openai has no model gpt-6-luna, which is to follow"), "{found:?}");
    assert!(found[3].contains("ends gpt-4o-mini on 2026-12-01, which models.toml does not know"), "{found:?}");
    assert!(found[3].ends_with("set its retires_on to 2026-12-01, with a successor"), "{found:?}");
}

#[tokio::test]
async fn a_name_may_stand_for_a_dated_model() {
    for (named, found) in [("claude-x", "claude-x-20261007"), ("llama3.2", "llama3.2:latest")] {
        let list = json!({"data": [{"id": found}], "has_more": false});
        let env = [("DAILYCAST_PROVIDERS__ANTHROPIC__MODEL", named)];
        let found = told("online", "anthropic", Reply::json(200, &list), &env).await;
        assert_eq!(found.last().unwrap(), &format!("true anthropic has {named}, today's model "));
    }
    let list = json!({"data": [{"id": "claude-x-large"}], "has_more": false});
    let env = [("DAILYCAST_PROVIDERS__ANTHROPIC__MODEL", "claude-x")];
    let found = told("online", "anthropic", Reply::json(200, &list), &env).await;
    assert!(found[1].starts_with("false anthropic has no model claude-x name another one in"), "{found:?}");
}

#[tokio::test]
async fn a_refused_key_is_a_finding_with_its_mend() {
    let error = json!({"error": {"code": 400, "message": KEY, "status": "INVALID_ARGUMENT",
        "details": [{"reason": "API_KEY_INVALID"}]}});
    let found = told("online", "gemini", Reply::json(400, &error), &[]).await;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(finding.starts_with("false gemini answered 400 (INVALID_ARGUMENT)"), "{finding}");
    assert!(finding.ends_with("correct providers.gemini.api_key, or leave it out"), "{finding}");
}

#[tokio::test]
async fn what_each_writer_is_asked_for_is_told_without_asking() {
    let env = [("DAILYCAST_PROVIDERS__OPENAI__MODEL", "llama3.2")];
    let found = told("writer", "openai", Reply::json(500, &Value::Null), &env).await;
    assert_eq!(found[0], "true openai is asked for llama3.2 ");
    assert!(found[1].starts_with("false prices.toml has no price of llama3.2"), "its costs are a guess: {found:?}");
    let env = [("DAILYCAST_PROVIDERS__OPENAI__MODEL", "gpt-6-luna-2026-06-18")];
    let found = told("writer", "openai", Reply::json(500, &Value::Null), &env).await;
    assert_eq!(found, ["true openai is asked for gpt-6-luna-2026-06-18 "], "a dated model costs what its name does");
}
