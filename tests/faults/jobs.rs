//! The table of jobs is emptied, doubled and written over by hand in mid-night. Jobs are nudges:
//! the sweep makes good what is gone, and nothing is done twice.

use std::time::Duration;

use crate::support::{ground::Ground, until_within};

const LEARNERS: i64 = 90;

/// How soon the sweep must have mended what befell the jobs.
const MENDED: Duration = Duration::from_secs(60);

/// What befalls all jobs that there are.
const MISFORTUNES: [(&str, &str); 6] = [
    ("emptied", "delete from apalis.jobs"),
    (
        "put off",
        "update apalis.jobs set priority = null,
             run_at = case when hashtext(id) % 2 = 0 then 'infinity' else now() + interval '1 year' end",
    ),
    (
        "given other statuses",
        "update apalis.jobs set lock_at = now(), lock_by = null,
             status = (array['Failed', 'Done', 'Killed', 'Queued', 'Running', ''])[1 + abs(hashtext(id)) % 6]",
    ),
    (
        "doubled",
        "insert into apalis.jobs (id, job_type, job, idempotency_key, priority)
         select 'double of ' || id, job_type, job, '00' || idempotency_key, 9 from apalis.jobs",
    ),
    ("led astray", "update apalis.jobs set idempotency_key = 'astray ' || id, job = 'no job'"),
    (
        "given other names",
        "update apalis.jobs set id = 'a name ' || id, run_at = now() + interval '1 day' where status = 'Pending'",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_the_jobs_is_mended_within_a_minute() {
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    ground.set("worker.concurrency", "2");
    ground.set("worker.lease", "30s");
    ground.start_night().await;
    ground
        .execute(
            "insert into apalis.jobs (id, job_type, job) values ('1', 'newsletter', '{}');
             insert into apalis.jobs (id, job_type, job, idempotency_key) values ('2', 'newsletter', '{}', '1')",
        )
        .await;
    let (one, two) = (ground.worker("one"), ground.worker("two"));
    for (what, misfortune) in MISFORTUNES {
        ground.until_busy(&one).await;
        ground.until_busy(&two).await;
        let sql = format!("{misfortune} {} job_type = 'dailycast.podcast'", joined(misfortune));
        assert!(ground.execute(&sql).await > 0, "no jobs to be {what}");
        let finished = ground.count("daily_podcast", "finished_at is not null").await;
        // More than was in hand.
        until_within(MENDED, &format!("jobs that were {what} are mended"), async || {
            ground.count("daily_podcast", "finished_at is not null").await >= finished + 8
        })
        .await;
    }
    ground.until_busy(&one).await;
    ground.execute("delete from apalis.jobs where job_type = 'dailycast.podcast'").await;
    one.kill().await;
    ground.until_finished().await;
    ground.stop(two).await;
    let foreign =
        "select count(*) from apalis.jobs where job_type = 'newsletter' and status = 'Pending' and attempts = 0";
    assert_eq!(sqlx::query_scalar::<_, i64>(foreign).fetch_one(ground.pool()).await.unwrap(), 2);
    ground.tidy().await;
    ground.assert_all_is_well(LEARNERS).await;
    // Only what the killed one had in hand may be in no ledger.
    let (planned, told) = ground.chunks().await;
    assert!((planned - 2 * 4..=planned).contains(&told), "{planned} chunks planned, {told} told");
    ground.assert_none_is_to_blame().await;
}

/// What leads to the condition that says whose jobs are meant.
fn joined(misfortune: &str) -> &'static str {
    if misfortune.contains(" where ") { "and" } else { "where" }
}
