//! What an episode has to be, judged anew: against what the learner's truth says and what stands in
//! the text, never by the rules of the steps that made it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use chrono::NaiveDate;
use serde::Serialize;

use super::{learners::Learner, sound::Sound};
use crate::learner::Week;

/// How long an episode lasts, in seconds.
const SECONDS: RangeInclusive<f64> = 180.0..=360.0;

/// How often the name is spoken.
const NAMED: RangeInclusive<usize> = 1..=3;

/// How loud an episode is, in LUFS.
const LUFS: RangeInclusive<f64> = -17.5..=-14.5;

/// The highest true peak, in dBTP.
const PEAK: f64 = -1.0;

/// Nobody holds their breath for so many seconds.
const LONGEST_SILENCE: f64 = 3.0;

/// Words a minute between which speech is neither cut off nor dragged out.
const WORDS_A_MINUTE: RangeInclusive<f64> = 110.0..=230.0;

/// The same for letters of Japanese.
const LETTERS_A_MINUTE: RangeInclusive<f64> = 220.0..=480.0;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Steps made it.
    Made,
    /// Its language is the learner's, by its letters and by its row.
    Language,
    /// Three to six minutes.
    Minutes,
    /// The name is spoken one to three times, or never where nothing can be a name.
    Name,
    /// The weakest subject is named.
    Weakest,
    /// This week's result is named, and no other.
    Week,
    /// What is due is named as text.
    Reviews,
    /// Nothing of ids, addresses and code that was stored.
    Unsaid,
    /// No placeholder, markup or stage direction.
    Plain,
    /// Paragraphs of whole sentences.
    Prose,
    /// As loud as other podcasts.
    Loudness,
    /// Nothing that distorts.
    Peak,
    /// All of it is spoken, without a hole.
    Speech,
    /// Title, artist, album, date, language and text are in the tag.
    Tags,
}

impl Check {
    /// All, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Made,
        Self::Language,
        Self::Minutes,
        Self::Name,
        Self::Weakest,
        Self::Week,
        Self::Reviews,
        Self::Unsaid,
        Self::Plain,
        Self::Prose,
        Self::Loudness,
        Self::Peak,
        Self::Speech,
        Self::Tags,
    ];

    /// The line of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made at all",
            Self::Language => "language as asked",
            Self::Minutes => "3 to 6 minutes",
            Self::Name => "name 1 to 3 times, or unknown",
            Self::Weakest => "weakest subject named",
            Self::Week => "this week's result",
            Self::Reviews => "due reviews as text",
            Self::Unsaid => "no ids, addresses or code",
            Self::Plain => "no placeholder or markup",
            Self::Prose => "whole sentences",
            Self::Loudness => "-16 LUFS ± 1.5",
            Self::Peak => "true peak ≤ -1 dBTP",
            Self::Speech => "spoken in full",
            Self::Tags => "tags",
        }
    }
}

/// What became of the checks of an episode: `None` for a check that it passed.
pub type Verdicts = Vec<(Check, Option<String>)>;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Episode<'e> {
    /// For whom.
    pub learner: &'e Learner,
    /// The language it has to be in.
    pub wanted: &'e str,
    /// The language that its row says.
    pub language: &'e str,
    /// Its title.
    pub title: &'e str,
    /// Its text.
    pub script: &'e str,
}

fn verdict(passed: bool, why: impl FnOnce() -> String) -> Option<String> {
    (!passed).then(why)
}

/// Judges the text. Its length is judged by an unhurried pace of speech.
pub fn of_text(episode: &Episode<'_>) -> Verdicts {
    let seconds = amount(episode.script, episode.language) * 60.0 / pace(episode.language);
    let mut verdicts = vec![
        (Check::Language, language(episode)),
        (Check::Name, name(episode)),
        (Check::Weakest, weakest(episode)),
        (Check::Week, week(episode)),
        (Check::Reviews, reviews(episode)),
        (Check::Unsaid, unsaid(episode)),
        (Check::Plain, plain(episode.script).or_else(|| plain(episode.title))),
        (Check::Prose, prose(episode)),
    ];
    verdicts.push((Check::Minutes, verdict(SECONDS.contains(&seconds), || format!("it takes some {seconds:.0} s"))));
    verdicts
}

/// Judges the MP3, by what was heard and by its tag.
pub fn of_sound(
    episode: &Episode<'_>,
    date: NaiveDate,
    sound: &Sound,
    tag: Result<BTreeMap<String, String>, String>,
) -> Verdicts {
    let Sound { seconds, lufs, peak_dbtp, longest_silence } = *sound;
    let rate = amount(episode.script, episode.language) * 60.0 / seconds.max(1.0);
    let rates = if episode.language == "ja" { LETTERS_A_MINUTE } else { WORDS_A_MINUTE };
    let speech = verdict(rates.contains(&rate), || format!("{rate:.0} words or letters a minute"))
        .or_else(|| verdict(longest_silence <= LONGEST_SILENCE, || format!("{longest_silence:.1} s of silence")));
    vec![
        (Check::Minutes, verdict(SECONDS.contains(&seconds), || format!("it lasts {seconds:.0} s"))),
        (Check::Loudness, verdict(LUFS.contains(&lufs), || format!("it is at {lufs:.1} LUFS"))),
        (Check::Peak, verdict(peak_dbtp <= PEAK, || format!("its peak is at {peak_dbtp:.2} dBTP"))),
        (Check::Speech, speech),
        (Check::Tags, tag.map_or_else(Some, |tag| tags(episode, date, &tag))),
    ]
}

/// Words or letters that a voice in no hurry says in a minute.
fn pace(language: &str) -> f64 {
    match language {
        "es" => 165.0,
        "fr" => 170.0,
        "de" => 140.0,
        "ja" => 330.0,
        _ => 155.0,
    }
}

/// Words, and letters of Japanese, which does not part them.
fn amount(text: &str, language: &str) -> f64 {
    let count = match language {
        "ja" => text.chars().filter(|letter| letter.is_alphanumeric()).count(),
        _ => text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count(),
    };
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn language(episode: &Episode<'_>) -> Option<String> {
    let Episode { wanted, language, script, .. } = *episode;
    let found = whatlang::detect_lang(script).map_or("unknown", |found| found.code());
    verdict(language == wanted, || format!("it is made in {language}, not in {wanted}"))
        .or_else(|| verdict(found == iso_639_3(wanted), || format!("it reads like {found}")))
}

fn iso_639_3(language: &str) -> &'static str {
    match language {
        "en" => "eng",
        "es" => "spa",
        "fr" => "fra",
        "de" => "deu",
        "ja" => "jpn",
        _ => "und",
    }
}

fn name(episode: &Episode<'_>) -> Option<String> {
    let name = episode.learner.truth.name.as_ref()?;
    let times = match episode.language {
        "ja" => episode.script.matches(&format!("{name}さん")).count(),
        _ => whole(episode.script, name),
    };
    let is_doubled = episode.script.contains("さんさん");
    verdict(NAMED.contains(&times) && !is_doubled, || format!("the name is spoken {times} times"))
}

/// How often a phrase stands in a text with no letter beside it.
fn whole(text: &str, phrase: &str) -> usize {
    let stands_alone = |(at, _): &(usize, &str)| {
        let before = text[..*at].chars().next_back();
        let behind = text[at + phrase.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !behind.is_some_and(char::is_alphanumeric)
    };
    text.match_indices(phrase).filter(stands_alone).count()
}

fn weakest(episode: &Episode<'_>) -> Option<String> {
    let subject = episode.learner.truth.weakest.as_ref()?;
    verdict(episode.script.contains(subject.as_str()), || format!("{subject:?} is not named"))
}

/// Every "7 of 10" of the text is this week's or the one before's, and this week's is there.
fn week(episode: &Episode<'_>) -> Option<String> {
    let Week { answered, correct, answered_before, correct_before } = episode.learner.facts.week;
    let named = results(episode.script, episode.language);
    let (now, before) = ((correct, answered), (correct_before, answered_before));
    let is_known = |result: &(u32, u32)| answered > 0 && *result == now || answered_before > 0 && *result == before;
    if let Some((right, all)) = named.iter().find(|result| !is_known(result)) {
        return Some(format!("{right} of {all} is named, which is no result of this learner"));
    }
    verdict(answered == 0 || named.contains(&now), || format!("{correct} of {answered} is not named"))
}

/// The results that a text names: right ones and all.
fn results(text: &str, language: &str) -> Vec<(u32, u32)> {
    let digits = |word: &str| word.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
    let parting = match language {
        "ja" => return japanese_results(text),
        "es" => "de",
        "fr" => "sur",
        "de" => "von",
        _ => "of",
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let named = words.windows(3).filter(|words| words[1] == parting);
    named.filter_map(|words| Some((digits(words[0])?, digits(words[2])?))).collect()
}

/// As `10問中7問`.
fn japanese_results(text: &str) -> Vec<(u32, u32)> {
    let parts: Vec<&str> = text.split("問中").collect();
    let pairs = parts.windows(2).filter_map(|pair| {
        let before: String = pair[0].chars().rev().take_while(char::is_ascii_digit).collect();
        let all = before.chars().rev().collect::<String>().parse().ok()?;
        let right: String = pair[1].chars().take_while(char::is_ascii_digit).collect();
        Some((right.parse().ok()?, all))
    });
    pairs.collect()
}

fn reviews(episode: &Episode<'_>) -> Option<String> {
    let said = |review: &&String| !episode.script.contains(review.trim_end_matches(['.', '。', '?', '？']));
    episode.learner.truth.reviews.iter().find(said).map(|review| format!("{review:?} is not named"))
}

fn unsaid(episode: &Episode<'_>) -> Option<String> {
    let Episode { script, title, learner, .. } = *episode;
    let id = learner.facts.user_id.to_string();
    let stored = learner.truth.unsaid.iter().map(String::as_str);
    let code = ["://", "www.", "@", "example.com", "alert", "steal", "onerror", "color:red", "LISTENER"];
    let mut all = stored.chain(code).chain([id.as_str()]);
    all.find(|text| script.contains(text) || title.contains(text)).map(|text| format!("it says {text:?}"))
}

/// No sign that a voice would stumble over, and no word that a program wrote.
fn plain(text: &str) -> Option<String> {
    let is_sign = |sign: &char| {
        "<>{}[]()（）*#_`|\\~^•=%$".contains(*sign)
            || sign.is_control() && *sign != '\n'
            || matches!(u32::from(*sign), 0x200b..=0x200f | 0x202a..=0x202e | 0x2600..=0x27bf | 0xfe0f | 0x1f000..=0x1faff)
    };
    if let Some(sign) = text.chars().find(is_sign) {
        return Some(format!("it has {sign:?}"));
    }
    let left_over = ["None", "NaN", "null", "undefined", "none,", " nan ", "lorem ipsum"];
    let word = left_over.into_iter().find(|word| whole(text, word) > 0);
    let entity = text.split('&').skip(1).any(|after| {
        let name: String =
            after.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '#').collect();
        !name.is_empty() && after[name.len()..].starts_with(';')
    });
    word.map(|word| format!("it says {word:?}")).or_else(|| verdict(!entity, || "it has an entity of HTML".to_owned()))
}

/// Paragraphs that begin and end like sentences, without gaps and doubled marks.
fn prose(episode: &Episode<'_>) -> Option<String> {
    let text = episode.script;
    let odd =
        ["  ", " .", " ,", "..", ",,", ",.", "?.", "!.", ".…", "。。", "、、", "、。", "？。", "。.", " 。", ". ,"];
    if let Some(odd) = odd.into_iter().find(|odd| text.contains(odd)) {
        return Some(format!("it has {odd:?}"));
    }
    let count = |mark: char| text.matches(mark).count();
    if count('¡') > count('!') || count('¿') > count('?') + count('…') {
        return Some("a mark opens that nothing closes".to_owned());
    }
    for paragraph in text.split("\n\n") {
        // A name or interest in Latin letters may open a Japanese sentence as it was typed.
        let is_small = |first: char| first.is_lowercase() && episode.language != "ja";
        let first = paragraph.chars().next().unwrap_or(' ');
        let begins = first.is_alphanumeric() && !is_small(first) || first == '¿';
        let ends = paragraph.ends_with(['.', '!', '?', '…', '。', '！', '？']);
        let label = paragraph.split_once(':').is_some_and(|(label, _)| !label.contains(' ') && label.is_ascii());
        if !begins || !ends || label || paragraph.contains('\n') {
            let beginning: String = paragraph.chars().take(40).collect();
            return Some(format!("a paragraph is no prose: {beginning:?}"));
        }
    }
    None
}

fn tags(episode: &Episode<'_>, date: NaiveDate, tag: &BTreeMap<String, String>) -> Option<String> {
    let missing = ["TIT2", "TPE1", "TALB", "TDRC", "TLAN", "USLT"]
        .into_iter()
        .find(|frame| tag.get(*frame).is_none_or(|text| text.trim().is_empty()));
    if let Some(frame) = missing {
        return Some(format!("the tag has no {frame}"));
    }
    let wanted = [
        ("TIT2", episode.title.to_owned()),
        ("TDRC", date.to_string()),
        ("TLAN", iso_639_3(episode.language).to_owned()),
        ("USLT", episode.script.to_owned()),
    ];
    let wrong = wanted.into_iter().find(|(frame, text)| tag.get(*frame) != Some(text));
    wrong.map(|(frame, _)| format!("{frame} of the tag is not that of the episode"))
}
