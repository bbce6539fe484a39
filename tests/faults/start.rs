//! What is wrong at the start is said at once: in words, with exit code 2, and nothing half begun.

use std::{fs, net::TcpListener};

use crate::support::ground::Ground;

/// Runs `args`, which cannot begin, and looks for `words` in what it says.
async fn refused(ground: &Ground, args: &[&str], words: &[&str]) {
    let output = ground.run(args).await;
    let (told, data) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
    for word in words {
        assert!(told.contains(word), "{args:?} does not say {word:?}: {told}");
    }
    assert_eq!(data, "", "{args:?}");
    assert!(!ground.spool().exists(), "{args:?} has made its spool");
    assert_eq!(ground.count("worker", "true").await, 0, "{args:?} has registered a worker");
}

/// Changes one setting, and finds it refused by all that would begin with it.
async fn refused_with(setting: (&str, &str), words: &[&str]) {
    let mut ground = Ground::new(5).await;
    ground.set(setting.0, setting.1);
    for args in [&["work"] as &[_], &["run", "--listen", "127.0.0.1:0"]] {
        refused(&ground, args, words).await;
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_nearest_one() {
    let words = ["DAILYCAST_WORKER__LEESE", "there is no such setting", "did you mean `worker.lease`?"];
    refused_with(("worker.leese", "2s"), &words).await;
}

#[tokio::test]
async fn a_wrong_value_is_refused() {
    refused_with(("worker.concurrency", "many"), &["DAILYCAST_WORKER__CONCURRENCY", "worker.concurrency"]).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_named_and_its_password_is_not() {
    let away = ("database.url", "postgres://u:hunter2@127.0.0.1:1/d");
    refused_with(away, &["error: the database does not answer", "mend: "]).await;
}

#[tokio::test]
async fn a_broken_workflow_is_refused_as_a_whole() {
    let ground = Ground::new(5).await;
    let dir = ground.folder.0.join("broken");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("daily_podcast.toml"), "crash_limit = \"often\"\n").unwrap();
    refused(&ground, &["work", "--workflows", "broken"], &["daily_podcast.toml", "crash_limit"]).await;
    refused(&ground, &["work", "--workflows", "nowhere"], &["nowhere"]).await;
}

#[tokio::test]
async fn a_missing_view_of_the_academy_is_named() {
    let ground = Ground::new(5).await;
    ground.execute("drop view academy.learner_week").await;
    refused(&ground, &["work"], &["learner_week", "mend: "]).await;
}

#[tokio::test]
async fn a_database_that_was_not_migrated_is_refused() {
    let ground = Ground::new(5).await;
    ground
        .execute("delete from dailycast.migration where version = (select max(version) from dailycast.migration)")
        .await;
    refused(&ground, &["work"], &["the database is older than this program", "dailycast migrate"]).await;
}

#[tokio::test]
async fn a_taken_port_is_refused() {
    let ground = Ground::new(5).await;
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&ground, &["run", "--listen", &address], &[&format!("nothing can be served on {address}"), "mend: "]).await;
}

#[tokio::test]
async fn unknown_flags_and_verbs_are_refused() {
    let ground = Ground::new(5).await;
    refused(&ground, &["work", "--fast"], &["--fast"]).await;
    refused(&ground, &["wrok"], &["wrok", "work"]).await;
}

#[tokio::test]
async fn without_anybody_who_speaks_nothing_begins() {
    refused_with(("providers.local_tts.enabled", "false"), &["nobody can speak", "mend: ", "polly"]).await;
}

#[tokio::test]
async fn a_file_that_is_no_service_account_is_refused() {
    let mut ground = Ground::new(5).await;
    let file = ground.folder.0.join("account.json");
    fs::write(&file, r#"{"type": "authorized_user", "client_secret": "hunter2"}"#).unwrap();
    ground.set("providers.google_tts.credentials_file", file.to_str().unwrap());
    refused(&ground, &["work"], &["service account", "account.json", "mend: "]).await;
}

#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn traces_that_this_build_cannot_send_are_warned_of_once_and_hold_up_nothing() {
    let mut ground = Ground::new(5).await;
    ground.set("ops.otlp_endpoint", "http://127.0.0.1:1");
    let (server, _) = ground.serving(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(server.says("--features otlp"), 1);
    ground.stop(server).await;
}
