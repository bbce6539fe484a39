//! The speech step: what is spoken twice (nothing), who speaks next, and what ends up in the spool.

use std::{collections::HashSet, sync::atomic::Ordering};

use bytes::Bytes;
use dailycast::{
    audio::{self, Limits},
    machine::{Event, FailureKind, Status},
    podcast::{Outcome, StepResult},
    provider::{spool::ChunkName, tts::TextLimit},
    step::speech::split,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::stage::{Beeper, READY, Stage, Whim, failure, script};
use crate::provider::audio::{decode, probed};

#[tokio::test]
async fn the_first_of_the_chain_is_chosen_and_the_script_is_cut_for_it() {
    let mut stage = Stage::new(vec![Beeper::new("polly", 1_500), Beeper::new("google", 900)]);
    let outcome = stage.run().await;
    assert_eq!(outcome.result, StepResult::Done(Event::SpeechStarted));
    let plan = outcome.made.chunk_plan.unwrap();
    assert_eq!((plan.ends.len(), plan.round), (3, 1));
    assert_eq!(outcome.made.tts_provider.as_deref(), Some("polly"));
    assert_eq!(outcome.made.tts_voice.as_deref(), Some("Joanna"));
    assert_eq!(outcome.made.tts_voice_gender.as_deref(), Some("female"));
    assert!(stage.calls.is_empty());
}

#[tokio::test]
async fn without_a_voice_or_a_script_it_says_so() {
    let mut stage = Stage::new(Vec::new());
    assert_eq!(failure(&stage.run().await).kind, FailureKind::NoVoice);
    let mut stage = Stage::new(vec![Beeper::new("polly", 900)]);
    stage.podcast.made.script_text = Some(" \n".to_owned());
    assert_eq!(failure(&stage.run().await).kind, FailureKind::Internal);
}

#[tokio::test]
async fn an_episode_is_whole_tagged_measured_and_paid_for() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    let Outcome { result, made } = stage.run().await;
    let calls = std::mem::take(&mut stage.calls);
    assert_eq!(result, READY);
    let mp3 = stage.episode();
    assert_eq!(made.spool_ref.as_deref(), Some("shelf:7"));
    assert_eq!(made.audio_bytes, Some(mp3.len() as i64));
    assert_eq!(made.audio_sha256, Some(hex::encode(Sha256::digest(&mp3))));
    let (complaints, seconds) = decode(&mp3);
    assert_eq!(complaints, "");
    assert!((f64::from(made.duration_seconds.unwrap()) - seconds).abs() <= 0.6, "{seconds}");
    assert_eq!(probed(&mp3, "format_tags=title"), "Chemistry");
    assert_eq!(calls.len(), 5);
    let characters: u64 = calls.iter().map(|call| call.units["characters"].as_u64().unwrap()).sum();
    // The four blank lines between paragraphs are not spoken.
    assert_eq!(characters, script().chars().count() as u64 - 8);
    for call in &calls {
        assert_eq!((call.provider.as_str(), call.operation, call.outcome), ("polly", "speech", "ok"));
        assert_eq!(call.cost_micro_usd, call.units["characters"].as_i64().unwrap() * 16);
    }
    let metadata = made.metadata.unwrap();
    assert_eq!(metadata["kept"], true);
    let chunk_ms = metadata["speech"]["chunk_ms"].as_array().unwrap();
    let all_ms: u64 = chunk_ms.iter().map(|ms| ms.as_u64().unwrap()).sum();
    assert!((all_ms as f64 / 1000.0 - seconds).abs() < 0.1);
    // Each paragraph was a chunk here, and a chunk's begin is known exactly.
    let begins: Vec<u64> = (0..5).map(|n| chunk_ms[..n].iter().map(|ms| ms.as_u64().unwrap()).sum()).collect();
    assert_eq!(metadata["speech"]["paragraph_ms"], serde_json::json!(begins));
    assert!(metadata["speech"].get("warning").is_none());
}

#[tokio::test]
async fn an_episode_of_another_length_than_promised_carries_a_warning() {
    let mut stage = Stage::new(vec![Beeper::new("polly", 900)]);
    stage.podcast.made.script_text = Some("That is all for today, see you tomorrow.".to_owned());
    stage.run().await;
    let outcome = stage.run().await;
    assert_eq!(outcome.result, READY);
    assert_eq!(outcome.made.metadata.unwrap()["speech"]["warning"], "lasts 0:02, not 3 to 6 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_kept_chunk_is_not_spoken_again() {
    let whim = Whim::Fail(FailureKind::Unavailable);
    let mut stage = Stage::started(vec![Beeper::new("polly", 900).with("three", whim)]).await;
    let outcome = stage.run().await;
    assert!(!failure(&outcome).at_once && failure(&outcome).provider.as_deref() == Some("polly"));
    assert_eq!(stage.round(), 1, "a single provider keeps its plan and its chunks");
    stage.chain[0].behave();
    assert_eq!(stage.run().await.result, READY);
    let asked = stage.chain[0].asked.lock().unwrap().clone();
    let (failed, kept): (Vec<_>, Vec<_>) = asked.iter().partition(|text| text.contains("three"));
    assert_eq!(failed.len(), 4, "three tries in place, and once more in the next attempt");
    assert_eq!((kept.len(), kept.into_iter().collect::<HashSet<_>>().len()), (4, 4), "the others were spoken once");
}

#[tokio::test]
async fn a_finished_attempt_repeated_after_a_crash_makes_no_call() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    let first = stage.run().await;
    let again = stage.run().await;
    assert_eq!((again.result, stage.calls.len()), (READY, 0));
    assert_eq!(again.made, first.made);
}

#[tokio::test]
async fn a_damaged_or_lost_chunk_is_spoken_again() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.run().await;
    {
        let mut chunks = stage.shelf.chunks.lock().unwrap();
        let name = |index| ChunkName { podcast_id: 7, round: 1, index };
        let half = chunks[&name(1)].slice(..chunks[&name(1)].len() / 2);
        chunks.insert(name(1), half);
        chunks.insert(name(3), Bytes::from_static(b"<html>"));
        chunks.remove(&name(4));
    }
    assert_eq!((stage.run().await.result, stage.calls.len()), (READY, 3));
}

#[tokio::test]
async fn another_provider_speaks_all_of_it() {
    let whim = Whim::Fail(FailureKind::OutOfCredit);
    let chain = vec![Beeper::new("polly", 900).with("five", whim), Beeper::new("google", 1_500)];
    let mut stage = Stage::started(chain).await;
    let outcome = stage.run().await;
    assert!(failure(&outcome).at_once);
    assert_eq!((stage.provider(), stage.round()), ("google", 2));
    assert_eq!(stage.calls.iter().filter(|call| call.outcome == "out_of_credit").count(), 1);
    assert_eq!(stage.run().await.result, READY);
    assert_eq!(stage.chain[1].asked(), 3);
    let chunks = stage.shelf.chunks.lock().unwrap();
    let bytes: usize = chunks.iter().filter(|(name, _)| name.round == 2).map(|(_, mp3)| sound(mp3)).sum();
    assert_eq!(sound(stage.shelf.episode.lock().unwrap().as_ref().unwrap()), bytes);
}

/// Bytes of frames.
fn sound(mp3: &[u8]) -> usize {
    audio::scan(mp3, Limits::ANY).unwrap().bytes
}

#[tokio::test]
async fn after_the_last_provider_the_next_round_begins_with_the_first() {
    let whim = Whim::Fail(FailureKind::NoVoice);
    let chain = vec![Beeper::new("polly", 900).with("one", whim), Beeper::new("google", 900).with("one", whim)];
    let mut stage = Stage::started(chain).await;
    let first = stage.run().await;
    assert_eq!((failure(&first).at_once, failure(&first).kind), (true, FailureKind::ModelRetired));
    let second = stage.run().await;
    assert!(!failure(&second).at_once);
    assert_eq!((stage.provider(), stage.round()), ("polly", 3));
}

#[tokio::test]
async fn speech_that_was_cut_off_is_a_bad_answer() {
    let chain = vec![Beeper::new("azure", 4_000).with("one", Whim::CutOff), Beeper::new("polly", 900)];
    let mut stage = Stage::started(chain).await;
    let outcome = stage.run().await;
    assert_eq!(failure(&outcome).kind, FailureKind::BadAnswer);
    assert!(failure(&outcome).message.contains("plausible"), "{}", failure(&outcome));
    assert_eq!(stage.calls[0].outcome, "bad_answer");
    assert!(stage.calls[0].cost_micro_usd > 0, "the provider bills it all the same");
    assert_eq!(stage.provider(), "polly");
}

#[tokio::test]
async fn after_a_failure_no_further_call_is_started() {
    let whim = Whim::Fail(FailureKind::Timeout);
    let mut stage = Stage::started(vec![Beeper::new("polly", 900).with("one", whim)]).await;
    stage.run().await;
    assert!(stage.chain[0].asked() <= 2, "{} calls with two at a time", stage.chain[0].asked());
}

#[tokio::test]
async fn without_lease_no_one_is_called() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900), Beeper::new("google", 900)]).await;
    stage.ground.may_call.store(false, Ordering::Relaxed);
    assert!(!failure(&stage.run().await).at_once);
    assert_eq!((stage.chain[0].asked(), stage.provider(), stage.round()), (0, "polly", 1));
}

/// Whether there is room for speech is asked before a podcast's first chunk, by who hands it over.
#[tokio::test]
async fn what_was_begun_is_finished_though_no_new_speech_may_begin() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.shelf.is_full.store(true, Ordering::Relaxed);
    assert_eq!(stage.run().await.result, READY);
}

#[tokio::test]
async fn a_plan_that_no_longer_fits_is_made_anew() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.podcast.made.tts_provider = Some("gone".to_owned());
    assert_eq!(stage.run().await.result, StepResult::Done(Event::AudioLost));
    assert_eq!(stage.run().await.result, StepResult::Done(Event::SpeechStarted));
    assert_eq!((stage.provider(), stage.round()), ("polly", 2));
    stage.podcast.made.script_text = Some("A shorter script.".to_owned());
    assert_eq!(stage.run().await.result, StepResult::Done(Event::AudioLost));
}

#[tokio::test]
async fn lost_audio_is_joined_again_from_kept_chunks() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.run().await;
    stage.podcast.status = Status::ScriptGenerated;
    stage.run().await;
    assert_eq!(stage.round(), 1);
    assert_eq!((stage.run().await.result, stage.calls.len()), (READY, 0));
}

#[test]
fn cuts_at_paragraphs_then_sentences_then_words_then_characters() {
    let pieces = |text: &'static str, limit| {
        let mut start = 0;
        let ends = split(text, TextLimit::Characters(limit));
        ends.into_iter().map(|end| &text[std::mem::replace(&mut start, end)..end]).collect::<Vec<_>>()
    };
    assert_eq!(
        pieces("First one. Still.\n\nSecond. It is here.", 24),
        ["First one. Still.\n\n", "Second. It is here."]
    );
    assert_eq!(pieces("He said “no.” She said yes, maybe.", 24), ["He said “no.” ", "She said yes, maybe."]);
    assert_eq!(
        pieces("Pi is 3.14159 or a little more than that", 24),
        ["Pi is 3.14159 or a ", "little more than that"]
    );
    assert_eq!(pieces("今日は化学です。明日は数学です。", 10), ["今日は化学です。", "明日は数学です。"]);
    assert_eq!(pieces("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
    assert_eq!(pieces("", 4), [""; 0]);
}

#[test]
fn bytes_are_counted_where_the_provider_counts_bytes() {
    let text = "化".repeat(10);
    assert_eq!(split(&text, TextLimit::Bytes(15)), [15, 30]);
    assert_eq!(split(&text, TextLimit::Characters(15)), [30]);
}

proptest! {
    #[test]
    fn pieces_are_the_text_and_within_the_limit(
        text in "([a-zé化 .。!?\n]|\n\n|\\. ){0,300}",
        limit in 4_usize..120,
        in_bytes: bool,
    ) {
        let limit = if in_bytes { TextLimit::Bytes(limit) } else { TextLimit::Characters(limit) };
        let ends = split(&text, limit);
        prop_assert_eq!(ends.last().copied().unwrap_or(0), text.len());
        let mut start = 0;
        for end in ends {
            let piece = &text[start..end];
            let (weight, most) = match limit {
                TextLimit::Bytes(most) => (piece.len(), most),
                TextLimit::Characters(most) => (piece.chars().count(), most),
            };
            prop_assert!(weight > 0 && weight <= most, "{piece:?} in {limit:?}");
            start = end;
        }
    }
}
