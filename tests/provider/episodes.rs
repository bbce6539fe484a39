//! Episodes as a learner gets them on a bad night: the template's words, the offline voices.
//! `dailycast bench episodes` prints the same checks as a table.

use std::os::unix::fs::PermissionsExt as _;

use chrono::NaiveDate;
use dailycast::{
    bench::{Check, EpisodesArgs, EpisodesReport, Offline, episodes},
    provider::{
        spool::{DiskSpool, Spool as _},
        tts::local::{self, Local, LocalVoices},
    },
    workflow::Workflow,
};

use crate::support::Folder;

fn args(learners: u32, seed: u64) -> EpisodesArgs {
    EpisodesArgs { learners, seed, date: NaiveDate::from_ymd_opt(2026, 11, 22).unwrap() }
}

/// How many of the episodes that learners of `asked` get in `language` passed a check.
fn passed(report: &EpisodesReport, asked: &str, language: &str, check: Check) -> (u32, u32) {
    let column = report.columns.iter().find(|column| column.asked == asked && column.language == language);
    column.and_then(|column| column.checks.get(&check)).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_hundred_learners_in_five_languages_get_sound_scripts() {
    let workflow = Workflow::builtin().unwrap();
    let report = episodes(&workflow, args(100, 7), None, |_| {}).await;
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    for language in ["en", "es", "fr", "de", "ja"] {
        for check in [Check::Minutes, Check::Name, Check::Weakest, Check::Week, Check::Reviews, Check::Prose] {
            assert_eq!(passed(&report, language, language, check), (20, 20), "{language} {check:?}");
        }
    }
    let again = episodes(&workflow, args(10, 7), None, |_| {}).await;
    let scripts =
        |report: &EpisodesReport| report.episodes.iter().map(|made| made.script.clone()).take(10).collect::<Vec<_>>();
    assert_eq!(scripts(&report), scripts(&again), "the same seed makes the same learners");
}

#[tokio::test]
async fn a_few_learners_hear_their_episodes() {
    let folder = Folder::new();
    let spool = DiskSpool::open(&folder.0, 1 << 30).unwrap();
    // Without the neural voice, which takes a core for half a minute: its sound has a test of its own.
    let local = Local::new(LocalVoices::default());
    let workflow = Workflow::builtin().unwrap();
    let report = episodes(&workflow, args(5, 7), Some(Offline { local: &local, spool: &spool }), |_| {}).await;
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    for (asked, language) in [("en", "en"), ("es", "es"), ("fr", "fr"), ("de", "de"), ("ja", "en")] {
        for check in [Check::Minutes, Check::Loudness, Check::Peak, Check::Speech, Check::Tags] {
            assert_eq!(passed(&report, asked, language, check), (1, 1), "{asked} in {language} {check:?}");
        }
    }
    assert_eq!(passed(&report, "ja", "ja", Check::Language), (1, 1), "what cannot be spoken is checked as text");
    assert_eq!(spool.podcasts().await.unwrap(), [0_i64; 0], "nothing is left in the spool");
}

/// Takes the place of the Japanese voice: hums as long as the text takes, with a breath behind each
/// sentence.
const HUM: &str = r#"#!/usr/bin/env python3
import array, json, sys
out = sys.stdout.buffer
out.write(b'{"ready": true}\n')
out.flush()
for line in sys.stdin.buffer:
    samples = array.array("h")
    for sentence in json.loads(line)["text"].split("。"):
        samples.extend([6000 if at // 60 % 2 else -6000 for at in range(4400 * len(sentence))] + [0] * 8000)
    out.write(b'{"samples": %d}\n' % len(samples) + samples.tobytes())
    out.flush()
"#;

#[tokio::test]
async fn a_japanese_learner_hears_japanese_where_the_voice_is_installed() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let python = folder.0.join("python");
    std::fs::write(&python, HUM).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spool = DiskSpool::open(&folder.0.join("spool"), 1 << 30).unwrap();
    // Nobody else is heard: the fifth learner is the first who asks for Japanese.
    let local = Local::new(LocalVoices { python_ja: Some(python), espeak: None, ..LocalVoices::default() });
    let mut workflow = Workflow::builtin().unwrap();
    workflow.install_voices(local::NAME, |language, voice| local.speaks(voice, language));
    let report = episodes(&workflow, args(5, 7), Some(Offline { local: &local, spool: &spool }), |_| {}).await;
    let flaws: Vec<_> = report.failures.iter().filter(|flaw| flaw.language == "ja").collect();
    assert!(flaws.is_empty(), "{flaws:#?}");
    for check in [Check::Language, Check::Minutes, Check::Loudness, Check::Peak, Check::Speech, Check::Tags] {
        assert_eq!(passed(&report, "ja", "ja", check), (1, 1), "{check:?}");
    }
}
