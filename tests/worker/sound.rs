//! How an episode sounds: measured, warned about, refused, made of one format. ffmpeg is the judge.

use std::process::Command;

use dailycast::{
    audio::{self, Limits, SAMPLE_RATE},
    machine::FailureKind,
    podcast::Outcome,
};
use id3::TagLike as _;

use super::stage::{Beeper, READY, Stage, Whim, failure, script};
use crate::{
    provider::audio::{Scratch, decode, metered, probed},
    support::read_by_others,
};

/// The same with only a share of its amplitude.
pub(super) fn damped(mp3: &[u8], left: f64) -> Vec<u8> {
    let samples = audio::decode::mono(mp3, &audio::scan(mp3, Limits::ANY).unwrap()).unwrap();
    let samples: Vec<_> = samples.iter().map(|sample| (f64::from(*sample) * left) as i16).collect();
    audio::encode(&samples, SAMPLE_RATE).unwrap()
}

/// The same in two channels, by another encoder.
pub(super) fn stereo(mp3: &[u8]) -> Vec<u8> {
    let (from, to) = (Scratch::new(mp3), Scratch::new(&[]));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(from.path()).args(["-ac", "2", "-b:a", "48k", "-y"]).arg(to.path());
    assert!(ffmpeg.status().unwrap().success());
    std::fs::read(to.path()).unwrap()
}

#[tokio::test]
async fn a_vendors_episode_is_measured_and_tagged_like_ours() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.podcast.made.title = Some("今日の化学".to_owned());
    let made = stage.run().await.made;
    let mp3 = stage.episode();
    let (lufs, peak) = metered(&mp3);
    let told = (made.loudness_lufs.unwrap(), made.metadata.unwrap()["speech"]["peak_dbtp"].as_f64().unwrap());
    assert!((told.0 - lufs).abs() <= 0.1 && (told.1 - peak).abs() <= 0.2, "told {told:?}, is {lufs} and {peak}");
    let tag = id3::Tag::read_from2(std::io::Cursor::new(&mp3)).unwrap();
    assert_eq!((tag.title(), tag.lyrics().next().unwrap().text.as_str()), (Some("今日の化学"), script().as_str()));
    assert_eq!(tag.get("TLAN").unwrap().content().text(), Some("eng"));
    assert_eq!(tag.date_recorded().unwrap().to_string(), stage.podcast.date.to_string());
    assert_eq!(probed(&mp3, "format_tags=title"), "今日の化学");
    assert_eq!(probed(&mp3, "format_tags=date"), stage.podcast.date.to_string());
    assert!(probed(&mp3, "format_tags").contains("organic chemistry, slowly and with care."));
}

#[tokio::test]
async fn a_quiet_episode_is_kept_with_a_warning() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 4_000).with("one", Whim::Damped(0.2))]).await;
    let made = stage.run().await.made;
    let lufs = made.loudness_lufs.unwrap();
    assert!((-32.0..-28.0).contains(&lufs), "{lufs}");
    let warning = format!("has {lufs:.1} LUFS, not -23 to -14");
    assert_eq!(made.metadata.unwrap()["speech"]["warning"], warning);
}

#[tokio::test]
async fn a_night_without_a_core_to_spare_measures_nothing() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900)]).await;
    stage.meters = 0;
    let Outcome { result, made, .. } = stage.run().await;
    assert_eq!((result, made.loudness_lufs), (READY, None));
    assert!(made.metadata.unwrap()["speech"].get("peak_dbtp").is_none());
}

#[tokio::test]
async fn silence_is_a_bad_answer_and_is_never_kept() {
    for left in [0.0, 0.0002] {
        let chain = vec![Beeper::new("polly", 900).with("three", Whim::Damped(left)), Beeper::new("google", 900)];
        let mut stage = Stage::started(chain).await;
        let outcome = stage.run().await;
        assert_eq!(failure(&outcome).kind, FailureKind::BadAnswer);
        assert!(failure(&outcome).message.contains("silence"), "{}", failure(&outcome));
        assert!(!stage.keeps(1, 2));
        assert_eq!(stage.provider(), "google");
        assert_eq!(stage.run().await.result, READY);
    }
}

#[tokio::test]
async fn chunks_in_two_formats_become_one_episode() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 900).with("three", Whim::Stereo)]).await;
    let outcome = stage.run().await;
    assert_eq!(outcome.result, READY);
    let mp3 = stage.episode();
    assert_eq!(audio::scan(&mp3, Limits::ANY).unwrap().format.channels, 1);
    let (complaints, seconds) = decode(&mp3);
    assert_eq!(complaints, "");
    assert!((f64::from(outcome.made.duration_seconds.unwrap()) - seconds).abs() <= 0.6, "{seconds}");
    let (lufs, _) = metered(&mp3);
    assert!((lufs + 16.0).abs() <= 1.5, "{lufs}");
}

#[tokio::test]
async fn our_own_voice_tells_how_loud_the_episode_is() {
    let mut stage = Stage::started(vec![Beeper::new("local", 900)]).await;
    let told = stage.run().await.made.loudness_lufs.unwrap();
    let mp3 = stage.episode();
    let (lufs, peak) = metered(&mp3);
    assert!((lufs - told).abs() <= 0.5, "told {told}, measured {lufs}");
    assert!((lufs + 16.0).abs() <= 1.5 && peak <= -1.0, "{lufs} LUFS, {peak} dBTP");
}

/// Not beeps: a voice, five chunks of it, as loud in the whole as each of them was made.
#[tokio::test]
async fn our_own_speech_is_as_loud_as_other_podcasts() {
    let mut voice = Beeper::new("local", 900);
    voice.voice = "espeak";
    let mut stage = Stage::started(vec![voice]).await;
    let told = stage.run().await.made.loudness_lufs.unwrap();
    let (lufs, peak) = metered(&stage.episode());
    assert!((lufs + 16.0).abs() <= 1.5 && peak <= -1.0, "{lufs} LUFS, {peak} dBTP");
    assert!((lufs - told).abs() <= 0.5, "told {told}, measured {lufs}");
}

/// mutagen and ffprobe agree with the row about an episode's length, words and chapters.
#[tokio::test]
async fn others_read_what_the_row_says_of_an_episode() {
    let mut stage = Stage::started(vec![Beeper::new("polly", 1_500)]).await;
    let made = stage.run().await.made;
    let mp3 = Scratch::new(&stage.episode());
    let metadata = made.metadata.unwrap();
    let speech = &metadata["speech"];
    let lasts_ms: u64 = speech["chunk_ms"].as_array().unwrap().iter().map(|ms| ms.as_u64().unwrap()).sum();
    let starts: Vec<_> = speech["paragraph_ms"].as_array().unwrap().iter().map(|ms| ms.as_u64().unwrap()).collect();
    let ends = starts.iter().skip(1).copied().chain([lasts_ms]);
    let titles = ["one", "two", "three", "four", "five"]
        .map(|number| format!("Paragraph {number} says something about organic"));
    let times: Vec<_> = starts.iter().copied().zip(ends).zip(&titles).collect();

    let read = read_by_others("mp3", mp3.path());
    assert!(read["length_ms"].as_u64().unwrap().abs_diff(lasts_ms) <= 30, "{read}, {lasts_ms}");
    assert_eq!((read["language"].as_str(), read["lyrics"].as_str()), (Some("eng"), Some(script().as_str())));
    let chapters = read["chapters"].as_array().unwrap();
    assert_eq!(chapters.len(), 5);
    for (chapter, ((start, end), title)) in chapters.iter().zip(&times) {
        assert_eq!((chapter[0].as_u64(), chapter[1].as_u64()), (Some(*start), Some(*end)));
        assert!(chapter[2].as_str().unwrap().starts_with(title.as_str()), "{chapter}");
    }
    let seconds = |ms: u64| format!("{}.{:03}000", ms / 1000, ms % 1000);
    let expected: Vec<_> =
        times.iter().map(|((start, end), _)| format!("{},{}", seconds(*start), seconds(*end))).collect();
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "chapter=start_time,end_time", "-of", "csv=p=0"]);
    let told = String::from_utf8(ffprobe.arg(mp3.path()).output().unwrap().stdout).unwrap();
    assert_eq!(told.lines().map(|line| line.trim_end_matches(',')).collect::<Vec<_>>(), expected);
}
