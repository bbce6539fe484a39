//! Operations whose process is killed in the middle, and the command line that begins them.

use serde_json::Value;

use crate::support::{ground::Ground, until};

const LEARNERS: i64 = 1_200;

/// A night of which nothing is due before tomorrow, so that workers have nothing to do.
async fn waiting() -> Ground {
    let ground = Ground::new(LEARNERS as u32).await;
    ground.start_night().await;
    ground.execute("update dailycast.daily_podcast set next_attempt_at = now() + interval '1 day'").await;
    ground.execute("update apalis.jobs set run_at = now() + interval '1 day'").await;
    ground
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_whose_process_is_killed_is_finished_by_the_workers() {
    let ground = waiting().await;
    // The second of three pages cannot be written.
    let mut holding = ground.pool().begin().await.unwrap();
    let row = "select id from dailycast.daily_podcast
               where id = (select id from dailycast.daily_podcast order by id desc offset 600 limit 1) for update";
    let _: i64 = sqlx::query_scalar(row).fetch_one(&mut *holding).await.unwrap();
    let operator = ground.process("operator", &["podcast", "cancel", "--status", "pending", "--yes"], &[]);
    let blocked = "select exists (select from pg_stat_activity where datname = current_database()
                   and wait_event_type = 'Lock' and query like '%/* write_operator_moves */%')";
    until("the second page waits", async || sqlx::query_scalar(blocked).fetch_one(ground.pool()).await.unwrap()).await;
    operator.kill().await;
    holding.rollback().await.unwrap();
    assert_eq!(ground.count("operation", "state = 'running' and done = 500").await, 1);

    let worker = ground.worker("heir");
    until("the operation is over", async || ground.count("operation", "state = 'finished'").await == 1).await;
    ground.stop(worker).await;
    assert_eq!(ground.count("operation", &format!("done = {LEARNERS} and skipped = 0")).await, 1);
    assert_eq!(ground.count("podcast_event", "event = 'cancelled'").await, LEARNERS);
    assert_eq!(ground.count("daily_podcast", "status = 'failed' and error_kind = 'cancelled'").await, LEARNERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_it_will_do_does_it_and_counts_it() {
    let ground = waiting().await;
    let run = async |line: &str| {
        let output = ground.run(&line.split(' ').collect::<Vec<_>>()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    let (code, preview) = run("podcast cancel --plan free --dry-run --json").await;
    let preview: Value = serde_json::from_str(&preview).unwrap();
    assert_eq!((code, ground.count("operation", "true").await), (0, 0), "nothing is done");
    let (code, words) = run("podcast cancel --plan free --dry-run").await;
    assert_eq!(code, 0);
    assert!(words.lines().all(|line| line.chars().count() <= 80), "{words}");
    let (code, done) = run("podcast cancel --plan free --reason trial --yes --json").await;
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((code, &done["cancelled"], &done["skipped"]), (0, &preview["touches"], &preview["skips"]));
    assert!(done["cancelled"].as_i64().unwrap() > 0);
    assert_eq!(ground.count("operation", "reason = 'trial' and actor like '%@%'").await, 1);

    let (code, again) = run("podcast requeue --failed --cause cancelled").await;
    assert_eq!((code, again), (0, format!("{} requeued, 0 left as they are\n", done["cancelled"])));
    let first: i64 =
        sqlx::query_scalar("select min(id) from dailycast.daily_podcast").fetch_one(ground.pool()).await.unwrap();
    let (code, none) = run(&format!("podcast regenerate {first} 999999999 --yes --json")).await;
    let none: Value = serde_json::from_str(&none).unwrap();
    assert_eq!((code, &none["regenerated"], &none["skipped"], &none["unknown"]), (1, &0.into(), &1.into(), &1.into()));
}
