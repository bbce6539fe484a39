//! What the nights have cost, as far as this process knows: what the fleet has told, and what its
//! own calls have cost since.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::NaiveDate;
use tokio::time::Instant;

/// A night that was not asked for so long is no longer looked after.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// May a paid call begin?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    Reached,
}

/// What is to be told about a night.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsaid {
    pub(super) night: NaiveDate,
    /// In micro-dollars.
    pub(super) spent: i64,
    /// Calls refused since the last time.
    pub(super) refused: i64,
    /// This process has not met it yet.
    pub(super) is_first: bool,
}

#[derive(Debug)]
struct Night {
    /// What the fleet knew, `None` before it was asked.
    told: Option<i64>,
    /// What its podcasts have cost is in what the fleet knows.
    is_met: bool,
    /// What calls of this process cost that the fleet does not know of yet.
    own: i64,
    refused: i64,
    used: Instant,
}

/// The costs of the nights that are being worked on.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<i64>,
    nights: Mutex<BTreeMap<NaiveDate, Night>>,
}

impl Budget {
    pub(super) fn new(limit: Option<i64>) -> Self {
        Self { limit, nights: Mutex::default() }
    }

    pub(super) fn limit(&self) -> Option<i64> {
        self.limit
    }

    fn nights(&self) -> MutexGuard<'_, BTreeMap<NaiveDate, Night>> {
        self.nights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a paid call of this night may begin; `None` while its cost is not known.
    pub(super) fn verdict(&self, night: NaiveDate) -> Option<Verdict> {
        let Some(limit) = self.limit else { return Some(Verdict::Within) };
        let mut nights = self.nights();
        let night = entry(&mut nights, night);
        let spent = night.told?.saturating_add(night.own);
        if spent < limit {
            return Some(Verdict::Within);
        }
        night.refused += 1;
        Some(Verdict::Reached)
    }

    /// A call of this night has cost so much.
    pub(super) fn spend(&self, night: NaiveDate, micro_usd: i64) {
        if self.limit.is_some() && micro_usd > 0 {
            let mut nights = self.nights();
            let night = entry(&mut nights, night);
            night.own = night.own.saturating_add(micro_usd);
        }
    }

    /// What the fleet should be told. Stays until it is [`Budget::said`].
    pub(super) fn unsaid(&self) -> Vec<Unsaid> {
        let mut nights = self.nights();
        nights.retain(|_, night| night.own > 0 || night.refused > 0 || night.used.elapsed() < FORGOTTEN);
        let unsaid = |(date, night): (&NaiveDate, &Night)| Unsaid {
            night: *date,
            spent: night.own,
            refused: night.refused,
            is_first: !night.is_met,
        };
        nights.iter().map(unsaid).collect()
    }

    /// The fleet knows that now. Until it tells the sum, what was said is in what was told.
    pub(super) fn said(&self, said: &Unsaid) {
        if let Some(night) = self.nights().get_mut(&said.night) {
            night.own -= said.spent;
            night.told = night.told.map(|told| told.saturating_add(said.spent));
        }
    }

    /// An operator was told of so many refusals.
    pub(super) fn alerted(&self, said: &Unsaid) {
        if let Some(night) = self.nights().get_mut(&said.night) {
            night.refused -= said.refused;
        }
    }

    /// The fleet now knows what the podcasts of a night have cost. True when all of it is less than
    /// the limit.
    pub(super) fn met(&self, date: NaiveDate, spent: i64) -> bool {
        if let Some(night) = self.nights().get_mut(&date) {
            (night.told, night.is_met) = (night.told.max(Some(spent)), true);
        }
        self.limit.is_none_or(|limit| spent < limit)
    }

    /// The fleet tells what a night has cost.
    pub(super) fn learn(&self, date: NaiveDate, spent: i64) {
        if let Some(night) = self.nights().get_mut(&date) {
            night.told = Some(spent);
        }
    }
}

fn entry(nights: &mut BTreeMap<NaiveDate, Night>, date: NaiveDate) -> &mut Night {
    let used = Instant::now();
    let night = nights.entry(date).or_insert(Night { told: None, is_met: false, own: 0, refused: 0, used });
    night.used = used;
    night
}
