//! What ended podcasts, by cause: counted in the background, however many look.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use super::{Desk, snapshot::Look};
use crate::{
    explain::advice,
    machine::FailureKind,
    store::{
        Error, Store,
        failures::{self, BARS, Bar, Counted, Range},
    },
};

/// The shortest pause between two counts: what is shown changes with each.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Which failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// Those of the last days.
    Days(u32),
    /// Those of podcasts of a date.
    Date(NaiveDate),
}

/// What failed, as of a moment.
#[derive(Debug, Clone, Serialize)]
pub struct Failures {
    /// When it was counted.
    pub as_of: DateTime<Utc>,
    /// The beginning of the bars.
    pub from: DateTime<Utc>,
    /// Their end.
    pub to: DateTime<Utc>,
    /// Podcasts that are failed still.
    pub podcasts: i64,
    /// There are more failures than were counted: these are the newest.
    pub is_cut: bool,
    /// By cause, provider and step, the most frequent first.
    pub results: Vec<Group>,
    /// By cause alone, the most frequent first.
    pub causes: Vec<Cause>,
}

/// All podcasts that failed for one cause.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// The failure kind.
    pub kind: String,
    /// The kind in words.
    pub words: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Podcasts.
    pub podcasts: i64,
}

/// Podcasts that failed alike.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The failure kind.
    pub kind: String,
    /// The provider that failed last, if one did.
    pub provider: Option<String>,
    /// The status whose work failed.
    pub step: String,
    /// Podcasts.
    pub podcasts: i64,
    /// The first failure.
    pub first_at: DateTime<Utc>,
    /// The last.
    pub last_at: DateTime<Utc>,
    /// The newest podcast of them.
    pub sample_id: i64,
    /// Its failure in words.
    pub message: Option<String>,
    /// Podcasts by time, from the first bar to the last.
    pub bars: Vec<i64>,
}

/// The failures since then, as they were counted last; waits for them at most for `patience` when they
/// were not counted lately.
pub async fn since(desk: &Desk, since: Since, now: DateTime<Utc>, patience: Duration) -> Look<Failures> {
    let store = desk.store.clone();
    desk.failures.look(since, patience, async move || count(&store, since, now).await).await
}

impl Failures {
    /// Those of one cause.
    pub fn of(&self, kind: &str) -> Self {
        let results: Vec<Group> = self.results.iter().filter(|group| group.kind == kind).cloned().collect();
        let causes = self.causes.iter().filter(|cause| cause.kind == kind).cloned().collect();
        Self { podcasts: results.iter().map(|group| group.podcasts).sum(), results, causes, ..self.clone() }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "the failures of {days} days"),
            Self::Date(date) => write!(f, "the failures of {date}"),
        }
    }
}

impl Since {
    fn range(self, now: DateTime<Utc>) -> Range {
        let day = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        match self {
            Self::Days(days) => {
                let from = now.checked_sub_days(Days::new(days.into())).unwrap_or(DateTime::UNIX_EPOCH);
                Range { from, to: now, date: None }
            }
            Self::Date(date) => {
                let next = date.succ_opt().unwrap_or(date);
                Range { from: day(date), to: day(next), date: Some(date) }
            }
        }
    }
}

async fn count(store: &Store, since: Since, now: DateTime<Utc>) -> Result<Failures, Error> {
    let range = since.range(now);
    let Counted { bars, is_cut } = failures::bars(store.desk(), range).await?;
    let podcasts = bars.iter().map(|bar| bar.podcasts).sum();
    let mut groups = grouped(bars);
    let samples: Vec<i64> = groups.iter().map(|group| group.sample_id).collect();
    let mut messages: BTreeMap<i64, String> = failures::messages(store.desk(), &samples).await?.into_iter().collect();
    for group in &mut groups {
        group.message = messages.remove(&group.sample_id);
    }
    Ok(Failures {
        as_of: now,
        from: range.from,
        to: range.to,
        podcasts,
        is_cut,
        causes: causes(&groups),
        results: groups,
    })
}

fn grouped(bars: Vec<Bar>) -> Vec<Group> {
    let mut groups: BTreeMap<(String, Option<String>, String), Group> = BTreeMap::new();
    for bar in bars {
        let key = (bar.kind.clone(), bar.provider.clone(), bar.step.clone());
        let group = groups.entry(key).or_insert_with(|| Group::of(&bar));
        group.podcasts += bar.podcasts;
        group.first_at = group.first_at.min(bar.first_at);
        group.last_at = group.last_at.max(bar.last_at);
        group.sample_id = group.sample_id.max(bar.sample_id);
        if let Some(count) = usize::try_from(bar.bar).ok().and_then(|nth| group.bars.get_mut(nth)) {
            *count += bar.podcasts;
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.podcasts));
    groups
}

fn causes(groups: &[Group]) -> Vec<Cause> {
    let mut podcasts: BTreeMap<&str, i64> = BTreeMap::new();
    for group in groups {
        *podcasts.entry(&group.kind).or_default() += group.podcasts;
    }
    let cause = |(name, podcasts): (&str, i64)| {
        let kind = FailureKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        let words = kind.map_or("a reason that this version does not know", FailureKind::words);
        let advice = kind.map_or("Look at one of them.", advice::advice);
        Cause { kind: name.to_owned(), words, advice, podcasts }
    };
    let mut causes: Vec<Cause> = podcasts.into_iter().map(cause).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.podcasts));
    causes
}

impl Group {
    fn of(bar: &Bar) -> Self {
        Self {
            kind: bar.kind.clone(),
            provider: bar.provider.clone(),
            step: bar.step.clone(),
            podcasts: 0,
            first_at: bar.first_at,
            last_at: bar.last_at,
            sample_id: bar.sample_id,
            message: None,
            bars: vec![0; usize::try_from(BARS).unwrap_or_default()],
        }
    }
}
