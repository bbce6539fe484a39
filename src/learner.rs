//! What the academy knows about a learner: the facts an episode is made of. Plain data, read by
//! the store in one consistent snapshot, used by the script step. All of it is untrusted: names
//! may be empty or hostile, texts may be HTML, anything may be missing.

use serde::{Deserialize, Serialize};

/// One learner, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The learner in the academy.
    pub user_id: i64,
    /// How the learner is called; may be empty.
    pub display_name: String,
    /// Languages the learner wants to hear, best first; BCP 47 primary tags.
    pub languages: Vec<String>,
    /// The subscription: `free`, `basic`, `premium`, `enterprise`.
    pub plan: String,
    /// Subjects and tags the learner is interested in.
    pub interests: Vec<String>,
    /// Standing among all learners; `None` before enough answers were given.
    pub ability: Option<Ability>,
    /// The last seven days and the seven before.
    pub week: Week,
    /// Items due for review, the most urgent first, at most five; plain text or HTML.
    pub due_reviews: Vec<String>,
    /// The newest wrong answer.
    pub last_mistake: Option<Mistake>,
    /// The quiz with the best match score.
    pub recommended_quiz: Option<Quiz>,
}

/// A learner's standing. Scores run from 0 to 1000.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ability {
    /// Overall score.
    pub score: f64,
    /// Place among all learners, from 1.
    pub rank: Option<i32>,
    /// Weakest subject by name, with its score.
    pub weakest: Option<(String, f64)>,
    /// Strongest subject by name, with its score; never the weakest one.
    pub strongest: Option<(String, f64)>,
}

/// Answers given in two windows of seven days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Week {
    /// Answers in the last seven days.
    pub answered: u32,
    /// Right ones among them.
    pub correct: u32,
    /// Answers in the seven days before.
    pub answered_before: u32,
    /// Right ones among them.
    pub correct_before: u32,
}

/// A question the learner got wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mistake {
    /// The question; plain text or HTML.
    pub question: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// The right answer, if it can be said in words.
    pub correct_answer: Option<String>,
}

/// A quiz worth taking next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quiz {
    /// Its title.
    pub title: String,
    /// Its subject, if it has one.
    pub subject: Option<String>,
    /// `easy`, `medium`, `hard` or `expert`.
    pub difficulty: Option<String>,
}
