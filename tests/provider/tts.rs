//! The offline voices: what they promise, and what happens when their programs do not behave.

use std::{
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use dailycast::{
    audio::{self, Limits, SAMPLE_RATE},
    machine::FailureKind,
    podcast::Failure,
    provider::tts::{
        SpeakRequest, Speaker as _, Spoken,
        local::{Local, LocalVoices},
        pace,
    },
};

use super::audio::{Scratch, decode, metered};

const SPANISH: &str = "Buenos días. Esta semana respondiste cuarenta y dos preguntas, y treinta y una fueron \
                       correctas. Tu materia más difícil es la química orgánica.\n\nVeamos una pregunta que \
                       fallaste. Tómate un momento para pensar, y después escucha la respuesta con calma. \
                       Mañana seguimos con las ecuaciones, poco a poco y sin prisa.";

const ENGLISH: &str = "Good morning, Sam. This week you answered forty two questions, and thirty one of them were \
                       right. Your weakest subject is organic chemistry.\n\nLet us look at one question that you \
                       got wrong. Take a moment to think about it, and then listen to the answer. Tomorrow we go \
                       on with equations, little by little, and without any hurry.";

const JAPANESE: &str = "おはようございます、花子さん。今週は四十二問に答えて、三十一問が正解でした。先週より三問多く、よい調子\
                        です。\n\n今日は、間違えた問題を一つ見てみましょう。少し考えてから、答えを聞いてください。明日は、方程\
                        式を少しずつ進めましょう。";

fn request(voice: &str, language: &str, text: &str) -> SpeakRequest {
    let (voice, language) = (voice.to_owned(), language.to_owned());
    SpeakRequest { text: text.to_owned(), language, voice, engine: "standard".to_owned() }
}

fn voices() -> LocalVoices {
    LocalVoices { tone: true, processes: NonZeroUsize::MIN, ..LocalVoices::default() }
}

fn assert_is_speech(spoken: &Spoken, text: &str) {
    let found = audio::scan(&spoken.mp3, Limits::rate(SAMPLE_RATE)).unwrap();
    assert_eq!((found.format.channels, found.bitrate_kbps), (1, Some(64)));
    assert!(pace::plausible(text).contains(&found.duration()), "{:?} for {text:?}", found.duration());
    let (complaints, _) = decode(&spoken.mp3);
    assert_eq!(complaints, "");
    let (lufs, peak) = metered(&spoken.mp3);
    assert!((lufs + 16.0).abs() <= 1.5, "{lufs} LUFS");
    assert!(peak <= -1.0, "{peak} dBTP");
    let told = audio::tag::loudness(&spoken.mp3).unwrap();
    assert!((lufs - told).abs() <= 0.5, "the tag says {told}, ffmpeg {lufs}");
}

/// A program in the place of Python that speaks the protocol of the voice and does what the text
/// asks for. Every start leaves its process id in a log.
struct FakePython {
    program: Scratch,
    log: Scratch,
}

impl FakePython {
    fn new() -> Self {
        let log = Scratch::new(b"");
        let script = format!(
            r#"#!/bin/sh
echo $$ >> {}
echo '{{"ready": true}}'
while read -r line; do
  case "$line" in
    *die*) exit 1 ;;
    *hang*) exec sleep 60 ;;
    *sing*) echo 'la la la' ;;
    *refuse*) echo '{{"error": "no"}}' ;;
    *) echo '{{"samples": 24000}}'; head -c 48000 /dev/zero ;;
  esac
done
"#,
            log.path().display()
        );
        let program = Scratch::new(script.as_bytes());
        std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { program, log }
    }

    fn speaker(&self, timeout: Duration) -> Local {
        let python = Some(self.program.path().to_owned());
        Local::new(LocalVoices { python, espeak: None, timeout, ..voices() })
    }

    /// Has the Japanese voice alone, and seats enough for more than its one process.
    fn japanese_speaker(&self) -> Local {
        let python_ja = Some(self.program.path().to_owned());
        let processes = NonZeroUsize::new(4).unwrap();
        Local::new(LocalVoices { python_ja, espeak: None, processes, ..voices() })
    }

    /// Process ids, in the order of their starts.
    fn processes(&self) -> Vec<u32> {
        std::fs::read_to_string(self.log.path()).unwrap().lines().map(|line| line.parse().unwrap()).collect()
    }

    fn starts(&self) -> usize {
        self.processes().len()
    }
}

async fn kind_of(local: &Local, text: &str) -> Result<(), FailureKind> {
    let spoken = local.speak(&request("hibari", "en", text)).await;
    spoken.map(drop).map_err(|failure| failure.kind)
}

/// Waits until a process is gone, or only waits to be buried.
async fn gone(process: u32) {
    let runs = || match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    };
    let wait = async {
        while runs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENT, wait).await.unwrap_or_else(|_| panic!("process {process} still runs"));
}

const PATIENT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_tone_lasts_as_long_as_the_speech_would() {
    let local = Local::new(voices());
    for text in ["a", SPANISH, &ENGLISH.repeat(7), "日本語の文章です。"] {
        let spoken = local.speak(&request("tone", "ja", text)).await.unwrap();
        let lasts = audio::scan(&spoken.mp3, Limits::rate(SAMPLE_RATE)).unwrap().duration();
        let over = lasts - pace::usual(text);
        assert!(over < Duration::from_millis(24), "{over:?} more than promised");
        assert_eq!(spoken.mp3, local.speak(&request("tone", "ja", text)).await.unwrap().mp3);
    }
    assert_is_speech(&local.speak(&request("tone", "en", ENGLISH)).await.unwrap(), ENGLISH);
}

#[tokio::test]
async fn the_tone_is_silent_unless_it_was_allowed() {
    let local = Local::new(LocalVoices { tone: false, ..voices() });
    assert!(!local.speaks("tone", "en"));
    assert_eq!(local.speak(&request("tone", "en", "x")).await.unwrap_err().kind, FailureKind::NoVoice);
}

#[tokio::test]
async fn espeak_speaks_spanish() {
    let spoken = Local::new(voices()).speak(&request("espeak", "es-MX", SPANISH)).await.unwrap();
    assert_is_speech(&spoken, SPANISH);
    assert_eq!(spoken.billed_characters, SPANISH.chars().count() as u64);
}

#[tokio::test]
async fn espeak_refuses_what_it_would_spell_out() {
    let local = Local::new(voices());
    for language in ["ja", "zh-CN", "ko", "xx", "", "--help"] {
        let failure = local.speak(&request("espeak", language, "日本語")).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NoVoice, "{language:?}: {failure}");
    }
    assert!(local.speaks("espeak", "de-AT") && !local.speaks("espeak", "ja-JP") && !local.speaks("hibari", "es"));
}

#[tokio::test]
async fn a_machine_without_voices_says_what_to_install() {
    let espeak = Some(PathBuf::from("/nowhere/espeak-ng"));
    let local = Local::new(LocalVoices { python: Some("/nowhere/python".into()), espeak, ..voices() });
    for (voice, language) in [("hibari", "en"), ("espeak", "es")] {
        let Failure { kind, message, .. } = local.speak(&request(voice, language, "x")).await.unwrap_err();
        assert_eq!(kind, FailureKind::NoVoice);
        assert!(message.contains("install it") && message.contains("/nowhere/espeak-ng"), "{message}");
    }
    let none = Local::new(LocalVoices { espeak: None, ..voices() });
    let failure = none.speak(&request("hibari", "en", "x")).await.unwrap_err();
    assert!(failure.message.contains("providers.local_tts.python"), "{failure}");
}

#[tokio::test]
async fn english_falls_to_espeak_when_python_lacks_the_packages() {
    let path = std::env::var_os("PATH").unwrap();
    let python = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|python| python.is_file());
    let local = Local::new(LocalVoices { python: Some(python.expect("python3 is needed for this test")), ..voices() });
    assert_is_speech(&local.speak(&request("hibari", "en", ENGLISH)).await.unwrap(), ENGLISH);
}

#[tokio::test]
async fn one_process_speaks_many_chunks() {
    let fake = FakePython::new();
    let local = fake.speaker(PATIENT);
    for _ in 0..5 {
        kind_of(&local, "hello").await.unwrap();
    }
    assert_eq!(fake.starts(), 1);
}

#[tokio::test]
async fn a_process_that_died_is_replaced() {
    let fake = FakePython::new();
    let local = fake.speaker(PATIENT);
    kind_of(&local, "hello").await.unwrap();
    // It dies of this text, and so does the one that replaces it.
    assert_eq!(kind_of(&local, "die").await, Err(FailureKind::Unavailable));
    assert_eq!(fake.starts(), 2);
    kind_of(&local, "hello").await.unwrap();
    assert_eq!(fake.starts(), 3);
}

#[tokio::test]
async fn nonsense_and_refusals_cost_the_process_but_nothing_else() {
    let fake = FakePython::new();
    let local = fake.speaker(PATIENT);
    assert_eq!(kind_of(&local, "sing").await, Err(FailureKind::BadAnswer));
    assert_eq!(kind_of(&local, "refuse").await, Err(FailureKind::BadAnswer));
    kind_of(&local, "hello").await.unwrap();
    assert_eq!(fake.starts(), 3);
}

#[tokio::test]
async fn a_process_that_hangs_is_given_up() {
    let fake = FakePython::new();
    let local = fake.speaker(Duration::from_secs(2));
    assert_eq!(kind_of(&local, "hang").await, Err(FailureKind::Timeout));
    gone(fake.processes()[0]).await;
    kind_of(&local, "hello").await.unwrap();
    assert_eq!(fake.starts(), 2);
    drop(local);
    gone(fake.processes()[1]).await;
}

#[tokio::test]
async fn one_process_speaks_japanese_where_it_is_installed() {
    let fake = FakePython::new();
    let local = fake.japanese_speaker();
    assert!(local.speaks("kokoro", "ja-JP") && !local.speaks("kokoro", "en") && !local.speaks("hibari", "ja"));
    let (first, second) = (request("kokoro", "ja", JAPANESE), request("kokoro", "ja-JP", JAPANESE));
    let spoken = futures_util::future::try_join(local.speak(&first), local.speak(&second)).await.unwrap();
    assert_eq!((spoken.0.billed_characters, fake.starts()), (JAPANESE.chars().count() as u64, 1));
    assert_eq!(local.speak(&request("kokoro", "en", ENGLISH)).await.unwrap_err().kind, FailureKind::NoVoice);
}

#[tokio::test]
async fn without_its_packages_japanese_is_refused() {
    let python_ja = Some("/bin/false".into());
    for local in [Local::new(voices()), Local::new(LocalVoices { python_ja, ..voices() })] {
        let Failure { kind, message, .. } = local.speak(&request("kokoro", "ja", JAPANESE)).await.unwrap_err();
        assert_eq!(kind, FailureKind::NoVoice);
        assert!(message.contains("cargo xtask voice ja"), "{message}");
    }
    assert!(!Local::new(voices()).speaks("kokoro", "ja"));
}

#[test]
fn every_package_of_the_voices_is_pinned_by_hash() {
    let english = include_str!("../../src/provider/tts/local/requirements.txt");
    let japanese = include_str!("../../src/provider/tts/local/requirements-ja.txt");
    for (pinned, packages) in [(english, 6), (japanese, 18)] {
        let logical = pinned.replace("\\\n", " ");
        let lines: Vec<_> = logical.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), packages);
        assert!(lines.iter().all(|line| line.contains("==") && line.contains("--hash=sha256:")), "{lines:?}");
    }
}

#[tokio::test]
#[ignore = "needs the packages of the voice: set DAILYCAST_VOICE_PYTHON to their interpreter"]
async fn hibari_speaks_english() {
    let python = std::env::var_os("DAILYCAST_VOICE_PYTHON").expect("DAILYCAST_VOICE_PYTHON is set");
    assert!(Path::new(&python).is_file());
    let local = Local::new(LocalVoices { python: Some(python.into()), espeak: None, ..voices() });
    let spoken = local.speak(&request("hibari", "en", ENGLISH)).await.unwrap();
    assert_is_speech(&spoken, ENGLISH);
    assert_eq!(spoken.mp3, local.speak(&request("hibari", "en", ENGLISH)).await.unwrap().mp3);
}

#[tokio::test]
#[ignore = "needs the packages of the voice: set DAILYCAST_VOICE_JA_PYTHON to their interpreter"]
async fn kokoro_speaks_japanese() {
    let python = std::env::var_os("DAILYCAST_VOICE_JA_PYTHON").expect("DAILYCAST_VOICE_JA_PYTHON is set");
    let local = Local::new(LocalVoices { python_ja: Some(python.into()), espeak: None, ..voices() });
    assert_is_speech(&local.speak(&request("kokoro", "ja", JAPANESE)).await.unwrap(), JAPANESE);
}
