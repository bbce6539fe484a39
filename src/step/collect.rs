//! Makes clean, speakable facts of what the academy says about a learner. Everything that comes in
//! is untrusted: HTML, control characters, ids in place of names, a hundred kilobytes, or a text
//! that wants to be an instruction. Everything that goes out is a short line of plain text.
//!
//! A text is never refused for what it says, only cut and cleaned: whoever uses it marks it as data.

use std::collections::BTreeSet;

use crate::learner::{Facts, Mistake, Quiz, Week};
use crate::workflow::Speakable;

/// The most characters of a raw text that are looked at.
const MAX_RAW: usize = 20_000;
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
    text.trim_end_matches(['.', '。', '…', '!', '！', '?', '？', ' ']).to_owned()
}

/// A clean text that is a name and not an id: one without any letter counts as missing.
fn named(raw: &str, bounds: Bounds) -> Option<String> {
    clean(raw, bounds).filter(|text| text.chars().any(char::is_alphabetic))
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
    let name = parts.join(" ");
    let letters = name.chars().count();
    let wide = name.chars().any(|letter| u32::from(letter) >= 0x2e80);
    let hostile = parts.iter().any(|part| NOT_NAMES.contains(&part.to_lowercase().as_str()));
    let fits = (if wide { 1 } else { 2 }..=MAX_NAME_LETTERS).contains(&letters) && parts.len() <= MAX_NAME_PARTS;
    (fits && !hostile).then_some(name)
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
        kept.truncate(kept.trim_end_matches([',', ';', ':', '.', '、', '。']).len());
        kept.push('…');
    }
    kept.chars().any(char::is_alphanumeric).then_some(kept)
}

/// The text without HTML, entities, control characters, emoji, addresses, rules and signs of markup, all
/// white space as single spaces.
fn plain(raw: &str) -> String {
    let bounded: String = raw.chars().take(MAX_RAW).collect();
    let decoded = decode_entities(&strip_tags(&bounded));
    let text = strip_tags(&decode_entities(&decoded));
    let spoken: String = text.chars().filter(|letter| !is_silent(*letter)).map(spaced).collect();
    let is_rule = |word: &str| word.chars().count() > 2 && !word.chars().any(char::is_alphanumeric) && word != "...";
    let words = spoken.split_whitespace().filter(|word| !is_address(word) && !is_rule(word));
    words.collect::<Vec<_>>().join(" ")
}

/// True for a word that is an address on the web.
pub(super) fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.")
}

/// True for a word that is the address of a mailbox.
pub(super) fn is_mailbox(word: &str) -> bool {
    word.split_once('@').is_some_and(|(who, place)| !who.is_empty() && place.contains('.'))
}

/// Zero-width and bidirectional marks, emoji, and all controls that are no white space.
fn is_silent(letter: char) -> bool {
    (letter.is_control() && !letter.is_whitespace())
        || matches!(
            u32::from(letter),
            0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x2600..=0x27bf | 0xe000..=0xf8ff
                | 0xfe00..=0xfe0f | 0xfeff | 0xfff0..=0xffff | 0x1f000..
        ) && !matches!(u32::from(letter), 0x20000..=0x3ffff)
}

/// Signs that a script must not have are heard as a pause.
fn spaced(letter: char) -> char {
    match letter {
        '<' | '>' | '{' | '}' | '[' | ']' | '*' | '#' | '_' | '`' | '|' | '\\' | '^' | '~' | '•' => ' ',
        '⟦' | '⟧' | '（' | '）' | '(' | ')' => ' ',
        other => other,
    }
}

/// Removes tags, comments, and scripts and styles with what is in them. A `<` that begins no tag
/// stays.
fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        kept.push_str(before);
        match after_tag(tag) {
            Some(after) => {
                if !is_inline(tag) {
                    kept.push(' ');
                }
                rest = after;
            }
            None => {
                kept.push('<');
                rest = &tag[1..];
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// True for a tag that stands within a word or sentence.
fn is_inline(tag: &str) -> bool {
    const INLINE: [&str; 12] = ["a", "b", "code", "em", "i", "mark", "small", "span", "strong", "sub", "sup", "u"];
    let name = tag.trim_start_matches(['<', '/']).split(|letter: char| !letter.is_ascii_alphanumeric()).next();
    name.is_some_and(|name| INLINE.contains(&name.to_ascii_lowercase().as_str()))
}

/// What follows the tag that `text` begins with; `None` when it is no tag. A comment, script or
/// style that never ends goes on to the end.
fn after_tag(text: &str) -> Option<&str> {
    if !text[1..].starts_with(|letter: char| letter.is_ascii_alphabetic() || "/!?".contains(letter)) {
        return None;
    }
    let opens = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let wholes = [("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>")];
    let Some((_, end)) = wholes.into_iter().find(|(name, _)| opens(name)) else {
        return text.split_once('>').map(|(_, after)| after);
    };
    let found = text.to_ascii_lowercase().find(end);
    Some(found.and_then(|at| text.get(at + end.len()..)).unwrap_or_default())
}

fn decode_entities(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        kept.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let entity = after.split_once(';').filter(|(name, _)| name.len() <= 10);
        match entity.and_then(|(name, tail)| Some((entity_letter(name)?, tail))) {
            Some((letter, tail)) => {
                kept.push(letter);
                rest = tail;
            }
            None => {
                kept.push('&');
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    kept
}

fn entity_letter(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        "hellip" => Some('…'),
        "times" => Some('×'),
        "divide" => Some('÷'),
        "deg" => Some('°'),
        _ => match name.strip_prefix('#')?.strip_prefix(['x', 'X']) {
            Some(hex) => number(hex, 16),
            None => number(&name[1..], 10),
        },
    }
}
