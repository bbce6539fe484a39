//! `prices.toml`: what providers charge. Prices are decimal strings and become whole millionths of
//! a dollar for a million units, so no floating point ever touches money.

use std::collections::{BTreeMap, BTreeSet};

use super::plans::{SPEAKERS, TEMPLATE, WRITERS};
use super::read::Table;

/// What is billed.
pub const UNITS: [&str; 5] = ["input_token", "output_token", "character", "request", "megabyte_month"];

/// The provider that keeps episodes; it is paid by the request and by what it keeps.
pub const KEEPER: &str = "s3";

const MILLION: i128 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Prices {
    /// Providers that nobody bills.
    pub(super) free: BTreeSet<String>,
    /// Millionths of a dollar for a million units, by provider, unit and model.
    by_unit: BTreeMap<(String, String), BTreeMap<String, i64>>,
}

pub(super) fn read(mut root: Table<'_>) -> Prices {
    let providers: Vec<_> =
        WRITERS.into_iter().filter(|writer| *writer != TEMPLATE).chain(SPEAKERS).chain([KEEPER]).collect();
    let mut prices = Prices::default();
    for mut table in root.listed_tables("price") {
        let provider = table.one_of("provider", &providers).value;
        let model = table.text("model").value;
        let unit = table.one_of("unit", &UNITS).value;
        let amount = table.text("usd_per_million");
        table.date("as_of");
        table.text("source");
        let micro = micro_usd(&amount.value);
        if micro.is_none() && !amount.value.is_empty() {
            let message =
                format!("{:?} is no price; write dollars such as \"0.15\", with at most six places", amount.value);
            table.fault(amount.line, message);
        }
        let models = prices.by_unit.entry((provider, unit)).or_default();
        if models.insert(model.clone(), micro.unwrap_or_default()).is_some() {
            table.fault(table.line(), format!("this price of {model:?} is there twice"));
        }
        table.finish();
    }
    root.finish();
    prices
}

/// `"0.15"` as 150,000 millionths.
fn micro_usd(text: &str) -> Option<i64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || places.len() > 6 || !digits(whole) || !digits(places) || text.ends_with('.') {
        return None;
    }
    let micro: i64 = format!("{places:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micro)
}

impl Prices {
    pub(super) fn has(&self, provider: &str, model: &str, unit: &str) -> bool {
        let models = self.by_unit.get(&(provider.to_owned(), unit.to_owned()));
        models.is_some_and(|models| models.contains_key(model))
    }

    /// The price of `amount` units, rounded to the nearest millionth of a dollar.
    pub(super) fn cost(&self, provider: &str, model: &str, unit: &str, amount: u64) -> i64 {
        if self.free.contains(provider) {
            return 0;
        }
        let Some(models) = self.by_unit.get(&(provider.to_owned(), unit.to_owned())) else { return 0 };
        let dated = models.iter().filter(|(id, _)| model.starts_with(id.as_str())).max_by_key(|(id, _)| id.len());
        let price = dated.map(|(_, price)| price).or_else(|| models.values().max()).copied().unwrap_or_default();
        let cost = (i128::from(amount) * i128::from(price) + MILLION / 2) / MILLION;
        i64::try_from(cost).unwrap_or(i64::MAX)
    }
}
