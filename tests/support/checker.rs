//! What must hold when a night is over, whatever happened during it.

use std::collections::BTreeMap;

use dailycast::machine::{Status, replay};
use sqlx::PgPool;

/// Everything that is wrong, one sentence each; empty when all is well.
pub async fn violations(pool: &PgPool) -> Vec<String> {
    let mut found = Vec::new();
    for (what, query) in QUERIES {
        let ids: Vec<String> = sqlx::query_scalar(*query).fetch_all(pool).await.unwrap();
        if !ids.is_empty() {
            found.push(format!("{what}: {} in all, {:?}", ids.len(), &ids[..ids.len().min(10)]));
        }
    }
    found.extend(histories_that_do_not_replay(pool).await);
    found
}

/// Panics with all that is wrong.
pub async fn assert_all_is_well(pool: &PgPool) {
    let found = violations(pool).await;
    assert!(found.is_empty(), "after the night:\n  {}", found.join("\n  "));
}

/// Each finds what must not be, as texts that name it.
const QUERIES: &[(&str, &str)] = &[
    (
        "not in a final status",
        "select id || ' ' || status from dailycast.daily_podcast where finished_at is null order by id",
    ),
    (
        "two active podcasts of a learner and date",
        "select user_id || ' ' || date from dailycast.daily_podcast where is_active group by user_id, date having count(*) > 1",
    ),
    ("still leased", "select id::text from dailycast.daily_podcast where lease_token is not null"),
    (
        "a job left behind",
        "select id || ' ' || status from apalis.jobs where job_type = 'dailycast.podcast' and status <> 'Killed'",
    ),
    (
        "scripted, spoken or uploaded twice",
        "select podcast_id || ' ' || event from dailycast.podcast_event
         where event in ('script_ready', 'uploaded') group by podcast_id, event
         having count(*) > 1 + (select count(*) from dailycast.podcast_event r
                                where r.podcast_id = podcast_event.podcast_id and r.event = 'requeued')",
    ),
    (
        "cost of the row is not the sum of its calls",
        "select p.id::text from dailycast.daily_podcast p
         where cost_micro_usd <> (select coalesce(sum(cost_micro_usd), 0) from dailycast.provider_call c where c.podcast_id = p.id)",
    ),
    (
        "events or calls without a podcast",
        "select podcast_id::text from (select podcast_id from dailycast.podcast_event union select podcast_id from dailycast.provider_call) x
         where not exists (select from dailycast.daily_podcast p where p.id = x.podcast_id)",
    ),
];

async fn histories_that_do_not_replay(pool: &PgPool) -> Vec<String> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select id, status from dailycast.daily_podcast order by id").fetch_all(pool).await.unwrap();
    let lines: Vec<(i64, Option<String>, String, String)> = sqlx::query_as(
        "select podcast_id, from_status, event, to_status from dailycast.podcast_event order by podcast_id, id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut histories: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for (id, from, event, to) in &lines {
        let from: Option<Status> = from.as_ref().map(|from| from.parse().unwrap());
        histories.entry(*id).or_default().push((from, event.as_str(), to.parse::<Status>().unwrap()));
    }
    rows.into_iter()
        .filter_map(|(id, status)| {
            let history = histories.remove(&id).unwrap_or_default();
            let ends = replay(history.iter().copied());
            (ends.map(Status::as_str) != Some(&status))
                .then(|| format!("podcast {id} is {status}, its events replay to {ends:?}: {history:?}"))
        })
        .collect()
}
