//! What the tests of the steps begin with.

use chrono::NaiveDate;
use dailycast::{
    machine::{Lease, Status},
    podcast::{Artefacts, Podcast},
    workflow::Workflow,
};

/// The workflow that the program brings along.
pub fn workflow() -> Workflow {
    Workflow::builtin().unwrap_or_else(|error| panic!("{error}"))
}

/// The date of every sample.
pub fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

/// Podcast 7 of learner 42, leased, six hours before its deadline and with nothing made yet.
pub fn podcast(status: Status) -> Podcast {
    Podcast {
        lease: Lease { podcast_id: 7, token: 1 },
        id: 7,
        user_id: 42,
        date: date(),
        status,
        attempt: 0,
        moves: 0,
        deadline_at: "2026-11-22T09:00:00Z".parse().unwrap(),
        now: "2026-11-22T03:00:00Z".parse().unwrap(),
        plan: "free".to_owned(),
        made: Artefacts::default(),
    }
}

/// Texts that own themselves.
pub fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
