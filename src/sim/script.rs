//! What the simulated writers write: an episode as our prompt asks for it, put together from the
//! sentences of `words.toml`. Language, length, name, weakest subject and result are read from the
//! prompt's own text. Any other prompt gets a short plain answer.
//!
//! The same prompt has the same answer, at every vendor.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    faults::Spoil,
    inject::{mix, number_of},
    routes::Context,
};

/// Sentences of a paragraph of advice.
const PARAGRAPH: usize = 4;

/// The most words or letters of a script, whatever a prompt asks for.
const LONGEST: usize = 20_000;

/// Tokens of thoughts when a writer does nothing but think.
const ONLY_THOUGHTS: u64 = 256;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Normal,
    CutOff,
    Refused,
}

/// What a writer wrote, before it is given a vendor's shape.
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) tokens: u64,
    pub(super) thought_tokens: u64,
    pub(super) ending: Ending,
}

impl Draft {
    /// Writes for `prompt` with at most `budget` tokens, the thoughts among them.
    pub(super) fn write(
        context: &Context<'_>,
        prompt: &str,
        budget: u64,
        thoughts: u64,
        count: fn(&str) -> u64,
    ) -> Self {
        let thought_tokens = thoughts.min(budget);
        let ends = |text: String, thought_tokens, ending| Self { tokens: count(&text), text, thought_tokens, ending };
        match context.spoil {
            Some(Spoil::Refused) => return ends(String::new(), 0, Ending::Refused),
            Some(Spoil::Empty) => return ends(String::new(), thought_tokens, Ending::Normal),
            Some(Spoil::ThinkingOnly) => return ends(String::new(), ONLY_THOUGHTS.min(budget), Ending::Normal),
            _ => {}
        }
        let text = context.world.words.write(prompt);
        let (all, mut left) = (count(&text), budget - thought_tokens);
        if context.spoil == Some(Spoil::CutOff) {
            left = left.min(all / 2);
        }
        if all <= left {
            return ends(text, thought_tokens, Ending::Normal);
        }
        let letters = text.chars().count() as u64;
        let kept = usize::try_from(letters * left / all).unwrap_or_default();
        let mut cut: String = text.chars().take(kept).collect();
        // Tokens are not spread evenly over a text.
        while count(&cut) > left {
            cut.pop();
        }
        ends(cut, thought_tokens, Ending::CutOff)
    }
}

/// Tokens of a text: one for four letters of an alphabet, one for every other letter.
pub(super) fn count(text: &str) -> u64 {
    let wide = text.chars().filter(|letter| u32::from(*letter) >= 0x2E80).count() as u64;
    (text.chars().count() as u64 - wide).div_ceil(4) + wide
}

/// The sentences of every language.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Words(BTreeMap<String, Phrases>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrases {
    /// Between sentences.
    joint: String,
    greeting: Vec<String>,
    greeting_unnamed: Vec<String>,
    result: Vec<String>,
    no_result: Vec<String>,
    weakest: Vec<String>,
    no_weakest: Vec<String>,
    /// Advice that names the weakest subject.
    about: Vec<String>,
    /// Advice for everybody.
    advice: Vec<String>,
    closing: Vec<String>,
    closing_unnamed: Vec<String>,
}

/// What our prompt asks for.
#[derive(Debug, Default)]
struct Brief {
    language: String,
    least: usize,
    aim: usize,
    in_letters: bool,
    name: Option<String>,
    weakest: Option<String>,
    answered: u64,
    correct: u64,
}

impl Words {
    /// Reads the compiled-in sentences.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("words.toml"))
    }

    /// The answer to a prompt.
    fn write(&self, prompt: &str) -> String {
        let Some(brief) = Brief::read(prompt) else {
            return "Hello from the simulator. It answers every question with this sentence.".to_owned();
        };
        let known = self.0.get(&brief.language).or_else(|| self.0.get("en"));
        known.map(|phrases| phrases.compose(&brief, number_of(prompt))).unwrap_or_default()
    }
}

impl Brief {
    /// `None` when the prompt is not ours.
    fn read(prompt: &str) -> Option<Self> {
        let after = |mark: &str| prompt.split_once(mark).map(|(_, after)| after);
        let number = |mark: &str| {
            let digits: String = after(mark)?.chars().take_while(char::is_ascii_digit).take(6).collect();
            digits.parse::<usize>().ok()
        };
        let language = after("(language tag ")?.split(')').next()?.trim().to_owned();
        let aim = number("aim at ")?.min(LONGEST);
        let least = number("has to be between ").unwrap_or(aim).min(aim);
        let name = after("learner is called ").and_then(|after| after.split_whitespace().next());
        let name = name.map(|name| name.trim_end_matches('.').to_owned());
        let facts = after("=====").and_then(|after| after.rsplit_once("=====")).map_or("", |(facts, _)| facts);
        let facts: Value = serde_json::from_str(facts).unwrap_or_default();
        Some(Self {
            language,
            least,
            aim,
            in_letters: prompt.contains("letters long"),
            name,
            weakest: facts["weakest_subject"].as_str().map(str::to_owned),
            answered: facts["this_week"]["answered"].as_u64().unwrap_or_default(),
            correct: facts["this_week"]["right"].as_u64().unwrap_or_default(),
        })
    }

    fn measure(&self, text: &str) -> usize {
        if self.in_letters {
            text.chars().filter(|letter| letter.is_alphanumeric()).count()
        } else {
            text.split_whitespace().count()
        }
    }

    fn fill(&self, phrase: &str) -> String {
        phrase
            .replace("{name}", self.name.as_deref().unwrap_or_default())
            .replace("{subject}", self.weakest.as_deref().unwrap_or_default())
            .replace("{answered}", &self.answered.to_string())
            .replace("{correct}", &self.correct.to_string())
    }
}

impl Phrases {
    fn compose(&self, brief: &Brief, seed: u64) -> String {
        let one = |phrases: &[String]| {
            let at = mix(seed ^ phrases.len() as u64) % phrases.len().max(1) as u64;
            brief.fill(phrases.get(at as usize).map_or("", String::as_str))
        };
        let named = brief.name.is_some();
        let mut paragraphs = vec![
            one(if named { &self.greeting } else { &self.greeting_unnamed }),
            one(if brief.answered > 0 { &self.result } else { &self.no_result }),
            one(if brief.weakest.is_some() { &self.weakest } else { &self.no_weakest }),
        ];
        let closing = one(if named { &self.closing } else { &self.closing_unnamed });
        let mut length = brief.measure(&closing);
        length += paragraphs.iter().map(|paragraph| brief.measure(paragraph)).sum::<usize>();
        let sentences = self.advice_for(brief, seed);
        let mut taken: Vec<&str> = Vec::new();
        for (sentence, at) in sentences.iter().cycle().zip(1..) {
            // Nothing is said twice unless the episode would be too short without it.
            let enough = if at > sentences.len() { brief.least } else { brief.aim };
            if length >= enough {
                break;
            }
            length += brief.measure(sentence).max(1);
            taken.push(sentence);
        }
        paragraphs.extend(taken.chunks(PARAGRAPH).map(|sentences| sentences.join(&self.joint)));
        paragraphs.push(closing);
        paragraphs.join("\n\n")
    }

    /// All sentences of advice in an order of the seed.
    fn advice_for(&self, brief: &Brief, seed: u64) -> Vec<String> {
        let about = self.about.iter().filter(|_| brief.weakest.is_some());
        let mut sentences: Vec<&String> = about.chain(&self.advice).collect();
        sentences.sort_by_key(|sentence| mix(seed ^ number_of(sentence)));
        sentences.into_iter().map(|sentence| brief.fill(sentence)).collect()
    }
}
