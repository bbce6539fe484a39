//! What was spent, summed up by plan, provider or day: the same sums for the command line and the
//! page of costs.
//!
//! What would surprise: money counts for the date of its podcast, not for the moment of the call;
//! and a provider's cost is shared by all podcasts, so that the shares of all providers add up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{Datelike as _, Days, Months, NaiveDate};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Desk, filter};
use crate::store::{
    self, board,
    costs::{self, Ledger, Spent},
};

/// What sums are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The learners' subscription.
    Plan,
    /// Who was called, and with which model.
    Provider,
    /// The date of the podcasts.
    Day,
}

impl By {
    /// What the parts of a group's name are called.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Plan => &["plan"],
            Self::Provider => &["provider", "model"],
            Self::Day => &["date"],
        }
    }
}

/// A sum of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Calls, failed ones among them.
    pub calls: i64,
    /// Calls that failed.
    pub failed: i64,
    /// Tokens that were read.
    pub input_tokens: i64,
    /// Tokens that were written.
    pub output_tokens: i64,
    /// Characters that were spoken.
    pub characters: i64,
    /// Requests that are billed by number.
    pub requests: i64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: i64,
    /// Of the group's own podcasts; for a provider, of all.
    pub podcasts: i64,
    /// A podcast's part of the cost.
    pub per_podcast_micro_usd: i64,
}

impl Sum {
    fn add(&mut self, spent: &Spent) {
        self.calls += spent.calls;
        self.failed += spent.failed;
        self.input_tokens += spent.input_tokens;
        self.output_tokens += spent.output_tokens;
        self.characters += spent.characters;
        self.requests += spent.requests;
        self.cost_micro_usd += spent.cost_micro_usd;
    }

    fn shared_by(mut self, podcasts: i64) -> Self {
        self.podcasts = podcasts;
        self.per_podcast_micro_usd = share(self.cost_micro_usd, podcasts);
        self
    }
}

/// One part of an amount that many share, to the nearest millionth of a dollar.
pub fn share(micro_usd: i64, parts: i64) -> i64 {
    if parts <= 0 { 0 } else { micro_usd.saturating_add(parts / 2) / parts }
}

/// The sum of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, in as many parts as [`By::keys`].
    pub name: Vec<String>,
    /// Its sum.
    pub sum: Sum,
}

impl Group {
    /// The sum, and the name in fields of its own.
    pub fn to_json(&self, by: By) -> Value {
        let mut row = json!(self.sum);
        by.keys().iter().zip(&self.name).for_each(|(key, name)| row[*key] = json!(name));
        row
    }
}

/// The sums of the groups in order of their names, and of all of it.
pub fn grouped(ledger: &Ledger, by: By) -> (Vec<Group>, Sum) {
    let name = |date: NaiveDate, plan: &str| match by {
        By::Day => vec![date.to_string()],
        By::Plan | By::Provider => vec![plan.to_owned()],
    };
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    for spent in &ledger.spent {
        let name = match by {
            By::Provider => vec![spent.provider.clone(), spent.model.clone()],
            By::Plan | By::Day => name(spent.date, &spent.plan),
        };
        sums.entry(name).or_default().add(spent);
        total.add(spent);
    }
    let mut podcasts: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for made in &ledger.made {
        *podcasts.entry(name(made.date, &made.plan)).or_default() += made.podcasts;
    }
    let all: i64 = podcasts.values().sum();
    let own = |name: &Vec<String>| if by == By::Provider { all } else { podcasts.get(name).copied().unwrap_or(0) };
    let groups = sums.into_iter().map(|(name, sum)| {
        let podcasts = own(&name);
        Group { name, sum: sum.shared_by(podcasts) }
    });
    (groups.collect(), total.shared_by(all))
}

/// From which day on a month is whole, if it is not: rows of days before may be gone, at the latest
/// with the next round of the keeper.
pub fn complete_from(first: NaiveDate, today: NaiveDate, retention_days: u32) -> Option<NaiveDate> {
    let kept_from = today.checked_sub_days(Days::new(retention_days.into()))?;
    (first < kept_from).then_some(kept_from)
}

/// A month of the ledger, put together from what is kept of nights that are over and from counts of
/// the other dates.
#[derive(Debug, Clone, Default)]
pub struct Month {
    /// What is known of it.
    pub ledger: Ledger,
    /// Dates that are still being counted and are not in it.
    pub pending: Vec<NaiveDate>,
}

/// Reads the month that begins on `first`; waits at most for `patience` until dates are counted.
///
/// # Errors
/// When the database cannot tell.
pub async fn month(desk: &Desk, first: NaiveDate, patience: Duration) -> Result<Month, store::Error> {
    let ends = Instant::now() + patience;
    let pool = desk.store.desk();
    let end = first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    let nights = board::nights_before(pool, end, 31).await?;
    let mut kept: BTreeMap<NaiveDate, Ledger> = BTreeMap::new();
    for night in nights.into_iter().filter(|night| night.date >= first) {
        if let Some(summary) = night.summary {
            kept.insert(night.date, summary.ledger);
        }
    }
    let mut dates: BTreeSet<NaiveDate> = board::dates(pool, first, end).await?.into_iter().collect();
    dates.extend(kept.keys());
    let mut month = Month::default();
    for date in dates {
        match kept.remove(&date) {
            Some(ledger) => month.add(&ledger),
            None => {
                let store = desk.store.clone();
                let count = async move || costs::date(store.desk(), date).await;
                let left = ends.saturating_duration_since(Instant::now());
                match desk.ledgers.look(date, left, count).await.value {
                    Some(ledger) => month.add(&ledger),
                    None => month.pending.push(date),
                }
            }
        }
    }
    Ok(month)
}

impl Month {
    fn add(&mut self, ledger: &Ledger) {
        self.ledger.spent.extend(ledger.spent.iter().cloned());
        self.ledger.made.extend(ledger.made.iter().cloned());
    }
}

/// The first day of a month that is written as `2026-11`.
pub fn read_month(text: &str) -> Option<NaiveDate> {
    (text.len() == 7).then(|| filter::date(&format!("{text}-01"))).flatten()
}

/// The first day of a date's month.
pub fn first_of_month(date: NaiveDate) -> NaiveDate {
    date.with_day(1).unwrap_or(date)
}
