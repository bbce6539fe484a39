//! The words a player shows: one ID3v2.4 tag in front of the frames.
//!
//! Chunks of our own voices carry a tag too, with the loudness that was measured while there were
//! still samples (ReplayGain 2.0: a gain towards −18 LUFS). The spool keeps bytes and nothing
//! else, and this way the number survives a crash together with the sound it belongs to.

use chrono::NaiveDate;
use id3::{
    Frame, Tag, TagLike as _, Version,
    frame::{Chapter as ChapterFrame, ExtendedText, Lyrics, TableOfContents},
};

use super::Error;

/// What ReplayGain 2.0 measures against, in LUFS.
const REPLAY_GAIN_REFERENCE: f64 = -18.0;

/// The longest title in characters: longer than any screen that shows it.
const TITLE_CHARACTERS: usize = 250;

/// The most chapters: the format counts them with a byte.
const CHAPTERS: usize = 100;

/// A place that is told in milliseconds only, not in bytes.
const NO_OFFSET: u32 = u32::MAX;

/// The longest text in characters: several times what is said in six minutes.
const LYRICS_CHARACTERS: usize = 50_000;

const REPLAY_GAIN: &str = "REPLAYGAIN_TRACK_GAIN";

/// What is told about an episode.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// Title of the episode. Cut off where it is longer than a player shows.
    pub title: &'a str,
    /// Who speaks to the listener.
    pub artist: &'a str,
    /// The series.
    pub album: &'a str,
    /// The date it is for.
    pub date: NaiveDate,
    /// BCP 47 primary tag of the spoken language.
    pub language: &'a str,
    /// What is spoken.
    pub lyrics: &'a str,
    /// Its parts, in order. Those beyond a hundred are left out.
    pub chapters: &'a [Chapter],
}

/// A part of an episode, in milliseconds from its begin.
#[derive(Debug, Clone)]
pub struct Chapter {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// What players show.
    pub title: String,
}

/// The tag as bytes, to be put in front of frames.
///
/// # Errors
/// [`Error::Tag`] when it exceeds what the format can hold (256 MB).
pub fn episode(words: &Words<'_>) -> Result<Vec<u8>, Error> {
    let lang = iso_639_2(words.language).to_owned();
    let mut tag = Tag::with_version(Version::Id3v24);
    tag.set_title(clean(words.title, TITLE_CHARACTERS).replace('\n', " "));
    tag.set_artist(words.artist);
    tag.set_album(words.album);
    tag.set_genre("Podcast");
    tag.set_text("TDRC", words.date.format("%Y-%m-%d").to_string());
    tag.set_text("TLAN", &lang);
    tag.add_frame(Lyrics { lang, description: String::new(), text: clean(words.lyrics, LYRICS_CHARACTERS) });
    add_chapters(&mut tag, words.chapters);
    bytes(&tag)
}

/// Chapters and their table, as "ID3v2 Chapter Frame Addendum 1.0" has them.
fn add_chapters(tag: &mut Tag, chapters: &[Chapter]) {
    let mut elements = Vec::new();
    for (chapter, number) in chapters.iter().take(CHAPTERS).zip(1..) {
        let element_id = format!("c{number}");
        elements.push(element_id.clone());
        tag.add_frame(ChapterFrame {
            element_id,
            start_time: u32::try_from(chapter.start_ms).unwrap_or(u32::MAX),
            end_time: u32::try_from(chapter.end_ms).unwrap_or(u32::MAX),
            start_offset: NO_OFFSET,
            end_offset: NO_OFFSET,
            frames: vec![Frame::text("TIT2", clean(&chapter.title, TITLE_CHARACTERS))],
        });
    }
    if !elements.is_empty() {
        let element_id = "toc".to_owned();
        tag.add_frame(TableOfContents { element_id, top_level: true, ordered: true, elements, frames: Vec::new() });
    }
}

/// The tag of a chunk whose loudness is known, as bytes.
///
/// # Errors
/// As [`episode`].
pub fn chunk(lufs: f64) -> Result<Vec<u8>, Error> {
    let mut tag = Tag::with_version(Version::Id3v24);
    let value = format!("{:.2} dB", REPLAY_GAIN_REFERENCE - lufs);
    tag.add_frame(ExtendedText { description: REPLAY_GAIN.to_owned(), value });
    bytes(&tag)
}

/// The loudness in LUFS that [`chunk`] wrote down; `None` when there is none.
pub fn loudness(mp3: &[u8]) -> Option<f64> {
    // Only of the version we write, whose reader allocates nothing by a size that it has read; and
    // only the beginning, so that a damaged size does not send it through the whole audio.
    let begin = Some(&mp3[..mp3.len().min(4096)]).filter(|begin| begin.starts_with(b"ID3\x04"))?;
    let tag = Tag::read_from2(std::io::Cursor::new(begin)).ok()?;
    let gain = tag.extended_texts().find(|text| text.description == REPLAY_GAIN)?;
    let gain: f64 = gain.value.strip_suffix(" dB")?.parse().ok()?;
    Some(REPLAY_GAIN_REFERENCE - gain).filter(|lufs| lufs.is_finite())
}

/// The beginning of a text, without control characters: a zero ends a text in ID3.
fn clean(text: &str, characters: usize) -> String {
    text.chars().filter(|character| *character == '\n' || !character.is_control()).take(characters).collect()
}

fn bytes(tag: &Tag) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    tag.write_to(&mut bytes, Version::Id3v24)?;
    Ok(bytes)
}

/// ISO 639-2 code of a language, as ID3 wants it; `und` for those we do not know.
fn iso_639_2(language: &str) -> &'static str {
    match language.split(['-', '_']).next().unwrap_or_default() {
        "ar" => "ara",
        "de" => "deu",
        "en" => "eng",
        "es" => "spa",
        "fr" => "fra",
        "hi" => "hin",
        "id" => "ind",
        "it" => "ita",
        "ja" => "jpn",
        "ko" => "kor",
        "nl" => "nld",
        "pl" => "pol",
        "pt" => "por",
        "ru" => "rus",
        "sv" => "swe",
        "tr" => "tur",
        "uk" => "ukr",
        "vi" => "vie",
        "zh" => "zho",
        _ => "und",
    }
}
