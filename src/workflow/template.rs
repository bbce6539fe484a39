//! The writer that needs nobody: puts an episode together from phrases. The same learner and date
//! always give the same episode; neighbours and consecutive days get other words.
//!
//! However little is known, the length is right: lessons about learning fill the time that the
//! facts leave.

use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use minijinja::Value;

use super::phrases::{Phrases, Section};
use super::prompt::Prompt;
use super::speakable::{Speakable, Trend};
use super::steps::{Pace, ScriptRules};

/// How often the name may be spoken in an episode.
pub const NAME_COUNT: std::ops::RangeInclusive<usize> = 1..=3;

/// Lessons are added while the episode is shorter than its target by more than this.
const SHORT_OF_TARGET: Duration = Duration::from_secs(15);

/// How far the first lesson moves from one day to the next: as many as an episode with few facts
/// has, so that they do not come again at once.
const LESSON_STEP: u64 = 7;

/// Whose episode it is and of which day: all the chance that the template knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The learner.
    pub user_id: i64,
    /// The date of the episode.
    pub date: NaiveDate,
}

impl Seed {
    /// Which of `count` variants is chosen for the part `name`: another one on the next day.
    fn pick(self, name: &str, count: usize, step: u64) -> usize {
        let mut hash = u64::from_ne_bytes(self.user_id.to_ne_bytes()) ^ 0x9e37_79b9_7f4a_7c15;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let day = u64::from(self.date.num_days_from_ce().unsigned_abs());
        let count = u64::try_from(count.max(1)).unwrap_or(1);
        usize::try_from(((hash >> 32) + day * step) % count).unwrap_or_default()
    }
}

/// A finished script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateScript {
    /// Paragraphs parted by blank lines.
    pub text: String,
    /// How often the name of the learner is spoken in it.
    pub name_count: usize,
}

/// How Japanese calls somebody by name.
const HONORIFICS: [&str; 7] = ["さん", "様", "さま", "くん", "君", "ちゃん", "先生"];

/// How often `name` is spoken in `text`: as a whole word where words are parted by spaces. Where they
/// are not, a name such as 学 is a part of many words, and it is spoken where an honorific follows or
/// no letter stands beside it.
pub fn name_count(text: &str, name: &str) -> usize {
    let is_called = |(at, _): &(usize, &str)| {
        let behind = &text[at + name.len()..];
        let is_alone = !text[..*at].ends_with(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric);
        is_alone || HONORIFICS.iter().any(|honorific| behind.starts_with(honorific))
    };
    if name.chars().any(|letter| u32::from(letter) >= 0x2e80) {
        let called = text.match_indices(name).filter(is_called).count();
        if called > 0 {
            return called;
        }
    }
    let joins = |letter: char| letter.is_alphanumeric() && u32::from(letter) < 0x2e80;
    let word = name.chars().next().is_some_and(joins);
    let whole = |at: usize| !word || !(text[..at].ends_with(joins) || text[at + name.len()..].starts_with(joins));
    if name.is_empty() { 0 } else { text.match_indices(name).filter(|(at, _)| whole(*at)).count() }
}

/// Writes an episode. A name that happens to be a word of the text, and would be heard more than
/// three times, is left out.
pub(super) fn write(
    phrases: &Phrases,
    pace: Pace,
    rules: &ScriptRules,
    facts: &Speakable,
    seed: Seed,
) -> Result<TemplateScript, minijinja::Error> {
    let text = compose(phrases, pace, rules, facts, seed)?;
    let Some(name) = &facts.name else { return Ok(TemplateScript { text, name_count: 0 }) };
    let name_count = name_count(&text, name);
    if NAME_COUNT.contains(&name_count) {
        return Ok(TemplateScript { text, name_count });
    }
    let nameless = Speakable { name: None, ..facts.clone() };
    Ok(TemplateScript { text: compose(phrases, pace, rules, &nameless, seed)?, name_count: 0 })
}

/// The title of an episode, whoever wrote its script.
pub(super) fn title(phrases: &Phrases, facts: &Speakable, seed: Seed) -> Result<String, minijinja::Error> {
    choose(phrases, phrases.titles(facts), "title", seed, &phrases.context(facts))
}

fn compose(
    phrases: &Phrases,
    pace: Pace,
    rules: &ScriptRules,
    facts: &Speakable,
    seed: Seed,
) -> Result<String, minijinja::Error> {
    let context = phrases.context(facts);
    let say = |section: Section| choose(phrases, phrases.variants(section), section.as_str(), seed, &context);
    let before = before_lessons(facts).into_iter().map(say).collect::<Result<Vec<_>, _>>()?;
    let after = after_lessons(facts).into_iter().map(say).collect::<Result<Vec<_>, _>>()?;
    let pool = phrases.variants(Section::Lesson);
    let first = seed.pick(Section::Lesson.as_str(), pool.len(), LESSON_STEP);
    let mut lessons = pool.iter().cycle().skip(first).take(pool.len());
    let mut told: Vec<String> = Vec::new();
    loop {
        let paragraphs: Vec<&str> = before.iter().chain(&told).chain(&after).map(String::as_str).collect();
        let text = paragraphs.join("\n\n");
        let enough = pace.time(&text) + SHORT_OF_TARGET >= rules.target;
        match lessons.next() {
            Some(lesson) if !enough => told.push(one_paragraph(&lesson.render(&phrases.engine, &context)?)),
            _ => return Ok(text),
        }
    }
}

fn choose(
    phrases: &Phrases,
    variants: &[Prompt],
    name: &str,
    seed: Seed,
    context: &Value,
) -> Result<String, minijinja::Error> {
    match variants.get(seed.pick(name, variants.len(), 1)) {
        Some(variant) => Ok(one_paragraph(&variant.render(&phrases.engine, context)?)),
        None => Ok(String::new()),
    }
}

fn one_paragraph(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn before_lessons(facts: &Speakable) -> Vec<Section> {
    let mut sections = vec![Section::Greeting];
    sections.push(match (facts.week.answered, facts.week.correct) {
        (0, _) => Section::WeekNone,
        (_, 0) => Section::WeekZero,
        (answered, correct) if answered == correct => Section::WeekAll,
        _ => Section::WeekSome,
    });
    // Two weeks without a right answer are steady, but no level to be praised for.
    let has_level = facts.week.correct > 0 || facts.week.correct_before > 0;
    sections.extend(facts.trend().filter(|_| has_level).map(|trend| match trend {
        Trend::Up => Section::TrendUp,
        Trend::Steady => Section::TrendSteady,
        Trend::Down => Section::TrendDown,
    }));
    sections.extend(facts.strongest.as_ref().map(|_| Section::Strongest));
    sections.push(if facts.weakest.is_some() { Section::Weakest } else { Section::WeakestUnknown });
    sections.extend(facts.mistake.as_ref().map(|_| Section::Mistake));
    sections
}

fn after_lessons(facts: &Speakable) -> Vec<Section> {
    let mut sections = Vec::new();
    if !facts.reviews.is_empty() {
        sections.push(Section::Reviews);
    }
    if facts.quiz.is_some() {
        sections.push(Section::Quiz);
    } else if !facts.interests.is_empty() {
        sections.push(Section::Interest);
    }
    sections.push(Section::Closing);
    sections
}
