//! The plans of the hot statements, as a worker's connections make them, for any parameters.

use std::fs;

use dailycast::{
    store::{
        claim::{self, Marks, Wanted},
        night::{self, NewNight},
    },
    worker::scheduler::enqueue,
};
use sqlx::{AssertSqlSafe, Row as _};

use super::{claim::register, nights::schedule};
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
    for name in ["claim_podcasts", "look_for_due", "write_moves", "let_go"] {
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

/// A queue that was emptied by the last night still has its pages, and the statistics say that there
/// is nothing in them. Then every way to read it looks as good as any other.
#[tokio::test]
async fn the_queue_is_not_read_as_a_whole_when_statistics_say_it_is_empty() {
    let night = TestNight::new().await.enqueued(2_000).await;
    let emptied = "update pg_class set reltuples = 0, relpages = 1000 where oid = 'apalis.jobs'::regclass";
    assert_eq!(night.execute(emptied).await, 1);
    for name in ["claim_podcasts", "look_for_due", "write_moves", "let_go", "mend_unfinished"] {
        let plan = plan(night.store.hot(), name).await;
        let lines: Vec<&str> = plan.lines().collect();
        let whole = lines.windows(2).filter(|pair| pair[0].contains("jobs") && pair[0].contains("Scan"));
        let whole: Vec<_> = whole.filter(|pair| !pair[1].contains("Index Cond")).collect();
        assert!(whole.is_empty(), "{name} reads all of the queue: {whole:?}\n{plan}");
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

#[tokio::test]
async fn what_operators_list_is_found_by_index_whatever_they_ask_for() {
    let night = TestNight::new().await.enqueued(2_000).await;
    night.execute("analyze dailycast.daily_podcast").await;
    for name in ["find_podcasts", "podcast_lines", "podcast_rows", "podcast_versions", "failures_by_cause"] {
        let plan = plan(night.store.desk(), name).await;
        for table in ["daily_podcast", "podcast_event"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
    }
}

/// A page asks for two hundred podcasts among very many.
#[tokio::test]
async fn the_facts_of_some_podcasts_are_found_by_index_among_many() {
    let night = TestNight::new().await.enqueued(3_000).await;
    night
        .execute(
            "insert into dailycast.podcast_event (podcast_id, event, to_status)
             select id, 'attempt_failed', 'pending' from dailycast.daily_podcast, generate_series(1, 5);
             insert into dailycast.provider_call
                 (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
             select id, 'test', 'test', 'script', '{}', 1, 1, 'timeout' from dailycast.daily_podcast, generate_series(1, 3);
             analyze dailycast.daily_podcast; analyze dailycast.podcast_event; analyze dailycast.provider_call;
             analyze apalis.jobs",
        )
        .await;
    let plan = plan(night.store.desk(), "situations").await;
    for table in ["daily_podcast", "podcast_event", "provider_call", "jobs"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "reads all of {table}:\n{plan}");
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
             insert into dailycast.feed (user_id, seed, key_hash)
             select user_id, sha256(user_id::text::bytea), sha256(user_id::text::bytea) from academy.learner;
             insert into dailycast.generation (user_id) select user_id from academy.learner;
             insert into dailycast.session (key_hash, user_id, expires_at)
             select sha256(user_id::text::bytea), user_id, now() + interval '30 days' from academy.learner;
             analyze dailycast.feed; analyze dailycast.generation; analyze dailycast.session;
             analyze dailycast.daily_podcast; analyze dailycast.podcast_event; analyze dailycast.provider_call;
             analyze apalis.jobs; analyze academy.learner",
        )
        .await;
    let statements =
        ["prune_podcasts", "prune_nights", "lock_erased", "erase_podcasts", "erase_jobs", "look_for_missing"];
    for (name, pool) in
        statements.map(|name| (name, night.pool())).into_iter().chain([("prune_jobs", night.store.hot())])
    {
        let plan = plan(pool, name).await;
        let tables = ["daily_podcast", "podcast_event", "provider_call", "jobs", "learner"];
        for table in tables.into_iter().chain(["feed", "generation", "session"]) {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
    }
}

/// Those of learners last for a month, so there are very many.
#[tokio::test]
async fn sessions_are_found_by_index_also_to_end_the_oldest() {
    let night = TestNight::new().await;
    night
        .execute(
            "insert into dailycast.session (key_hash, user_id, expires_at)
             select sha256(n::text::bytea), n / 2, now() + make_interval(hours => n % 720 + 1)
             from generate_series(1, 20000) n;
             analyze dailycast.session",
        )
        .await;
    let statements = ["begin_session", "session_learner", "prolong_session", "end_login", "prune_desk"];
    for name in statements.into_iter().chain(["erase_listening"]) {
        let plan = plan(night.pool(), name).await;
        assert!(!plan.contains("Seq Scan on session"), "{name} reads all sessions:\n{plan}");
    }
}

/// Apps ask for feeds day and night, whatever the tables hold.
#[tokio::test]
async fn a_feed_is_found_by_index_and_so_is_what_is_in_it() {
    let night = TestNight::new().await.enqueued(3_000).await;
    night
        .execute(
            "insert into dailycast.feed (user_id, seed, key_hash)
             select n, sha256(n::text::bytea), sha256(n::text::bytea) from generate_series(1, 20000) n;
             insert into dailycast.revoked_link (key_hash)
             select sha256(n::text::bytea) from generate_series(20001, 40000) n;
             analyze dailycast.feed; analyze dailycast.revoked_link; analyze dailycast.daily_podcast",
        )
        .await;
    for name in ["feed_link", "make_feed", "replace_feed", "end_feed", "find_feed", "feed_items"] {
        let plan = plan(night.pool(), name).await;
        for table in ["daily_podcast", "feed", "revoked_link"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{name} reads all of {table}:\n{plan}");
        }
        if name == "feed_items" {
            assert!(plan.contains("daily_podcast_one_per_day") && !plan.contains("Sort"), "{plan}");
        }
    }
}

/// Blocks that a claim behind the marks reads to find due jobs. The claim is taken back.
async fn blocks(night: &TestNight, worker: i32, marks: &Marks) -> i64 {
    let (text, _) = statement("claim_podcasts");
    let mut connection = night.store.hot().acquire().await.unwrap();
    let marks: Vec<String> = marks
        .behind(Wanted::Healthy)
        .iter()
        .map(|mark| mark.map_or("null".to_owned(), |mark| format!("'{}'", mark.to_rfc3339())))
        .collect();
    let execute = format!(
        "explain (analyze, buffers, format json)
         execute counted ('dailycast.podcast', {CLAIM}, {worker}, 'dailycast-{worker}', '{{10,5,0}}', array[{}]::timestamptz[])",
        marks.join(", ")
    );
    for sql in
        ["deallocate all", "set plan_cache_mode = force_generic_plan", &format!("prepare counted as {text}"), "begin"]
    {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
    }
    let row = sqlx::raw_sql(AssertSqlSafe(execute)).fetch_one(&mut *connection).await.unwrap();
    let plan: serde_json::Value = row.get(0);
    sqlx::raw_sql("rollback").execute(&mut *connection).await.unwrap();
    // Its prepared statements are gone.
    drop(connection.detach());
    blocks_of(&plan[0]["Plan"], "idx_apalis_jobs_fetch_partial").expect("the claim reads the index of jobs")
}

fn blocks_of(node: &serde_json::Value, index: &str) -> Option<i64> {
    if node["Index Name"] == index {
        return Some(node["Shared Hit Blocks"].as_i64()? + node["Shared Read Blocks"].as_i64()?);
    }
    node["Plans"].as_array()?.iter().find_map(|plan| blocks_of(plan, index))
}

const CLAIM: usize = 100;

/// Claims and finishes so many hundreds.
async fn finish(night: &TestNight, worker: i32, hundreds: usize, marks: &mut Marks) {
    for _ in 0..hundreds {
        let claimed = claim::claim_behind(&night.store, worker, CLAIM, Wanted::Healthy, marks).await.unwrap();
        assert_eq!(claimed.len(), CLAIM);
        night.execute("delete from apalis.jobs where status = 'Running'").await;
    }
}

#[tokio::test]
async fn a_claim_does_not_read_what_a_long_reader_keeps_from_being_removed() {
    let night = TestNight::new().await.with_learners(6_000).await;
    let tonight = NewNight {
        date: night.deadline_at.date_naive(),
        scheduled_for: night.deadline_at,
        deadline_at: night.deadline_at,
        started_by: "test".to_owned(),
    };
    night::start(night.pool(), &tonight).await.unwrap();
    let open = night::open(night.pool()).await.unwrap().remove(0);
    enqueue(night.pool(), open, &schedule(100), |_| {}).await.unwrap();
    // A queue that has been waiting for an hour, with nothing to remove in it.
    night.execute("update apalis.jobs set run_at = run_at - interval '1 hour'").await;
    night.execute("vacuum analyze apalis.jobs").await;
    let worker = register(&night).await;

    let mut reader = night.pool().begin().await.unwrap();
    sqlx::raw_sql("set transaction isolation level repeatable read; select count(*) from dailycast.night")
        .execute(&mut *reader)
        .await
        .unwrap();
    let mut marks = Marks::default();
    finish(&night, worker, 2, &mut marks).await;
    let (early, early_from_the_front) =
        (blocks(&night, worker, &marks).await, blocks(&night, worker, &Marks::default()).await);
    finish(&night, worker, 50, &mut marks).await;
    let (late, late_from_the_front) =
        (blocks(&night, worker, &marks).await, blocks(&night, worker, &Marks::default()).await);
    assert!(late <= early + 20, "{early} blocks first, {late} later");
    // Without a mark it is as bad as we fear, or this shows nothing.
    assert!(
        late_from_the_front > early_from_the_front + 80,
        "{early_from_the_front} blocks from the front first, {late_from_the_front} later"
    );
    reader.rollback().await.unwrap();
}
