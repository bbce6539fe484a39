//! What a month will cost: the prices, the plans' first providers, and stated assumptions. The
//! arithmetic is that of billing, podcast by podcast, so an estimate and a bill differ only by what
//! was assumed.

use chrono::NaiveDate;
use serde::Serialize;

use super::{SPEAKERS, TEMPLATE, Workflow, prices::KEEPER};

/// Only where there are no keys, and free of charge.
const OFFLINE: &str = "local";

/// What an episode is taken to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Assumptions {
    /// Podcasts of a learner in the month.
    pub nights: u64,
    /// Tokens of a prompt.
    pub prompt_tokens: u64,
    /// Tokens of a script.
    pub answer_tokens: u64,
    /// Characters that are spoken.
    pub characters: u64,
    /// Bytes of the audio.
    pub bytes: u64,
    /// Days for which the audio is kept.
    pub kept_days: u64,
}

/// One line of an estimate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The plan that needs it; `None` when all do.
    pub plan: Option<String>,
    /// `script`, `speech`, `upload` or `storage`.
    pub what: &'static str,
    /// Who is paid.
    pub provider: String,
    /// Model or engine.
    pub model: String,
    /// For how many podcasts.
    pub podcasts: u64,
    /// Millionths of a US dollar.
    pub cost_micro_usd: i64,
}

impl Workflow {
    /// The names of the plans.
    pub fn plan_names(&self) -> impl Iterator<Item = &str> {
        self.plans.by_name.keys().map(String::as_str)
    }

    /// The plan of those whose own is not listed.
    pub fn default_plan(&self) -> &str {
        &self.plans.default
    }

    /// What a month costs with so many learners of each plan, with the models of `date` and voices
    /// of the default language, when every first provider answers. Free units that vendors grant,
    /// failed calls and downloads are not counted.
    pub fn estimate(&self, learners: &[(String, u64)], date: NaiveDate, assumed: &Assumptions) -> Vec<Item> {
        let mut items = Vec::new();
        for (plan, count) in learners {
            let podcasts = count.saturating_mul(assumed.nights);
            let item = |what, (provider, model, each): (String, String, i64)| {
                let cost_micro_usd = times(each, podcasts);
                Item { plan: Some(plan.clone()), what, provider, model, podcasts, cost_micro_usd }
            };
            items.extend(self.script_cost(plan, date, assumed).map(|cost| item("script", cost)));
            items.extend(self.speech_cost(plan, assumed).map(|cost| item("speech", cost)));
        }
        items
    }

    /// What one put for each podcast and the keeping cost, at Amazon's price.
    pub fn estimate_keeping(&self, learners: u64, assumed: &Assumptions) -> [Item; 2] {
        let podcasts = learners.saturating_mul(assumed.nights);
        let each = self.cost_micro_usd(KEEPER, "put_object", "request", 1);
        let kept = u128::from(learners) * u128::from(assumed.kept_days) * u128::from(assumed.bytes) / 1_000_000;
        let megabytes = u64::try_from(kept).unwrap_or(u64::MAX);
        let storage = self.cost_micro_usd(KEEPER, "standard", "megabyte_month", megabytes);
        [("upload", "put_object", times(each, podcasts)), ("storage", "standard", storage)].map(
            |(what, model, cost_micro_usd)| Item {
                plan: None,
                what,
                provider: KEEPER.to_owned(),
                model: model.to_owned(),
                podcasts,
                cost_micro_usd,
            },
        )
    }

    /// First writer, its model and the price of one script; `None` where only the template writes.
    fn script_cost(&self, plan: &str, date: NaiveDate, assumed: &Assumptions) -> Option<(String, String, i64)> {
        let writer = self.script_chain(plan).iter().find(|writer| *writer != TEMPLATE)?;
        let model = self.model(writer, date)?.id;
        let cost = |unit, amount| self.cost_micro_usd(writer, &model, unit, amount);
        let each =
            cost("input_token", assumed.prompt_tokens).saturating_add(cost("output_token", assumed.answer_tokens));
        Some((writer.clone(), model, each))
    }

    /// First speaker, its engine and the price of one episode.
    fn speech_cost(&self, plan: &str, assumed: &Assumptions) -> Option<(String, String, i64)> {
        let paid: Vec<&str> = SPEAKERS.into_iter().filter(|speaker| *speaker != OFFLINE).collect();
        let (_, chain) = self.voices(plan, &[], None, &paid)?;
        let first = chain.into_iter().next()?;
        let each = self.cost_micro_usd(&first.provider, &first.engine, "character", assumed.characters);
        Some((first.provider, first.engine, each))
    }
}

fn times(each: i64, count: u64) -> i64 {
    each.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX))
}
