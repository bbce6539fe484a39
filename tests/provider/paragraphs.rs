//! When paragraphs are said: against voices whose text is known to the sample, by way of another
//! encoder and its settings; against a full decoding; and against input of any kind.

use std::process::{Command, Stdio};

use dailycast::{
    audio::{self, Limits, Pause},
    provider::tts::paragraphs::{SpokenChunk, behind_sentence, heading, paragraphs, starts},
};
use proptest::prelude::*;

use super::audio::Scratch;

/// What espeak-ng answers, in hertz.
const RATE: usize = 22_050;

const SPANISH: [&str; 4] = [
    "Buenos días, Sam. Esta semana respondiste 42 preguntas, y 31 fueron correctas. No está nada mal.",
    "Tu materia más difícil es la química orgánica. ¿Recuerdas qué es un ácido? Un ácido cede un protón, y una base lo \
     recibe. Dilo una vez en voz alta.",
    "Veamos una pregunta que fallaste. Tómate un momento para pensar. Después escucha la respuesta con calma, sin prisa.",
    "Mañana seguimos con las ecuaciones. Que tengas un buen día.",
];

const FRENCH: [&str; 4] = [
    "Bonjour, Sam. Cette semaine, tu as répondu à 42 questions, et 31 réponses étaient justes. C'est un bon début.",
    "Ta matière la plus difficile est la chimie. Te souviens-tu de ce qu'est un acide ? Un acide cède un proton, une base \
     le reçoit. Répète-le à voix haute.",
    "Regardons une question que tu as manquée. Prends un moment pour réfléchir. Ensuite, écoute la réponse avec calme.",
    "Demain, nous continuerons avec les équations. Passe une bonne journée.",
];

const GERMAN: [&str; 4] = [
    "Guten Morgen, Sam. Diese Woche hast du 42 Fragen beantwortet, und 31 Antworten waren richtig. Das ist ein guter Anfang.",
    "Dein schwerstes Fach ist die Chemie. Weißt du noch, was eine Säure ist? Eine Säure gibt ein Proton ab, eine Base nimmt \
     es auf. Sag es einmal laut.",
    "Sehen wir uns eine Frage an, die du verfehlt hast. Nimm dir einen Moment zum Nachdenken. Danach hörst du die Antwort.",
    "Morgen geht es weiter mit Gleichungen. Hab einen schönen Tag.",
];

/// How vendors encode, and more: what Google, Polly and Azure send, two channels, a varying bitrate,
/// and music's rates (MPEG-1). No frame tells players to cut off what an encoder adds.
const ENCODERS: [&[&str]; 6] = [
    &["-ar", "24000", "-b:a", "32k"],
    &["-ar", "24000", "-b:a", "48k"],
    &["-ar", "24000", "-ac", "2", "-b:a", "128k"],
    &["-ar", "24000", "-q:a", "5"],
    &["-ar", "44100", "-ac", "2", "-b:a", "128k"],
    &["-ar", "48000", "-ac", "2", "-q:a", "4"],
];

/// How late the first sample is heard that went into LAME, in samples of its output.
const ENCODER_DELAY: f64 = 1105.0;

/// Samples of a text by espeak-ng, without the silence at their end.
fn said(language: &str, text: &str) -> Vec<i16> {
    let script = Scratch::new(text.as_bytes());
    let voice =
        Command::new("espeak-ng").args(["-v", language, "-s", "148", "--stdout", "-f"]).arg(script.path()).output();
    let wav = voice.expect("espeak-ng is installed").stdout;
    let samples: Vec<_> = wav[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let end = samples.iter().rposition(|sample| sample.unsigned_abs() > 100).unwrap();
    samples[..=end].to_vec()
}

/// As an MP3, by ffmpeg.
fn encoded(samples: &[i16], settings: &[&str]) -> Vec<u8> {
    let bytes: Vec<_> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let (raw, mp3) = (Scratch::new(&bytes), Scratch::new(&[]));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "s16le", "-ar", "22050", "-ac", "1", "-i"]).arg(raw.path());
    ffmpeg.args(settings).args(["-write_xing", "0", "-y"]).arg(mp3.path()).stdin(Stdio::null());
    assert!(ffmpeg.status().unwrap().success());
    std::fs::read(mp3.path()).unwrap()
}

/// Where a script spoken at once has its paragraphs, in seconds, by all that was built for it.
fn found(script: &str, mp3: &[u8]) -> (Vec<f64>, Vec<Pause>) {
    let scan = audio::scan(mp3, Limits::ANY).unwrap();
    let pauses = audio::pauses(mp3, &scan);
    let lasts_ms = u64::try_from(scan.duration().as_millis()).unwrap();
    let starts = starts(script, &[SpokenChunk { end: script.len(), lasts_ms, pauses: &pauses }]);
    (starts.into_iter().map(|ms| ms as f64 / 1000.0).collect(), pauses)
}

/// Every encoder's MP3 of the samples has its paragraphs where they are: they begin before the first
/// sound, and by no more than it takes a player to find its place.
fn assert_found(name: &str, texts: &[&str], samples: &[i16], truth: &[f64]) {
    for settings in ENCODERS {
        let mp3 = encoded(samples, settings);
        let rate = audio::scan(&mp3, Limits::ANY).unwrap().format.sample_rate;
        let (starts, pauses) = found(&texts.join("\n\n"), &mp3);
        assert_eq!((starts.len(), starts[0]), (texts.len(), 0.0));
        for (start, truth) in starts[1..].iter().zip(truth) {
            let early = truth + ENCODER_DELAY / f64::from(rate) - start;
            assert!((0.0..=0.2).contains(&early), "{name} {settings:?}: {early} s early at {truth}, of {starts:?}");
        }
        assert_decoded_alike(&mp3, &pauses);
    }
}

/// The longer silences that ffmpeg hears in the decoded sound are pauses.
fn assert_decoded_alike(mp3: &[u8], pauses: &[Pause]) {
    let file = Scratch::new(mp3);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.arg("-nostats").arg("-i").arg(file.path()).args(["-af", "silencedetect=n=-40dB:d=0.3", "-f", "null", "-"]);
    let told = String::from_utf8(ffmpeg.output().unwrap().stderr).unwrap();
    let ends = told.lines().filter_map(|line| line.split_once("silence_end: "));
    let ends: Vec<f64> = ends.map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(ends.len() >= 3, "{told}");
    let last = pauses.iter().map(|pause| pause.end).fold(0.0, f64::max);
    for end in ends.iter().filter(|end| **end < last - 0.1) {
        assert!(pauses.iter().any(|pause| (pause.end - end).abs() < 0.06), "{end}: {pauses:?}");
    }
}

#[test]
fn paragraphs_are_found_where_a_voice_says_them() {
    for (language, texts) in [("es", SPANISH), ("fr", FRENCH), ("de", GERMAN)] {
        let samples = said(language, &texts.join("\n\n"));
        // What is said up to a paragraph is the same to the sample whatever follows.
        let begin = |count: usize| {
            let before = said(language, &texts[..count].join("\n\n"));
            assert_eq!(before, samples[..before.len()], "the voice says the same again");
            let silence = samples[before.len()..].iter().position(|sample| sample.unsigned_abs() > 300).unwrap();
            (before.len() + silence) as f64 / RATE as f64
        };
        assert_found(language, &texts, &samples, &[1, 2, 3].map(begin));
    }
}

/// A vendor's voice: all pauses are alike, and the room is not quite silent.
#[test]
fn a_pause_behind_a_paragraph_need_not_be_longer_than_others() {
    let mut state = 7_u32;
    let (mut samples, mut truth) = (Vec::new(), Vec::new());
    for text in SPANISH {
        truth.push(samples.len() as f64 / RATE as f64);
        for sentence in text.split_inclusive(['.', '?']) {
            samples.extend(said("es", sentence));
            samples.resize(samples.len() + RATE * 2 / 5, 0);
        }
    }
    for sample in &mut samples {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((state >> 27) as i16 - 16);
    }
    assert_found("even", &SPANISH, &samples, &truth[1..]);
}

#[test]
fn chunks_are_known_and_what_is_in_them_follows_the_text() {
    let script = "One two three four.\n\nFive.\n\nSix seven eight nine ten.";
    let chunk = |end, lasts_ms| SpokenChunk { end, lasts_ms, pauses: &[] };
    assert_eq!(starts(script, &[chunk(script.len(), 49_000)]), [0, 19_000, 24_000]);
    assert_eq!(starts(script, &[chunk(21, 5_000), chunk(script.len(), 30_000)]), [0, 5_000, 10_000]);
    // A paragraph may begin in one chunk and end in the next.
    assert_eq!(starts(script, &[chunk(10, 5_000), chunk(script.len(), 40_000)])[0], 0);
    // A pause in reach is taken, and the paragraph begins a little before its sound.
    let pauses = [Pause { start: 19.5, end: 20.5 }, Pause { start: 25.0, end: 25.1 }];
    assert_eq!(starts(script, &[SpokenChunk { pauses: &pauses, ..chunk(script.len(), 50_100) }]), [0, 20_400, 25_050]);
    assert_eq!(starts("", &[chunk(0, 1)]), [0_u64; 0]);
    assert_eq!(starts(script, &[]).len(), 3);
}

#[test]
fn a_tone_has_no_pauses() {
    let samples: Vec<_> = (0..240_000).map(|at| ((at % 100) as i16 - 50) * 100).collect();
    let mp3 = audio::encode(&samples, audio::SAMPLE_RATE).unwrap();
    assert_eq!(audio::pauses(&mp3, &audio::scan(&mp3, Limits::ANY).unwrap()), []);
}

#[test]
fn paragraphs_are_parted_by_blank_lines() {
    let script = "\n One.\ntwo \n \t\nthree\r\n\r\n\r\nfour";
    let texts: Vec<_> = paragraphs(script).into_iter().map(|place| &script[place]).collect();
    assert_eq!(texts, ["One.\ntwo", "three", "four"]);
    assert!(paragraphs(" \n\n").is_empty());
}

#[test]
fn a_heading_is_the_first_words() {
    assert_eq!(heading(" Good\nmorning. "), "Good morning.");
    let long = "Let us look at one question that you got wrong, take a moment, and then listen.";
    assert_eq!(heading(long), "Let us look at one question that you got wrong, take a…");
    assert_eq!(heading(&long.replace(" take", " take1234567890")), "Let us look at one question that you got wrong…");
    let japanese = "今週を一言で言うと、四十問中三十一問の正解です。どちらの数字にも意味があります。";
    assert_eq!(heading(japanese), "今週を一言で言うと、四十問中三十一問の正解です。どちらの数字に…");
    assert_eq!(heading(&"x".repeat(100)).chars().count(), 61);
}

#[test]
fn a_sentence_ends_where_people_hear_it() {
    assert_eq!(behind_sentence('.', "” And"), Some(" And"));
    assert_eq!(behind_sentence('.', "14"), None);
    assert_eq!(behind_sentence('？', "！"), None);
    assert_eq!(behind_sentence('。', "」次"), Some("次"));
    assert_eq!(behind_sentence(',', " x"), None);
}

proptest! {
    #[test]
    fn whatever_was_heard_the_paragraphs_are_in_order(
        script in "([a-z0-9é化。.!? \n]|\n\n|\\. ){0,400}",
        chunks in prop::collection::vec((0_usize..500, 0_u64..100_000), 0..5),
        times in prop::collection::vec((-1.0..100.0, prop::num::f64::ANY), 0..40),
    ) {
        let pauses: Vec<_> = times.into_iter().map(|(start, end)| Pause { start, end }).collect();
        let chunks: Vec<_> =
            chunks.into_iter().map(|(end, lasts_ms)| SpokenChunk { end, lasts_ms, pauses: &pauses }).collect();
        let all: u64 = chunks.iter().map(|chunk| chunk.lasts_ms).sum();
        let found = starts(&script, &chunks);
        prop_assert_eq!(found.len(), paragraphs(&script).len());
        prop_assert!(found.is_sorted_by(|one, next| one < next), "{found:?}");
        prop_assert!(all < found.len() as u64 || found.last().is_none_or(|last| *last < all), "{found:?} of {all}");
        prop_assert!(paragraphs(&script).into_iter().all(|place| heading(&script[place]).chars().count() <= 61));
    }
}
