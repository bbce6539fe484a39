//! Episodes as a learner gets them on a bad night: the template's words, the offline voices.
//! `dailycast bench episodes` prints the same checks as a table.

use chrono::NaiveDate;
use dailycast::{
    bench::{Check, EpisodesArgs, EpisodesReport, Offline, episodes},
    provider::{
        spool::{DiskSpool, Spool as _},
        tts::local::{Local, LocalVoices},
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
