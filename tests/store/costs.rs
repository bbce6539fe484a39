//! The ledger summed up by month.

use chrono::NaiveDate;
use dailycast::store::{self, costs};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::database::TestDatabase;

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

/// Podcasts of three dates and two plans, two of them at the ends of November, with their calls.
pub async fn november(pool: &PgPool) {
    execute(
        pool,
        "insert into dailycast.daily_podcast (user_id, date, plan, deadline_at) values
             (1, '2026-10-31', 'free', now()), (1, '2026-11-01', 'free', now()), (2, '2026-11-01', 'premium', now()),
             (1, '2026-11-30', 'free', now()), (3, '2026-11-30', 'free', now()), (1, '2026-12-01', 'free', now());
         insert into dailycast.provider_call
             (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
         select p.id, c.* from dailycast.daily_podcast p cross join (values
             ('openai', 'gpt-4o-mini', 'script', '{\"input_tokens\": 1200, \"output_tokens\": 1000}'::jsonb, 780, 9, 'ok'),
             ('openai', 'gpt-4o-mini', 'script', '{}', 0, 9, 'timeout'),
             ('polly', 'standard', 'speech', '{\"characters\": 2000}', 8000, 9, 'ok'),
             ('polly', 'standard', 'speech', '{\"characters\": 1999}', 7996, 9, 'ok'),
             ('s3', 'put_object', 'upload', '{\"requests\": 1, \"bytes\": 1440000}', 5, 9, 'ok')) c
         where p.user_id <> 3",
    )
    .await;
}

#[tokio::test]
async fn a_month_is_summed_up_by_date_plan_provider_and_model() {
    let database = TestDatabase::migrated_by("store", store::migrate).await;
    november(&database.pool).await;
    let first: NaiveDate = "2026-11-01".parse().unwrap();
    let month = costs::month(&database.pool, first).await.unwrap();
    let groups: Vec<_> = month
        .spent
        .iter()
        .map(|spent| format!("{} {} {} {}", spent.date, spent.plan, spent.provider, spent.model))
        .collect();
    let three = ["openai gpt-4o-mini", "polly standard", "s3 put_object"];
    let expected: Vec<String> = ["2026-11-01 free", "2026-11-01 premium", "2026-11-30 free"]
        .iter()
        .flat_map(|start| three.map(|end| format!("{start} {end}")))
        .collect();
    assert_eq!(groups, expected);
    let script = &month.spent[0];
    assert_eq!((script.calls, script.failed, script.cost_micro_usd), (2, 1, 780));
    assert_eq!((script.input_tokens, script.output_tokens, script.characters), (1200, 1000, 0));
    let speech = &month.spent[1];
    assert_eq!((speech.calls, speech.failed, speech.characters, speech.cost_micro_usd), (2, 0, 3999, 15_996));
    assert_eq!(month.spent[2].requests, 1);
    let made: Vec<_> = month.made.iter().map(|made| (made.plan.as_str(), made.podcasts)).collect();
    assert_eq!(made, [("free", 1), ("premium", 1), ("free", 2)], "a podcast without calls counts, too");
}

#[tokio::test]
async fn a_month_without_podcasts_is_empty() {
    let database = TestDatabase::migrated_by("store", store::migrate).await;
    for first in ["2026-11-01".parse().unwrap(), NaiveDate::MAX] {
        assert_eq!(costs::month(&database.pool, first).await.unwrap(), costs::Ledger::default());
    }
}
