//! Makes clean, speakable facts of what the academy says about a learner. Everything that comes in
//! is untrusted: HTML, control characters, ids in place of names, a hundred kilobytes, or a text
//! that wants to be an instruction. Everything that goes out is a short line of plain text.
//!
//! A text is never refused for what it says, only cut and cleaned: whoever uses it marks it as data.

mod plain;

use std::collections::BTreeSet;

use crate::learner::{Facts, Mistake, Quiz, Week};
use crate::workflow::Speakable;

use plain::plain;

/// The most characters and words of each kind of text.
const SUBJECT: Bounds = Bounds { letters: 60, words: 8 };
const TITLE: Bounds = Bounds { letters: 80, words: 12 };
const REVIEW: Bounds = Bounds { letters: 90, words: 14 };
const QUESTION: Bounds = Bounds { letters: 200, words: 32 };
const ANSWER: Bounds = Bounds { letters: 100, words: 16 };
const MAX_REVIEWS: usize = 3;
const MAX_INTERESTS: usize = 5;
const MAX_LANGUAGES: usize = 8;
/// A name that is longer, or has more parts, is no name.
const MAX_NAME_LETTERS: usize = 40;
const MAX_NAME_PARTS: usize = 5;
/// Hexadecimal digits from which on they are an id and no word.
const LEAST_HEX_DIGITS: usize = 16;
/// How Japanese addresses people. The phrases bring their own.
const HONORIFICS: [&str; 4] = ["さん", "ちゃん", "様", "さま"];

/// Parts that no name has: stand-ins of programs, and words of texts that pose as names.
const NOT_NAMES: [&str; 25] = [
    "admin",
    "alert",
    "anonymous",
    "assistant",
    "delete",
    "disregard",
    "drop",
    "guest",
    "http",
    "https",
    "ignore",
    "instruction",
    "instructions",
    "listener",
    "nan",
    "none",
    "null",
    "override",
    "prompt",
    "script",
    "select",
    "system",
    "table",
    "undefined",
    "user",
];

#[derive(Clone, Copy)]
struct Bounds {
    letters: usize,
    words: usize,
}

/// The clean facts of a learner.
pub fn speakable(facts: &Facts) -> Speakable {
    let Week { answered, correct, answered_before, correct_before } = facts.week;
    let week = Week {
        answered,
        correct: correct.min(answered),
        answered_before,
        correct_before: correct_before.min(answered_before),
    };
    let ability = facts.ability.as_ref();
    let weakest = ability.and_then(|ability| subject(&ability.weakest.as_ref()?.0));
    let strongest = ability.and_then(|ability| subject(&ability.strongest.as_ref()?.0));
    Speakable {
        name: name(&facts.display_name),
        week,
        score: ability.and_then(|ability| whole_score(ability.score)),
        rank: ability.and_then(|ability| u32::try_from(ability.rank?).ok()).filter(|rank| *rank > 0),
        strongest: strongest.filter(|strongest| Some(strongest) != weakest.as_ref()),
        weakest,
        reviews: distinct(facts.due_reviews.iter().filter_map(|text| named(text, REVIEW)), MAX_REVIEWS),
        mistake: facts.last_mistake.as_ref().and_then(mistake),
        quiz: facts.recommended_quiz.as_ref().and_then(quiz),
        interests: distinct(facts.interests.iter().filter_map(|text| subject(text)), MAX_INTERESTS),
    }
}

/// The learner's languages as primary tags in small letters, best first, each once.
pub fn languages(facts: &Facts) -> Vec<String> {
    let tags = facts.languages.iter().filter_map(|tag| {
        let primary = tag.trim().split(['-', '_']).next()?.to_ascii_lowercase();
        let is_tag = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        is_tag.then_some(primary)
    });
    distinct(tags, MAX_LANGUAGES)
}

fn distinct(texts: impl Iterator<Item = String>, most: usize) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).take(most).collect()
}

/// A score as a whole number from 0 to 1000; `None` when it is no number.
fn whole_score(score: f64) -> Option<u32> {
    score.is_finite().then(|| score.clamp(0.0, 1000.0).round() as u32)
}

fn mistake(raw: &Mistake) -> Option<Mistake> {
    Some(Mistake {
        question: named(&raw.question, QUESTION)?,
        subject: raw.subject.as_deref().and_then(subject),
        correct_answer: raw.correct_answer.as_deref().and_then(|answer| clean(answer, ANSWER)),
    })
}

fn quiz(raw: &Quiz) -> Option<Quiz> {
    let difficulty = raw.difficulty.as_deref().map(str::to_ascii_lowercase);
    Some(Quiz {
        title: named(&raw.title, TITLE).map(|title| without_end(&title))?,
        subject: raw.subject.as_deref().and_then(subject),
        difficulty: difficulty.filter(|name| ["easy", "medium", "hard", "expert"].contains(&name.as_str())),
    })
}

fn subject(raw: &str) -> Option<String> {
    named(raw, SUBJECT).map(|text| without_end(&text))
}

/// A name or title stands within a sentence and brings no end mark of its own.
fn without_end(text: &str) -> String {
    text.trim_start_matches(['¡', '¿']).trim_end_matches(['.', '。', '…', '!', '！', '?', '？', ' ']).to_owned()
}

/// A clean text that is a name and not an id: one without any letter counts as missing.
fn named(raw: &str, bounds: Bounds) -> Option<String> {
    if is_id(raw.trim()) {
        return None;
    }
    clean(raw, bounds).filter(|text| text.chars().any(char::is_alphabetic))
}

/// True for what a program calls a thing: `3f2504e0-4f89-…`, `question_1733`, a long hexadecimal
/// number. `MP3`, `COVID-19` and `H2SO4` are words.
fn is_id(word: &str) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let hex = word.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_hex = hex >= LEAST_HEX_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_key = word.contains('_') && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte));
    has_digit && (is_hex || is_key)
}

/// How the learner is addressed, as they chose to be shown; `None` when it cannot be a name.
pub fn name(raw: &str) -> Option<String> {
    let text = plain(raw);
    let local = text.split_once('@').map_or(text.as_str(), |(local, _)| local);
    let spaced: String = local.chars().map(|letter| if is_name_letter(letter) { letter } else { ' ' }).collect();
    let parts: Vec<&str> = spaced
        .split_whitespace()
        .map(|part| part.trim_matches(['-', '\'', '’']))
        .filter(|part| part.chars().any(char::is_alphabetic))
        .collect();
    let name = without_honorific(&parts.join(" "));
    let letters = name.chars().count();
    let wide = name.chars().any(|letter| u32::from(letter) >= 0x2e80);
    let hostile = parts.iter().any(|part| NOT_NAMES.contains(&part.to_lowercase().as_str()));
    let fits = (if wide { 1 } else { 2 }..=MAX_NAME_LETTERS).contains(&letters) && parts.len() <= MAX_NAME_PARTS;
    (fits && !hostile).then_some(name)
}

/// `美咲さん` is called 美咲.
fn without_honorific(name: &str) -> String {
    let bare = HONORIFICS.into_iter().find_map(|honorific| name.strip_suffix(honorific));
    bare.map(str::trim_end).filter(|bare| !bare.is_empty()).unwrap_or(name).to_owned()
}

fn is_name_letter(letter: char) -> bool {
    letter.is_alphabetic() || is_mark(letter) || matches!(letter, '-' | '\'' | '’' | '・')
}

/// Combining accents, which belong to the letter before them.
fn is_mark(letter: char) -> bool {
    matches!(u32::from(letter), 0x300..=0x36f | 0x900..=0x903 | 0x93a..=0x94f | 0xe31..=0xe4e)
}

/// Plain text within bounds; one that was cut ends in `…`.
fn clean(raw: &str, bounds: Bounds) -> Option<String> {
    let text = plain(raw);
    let mut kept = String::new();
    let mut cut = false;
    for (number, word) in text.split_whitespace().filter(|word| !is_mailbox(word)).enumerate() {
        let room = bounds.letters.saturating_sub(kept.chars().count() + usize::from(number > 0));
        if number >= bounds.words || word.chars().count() > room {
            cut = true;
            if number == 0 {
                kept.extend(word.chars().take(bounds.letters));
            }
            break;
        }
        if number > 0 {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    if cut {
        kept.truncate(kept.trim_end_matches([',', ';', ':', '.', '…', '、', '。', ' ']).len());
        kept.push('…');
    }
    kept.chars().any(char::is_alphanumeric).then_some(kept)
}

/// True for a word that is an address on the web.
pub(super) fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.")
}

/// True for a word that is the address of a mailbox.
pub(super) fn is_mailbox(word: &str) -> bool {
    word.split_once('@').is_some_and(|(who, place)| !who.is_empty() && place.contains('.'))
}
