//! Clocks ten minutes apart: nights, leases and due times follow the database's alone.

use std::{fs, path::PathBuf};

use sqlx::AssertSqlSafe;

use crate::support::{ground::Ground, process::Process, until};

const LEARNERS: i64 = 30;

/// What makes a process believe in another time; Debian's package `libfaketime`.
fn library() -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").ok()?.flatten();
    dirs.map(|dir| dir.path().join("faketime/libfaketime.so.1")).find(|library| library.is_file())
}

/// A worker whose clock is wrong by so much, like `+10m`.
fn worker(ground: &Ground, name: &str, wrong_by: &str, library: &str) -> Process {
    let variables = [("LD_PRELOAD", library), ("FAKETIME", wrong_by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    ground.process(name, &["work"], &variables)
}

async fn ask(ground: &Ground, question: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(ground.pool()).await.unwrap()
}

/// Plans nights that start so many minutes from now by the database's clock, and end in hours.
async fn plan(ground: &mut Ground, minutes: i32) {
    let start = format!("(now() at time zone 'UTC' + interval '{minutes} minutes')");
    ground.set("night.cron", &ask(ground, &format!("select to_char({start}, 'FMMI FMHH24 * * *')")).await);
    ground
        .set("night.deadline", &ask(ground, &format!("select to_char({start} + interval '6 hours', 'HH24:MI')")).await);
}

/// How often the nights were looked at.
async fn looks(ground: &Ground) -> i64 {
    let calls = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements s join pg_database d on d.oid = s.dbid
                 where d.datname = current_database() and query like '/* open_nights */%'";
    sqlx::query_scalar(calls).fetch_one(ground.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_with_clocks_apart_start_one_night_at_its_time() {
    let Some(library) = library() else {
        eprintln!("not tested: libfaketime is not installed");
        return;
    };
    let library = library.to_str().unwrap();
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    ground.set("worker.concurrency", "4");
    ground.set("worker.lease", "30s");
    ground.execute("create extension if not exists pg_stat_statements").await;

    // In five minutes, which the fast one believes to be over.
    plan(&mut ground, 5).await;
    let fast = worker(&ground, "fast", "+10m", library);
    until("it has looked", async || looks(&ground).await > 0).await;
    assert_eq!(ground.count("night", "true").await, 0, "it is not time yet");
    ground.stop(fast).await;

    // Five minutes ago, which the slow one does not believe yet; and then twice by hand.
    plan(&mut ground, -5).await;
    let slow = worker(&ground, "slow", "-10m", library);
    slow.until_it_says("this worker leads", 1).await;
    let fast = worker(&ground, "fast", "+10m", library);
    until("the missed start is made up", async || ground.count("night", "started_by = 'schedule'").await == 1).await;
    let date = ask(&ground, "select date::text from dailycast.night").await;
    let by_hand = ["night", "start", "--date", &date];
    let (one, other) = tokio::join!(ground.run(&by_hand), ground.run(&by_hand));
    assert!(one.status.success() && other.status.success(), "{one:?}, {other:?}");
    until("the night is finished", async || ground.count("night", "state = 'finished'").await == 1).await;
    ground.stop(fast).await;
    ground.stop(slow).await;
    assert_eq!(ground.count("night", "true").await, 1);
    ground.assert_none_is_to_blame().await;
    assert_eq!(ground.count("podcast_event", "event = 'rescued'").await, 0);
    let died = "stop_reason <> 'stopped in order'";
    assert_eq!(ground.count("worker", died).await, 0, "a lease was taken from one who lives");
    ground.assert_all_is_well(LEARNERS).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned);
}
