//! The simulator is proven by programs that we did not write: the vendors' official clients read
//! its answers and raise their own exceptions at its errors.

use std::{process::Stdio, time::Duration};

use chrono::Utc;
use dailycast::sim::{Faults, Server, Settings};
use tokio::process::Command;

use crate::support::python;

/// The longest that one check may take; Python alone needs seconds to read a client.
const PATIENCE: Duration = Duration::from_secs(180);

/// The first call is one too many, the second meets a vendor in trouble.
const FAULTS: &str = r#"
    [[fault]]
    operation = "script"
    error = "rate_limited"
    retry_after = 2.0
    most = 1

    [[fault]]
    operation = "speech"
    error = "rate_limited"
    most = 1

    [[fault]]
    operation = "script"
    error = "overloaded"
    most = 1

    [[fault]]
    operation = "speech"
    error = "server_error"
    most = 1
"#;

async fn is_content(client: &str) {
    // The clients sign with the time that it is.
    let settings = Settings { faults: Faults::parse(FAULTS).unwrap(), ..Settings::new(Utc::now) };
    let server = Server::start(settings).await.unwrap();
    let mut command = Command::new(python("vendors"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vendors/clients.py")).args([&server.url(), client]);
    // Neither a proxy nor an account of this machine has a say.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", std::env::temp_dir());
    command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{client}: the check does not end")).unwrap();
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    server.stop().await;
}

#[tokio::test]
async fn openai_is_content() {
    is_content("openai").await;
}

#[tokio::test]
async fn anthropic_is_content() {
    is_content("anthropic").await;
}

#[tokio::test]
async fn gemini_is_content() {
    is_content("gemini").await;
}

#[tokio::test]
async fn google_text_to_speech_is_content() {
    is_content("google").await;
}

#[tokio::test]
async fn boto3_is_content() {
    is_content("polly").await;
}

#[test]
fn every_client_is_pinned_by_hash() {
    let pinned = include_str!("../vendors/requirements.txt").replace("\\\n", " ");
    let lines: Vec<_> = pinned.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.iter().all(|line| line.contains("==") && line.contains("--hash=sha256:")), "{lines:?}");
    for client in ["openai", "anthropic", "google-genai", "google-cloud-texttospeech", "boto3"] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{client}=="))), "{client}");
    }
}
