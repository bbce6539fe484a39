//! The plans of the hot statements, as a worker's connections make them, for any parameters.

use std::fs;

use sqlx::{AssertSqlSafe, Row as _};

use crate::support::engine::TestNight;

/// The text of a statement of the store, by the name in its first line.
fn statement(name: &str) -> (String, usize) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx");
    for entry in fs::read_dir(dir).unwrap() {
        let stored: serde_json::Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let text = stored["query"].as_str().unwrap();
        if text.contains(&format!("/* {name} */")) {
            let parameters = stored["describe"]["parameters"]["Left"].as_array().unwrap().len();
            return (text.to_owned(), parameters);
        }
    }
    panic!("no stored query is named {name}");
}

async fn plan(pool: &sqlx::PgPool, name: &str) -> String {
    let (text, parameters) = statement(name);
    let mut connection = pool.acquire().await.unwrap();
    let nulls = vec!["null"; parameters].join(", ");
    for sql in ["set plan_cache_mode = force_generic_plan", &format!("prepare {name} as {text}")] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
    }
    let call = if parameters == 0 { name.to_owned() } else { format!("{name} ({nulls})") };
    let rows =
        sqlx::raw_sql(AssertSqlSafe(format!("explain execute {call}"))).fetch_all(&mut *connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_many_workers_ask_for_is_found_by_index_in_the_common_pool() {
    let night = TestNight::new().await;
    night
        .execute(
            "insert into dailycast.provider_state (provider) select 'p' || n from generate_series(1, 5000) n;
             analyze dailycast.provider_state",
        )
        .await;
    for name in ["reserve_slots", "lock_provider", "mend_unfinished"] {
        // The sweep meets tables of any size; what is tested is that it can go by index.
        let pool = if name == "mend_unfinished" { night.store.hot() } else { night.pool() };
        let plan = plan(pool, name).await;
        for table in ["daily_podcast", "jobs", "provider_state"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn the_claim_and_the_writer_find_rows_by_index_whatever_the_tables_hold() {
    let night = TestNight::new().await;
    for name in ["claim_podcasts", "write_moves", "let_go"] {
        let plan = plan(night.store.hot(), name).await;
        for table in ["daily_podcast", "jobs", "podcast_event"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
        // By its type a job is found in all of the queue, and the unfinished are all of the night.
        for all in ["Hash Join", "Merge Join", "Bitmap", "idx_jobs_idempotency_key", "daily_podcast_unfinished"] {
            assert!(!plan.contains(all), "{name}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn what_the_rules_of_alerts_ask_is_found_by_index() {
    let night = TestNight::new().await;
    for name in ["watched_failures", "watched_finished", "watched_late", "watched_stuck", "watched_spools"] {
        let plan = plan(night.store.hot(), name).await;
        for table in ["daily_podcast", "podcast_event", "jobs"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
    }
}

/// What goes with time, and who left, are looked for in tables that are full, beside a night. The
/// plans are those of the common pool, for tables as they are after a night.
#[tokio::test]
async fn the_past_and_who_left_are_found_by_index_in_the_common_pool() {
    let night = TestNight::new().await.with_learners(5_000).await;
    night
        .execute(
            "with made as (
                 insert into dailycast.daily_podcast (user_id, date, deadline_at)
                 select user_id, now()::date - 40 + day, now() from academy.learner cross join generate_series(1, 8) day
                 returning id
             ), lines as (
                 insert into dailycast.podcast_event (podcast_id, event, to_status)
                 select id, 'enqueued', 'pending' from made cross join generate_series(1, 5)
             ), calls as (
                 insert into dailycast.provider_call
                     (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
                 select id, 'test', 'test', 'script', '{}', 1, 1, 'ok' from made cross join generate_series(1, 3)
             )
             select dailycast.arm_jobs(array_agg(id), array_agg(now()), 0) from made;
             update dailycast.daily_podcast set status = 'failed', error_kind = 'internal', finished_at = now();
             analyze dailycast.daily_podcast; analyze dailycast.podcast_event; analyze dailycast.provider_call;
             analyze apalis.jobs; analyze academy.learner",
        )
        .await;
    let statements = ["prune_podcasts", "prune_nights", "erase_podcasts", "erase_jobs", "look_for_missing"];
    for (name, pool) in
        statements.map(|name| (name, night.pool())).into_iter().chain([("prune_jobs", night.store.hot())])
    {
        let plan = plan(pool, name).await;
        for table in ["daily_podcast", "podcast_event", "provider_call", "jobs", "learner"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
    }
}
