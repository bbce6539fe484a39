//! `learner` and its flags: what is kept of a learner, erased; a way in without a token.

use clap::{Args, Subcommand};

/// `learner …`
#[derive(Debug, Subcommand)]
pub enum Learner {
    /// Erase everything that is kept of learners; who is gone from the academy is erased by itself
    Erase(LearnerErase),
    /// Who is on the way out, and how many went on which day
    Erasures,
    /// A link to the study page that lets a learner in once, within half an hour
    Link(LearnerLink),
}

/// Flags of `learner link`.
#[derive(Debug, Args)]
pub struct LearnerLink {
    /// The learner
    #[arg(value_name = "USER_ID")]
    pub id: i64,
}

/// Flags of `learner erase`: learners by number, or all who are missing.
#[derive(Debug, Args)]
#[group(id = "who", required = true)]
pub struct LearnerErase {
    /// These learners
    #[arg(value_name = "USER_ID", group = "who")]
    pub ids: Vec<i64>,
    /// All who are missing in the academy now: it is no mistake, they left
    #[arg(long, group = "who", conflicts_with = "ids")]
    pub missing: bool,
    /// Really: what is erased does not come back
    #[arg(long, required = true)]
    pub yes: bool,
}
