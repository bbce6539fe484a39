//! Known defects of apalis 1.0 and its stock Postgres backend, each shown not to reach us. They
//! all come from the backend's loop, which is ours, or from trusting the job, which we do not.
//!
//! Shown elsewhere: a job that brings its process down is given up after a few times
//! (`store::workers`), a fetch never reads the whole table (`store::plans`), and what a paused
//! worker writes late changes nothing (`store::moves`, `faults::stops`). What we do not call cannot
//! reach us: apalis's own `push_job`, `get_jobs`, bulk push, result store, retry and timeout
//! layers, task tracking, shared listener and monitor.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dailycast::{
    machine::{FailureKind, Status},
    podcast::{Failure, Outcome},
};

use crate::support::engine::{Scripted, TestNight};

/// Stock: in-flight jobs of a worker that returns under its old name stay `Running` for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_returns_under_its_name_finds_its_jobs() {
    let night = TestNight::new().await.enqueued(5).await;
    let endless = Arc::new(Scripted::well().waiting(|_| std::future::pending()));
    let first = night.worker(&endless);
    night.until("all are in flight", async || endless.in_flight.load(Ordering::SeqCst) == 5).await;
    // Everything of it ends without a word, as by kill -9; its session goes with it. Its name and
    // its process live on in the second worker, so only the lock tells that it is dead.
    first.running.abort();
    let _ = first.running.await;
    let work = Arc::new(Scripted::well());
    let second = night.worker(&work);
    night.done().await;
    second.stop().await;
    night.assert_all_is_well().await;
}

/// Stock: jobs that wait for a slot stop the heartbeat, and healthy workers steal from each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_slot_and_slow_work_does_not_stop_the_heart() {
    let night = TestNight::new().await.enqueued(6).await;
    let work = Arc::new(Scripted::well().waiting(|podcast| {
        let slow = podcast.status == Status::Pending;
        async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(2_500)).await
            }
        }
    }));
    let one_slot = |name: &str| {
        night.worker_with(&work, |settings| {
            settings.concurrency = 1;
            settings.name = name.to_owned();
        })
    };
    // Each step outlives the lease of two seconds.
    let (a, b) = (one_slot("a"), one_slot("b"));
    night.until("each holds what it works on", async || night.count("lease_token is not null").await > 0).await;
    assert!(night.count("lease_token is not null").await <= 2);
    night.done().await;
    a.stop().await;
    b.stop().await;
    assert!(work.repeated().is_empty(), "{:?}", work.repeated());
    night.assert_all_is_well().await;
}

/// Stock: a panic or a timeout leaves the job `Running`, or takes the worker and its jobs along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_attempt_of_one_podcast() {
    let night = TestNight::new().await.enqueued(20).await;
    let work = Arc::new(Scripted::well().stepping(|podcast| {
        assert!(podcast.user_id != 7 || podcast.status != Status::ScriptGenerated, "a step that panics");
        None
    }));
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    assert_eq!(night.count("status = 'completed_with_fallback'").await, 19);
    assert_eq!(night.count("user_id = 7 and error_kind = 'internal' and attempt = 3").await, 1);
}

/// Stock: a retry comes at once, whatever delay was asked for, and `Retry-After` is ignored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_waits_in_the_database_as_long_as_it_was_told() {
    let night = TestNight::new().await.enqueued(1).await;
    let work = Arc::new(Scripted::well().stepping(|podcast| {
        (podcast.status == Status::Pending && podcast.attempt == 0).then(|| {
            let mut failure = Failure::new(FailureKind::RateLimited, "429");
            failure.retry_after = Some(Duration::from_secs(3600));
            Outcome::failed(failure)
        })
    }));
    let worker = night.worker(&work);
    night.until("it rests", async || night.count("attempt = 1 and lease_token is null").await == 1).await;
    assert_eq!(night.count("next_attempt_at > now() + interval '59 minutes'").await, 1);
    worker.stop().await;
    assert_eq!(work.total(), 1);
}

/// Stock: one payload that cannot be decoded, or one id that is no ULID, blocks the queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_queue_is_parked_and_the_rest_goes_on() {
    let night = TestNight::new().await.enqueued(5).await;
    night
        .execute(
            "insert into apalis.jobs (id, job_type, job, run_at, priority, idempotency_key) values
        ('3fa85f64-5717-4562-b3fc-2c963f66afa6', 'dailycast.podcast', '\\x00ff', now() - interval '1 day', 99, null),
        ('x', 'dailycast.podcast', '[]', now() - interval '1 day', 99, 'no number'),
        ('y', 'dailycast.podcast', '{}', now() - interval '1 day', 99, '99999999999999999999999')",
        )
        .await;
    night.execute("update apalis.jobs set job = 'not json' where idempotency_key = '1'").await;
    let worker = night.worker(&Arc::new(Scripted::well()));
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    let parked: i64 =
        sqlx::query_scalar("select count(*) from apalis.jobs where status = 'Killed' and last_result is not null")
            .fetch_one(night.pool())
            .await
            .unwrap();
    assert_eq!(parked, 3);
}

/// Stock: any error of the database ends the worker and cancels what is in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_end_neither_the_worker_nor_what_it_does() {
    let night = TestNight::new().await.enqueued(120).await;
    let work = Arc::new(Scripted::well().waiting(|_| tokio::time::sleep(Duration::from_millis(5))));
    let worker = night.worker(&work);
    let mut admin = admin(&night).await;
    let mut cuts = 0;
    while unfinished(&mut admin).await > 0 {
        cut_everybody(&mut admin).await;
        cuts += 1;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    assert!(cuts > 1);
    assert!(!worker.running.is_finished());
    worker.stop().await;
    night.until("nothing is held", async || night.count("lease_token is not null").await == 0).await;
    night.assert_all_is_well().await;
}

async fn unfinished(connection: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from dailycast.daily_podcast where finished_at is null")
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Stock: work that is due later is found by the next heartbeat, up to half a minute late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_due_is_found_by_polling_alone() {
    let night = TestNight::new().await.enqueued(3).await;
    night.execute("update dailycast.daily_podcast set next_attempt_at = now() + interval '300 milliseconds'").await;
    night.execute("update apalis.jobs set run_at = now() + interval '300 milliseconds'").await;
    let worker = night.worker_with(&Arc::new(Scripted::well()), |settings| settings.lease = Duration::from_secs(3600));
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
}

/// Stock: every wake-up of the worker's task is a fetch while the queue is empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_steps_cause_no_fetches() {
    let night = TestNight::new().await.enqueued(1).await;
    night.execute("create extension if not exists pg_stat_statements").await;
    let work = Arc::new(Scripted::well().waiting(|_| async {
        for _ in 0..500 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }));
    let worker = night.worker_with(&work, |settings| settings.poll = Duration::from_secs(3600));
    night.done().await;
    let fetches: i64 = sqlx::query_scalar(
        "select coalesce(sum(calls), 0)::bigint from pg_stat_statements s join pg_database d on d.oid = s.dbid
         where d.datname = current_database() and query like '%claim_podcasts%' and query not like '%pg_stat%'",
    )
    .fetch_one(night.pool())
    .await
    .unwrap();
    worker.stop().await;
    assert!(fetches < 20, "{fetches} fetches for one podcast");
}

/// Stock: a doubled key is an error that aborts the whole transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_and_lost_jobs_do_no_harm() {
    let night = TestNight::new().await.enqueued(60).await;
    let work = Arc::new(Scripted::well().waiting(|_| tokio::time::sleep(Duration::from_millis(3))));
    let worker = night.worker(&work);
    for round in 0..30 {
        // Arms every unfinished podcast again, held or not; every third time all jobs vanish.
        night.execute("select dailycast.arm_jobs(array_agg(id), array_agg(now()), 0) from dailycast.daily_podcast where finished_at is null").await;
        if round % 3 == 0 {
            night.execute("delete from apalis.jobs where status = 'Pending'").await;
        }
    }
    night.done().await;
    night
        .until("no job is left", async || {
            sqlx::query_scalar::<_, i64>("select count(*) from apalis.jobs").fetch_one(night.pool()).await.unwrap() == 0
        })
        .await;
    worker.stop().await;
    assert!(work.repeated().is_empty());
    night.assert_all_is_well().await;
}

/// Stock: after an outage every worker looks dead, and the first one back takes everybody's jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_nobody_who_lives_is_declared_dead() {
    let night = TestNight::new().await.enqueued(20).await;
    let (work, gate) = Scripted::gated();
    let work = Arc::new(work);
    let start = |name: &str| {
        night.worker_with(&work, |settings| {
            settings.name = name.to_owned();
            settings.concurrency = 10;
            settings.lease = Duration::from_secs(30);
        })
    };
    let (a, b) = (start("a"), start("b"));
    night.until("both are busy", async || work.in_flight.load(Ordering::SeqCst) == 20).await;
    // Every lock is free now, and every heartbeat grows old until each is back.
    cut_everybody(&mut admin(&night).await).await;
    night
        .until("both are heard again", async || {
            let heard: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks l join dailycast.worker w on l.objid = w.id::oid and l.locktype = 'advisory'
                 and l.database = (select oid from pg_database where datname = current_database())
                 where l.classid = 228662437 and w.heartbeat_at > now() - interval '1 second'",
            )
            .fetch_one(night.pool())
            .await
            .unwrap_or(0);
            heard == 2
        })
        .await;
    gate.add_permits(10_000);
    night.done().await;
    a.stop().await;
    b.stop().await;
    let rescued: i64 = sqlx::query_scalar("select count(*) from dailycast.podcast_event where event = 'rescued'")
        .fetch_one(night.pool())
        .await
        .unwrap();
    assert_eq!(rescued, 0);
    assert!(work.repeated().is_empty());
    night.assert_all_is_well().await;
}

async fn admin(night: &TestNight) -> sqlx::PgConnection {
    use sqlx::Connection as _;
    sqlx::PgConnection::connect(night.url()).await.unwrap()
}

async fn cut_everybody(admin: &mut sqlx::PgConnection) {
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        .execute(admin)
        .await
        .unwrap();
}
