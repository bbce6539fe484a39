//! The demo as its reader runs it, with beeps instead of a voice.

use std::{fs, path::Path, process::Stdio};

use dailycast::audio;
use serde_json::Value;
use tokio::process::Command;

use crate::support::Folder;

const LEARNERS: usize = 5;

/// Runs the demo in `dir` and reads the one line that it prints.
async fn demo(dir: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dailycast"));
    command.args(["demo", "--once", "--json", "--learners", &LEARNERS.to_string(), "--listen", "127.0.0.1:0"]);
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    let output = command.env("DAILYCAST_PROVIDERS__LOCAL_TTS__VOICE", "tone").output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    serde_json::from_str(&told).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_makes_a_night_once_and_goes_on_from_there() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let first = demo(&folder.0).await;
    let night = &first["night"];
    assert_eq!((&night["eligible"], &night["enqueued"]), (&LEARNERS.into(), &LEARNERS.into()));
    assert_eq!(night["by_status"]["completed_with_fallback"], LEARNERS);
    assert_eq!((&night["failures"], &night["stuck"]), (&serde_json::json!([]), &0.into()));
    for key in ["date", "state", "rate_per_minute", "eta", "cost_micro_usd"] {
        assert!(night.get(key).is_some(), "{key}: {night}");
    }
    assert!(first["urls"]["api"].as_str().unwrap().ends_with("/api/dailycast/today/"));
    let learner = &first["learners"][0];
    assert!(learner["user_id"].is_i64() && learner["name"].is_string());
    assert_eq!(learner["token"].as_str().unwrap().len(), 40);

    let objects = objects(&folder.0);
    assert_eq!(objects.len(), LEARNERS);
    let rules = fs::read_to_string(folder.0.join(".dailycast/s3/.zporta-podcasts.lifecycle")).unwrap();
    assert!(rules.contains("dailycast-podcasts"), "episodes do not expire: {rules}");
    let second = demo(&folder.0).await;
    for key in ["date", "enqueued", "by_status", "cost_micro_usd"] {
        assert_eq!(second["night"][key], night[key], "{key}");
    }
    assert_eq!(self::objects(&folder.0), objects, "nothing was made or put again");
    assert!(!folder.0.join(".dailycast/postgres/data/postmaster.pid").exists(), "its Postgres still runs");
    plays(&objects[0].0).await;
}

/// The stored episodes with their times of writing.
fn objects(dir: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let bucket = dir.join(".dailycast/s3/zporta-podcasts");
    let files = fs::read_dir(bucket).unwrap().map(|file| file.unwrap());
    let mut files: Vec<_> = files.map(|file| (file.path(), file.metadata().unwrap().modified().unwrap())).collect();
    files.sort();
    files
}

/// A decoder of another house finds nothing to complain about, where there is one. What the local
/// S3 server keeps is one line about the object, then the object.
async fn plays(object: &Path) {
    let kept = fs::read(object).unwrap();
    let begin = kept.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let lasts = audio::scan(&kept[begin..], audio::Limits::rate(audio::SAMPLE_RATE)).unwrap().duration();
    assert!((180..=360).contains(&lasts.as_secs()), "{lasts:?} instead of 3 to 6 minutes");
    let mp3 = object.parent().unwrap().join("../../episode.mp3");
    fs::write(&mp3, &kept[begin..]).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&mp3).args(["-f", "null", "-"]).stdin(Stdio::null());
    match ffmpeg.output().await {
        Ok(decoded) => {
            let complaints = String::from_utf8_lossy(&decoded.stderr);
            assert!(decoded.status.success() && complaints.is_empty(), "{complaints}");
        }
        Err(missing) => eprintln!("not decoded: {missing}"),
    }
}
