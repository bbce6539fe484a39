//! The phrases of the template in one language: for each section several variants, of which
//! learner and date choose one.

use std::collections::BTreeMap;

use minijinja::{Environment, Value, context};

use super::prompt::{PHRASE_PLACEHOLDERS, Prompt, engine};
use super::read::{Report, Table};
use super::speakable::{Speakable, Topic};

/// A paragraph of the template's episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Greeting,
    WeekNone,
    WeekZero,
    WeekAll,
    WeekSome,
    TrendUp,
    TrendDown,
    TrendSteady,
    Strongest,
    Weakest,
    WeakestUnknown,
    Mistake,
    Reviews,
    Quiz,
    Interest,
    Lesson,
    Closing,
}

impl Section {
    const ALL: [Self; 17] = [
        Self::Greeting,
        Self::WeekNone,
        Self::WeekZero,
        Self::WeekAll,
        Self::WeekSome,
        Self::TrendUp,
        Self::TrendDown,
        Self::TrendSteady,
        Self::Strongest,
        Self::Weakest,
        Self::WeakestUnknown,
        Self::Mistake,
        Self::Reviews,
        Self::Quiz,
        Self::Interest,
        Self::Lesson,
        Self::Closing,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::WeekNone => "week_none",
            Self::WeekZero => "week_zero",
            Self::WeekAll => "week_all",
            Self::WeekSome => "week_some",
            Self::TrendUp => "trend_up",
            Self::TrendDown => "trend_down",
            Self::TrendSteady => "trend_steady",
            Self::Strongest => "strongest",
            Self::Weakest => "weakest",
            Self::WeakestUnknown => "weakest_unknown",
            Self::Mistake => "mistake",
            Self::Reviews => "reviews",
            Self::Quiz => "quiz",
            Self::Interest => "interest",
            Self::Lesson => "lesson",
            Self::Closing => "closing",
        }
    }

    /// True when a template may speak of what this section is about, so that samples which do not
    /// know it need not render it.
    fn applies(self, facts: &Speakable) -> bool {
        match self {
            Self::TrendUp | Self::TrendDown | Self::TrendSteady => facts.trend().is_some(),
            Self::Strongest => facts.strongest.is_some(),
            Self::Weakest => facts.weakest.is_some(),
            Self::Mistake => facts.mistake.is_some(),
            Self::Reviews => !facts.reviews.is_empty(),
            Self::Quiz => facts.quiz.is_some(),
            Self::Interest => !facts.interests.is_empty(),
            _ => true,
        }
    }
}

const TITLES: [&str; 4] = ["weakest", "quiz", "interest", "general"];

/// All phrases of a language.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    comma: String,
    and: String,
    stop: String,
    topic_general: String,
    /// Closes sentences as this language does.
    pub(super) engine: Environment<'static>,
    titles: BTreeMap<&'static str, Vec<Prompt>>,
    say: BTreeMap<Section, Vec<Prompt>>,
}

pub(super) fn read(file: &str, mut root: Table<'_>) -> Phrases {
    let mut phrases = Phrases {
        comma: root.text("comma").value,
        and: root.text("and").value,
        stop: root.text("stop").value,
        topic_general: root.text("topic_general").value,
        ..Phrases::default()
    };
    let variants = |table: &mut Table<'_>, key| -> Vec<Prompt> {
        table.texts(key).into_iter().map(|source| Prompt { file: file.to_owned(), source }).collect()
    };
    if let Some(mut table) = root.table("title") {
        phrases.titles = TITLES.into_iter().map(|key| (key, variants(&mut table, key))).collect();
        table.finish();
    }
    if let Some(mut table) = root.table("say") {
        phrases.say = Section::ALL.into_iter().map(|key| (key, variants(&mut table, key.as_str()))).collect();
        table.finish();
    }
    root.finish();
    phrases.engine = engine(&phrases.stop);
    phrases
}

impl Phrases {
    /// Reports phrases that cannot be parsed, or that fail on one of the samples.
    pub(super) fn check(&self, samples: &[(String, Speakable)], report: &Report) {
        let all = self.titles.values().chain(self.say.values()).flatten();
        let unsound = all.filter(|prompt| !prompt.check(&self.engine, &PHRASE_PLACEHOLDERS, report)).count();
        if unsound > 0 {
            return;
        }
        for (name, facts) in samples {
            let context = self.context(facts);
            for (section, variants) in self.say.iter().filter(|(section, _)| section.applies(facts)) {
                let sample = format!("{name}, section {}", section.as_str());
                variants.iter().for_each(|variant| variant.check_render(&self.engine, &context, &sample, report));
            }
            let titles = self.titles.get(title_key(&facts.topic())).into_iter().flatten();
            titles.for_each(|title| title.check_render(&self.engine, &context, name, report));
        }
    }

    /// What the placeholders stand for.
    pub(super) fn context(&self, facts: &Speakable) -> Value {
        let mistake = facts.mistake.as_ref();
        let quiz = facts.quiz.as_ref();
        context! {
            name => facts.name.as_ref(),
            answered => facts.week.answered,
            correct => facts.week.correct,
            answered_before => facts.week.answered_before,
            correct_before => facts.week.correct_before,
            weakest => facts.weakest.as_ref(),
            strongest => facts.strongest.as_ref(),
            reviews => self.joined(&facts.reviews),
            review_count => facts.reviews.len(),
            question => mistake.map(|mistake| &mistake.question),
            question_subject => mistake.and_then(|mistake| mistake.subject.as_ref()),
            answer => mistake.and_then(|mistake| mistake.correct_answer.as_ref()),
            quiz => quiz.map(|quiz| &quiz.title),
            quiz_subject => quiz.and_then(|quiz| quiz.subject.as_ref()),
            interest => facts.interests.first(),
            topic => self.topic(facts),
        }
    }

    /// What the episode is about, in a few words.
    pub(super) fn topic(&self, facts: &Speakable) -> String {
        match facts.topic() {
            Topic::Weakest(topic) | Topic::Quiz(topic) | Topic::Interest(topic) => topic.to_owned(),
            Topic::General => self.topic_general.clone(),
        }
    }

    /// The variants of a section, at least one.
    pub(super) fn variants(&self, section: Section) -> &[Prompt] {
        self.say.get(&section).map(Vec::as_slice).unwrap_or_default()
    }

    /// The variants of the title for what the episode is about.
    pub(super) fn titles(&self, facts: &Speakable) -> &[Prompt] {
        self.titles.get(title_key(&facts.topic())).map(Vec::as_slice).unwrap_or_default()
    }

    /// `a, b and c`, or one sentence after the other when there is a question among them.
    fn joined(&self, items: &[String]) -> String {
        const ENDS: [char; 7] = ['.', '?', '!', '…', '。', '？', '！'];
        let Some((last, before)) = items.split_last() else { return String::new() };
        if before.is_empty() {
            return last.clone();
        }
        if items.iter().any(|item| item.ends_with(ENDS)) {
            let space = if self.stop.is_ascii() { " " } else { "" };
            let closed = items.iter().map(|item| item.trim_end_matches(['.', '。']));
            let closed =
                closed.map(|item| if item.ends_with(ENDS) { item.to_owned() } else { format!("{item}{}", self.stop) });
            return closed.collect::<Vec<_>>().join(space);
        }
        format!("{}{}{last}", before.join(&self.comma), self.and)
    }
}

const fn title_key(topic: &Topic<'_>) -> &'static str {
    match topic {
        Topic::Weakest(_) => "weakest",
        Topic::Quiz(_) => "quiz",
        Topic::Interest(_) => "interest",
        Topic::General => "general",
    }
}
