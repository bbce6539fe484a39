//! Decides whether a writer's answer may be spoken.

use std::time::Duration;

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
    /// A list, a heading or a speaker's name.
    #[error("the script has a list, a heading or a speaker's name")]
    NotProse,
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

const PLACEHOLDERS: [&str; 6] = ["{{", "}}", "{%", "[NAME", "<NAME", super::NAME_TOKEN];

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
pub fn check(text: &str, language: &str, facts: &Speakable, workflow: &Workflow) -> Result<(), Flaw> {
    if PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder)) {
        return Err(Flaw::Leftover);
    }
    if text.lines().any(is_direction) || text.split(['(', '（']).skip(1).any(is_direction) {
        return Err(Flaw::StageDirection);
    }
    if let Some(sign) = text.chars().find(|sign| MARKUP.contains(*sign)) {
        return Err(Flaw::Markup(sign));
    }
    if text.contains("://") || text.lines().any(is_listed) {
        return Err(Flaw::NotProse);
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
    check_language(text, language)?;
    let said = |subject: &String| text.to_lowercase().contains(&subject.to_lowercase());
    if facts.weakest.as_ref().is_some_and(|subject| !said(subject)) {
        return Err(Flaw::NoWeakest);
    }
    match facts.name.as_ref().map(|name| name_count(text, name)) {
        Some(count) if !NAME_COUNT.contains(&count) => Err(Flaw::NameCount(count)),
        _ => Ok(()),
    }
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

/// True for lines such as `- point`, `1. point`, `Title:` and `Host: words`.
fn is_listed(line: &str) -> bool {
    let line = line.trim();
    let numbered = line.split_once(['.', ')']).is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.len() <= 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && rest.starts_with(' ')
    });
    let speaker = line.split_once(':').is_some_and(|(before, after)| {
        let before = before.to_lowercase();
        after.trim().is_empty() && line.len() < 60
            || ["host", "narrator", "speaker", "voice", "title", "intro", "outro"].contains(&before.as_str())
    });
    line.starts_with("- ") || line.starts_with("– ") || numbered || speaker
}
