//! Decides whether a writer's answer may be spoken.

use std::time::Duration;

use super::super::collect;
use crate::workflow::{NAME_COUNT, Speakable, Workflow, name_count};

/// Why an answer may not be spoken. The words are for operators and hold nothing of the learner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Too few words.
    #[error("the script is too short: {}", minutes(.0))]
    TooShort(Duration),
    /// Too many words.
    #[error("the script is too long: {}", minutes(.0))]
    TooLong(Duration),
    /// It is in another language.
    #[error("the script is in {found}, not in {wanted}")]
    WrongLanguage {
        /// The tag that was asked for.
        wanted: String,
        /// ISO 639-3 code of what came.
        found: &'static str,
    },
    /// Something that should have been replaced is still there.
    #[error("the script has a leftover placeholder")]
    Leftover,
    /// Signs that a voice would read aloud.
    #[error("the script has markup: {0:?}")]
    Markup(char),
    /// A list, a heading, a speaker's name, an address, or a line that nobody would speak.
    #[error("the script has a list, a heading, an address or a speaker's name")]
    NotProse,
    /// The learner's id, which is no business of any listener.
    #[error("the script speaks the learner's id")]
    LearnerId,
    /// A remark for an actor.
    #[error("the script has a stage direction")]
    StageDirection,
    /// The heart of the episode is missing.
    #[error("the script does not name the weakest subject")]
    NoWeakest,
    /// The name is missing or worn out.
    #[error("the script speaks the learner's name {0} times")]
    NameCount(usize),
}

fn minutes(time: &Duration) -> String {
    format!("{}:{:02} minutes", time.as_secs() / 60, time.as_secs() % 60)
}

const MARKUP: &str = "*#_`|<>{}[]\\~^•";

const PLACEHOLDERS: [&str; 7] = ["{{", "}}", "{%", "[NAME", "<NAME", "%NAME%", "$NAME"];

/// Who or what a line is labelled with that no voice should speak.
const LABELS: [&str; 32] = [
    "ai",
    "announcer",
    "assistant",
    "episode",
    "erzähler",
    "host",
    "intro",
    "locutor",
    "locutora",
    "model",
    "moderator",
    "moderatorin",
    "narrador",
    "narrateur",
    "narration",
    "narrator",
    "note",
    "outro",
    "podcast",
    "presentador",
    "presenter",
    "script",
    "speaker",
    "sprecher",
    "sprecherin",
    "system",
    "title",
    "user",
    "voice",
    "word count",
    "ナレーター",
    "司会",
];

/// The most bytes of a line that can be a heading.
const LONGEST_HEADING: usize = 60;

/// The least digits of an id that can be told from the numbers of a script.
const LEAST_ID_DIGITS: usize = 5;

/// Words that, in parentheses, are meant for an actor and not for a listener.
const DIRECTIONS: [&str; 16] = [
    "music",
    "pause",
    "sound effect",
    "intro",
    "outro",
    "laugh",
    "chuckle",
    "smil",
    "sigh",
    "fade",
    "whisper",
    "música",
    "pausa",
    "musique",
    "musik",
    "音楽",
];

/// Checks an answer in which the name has already taken the token's place.
///
/// # Errors
/// The first [`Flaw`] that was found.
pub fn check(text: &str, language: &str, facts: &Speakable, user_id: i64, workflow: &Workflow) -> Result<(), Flaw> {
    if has_placeholder(text, facts) {
        return Err(Flaw::Leftover);
    }
    if text.lines().any(is_direction) || text.split(['(', '（']).skip(1).any(is_direction) {
        return Err(Flaw::StageDirection);
    }
    if let Some(sign) = text.chars().find(|sign| is_markup(*sign)) {
        return Err(Flaw::Markup(sign));
    }
    if text.split('&').skip(1).any(is_entity) {
        return Err(Flaw::Markup('&'));
    }
    if let Some(pace) = workflow.language(language).map(|language| language.pace) {
        let time = pace.time(text);
        if time < workflow.script.shortest {
            return Err(Flaw::TooShort(time));
        }
        if time > workflow.script.longest {
            return Err(Flaw::TooLong(time));
        }
    }
    if !is_prose(text, facts) {
        return Err(Flaw::NotProse);
    }
    if speaks_id(text, user_id, facts) {
        return Err(Flaw::LearnerId);
    }
    check_language(text, language)?;
    let said = |subject: &String| text.to_lowercase().contains(&subject.to_lowercase());
    if facts.weakest.as_ref().is_some_and(|subject| !said(subject)) {
        return Err(Flaw::NoWeakest);
    }
    check_name(text, facts)
}

/// A name that is a word of the facts as well may be spoken as often as that word.
fn check_name(text: &str, facts: &Speakable) -> Result<(), Flaw> {
    let Some(name) = &facts.name else { return Ok(()) };
    let count = name_count(text, name);
    let is_a_word = || name_count(&facts.for_provider(), name) > 0;
    if NAME_COUNT.contains(&count) || count > 0 && is_a_word() { Ok(()) } else { Err(Flaw::NameCount(count)) }
}

fn check_language(text: &str, wanted: &str) -> Result<(), Flaw> {
    let code = match wanted {
        "en" => "eng",
        "es" => "spa",
        "fr" => "fra",
        "de" => "deu",
        "ja" => "jpn",
        _ => return Ok(()),
    };
    match whatlang::detect(text) {
        Some(found) if found.lang().code() != code => {
            Err(Flaw::WrongLanguage { wanted: wanted.to_owned(), found: found.lang().code() })
        }
        _ => Ok(()),
    }
}

/// True for `(soft music)` and `[PAUSE]`, at the beginning of `text`.
fn is_direction(text: &str) -> bool {
    let inside = text.trim().trim_start_matches(['(', '（', '[']);
    let Some((inside, _)) = inside.split_once([')', '）', ']']) else { return false };
    let lower = inside.to_lowercase();
    lower.split_whitespace().count() <= 6 && DIRECTIONS.iter().any(|word| lower.contains(word))
}

/// True when something should have been replaced, however it is spelt. What a learner's facts say
/// in so many words is no placeholder.
fn has_placeholder(text: &str, facts: &Speakable) -> bool {
    let upper = text.to_uppercase();
    if PLACEHOLDERS.iter().any(|placeholder| upper.contains(placeholder)) {
        return true;
    }
    let is_known = has_token(&facts.for_provider());
    has_token(text) && !is_known
}

/// True for the token of the name in any case, with or without what parts its two words.
fn has_token(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.split("listener").skip(1).any(|rest| {
        let rest = rest.trim_start_matches(['_', '-', ' ']).strip_prefix("name");
        rest.is_some_and(|after| !after.starts_with(char::is_alphabetic))
    })
}

/// True for signs of markup, emoji and control characters.
fn is_markup(sign: char) -> bool {
    MARKUP.contains(sign)
        || sign.is_control() && sign != '\n'
        || matches!(u32::from(sign), 0x2600..=0x27bf | 0x1f000..=0x1faff)
}

/// True for what follows the `&` of an entity of HTML.
fn is_entity(after: &str) -> bool {
    let name = after.split(';').next().filter(|name| name.len() < after.len()).unwrap_or_default();
    let name = name.strip_prefix('#').unwrap_or(name);
    (1..=10).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_prose(text: &str, facts: &Speakable) -> bool {
    let ends = ['.', '!', '?', '…', '。', '！', '？', '"', '\'', '”', '’', '»', '」', ')', '）', ',', '，', '、'];
    let is_title = |line: &str| {
        let is_sentence = line.ends_with(ends);
        line.len() < LONGEST_HEADING && !is_sentence || line.ends_with([':', '：'])
    };
    let is_silent = |line: &str| !line.is_empty() && !line.chars().any(char::is_alphanumeric);
    !(text.lines().map(str::trim).any(|line| is_listed(line) || is_labelled(line, facts) || is_silent(line))
        || text.lines().next().is_some_and(is_title)
        || text.split_whitespace().any(|word| collect::is_address(word) || collect::is_mailbox(word)))
}

/// True when a number of the text is the learner's id. One that also stands in the facts, or is too
/// short to tell, is none.
fn speaks_id(text: &str, user_id: i64, facts: &Speakable) -> bool {
    let id = user_id.unsigned_abs().to_string();
    let has_id = |text: &str| {
        let digits = text.split(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ',' | '.'));
        digits.map(|number| number.replace([',', '.'], "")).any(|number| number == id)
    };
    id.len() >= LEAST_ID_DIGITS && has_id(text) && !has_id(&facts.for_provider())
}

/// True for lines such as `- point`, `1. point` and `Title:`.
fn is_listed(line: &str) -> bool {
    let numbered = line.split_once(['.', ')']).is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.len() <= 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && rest.starts_with(' ')
    });
    let is_heading = line.ends_with([':', '：']) && line.len() < LONGEST_HEADING;
    line.starts_with("- ") || line.starts_with("– ") || line.starts_with("— ") || numbered || is_heading
}

/// True for `Host: words`, `Speaker 2: words` and `Maria: words`.
fn is_labelled(line: &str, facts: &Speakable) -> bool {
    let Some((label, _)) = line.split_once([':', '：']) else { return false };
    let label = label.trim().trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ' ').to_lowercase();
    let is_name = || facts.name.as_ref().is_some_and(|name| name.to_lowercase() == label);
    LABELS.contains(&label.as_str()) || is_name()
}
