//! `cost`: what was spent, from the ledger; `cost estimate`: what a month will cost, from the price
//! list.
//!
//! What would surprise: money counts for the date of its podcast, not for the moment of the call;
//! and a month of which days were pruned says so, since its sum is too small.

use chrono::NaiveDate;
use serde_json::json;

use super::{
    args::{self, By, CostEstimate},
    context::Context,
    exit::{Advice, Exit},
    neighbours,
    output::{self, Side, Table, dollars},
};
use crate::{
    clock::{Clock, SystemClock},
    ops::costs::{Sum, complete_from, first_of_month, grouped, share},
    store::{costs, night},
    workflow::{Assumptions, Item},
};

/// Seconds of an episode as the estimate takes them: four minutes.
const SECONDS: u64 = 240;

/// Bytes of audio in a second: 48 kbit/s, what the vendors' MP3 mostly has.
const BYTES_A_SECOND: u64 = 6_000;

/// The cells of a row.
fn cells(sum: &Sum, name: &str) -> Vec<String> {
    let counts = [sum.calls, sum.failed, sum.input_tokens, sum.output_tokens, sum.characters];
    let counts = counts.map(output::short);
    let money = [dollars(sum.cost_micro_usd), dollars(sum.per_podcast_micro_usd)];
    [name.to_owned()].into_iter().chain(counts).chain(money).collect()
}

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Cost, context: Context) -> anyhow::Result<Exit> {
    match (args.command, args.by) {
        (Some(_), Some(_)) => Err(Advice::usage("an estimate is not summed up by anything", "leave out --by").into()),
        (Some(args::CostCommand::Estimate(estimate)), None) => show_estimate(estimate, args.month, &context),
        (None, by) => show_spent(args.month, by.unwrap_or(By::Provider), &context).await,
    }
}

async fn show_spent(month: Option<NaiveDate>, by: By, context: &Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let now = night::now(store.pool()).await?;
    let today = neighbours::schedule(&context.config).date(now);
    let first = month.unwrap_or_else(|| first_of_month(today));
    let found = costs::month(store.pool(), first).await?;
    let (groups, total) = grouped(&found, by.into());
    let complete_from = complete_from(first, now.date_naive(), context.config.storage.retention_days);
    if context.json {
        let rows: Vec<_> = groups.iter().map(|group| group.to_json(by.into())).collect();
        let month = first.format("%Y-%m").to_string();
        let by = by.name();
        output::json(
            &json!({ "month": month, "by": by, "rows": rows, "total": total, "complete_from": complete_from }),
        )?;
        return Ok(Exit::Done);
    }
    output::line(format!("{}: {} podcasts", first.format("%B %Y"), output::count(total.podcasts)))?;
    let mut table = Table::new([
        (by.name(), Side::Left),
        ("calls", Side::Right),
        ("failed", Side::Right),
        ("tokens", Side::Right),
        ("out", Side::Right),
        ("spoken", Side::Right),
        ("cost", Side::Right),
        ("each", Side::Right),
    ]);
    groups.iter().for_each(|group| table.row(cells(&group.sum, &group.name.join(" "))));
    table.row(cells(&total, "total"));
    output::line(table.to_string().trim_end())?;
    output::line("tokens: in; out: tokens that came out; spoken: characters; each: for a podcast")?;
    if let Some(from) = complete_from {
        let days = context.config.storage.retention_days;
        output::line(format!("days before {from} may be gone: rows are kept {days} days (storage.retention_days)"))?;
    }
    Ok(Exit::Done)
}

fn show_estimate(args: CostEstimate, month: Option<NaiveDate>, context: &Context) -> anyhow::Result<Exit> {
    let workflow = context.workflow()?;
    let mix = if args.plan_mix.is_empty() { vec![(workflow.default_plan().to_owned(), 1)] } else { args.plan_mix };
    if let Some((unknown, _)) = mix.iter().find(|(plan, _)| !workflow.plan_names().any(|known| known == plan)) {
        let known = workflow.plan_names().collect::<Vec<_>>().join(", ");
        return Err(Advice::usage(format!("there is no plan {unknown:?}"), format!("the plans are {known}")).into());
    }
    let Some(learners) = split(args.learners.into(), &mix) else {
        return Err(Advice::usage("the plans have no share", "write at least one share above 0").into());
    };
    let date = month.unwrap_or_else(|| first_of_month(neighbours::schedule(&context.config).date(SystemClock.now())));
    let assumed = Assumptions {
        nights: args.nights.into(),
        prompt_tokens: args.prompt_tokens.into(),
        answer_tokens: args.answer_tokens.into(),
        characters: args.characters.into(),
        bytes: SECONDS * BYTES_A_SECOND,
        kept_days: context.config.storage.retention_days.into(),
    };
    let mut items = workflow.estimate(&learners, date, &assumed);
    // Another store than Amazon's has its own price, which nobody told us.
    let is_amazons = context.config.storage.s3.endpoint_url.is_none();
    if is_amazons {
        items.extend(workflow.estimate_keeping(args.learners.into(), &assumed));
    }
    let estimate = Estimate { items, learners, date, assumed };
    if context.json {
        output::json(&estimate.to_json())?;
    } else {
        estimate.print(is_amazons)?;
    }
    Ok(Exit::Done)
}

/// Learners by plan in these shares; who is left over by rounding goes to the largest rests. `None`
/// when there is no share.
fn split(learners: u64, mix: &[(String, u32)]) -> Option<Vec<(String, u64)>> {
    let all: u64 = mix.iter().map(|(_, share)| u64::from(*share)).sum();
    let whole = |share: u32| (learners * u64::from(share)).checked_div(all);
    let mut parts: Vec<(String, u64)> =
        mix.iter().map(|(plan, share)| Some((plan.clone(), whole(*share)?))).collect::<Option<_>>()?;
    let mut order: Vec<usize> = (0..mix.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(learners * u64::from(mix[at].1) % all));
    let left = learners - parts.iter().map(|(_, part)| part).sum::<u64>();
    for at in order.into_iter().cycle().take(usize::try_from(left).unwrap_or_default()) {
        parts[at].1 += 1;
    }
    Some(parts)
}

/// A month that has not been.
struct Estimate {
    items: Vec<Item>,
    learners: Vec<(String, u64)>,
    date: NaiveDate,
    assumed: Assumptions,
}

impl Estimate {
    fn learners(&self) -> i64 {
        i64::try_from(self.learners.iter().map(|(_, count)| count).sum::<u64>()).unwrap_or(i64::MAX)
    }

    fn podcasts(&self) -> i64 {
        self.learners().saturating_mul(i64::try_from(self.assumed.nights).unwrap_or(i64::MAX))
    }

    fn total(&self) -> i64 {
        self.items.iter().fold(0, |total, item| item.cost_micro_usd.saturating_add(total))
    }

    fn to_json(&self) -> serde_json::Value {
        let plans: Vec<_> =
            self.learners.iter().map(|(plan, count)| json!({ "plan": plan, "learners": count })).collect();
        json!({
            "month": self.date.format("%Y-%m").to_string(),
            "plans": plans,
            "rows": self.items,
            "total": {
                "podcasts": self.podcasts(),
                "cost_micro_usd": self.total(),
                "per_podcast_micro_usd": share(self.total(), self.podcasts()),
                "per_learner_micro_usd": share(self.total(), self.learners()),
            },
            "assumptions": self.assumed,
        })
    }

    fn print(&self, with_storage: bool) -> anyhow::Result<()> {
        let mut table = Table::new([
            ("plan", Side::Left),
            ("for", Side::Left),
            ("paid to", Side::Left),
            ("podcasts", Side::Right),
            ("cost", Side::Right),
        ]);
        let count = |number: u64| output::count(i64::try_from(number).unwrap_or(i64::MAX));
        for item in &self.items {
            let plan = item.plan.clone().unwrap_or_else(|| "all".to_owned());
            let payee = format!("{} {}", item.provider, item.model);
            table.row([plan, item.what.to_owned(), payee, count(item.podcasts), dollars(item.cost_micro_usd)]);
        }
        table.row(["total", "", "", &output::count(self.podcasts()), &dollars(self.total())]);
        output::line(table.to_string().trim_end())?;
        output::line(format!(
            "{} for a podcast, {} for a learner",
            dollars(share(self.total(), self.podcasts())),
            dollars(share(self.total(), self.learners()))
        ))?;
        let assumed = &self.assumed;
        output::line(format!(
            "\nassumed: {} nights; {} tokens in and {} out for a script; {} characters spoken;",
            assumed.nights,
            count(assumed.prompt_tokens),
            count(assumed.answer_tokens),
            count(assumed.characters)
        ))?;
        let kept = if with_storage {
            format!("{} bytes of audio, kept {} days at Amazon", count(assumed.bytes), assumed.kept_days)
        } else {
            "no price of the store, which is not Amazon's".to_owned()
        };
        output::line(format!("{kept}; models of {}; every first provider answers", self.date.format("%Y-%m")))?;
        output::line("not counted: failed calls, downloads, what vendors give for free")?;
        Ok(())
    }
}
