//! The flags of `cost …`.

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

use crate::ops::costs;

/// Flags of `cost`.
#[derive(Debug, Args)]
pub struct Cost {
    /// Instead of what was spent.
    #[command(subcommand)]
    pub command: Option<CostCommand>,
    /// Podcasts of this month, or its models and prices [default: the current one]
    #[arg(long, global = true, value_name = "YYYY-MM", value_parser = month)]
    pub month: Option<NaiveDate>,
    /// What is summed up [default: provider]
    #[arg(long, value_enum)]
    pub by: Option<By>,
}

/// `cost …`
#[derive(Debug, Subcommand)]
pub enum CostCommand {
    /// What a month will cost, from the price list
    Estimate(CostEstimate),
}

/// What costs are summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The learners' subscription
    Plan,
    /// Who was called, and for which model
    Provider,
    /// The podcasts' date
    Day,
}

impl From<By> for costs::By {
    fn from(by: By) -> Self {
        match by {
            By::Plan => Self::Plan,
            By::Provider => Self::Provider,
            By::Day => Self::Day,
        }
    }
}

impl By {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Provider => "provider",
            Self::Day => "day",
        }
    }
}

/// Flags of `cost estimate`.
#[derive(Debug, Args)]
pub struct CostEstimate {
    /// How many learners
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    pub learners: u32,
    /// Shares of the plans, like free=70,premium=25,enterprise=5 [default: all have the default plan]
    #[arg(long, value_name = "PLAN=SHARE", value_delimiter = ',', value_parser = plan_share)]
    pub plan_mix: Vec<(String, u32)>,
    /// Podcasts of a learner in the month
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=31))]
    pub nights: u32,
    /// Tokens of a prompt
    #[arg(long, value_name = "N", default_value_t = 1_200, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub prompt_tokens: u32,
    /// Tokens of a script
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub answer_tokens: u32,
    /// Characters that are spoken
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub characters: u32,
}

/// The first day of a month written as `2026-11`.
fn month(text: &str) -> Result<NaiveDate, String> {
    costs::read_month(text).ok_or_else(|| "write year and month, like 2026-11".to_owned())
}

fn plan_share(text: &str) -> Result<(String, u32), String> {
    let pair =
        text.split_once('=').and_then(|(plan, share)| Some((plan.trim().to_owned(), share.trim().parse().ok()?)));
    pair.ok_or_else(|| "write a plan and its share as a whole number, like premium=25".to_owned())
}
