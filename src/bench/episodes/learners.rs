//! Learners made up for the checks: what an academy would say of each, and what a listener should
//! therefore hear. The same number and seed always make the same learner.
//!
//! The truth stands beside the facts in `people.toml` and is made by nothing that makes episodes.
//! Languages take turns; within a language, ten histories do, from nothing known to ten years.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::learner::{Ability, Facts, Mistake, Quiz, Week};

/// The languages, in the order of the table.
pub const LANGUAGES: [&str; 5] = ["en", "es", "fr", "de", "ja"];

/// The first learner's id: as long as none that stands in a text by chance.
const FIRST_ID: i64 = 90_210_000;

/// How often a text of the history of ten years repeats itself: longer than any voice should go on.
const LONG: usize = 400;

/// The text as stored, as it should be said, and for a question its answer.
type Texts = Vec<Vec<String>>;

/// All that learners of a language are called and study.
#[derive(Debug, Deserialize)]
struct People {
    names: Texts,
    subjects: Texts,
    reviews: Texts,
    questions: Texts,
    quizzes: Texts,
    interests: Texts,
}

#[expect(clippy::expect_used, reason = "the file is compiled in, and every test of the checks reads it")]
static PEOPLE: LazyLock<BTreeMap<String, People>> =
    LazyLock::new(|| toml::from_str(include_str!("people.toml")).expect("people.toml is sound"));

/// What is known of a learner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum History {
    Nothing,
    OneRight,
    OneWrong,
    FirstDays,
    QuietWeek,
    AllRight,
    AllWrong,
    Hostile,
    Year,
    TenYears,
}

const HISTORIES: [History; 10] = [
    History::Nothing,
    History::OneRight,
    History::OneWrong,
    History::FirstDays,
    History::QuietWeek,
    History::AllRight,
    History::AllWrong,
    History::Hostile,
    History::Year,
    History::TenYears,
];

/// What a listener should hear.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// How the learner is called; `None` where nothing stored can be a name.
    pub name: Option<String>,
    /// The weakest subject.
    pub weakest: Option<String>,
    /// Beginnings of what is due, all of which are said.
    pub reviews: Vec<String>,
    /// What is stored and must not be said.
    pub unsaid: Vec<String>,
}

/// A learner with what should be heard.
#[derive(Debug, Clone)]
pub struct Learner {
    /// From 1.
    pub number: u32,
    /// What the academy says.
    pub facts: Facts,
    /// What the episode should say.
    pub truth: Truth,
}

/// Numbers that look random: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(limit.max(1))) as u32
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    /// `count` neighbours of a list, each once.
    fn some<'t>(&mut self, texts: &'t Texts, count: u32) -> Vec<&'t [String]> {
        let first = self.below(u32::try_from(texts.len()).unwrap_or(1)) as usize;
        texts.iter().cycle().skip(first).take((count as usize).min(texts.len())).map(Vec::as_slice).collect()
    }

    fn one<'t>(&mut self, texts: &'t Texts) -> &'t [String] {
        self.some(texts, 1).first().copied().unwrap_or_default()
    }
}

fn raw(text: &[String]) -> String {
    text.first().cloned().unwrap_or_default()
}

fn said(text: &[String]) -> Option<String> {
    text.get(1).filter(|said| !said.is_empty()).cloned()
}

/// The learner with this number, from 0.
pub fn learner(index: u32, seed: u64) -> Learner {
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ u64::from(index));
    let language = LANGUAGES[index as usize % LANGUAGES.len()];
    let history = HISTORIES[index as usize / LANGUAGES.len() % HISTORIES.len()];
    let people = &PEOPLE[if history == History::Hostile { "hostile" } else { language }];
    let names = if history == History::Nothing { &PEOPLE["hostile"].names } else { &people.names };
    let name = dice.one(names);
    let mut truth = Truth { name: said(name), ..Truth::default() };
    if truth.name.is_none() && !raw(name).trim().is_empty() {
        truth.unsaid.push(raw(name));
    }
    let mut languages = vec![language.to_owned()];
    // No voice without an account speaks Japanese; who learns in it knows English too.
    if language == "ja" {
        languages.push("en".to_owned());
    }
    let ability = ability(history, people, &mut dice, &mut truth);
    let due_reviews = reviews(history, people, &mut dice, &mut truth);
    let interests = if history == History::Nothing { 0 } else { dice.below(3) };
    let mut facts = Facts {
        user_id: FIRST_ID + 7 * i64::from(index),
        display_name: raw(name),
        languages,
        plan: ["free", "basic", "premium", "enterprise"][dice.below(4) as usize].to_owned(),
        interests: dice.some(&people.interests, interests).into_iter().map(raw).collect(),
        ability,
        week: week(history, &mut dice),
        due_reviews,
        last_mistake: None,
        recommended_quiz: None,
    };
    if facts.week.answered > facts.week.correct && facts.ability.is_some() {
        facts.last_mistake = Some(mistake(people, &mut dice));
    }
    if matches!(history, History::AllWrong | History::Hostile | History::Year | History::TenYears) {
        let quiz = dice.one(&people.quizzes);
        let subject = (dice.below(2) == 0).then(|| raw(dice.one(&people.subjects)));
        facts.recommended_quiz = Some(Quiz { title: raw(quiz), subject, difficulty: Some("medium".to_owned()) });
    }
    Learner { number: index + 1, facts, truth }
}

fn week(history: History, dice: &mut Dice) -> Week {
    let (answered, correct, answered_before, correct_before) = match history {
        History::Nothing => (0, 0, 0, 0),
        History::OneRight => (1, 1, 0, 0),
        History::OneWrong => (1, 0, 0, 0),
        History::FirstDays => (dice.between(3, 6), dice.between(1, 2), 0, 0),
        History::QuietWeek => (0, 0, dice.between(5, 12), dice.between(1, 5)),
        History::AllRight => {
            let answered = dice.between(2, 15);
            (answered, answered, dice.between(1, 9), 1)
        }
        History::AllWrong => (dice.between(2, 9), 0, dice.between(3, 9), dice.between(0, 3)),
        History::Hostile => (dice.between(4, 30), dice.between(1, 3), dice.between(0, 9), 9),
        History::Year => (dice.between(60, 200), dice.between(20, 59), dice.between(60, 180), dice.between(20, 60)),
        History::TenYears => (dice.between(900, 1_500), dice.between(300, 899), dice.between(900, 1_400), 700),
    };
    // A careless export may hold more right answers than answers; what is heard is no more than all.
    Week {
        answered,
        correct: correct.min(answered),
        answered_before,
        correct_before: correct_before.min(answered_before),
    }
}

fn ability(history: History, people: &People, dice: &mut Dice, truth: &mut Truth) -> Option<Ability> {
    if matches!(history, History::Nothing | History::OneRight | History::OneWrong) {
        return None;
    }
    let (weakest, strongest) = match dice.some(&people.subjects, 2)[..] {
        [weakest, strongest] => (weakest, strongest),
        _ => return None,
    };
    // In the first days, some academies know the subject's number only.
    let stored = if history == History::FirstDays { "17".to_owned() } else { raw(weakest) };
    truth.weakest = said(weakest).filter(|_| history != History::FirstDays);
    Some(Ability {
        score: f64::from(dice.between(0, 1_000)),
        rank: i32::try_from(dice.between(1, 5_000)).ok(),
        weakest: Some((stored, 120.0)),
        strongest: Some((raw(strongest), 820.0)),
    })
}

fn reviews(history: History, people: &People, dice: &mut Dice, truth: &mut Truth) -> Vec<String> {
    let due = match history {
        History::Nothing | History::OneRight | History::OneWrong | History::FirstDays => 0,
        History::QuietWeek => 1,
        History::AllRight => 2,
        History::AllWrong => 3,
        // At most five come from the academy.
        History::Hostile | History::Year | History::TenYears => 5,
    };
    let due = dice.some(&people.reviews, due);
    truth.unsaid.extend(due.iter().filter(|text| said(text).is_none()).map(|text| raw(text)));
    // Three are enough to hear.
    truth.reviews = due.iter().filter_map(|text| said(text)).take(3).collect();
    let long = |text: String| if history == History::TenYears { format!("{text} ").repeat(LONG) } else { text };
    if history == History::TenYears {
        // Of a long one, at least the beginning is heard.
        truth.reviews = truth.reviews.iter().map(|text| beginning(text)).collect();
    }
    truth.unsaid.retain(|text| !text.is_empty());
    due.into_iter().map(|text| long(raw(text))).collect()
}

/// The first words, or letters where words are not parted.
fn beginning(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').take(4).collect();
    words.join(" ").chars().take(40).collect()
}

fn mistake(people: &People, dice: &mut Dice) -> Mistake {
    let question = dice.one(&people.questions);
    Mistake {
        question: raw(question),
        subject: (dice.below(2) == 0).then(|| raw(dice.one(&people.subjects))),
        correct_answer: question.get(2).filter(|answer| !answer.is_empty()).cloned(),
    }
}
