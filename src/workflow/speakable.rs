//! What may be said of a learner: clean, short, plain text. The script step makes it from the
//! academy's untrusted facts; prompts and template see nothing else.

use serde::{Deserialize, Serialize};

use crate::learner::{Mistake, Quiz, Week};

/// Clean facts. Every text is one line without markup and of bounded length; a missing one is
/// `None`, never empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Speakable {
    /// How the learner is addressed. Never given to a provider.
    pub name: Option<String>,
    /// The last seven days and the seven before; never more right than answered.
    pub week: Week,
    /// Overall score, 0 to 1000.
    pub score: Option<u32>,
    /// Place among all learners, from 1.
    pub rank: Option<u32>,
    /// Weakest subject by name.
    pub weakest: Option<String>,
    /// Strongest subject by name; never the weakest one.
    pub strongest: Option<String>,
    /// What is due for review, the most urgent first.
    pub reviews: Vec<String>,
    /// The newest wrong answer.
    pub mistake: Option<Mistake>,
    /// A quiz worth taking next.
    pub quiz: Option<Quiz>,
    /// What the learner likes.
    pub interests: Vec<String>,
}

/// How the share of right answers moved from the week before to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// By five points or more upwards.
    Up,
    /// By less than five points.
    Steady,
    /// By five points or more downwards.
    Down,
}

/// What an episode is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'s> {
    /// The weakest subject.
    Weakest(&'s str),
    /// A recommended quiz, by title.
    Quiz(&'s str),
    /// Something the learner likes.
    Interest(&'s str),
    /// Learning itself.
    General,
}

/// The academy's four levels, by score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Below 300.
    Beginner,
    /// Below 500.
    Intermediate,
    /// Below 700.
    Advanced,
    /// From 700.
    Expert,
}

impl Speakable {
    /// The trend; `None` unless both weeks have answers.
    pub fn trend(&self) -> Option<Trend> {
        let Week { answered, correct, answered_before, correct_before } = self.week;
        if answered == 0 || answered_before == 0 {
            return None;
        }
        let percent = |right: u32, all: u32| i64::from(right) * 100 / i64::from(all);
        Some(match percent(correct, answered) - percent(correct_before, answered_before) {
            5.. => Trend::Up,
            ..=-5 => Trend::Down,
            _ => Trend::Steady,
        })
    }

    /// The level that belongs to the score.
    pub fn level(&self) -> Option<Level> {
        Some(match self.score? {
            ..300 => Level::Beginner,
            300..500 => Level::Intermediate,
            500..700 => Level::Advanced,
            _ => Level::Expert,
        })
    }

    /// The weakest subject, else the recommended quiz, else an interest, else learning itself.
    pub fn topic(&self) -> Topic<'_> {
        if let Some(subject) = &self.weakest {
            Topic::Weakest(subject)
        } else if let Some(quiz) = &self.quiz {
            Topic::Quiz(&quiz.title)
        } else if let Some(interest) = self.interests.first() {
            Topic::Interest(interest)
        } else {
            Topic::General
        }
    }

    /// The facts as a provider may see them: JSON without the name.
    pub fn for_provider(&self) -> String {
        let facts = serde_json::json!({
            "this_week": {"answered": self.week.answered, "right": self.week.correct},
            "week_before": {"answered": self.week.answered_before, "right": self.week.correct_before},
            "trend": self.trend(),
            "level": self.level(),
            "score_of_1000": self.score,
            "rank": self.rank,
            "weakest_subject": self.weakest,
            "strongest_subject": self.strongest,
            "due_for_review": self.reviews,
            "last_mistake": self.mistake,
            "recommended_quiz": self.quiz,
            "interests": self.interests,
        });
        format!("{facts:#}")
    }
}
