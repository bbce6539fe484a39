//! Section `night`.

use std::time::Duration;

use chrono::NaiveTime;

use super::{
    reader::{Reader, days, seconds},
    value,
};

/// When a night starts and whom it serves.
#[derive(Debug, Clone)]
pub struct Night {
    /// When it starts, in `time_zone`.
    pub cron: croner::Cron,
    /// Zone of `cron`, `deadline` and of an episode's date.
    pub time_zone: chrono_tz::Tz,
    /// Time of day after which unfinished work fails, in `time_zone`.
    pub deadline: NaiveTime,
    /// Learners enqueued per transaction.
    pub batch_size: u32,
    /// A learner seen within this time is served.
    pub active_within: Duration,
}

impl Night {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let cron = reader.parsed("cron", value::cron);
        let time_zone = reader.parsed("time_zone", value::zone);
        let deadline = reader.parsed("deadline", value::time_of_day);
        let batch_size = reader.count("batch_size", 1..=10_000);
        let active_within = reader.duration("active_within", seconds(60)..=days(3650));
        Some(Self {
            cron: cron?,
            time_zone: time_zone?,
            deadline: deadline?,
            batch_size: batch_size?,
            active_within: active_within?,
        })
    }
}
