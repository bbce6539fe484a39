//! Where podcasts stand, in words: facts of the store, of the workflow and of the fleet, put
//! together for [`explain`].

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;

use crate::{
    explain::{Explanation, Facts, Pace, Provider, explain, most_frequent},
    machine::{FailureKind, Status},
    store::{self, situation, stuck},
    worker::fleet,
    workflow::Workflow,
};

use super::Desk;

/// Stuck podcasts that are looked at to find the most frequent cause.
const SAMPLE: i64 = 100;

/// Explains these podcasts. Who is not there is left out.
///
/// # Errors
/// When the database does not answer.
pub async fn of(desk: &Desk, ids: &[i64]) -> Result<BTreeMap<i64, Explanation>, store::Error> {
    let mut explained = BTreeMap::new();
    for ids in ids.chunks(situation::MOST) {
        let Some(situations) = situation::facts(desk.store.desk(), ids).await? else { continue };
        let waits_for_provider = |facts: &Facts| facts.error_kind == Some(FailureKind::BreakerOpen);
        let providers = match situations.facts.values().any(waits_for_provider) {
            true => providers(desk).await?,
            false => Arc::default(),
        };
        for (id, mut facts) in situations.facts {
            facts.pace = desk.paces.get(&facts.status).copied();
            facts.providers = Arc::clone(&providers);
            facts.budget_micro_usd = desk.settings.budget_micro_usd;
            explained.insert(id, explain(&facts, situations.now));
        }
    }
    Ok(explained)
}

/// Explains one podcast; `None` when it is not there.
///
/// # Errors
/// When the database does not answer.
pub async fn of_one(desk: &Desk, id: i64) -> Result<Option<Explanation>, store::Error> {
    Ok(of(desk, &[id]).await?.remove(&id))
}

async fn providers(desk: &Desk) -> Result<Arc<[Provider]>, store::Error> {
    let known = fleet::list(&desk.store, &desk.limits).await?;
    let describe = |provider: fleet::Provider| Provider {
        is_open: matches!(provider.state, "open" | "half_open"),
        name: provider.provider,
        until: provider.until,
        cause: provider.cause,
        failures_in_a_row: provider.failures_in_a_row,
    };
    Ok(known.into_iter().map(describe).collect())
}

/// The explanation that most of the stuck podcasts of a date share, in a sample of them.
///
/// # Errors
/// When the database does not answer.
pub async fn most_stuck(desk: &Desk, date: NaiveDate) -> Result<Option<Explanation>, store::Error> {
    let ids = stuck::find(&desk.store, Some(date), i64::MAX, SAMPLE).await?;
    Ok(most_frequent(of(desk, &ids).await?.into_values()))
}

/// How long the work of each status takes, by what the workflow says.
pub fn paces(workflow: &Workflow) -> BTreeMap<Status, Pace> {
    let pace = |status: Status| {
        let step = workflow.step(status)?;
        let (usual, limit, max_attempts) = (step.usual_time, step.time_limit, step.retry.max_attempts);
        Some((status, Pace { usual, limit, max_attempts }))
    };
    Status::ALL.into_iter().filter_map(pace).collect()
}
