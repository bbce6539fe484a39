//! MP3s: our counting against `ffprobe`, our joins through `ffmpeg`'s decoder, our loudness
//! against its meter, our tags through two readers, and bytes of any kind, which must not bring
//! anything down.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::NaiveDate;
use dailycast::audio::{self, Error, Limits, SAMPLE_RATE, decode::is_silent, join, loudness, scan, tag};
use id3::TagLike as _;
use proptest::prelude::*;

/// A file that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Writes `bytes` to a new file.
    pub fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dailycast-{}-{}.mp3", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program} is needed for this test, install ffmpeg: {error}"))
}

/// Complaints of ffmpeg's decoder about an MP3, and the seconds of sound it got out of it.
pub fn decode(mp3: &[u8]) -> (String, f64) {
    let file = Scratch::new(mp3);
    let path = file.path().to_str().unwrap();
    let output = run("ffmpeg", &["-v", "warning", "-i", path, "-f", "s16le", "-ac", "1", "-"]);
    let rate = scan(mp3, Limits::ANY).unwrap().format.sample_rate;
    let seconds = output.stdout.len() as f64 / 2.0 / f64::from(rate);
    // That a constant bitrate tells the duration is no complaint.
    let text = String::from_utf8_lossy(&output.stderr);
    let complaints = text.lines().filter(|line| !line.contains("Estimating duration from bitrate"));
    (complaints.collect::<Vec<_>>().join("\n"), seconds)
}

/// Integrated loudness and true peak of an MP3, by ffmpeg's meter.
pub fn metered(mp3: &[u8]) -> (f64, f64) {
    let file = Scratch::new(mp3);
    let path = file.path().to_str().unwrap();
    let output = run("ffmpeg", &["-nostats", "-i", path, "-filter_complex", "ebur128=peak=true", "-f", "null", "-"]);
    let text = String::from_utf8_lossy(&output.stderr);
    let summary = text.rsplit_once("Summary:").expect("ffmpeg measured").1;
    let number = |name: &str, unit: &str| -> f64 {
        let line = summary.lines().map(str::trim).find(|line| line.starts_with(name) && line.ends_with(unit));
        line.unwrap().trim_start_matches(name).trim_end_matches(unit).trim().parse().unwrap()
    };
    (number("I:", "LUFS"), number("Peak:", "dBFS"))
}

/// Something that ffprobe says about a file.
pub fn probed(mp3: &[u8], entry: &str) -> String {
    let file = Scratch::new(mp3);
    let path = file.path().to_str().unwrap();
    let output = run("ffprobe", &["-v", "error", "-count_packets", "-show_entries", entry, "-of", "csv=p=0", path]);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An MP3 as others make it: tags at both ends and a frame that describes the rest.
fn foreign(rate: u32, channels: u8, seconds: f64, quality: &[&str]) -> Vec<u8> {
    let source = format!("sine=frequency=300:sample_rate={rate}:duration={seconds}");
    let (rate, channels) = (rate.to_string(), channels.to_string());
    let mut arguments = vec!["-v", "error", "-f", "lavfi", "-i", &source, "-ar", &rate, "-ac", &channels];
    arguments.extend_from_slice(quality);
    let file = Scratch::new(&[]);
    arguments.extend(["-metadata", "title=x", "-write_id3v1", "1", "-y", file.path().to_str().unwrap()]);
    let output = run("ffmpeg", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(file.path()).unwrap()
}

/// Noise in syllables, with a few sharp peaks: as hard to master as a voice.
fn babble(seconds: u32, level: f64) -> Vec<i16> {
    let mut state = 1_u32;
    let mut before = 0.0;
    (0..seconds * SAMPLE_RATE)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 16) / 32_768.0 - 1.0;
            before = before * 0.8 + noise * 0.2;
            let time = f64::from(at) / f64::from(SAMPLE_RATE);
            let syllable = (std::f64::consts::TAU * 2.2 * time).sin().max(0.0).powi(2);
            let peak = if at % 7_001 == 0 { 4.0 } else { 1.0 };
            (before * syllable * peak * level * 32_000.0).clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

#[test]
fn counts_frames_of_every_rate_and_channel_as_ffprobe_does() {
    for rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
        for channels in [1, 2] {
            let mp3 = foreign(rate, channels, 1.7, &["-q:a", "5"]);
            let found = scan(&mp3, Limits::rate(rate)).unwrap();
            assert_eq!((found.format.sample_rate, found.format.channels), (rate, channels));
            assert_eq!(found.frames.to_string(), probed(&mp3, "stream=nb_read_packets"), "{rate} Hz, {channels}");
            assert_eq!(found.samples(), found.frames * if rate >= 32_000 { 1152 } else { 576 });
        }
    }
}

#[test]
fn an_encoded_second_lasts_a_second_and_the_encoders_two_ends() {
    for rate in [SAMPLE_RATE, 22_050] {
        let mp3 = audio::encode(&vec![0; rate as usize * 3], rate).unwrap();
        let found = scan(&mp3, Limits::rate(SAMPLE_RATE)).unwrap();
        assert_eq!(found.bitrate_kbps, Some(64));
        let ends = found.duration() - Duration::from_secs(3);
        assert!(ends <= Duration::from_millis(110), "{ends:?}");
        assert_eq!(found.bytes, mp3.len());
    }
}

#[test]
fn tags_and_descriptions_are_no_sound() {
    let mp3 = foreign(SAMPLE_RATE, 1, 2.0, &["-b:a", "48k"]);
    assert!(mp3.starts_with(b"ID3") && mp3[mp3.len() - 128..].starts_with(b"TAG"));
    let found = scan(&mp3, Limits::ANY).unwrap();
    let [run] = found.runs.as_slice() else { panic!("one run, not {:?}", found.runs) };
    assert!(!mp3[run.clone()].windows(4).any(|marker| marker == b"Info"));
    // The careless way to join leaves all of it in the middle.
    let twice = scan(&[mp3.as_slice(), &mp3].concat(), Limits::ANY).unwrap();
    assert_eq!(twice.frames, found.frames * 2);
    let mut ape = mp3[run.clone()].to_vec();
    ape.extend_from_slice(b"APETAGEX\xD0\x07\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    ape.resize(run.len() + 64, 0);
    assert_eq!(scan(&ape, Limits::ANY).unwrap().bytes, run.len());
}

#[test]
fn refuses_what_is_no_mp3() {
    let answers: [&[u8]; 6] =
        [b"", b"\0\0\0\0\0\0\0\0", b"<html>busy</html>", br#"{"error":{"code":500}}"#, b"ID3", &[0xFF; 4000]];
    for answer in answers {
        assert!(matches!(scan(answer, Limits::ANY), Err(Error::NoFrame { .. })), "{answer:?}");
    }
}

#[test]
fn refuses_damage_mixture_wrong_rate_and_excess() {
    let mp3 = audio::encode(&babble(2, 0.3), SAMPLE_RATE).unwrap();
    assert!(matches!(scan(&mp3, Limits::rate(22_050)), Err(Error::WrongRate { is: SAMPLE_RATE, wanted: 22_050 })));
    let small = Limits { sample_rate: None, max_bytes: mp3.len() - 1 };
    assert!(matches!(scan(&mp3, small), Err(Error::TooLarge { .. })));
    let other = foreign(44_100, 2, 1.0, &["-b:a", "64k"]);
    assert!(matches!(scan(&[mp3.as_slice(), &other].concat(), Limits::ANY), Err(Error::Mixed { .. })));
    let with_junk = |bytes: usize| [mp3.as_slice(), &vec![b'x'; bytes], &mp3].concat();
    assert!(matches!(scan(&with_junk(mp3.len() / 5), Limits::ANY), Err(Error::Damaged { .. })));
    assert_eq!(scan(&with_junk(mp3.len() / 20), Limits::ANY).unwrap().runs.len(), 2);
}

#[test]
fn a_join_decodes_without_complaint_and_lasts_the_sum_of_its_chunks() {
    let chunks = [
        audio::encode(&babble(2, 0.3), SAMPLE_RATE).unwrap(),
        [tag::chunk(-16.0).unwrap(), audio::encode(&babble(3, 0.2), SAMPLE_RATE).unwrap()].concat(),
        audio::encode(&babble(1, 0.4), SAMPLE_RATE).unwrap(),
    ];
    let joined = join(&chunks, Limits::rate(SAMPLE_RATE)).unwrap();
    assert_eq!(joined.duration, scan(&joined.mp3, Limits::ANY).unwrap().duration());
    assert_eq!(joined.chunks.iter().sum::<Duration>(), joined.duration);
    let (complaints, seconds) = decode(&joined.mp3);
    assert_eq!(complaints, "");
    assert!((seconds - joined.duration.as_secs_f64()).abs() < 0.03, "{seconds}");
}

#[test]
fn a_join_of_several_bitrates_tells_players_its_length() {
    let chunks = [
        foreign(SAMPLE_RATE, 1, 4.0, &["-b:a", "32k"]),
        foreign(SAMPLE_RATE, 1, 2.0, &["-b:a", "96k"]),
        foreign(SAMPLE_RATE, 1, 3.0, &["-q:a", "4"]),
    ];
    let joined = join(&chunks, Limits::rate(SAMPLE_RATE)).unwrap();
    assert!(joined.mp3[..40].windows(4).any(|marker| marker == b"Xing"));
    // Its table of places: where the second chunk begins in time, it begins in bytes.
    let table = joined.mp3.windows(4).position(|marker| marker == b"Xing").unwrap() + 16;
    let percent = 100.0 * joined.chunks[0].as_secs_f64() / joined.duration.as_secs_f64();
    let place = f64::from(joined.mp3[table + percent.round() as usize]) / 256.0;
    let begins = scan(&chunks[0], Limits::ANY).unwrap().bytes as f64 / joined.mp3.len() as f64;
    assert!((place - begins).abs() < 0.02, "told {place}, is {begins}");
    let (complaints, seconds) = decode(&joined.mp3);
    assert_eq!(complaints, "");
    assert!((seconds - joined.duration.as_secs_f64()).abs() < 0.03, "{seconds}");
    let told: f64 = probed(&joined.mp3, "format=duration").parse().unwrap();
    assert!((told - joined.duration.as_secs_f64()).abs() < 0.03, "{told}");
    assert_eq!(scan(&joined.mp3, Limits::ANY).unwrap().duration(), joined.duration);
}

#[test]
fn a_join_of_two_formats_or_of_nothing_is_refused() {
    let mono = foreign(SAMPLE_RATE, 1, 1.0, &["-b:a", "48k"]);
    let stereo = foreign(SAMPLE_RATE, 2, 1.0, &["-b:a", "48k"]);
    assert!(matches!(join(&[mono, stereo], Limits::ANY), Err(Error::Mixed { .. })));
    assert!(matches!(join::<Vec<u8>>(&[], Limits::ANY), Err(Error::Nothing)));
}

#[test]
fn speech_of_any_level_becomes_as_loud_as_other_podcasts() {
    for level in [0.15, 0.3, 0.6, 1.0] {
        let mastered = loudness::master(&babble(24, level), SAMPLE_RATE, -25.0).unwrap();
        let ours = mastered.loudness.unwrap();
        let (lufs, peak) = metered(&audio::encode(&mastered.samples, SAMPLE_RATE).unwrap());
        assert!((lufs - loudness::TARGET_LUFS).abs() <= 1.5, "{lufs} LUFS from {level}");
        assert!(peak <= -1.0, "{peak} dBTP from {level}");
        assert!((lufs - ours.lufs).abs() <= 0.3, "we measured {} and ffmpeg {lufs}", ours.lufs);
    }
}

#[test]
fn a_short_quiet_sentence_stays_quieter_than_the_voice() {
    let voice = loudness::measure(&babble(24, 0.2), SAMPLE_RATE).unwrap().unwrap();
    let short = loudness::master(&babble(2, 0.1), SAMPLE_RATE, voice.lufs).unwrap();
    let lufs = short.loudness.unwrap().lufs;
    assert!((-23.0..=-19.0).contains(&lufs), "{lufs}");
}

#[test]
fn silence_has_no_loudness() {
    assert_eq!(loudness::measure(&[0; 48_000], SAMPLE_RATE).unwrap(), None);
    assert_eq!(loudness::measure(&[], SAMPLE_RATE).unwrap(), None);
    assert_eq!(loudness::master(&[0; 480], SAMPLE_RATE, -20.0).unwrap().samples, [0; 480]);
}

/// What a vendor's MP3 says to our meter.
fn measured(mp3: &[u8]) -> Option<loudness::Loudness> {
    loudness::measure_mp3(mp3, &scan(mp3, Limits::ANY).unwrap()).unwrap()
}

#[test]
fn an_mp3_of_any_kind_is_as_loud_to_us_as_to_ffmpeg() {
    for (rate, channels, quality) in
        [(8_000, 1, "-q:a"), (22_050, 2, "-q:a"), (24_000, 1, "-b:a"), (24_000, 2, "-b:a"), (44_100, 2, "-b:a")]
    {
        let value = if quality == "-q:a" { "5" } else { "64k" };
        let mp3 = foreign(rate, channels, 6.0, &[quality, value]);
        let (ours, (lufs, peak)) = (measured(&mp3).unwrap(), metered(&mp3));
        let near = (ours.lufs - lufs).abs() <= 0.1 && (ours.peak_dbtp - peak).abs() <= 0.2;
        assert!(near, "{rate} Hz, {channels}: {ours:?}, ffmpeg {lufs} and {peak}");
    }
}

#[test]
fn frames_without_sense_are_passed_over() {
    let mut mp3 = audio::encode(&babble(6, 0.3), SAMPLE_RATE).unwrap();
    let (before, frame) = (measured(&mp3).unwrap(), 192);
    for at in [40, 41, 90] {
        mp3[at * frame + 4..(at + 1) * frame].fill(0xFF);
    }
    let after = measured(&mp3).unwrap();
    assert!((before.lufs - after.lufs).abs() < 1.0, "{before:?}, then {after:?}");
}

#[test]
fn silence_is_told_from_quiet_speech() {
    let silent = |samples: &[i16]| {
        let mp3 = audio::encode(samples, SAMPLE_RATE).unwrap();
        is_silent(&mp3, &scan(&mp3, Limits::ANY).unwrap()).unwrap()
    };
    let pause = |seconds: u32| vec![0; (seconds * SAMPLE_RATE) as usize];
    let speech = babble(4, 0.02);
    assert!(silent(&pause(4)), "nothing at all");
    assert!(silent(&babble(4, 0.0005)), "noise of the lowest bits");
    let click: Vec<_> = [pause(2), vec![20_000; 200], pause(2)].concat();
    assert!(silent(&click), "a click");
    assert!(!silent(&speech), "a distant voice");
    assert!(!silent(&[pause(5), speech.clone()].concat()), "a voice that waits");
    assert!(silent(&[pause(31), speech].concat()), "nobody waits that long");
    assert!(!silent(&babble(1, 0.3)[1_000..4_500]), "a syllable");
}

#[test]
fn an_mp3_in_stereo_is_made_like_the_others() {
    let mono = audio::encode(&babble(2, 0.3), SAMPLE_RATE).unwrap();
    let stereo = foreign(SAMPLE_RATE, 2, 2.0, &["-b:a", "48k"]);
    let chunks = [mono.as_slice(), &stereo];
    let alike = join::alike(&chunks, Limits::rate(SAMPLE_RATE)).unwrap();
    assert_eq!(alike[0], mono, "what fits is left alone");
    let joined = join(&alike, Limits::rate(SAMPLE_RATE)).unwrap();
    let seconds = joined.chunks[1].as_secs_f64();
    assert!((seconds - 2.0).abs() < 0.25, "{seconds}");
    let (before, after) = (metered(&stereo).0, metered(&alike[1]).0);
    // Two channels with the same are 3 dB more than one.
    assert!((before - 3.0 - after).abs() < 0.3, "{before}, then {after}");
    assert!(matches!(join::alike(&[&mono], Limits::rate(16_000)), Err(Error::WrongRate { .. })));
}

#[test]
fn words_of_any_size_and_kind_make_a_tag_that_is_read() {
    let title = "今日の話題\u{0}\n酸と塩基".to_owned() + &"え".repeat(34_000);
    let lyrics = "おはようございます。\u{0}\u{7}\n\n今日は酸と塩基について話します。".repeat(5_000);
    let date = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let words =
        tag::Words { title: &title, artist: "A", album: "B", date, language: "ja", lyrics: &lyrics, chapters: &[] };
    let bytes = tag::episode(&words).unwrap();
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    let mp3 = [bytes, audio::encode(&babble(1, 0.2), SAMPLE_RATE).unwrap()].concat();
    let tag = id3::Tag::read_from2(std::io::Cursor::new(&mp3)).unwrap();
    let read = tag.title().unwrap();
    assert!(read.starts_with("今日の話題 酸と塩基ええ") && read.chars().count() == 250, "{read}");
    assert_eq!(
        (tag.date_recorded().unwrap().to_string().as_str(), tag.get("TLAN").unwrap().content().text()),
        ("2026-11-22", Some("jpn"))
    );
    let text = &tag.lyrics().next().unwrap().text;
    assert!(text.starts_with("おはようございます。\n\n今日は酸と塩基について話します。おはよう"), "{}", &text[..90]);
    assert_eq!(probed(&mp3, "format_tags=title"), read);
    assert!(probed(&mp3, "format_tags").contains("今日は酸と塩基について話します。"));
}

#[test]
fn the_tag_is_read_by_others() {
    let words = tag::Words {
        title: "Heute: Säuren & “Basen”",
        artist: "Dailycast",
        album: "Your daily podcast",
        date: NaiveDate::from_ymd_opt(2026, 11, 22).unwrap(),
        language: "de",
        lyrics: "Guten Morgen.\n\n日本語も。",
        chapters: &[],
    };
    let sound = audio::encode(&babble(1, 0.2), SAMPLE_RATE).unwrap();
    let mp3 = [tag::episode(&words).unwrap(), sound.clone()].concat();
    assert_eq!(probed(&mp3, "format_tags=title"), "Heute: Säuren & “Basen”");
    assert_eq!(probed(&mp3, "format_tags=date"), "2026-11-22");
    assert_eq!(probed(&mp3, "format_tags=language"), "deu");
    assert!(probed(&mp3, "format_tags").contains("日本語も。"));
    assert_eq!(scan(&mp3, Limits::ANY).unwrap().duration(), scan(&sound, Limits::ANY).unwrap().duration());
}

#[test]
fn a_chunk_remembers_its_loudness() {
    let sound = audio::encode(&babble(1, 0.2), SAMPLE_RATE).unwrap();
    assert_eq!(tag::loudness(&[tag::chunk(-16.27).unwrap(), sound.clone()].concat()), Some(-16.27));
    assert_eq!(tag::loudness(&sound), None);
    let huge = b"ID3\x04\0\0\x7F\x7F\x7F\x7FTXXX\x7F\x7F\x7F\x7F\0\0\x03";
    assert_eq!(tag::loudness(huge), None);
}

proptest! {
    #[test]
    fn no_bytes_bring_anything_down(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = scan(&bytes, Limits::ANY);
        let _ = join(&[&bytes], Limits::ANY);
        let _ = tag::loudness(&bytes);
    }

    #[test]
    fn a_damaged_mp3_is_refused_or_counted_within_its_bounds(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut mp3 = [tag::chunk(-16.0).unwrap(), vec![0xFF; 3]].concat();
        for _ in 0..30 {
            mp3.extend([0xFF, 0xF3, 0x84, 0xC4]);
            mp3.resize(mp3.len() + 188, 0x55);
        }
        mp3.truncate(cut.index(mp3.len()) + 1);
        for (at, byte) in hits {
            let at = at.index(mp3.len());
            mp3[at] = byte;
        }
        let _ = tag::loudness(&mp3);
        if let Ok(found) = scan(&mp3, Limits::ANY) {
            let _ = (is_silent(&mp3, &found).unwrap(), loudness::measure_mp3(&mp3, &found).unwrap());
            prop_assert_eq!(found.bytes, found.runs.iter().map(|run| mp3[run.clone()].len()).sum::<usize>());
            let joined = join(&[&mp3, &mp3], Limits::ANY).unwrap();
            prop_assert_eq!(scan(&joined.mp3, Limits::ANY).unwrap().frames, found.frames * 2);
        }
    }
}
