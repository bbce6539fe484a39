//! Whole nights in one process: sharing, retrying, stopping, resuming.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dailycast::{
    machine::{Event, FailureKind, Status},
    podcast::{Failure, Outcome},
    store::{
        board, night, podcasts,
        workers::{self, Beat, Session, Silent},
    },
};

use crate::{
    store::{claim::register, nights::schedule},
    support::engine::{Scripted, TestNight},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_is_walked_from_end_to_end_without_a_repeated_step() {
    let night = TestNight::new().await.enqueued(200).await;
    let work = Arc::new(Scripted::well());
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    assert_eq!(work.total(), 800);
    assert!(work.repeated().is_empty());
    assert!(work.most_in_flight.load(Ordering::SeqCst) <= 16);
    night.assert_all_is_well().await;
    assert_eq!(night.count("cost_micro_usd = 4 and status = 'completed_with_fallback'").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_night_without_one_repeated_step() {
    let night = TestNight::new().await.enqueued(200).await;
    let work = Arc::new(Scripted::well());
    let (a, b) = (night.worker(&work), night.worker_with(&work, |settings| settings.name = "other".to_owned()));
    night.done().await;
    a.stop().await;
    b.stop().await;
    assert!(work.repeated().is_empty());
    night.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_failure_is_retried_and_a_lasting_one_given_up_in_words() {
    let night = TestNight::new().await.enqueued(3).await;
    let work =
        Arc::new(Scripted::well().stepping(|podcast| match (podcast.user_id, podcast.status, podcast.attempt) {
            (1, Status::Pending, 0) => {
                Some(Outcome::failed(Failure::new(FailureKind::Timeout, "no answer").at("openai")))
            }
            (2, Status::PendingUpload, _) => {
                Some(Outcome::failed(Failure::new(FailureKind::StorageUnavailable, "503 SlowDown")))
            }
            (3, Status::ScriptGenerated, _) => {
                Some(Outcome::failed(Failure::new(FailureKind::NoVoice, "no voice for ja")))
            }
            _ => None,
        }));
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    let rows = podcasts::list(&night.store, &podcasts::Filter::default(), 10).await.unwrap();
    let of = |user| rows.iter().find(|row| row.user_id == user).unwrap();
    assert_eq!(of(1).status, "completed_with_fallback");
    let events = podcasts::events(night.pool(), of(1).id).await.unwrap();
    assert_eq!(
        events.iter().map(|line| line.event.as_str()).collect::<Vec<_>>(),
        ["enqueued", "attempt_failed", "script_ready", "speech_started", "audio_ready", "uploaded"]
    );
    assert_eq!((events[1].provider.as_deref(), events[1].error_kind.as_deref()), (Some("openai"), Some("timeout")));
    assert_eq!(events[2].attempt, 2);
    assert_eq!(of(2).error_message.as_deref(), Some("503 SlowDown; all attempts were used"));
    assert_eq!((of(2).status.as_str(), of(2).attempt), ("failed", 3));
    assert_eq!(of(3).error_kind.as_deref(), Some("no_voice"));
    assert_eq!(work.executions.lock().unwrap()[&(of(3).id, Status::ScriptGenerated)], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_provider_is_tried_at_once_and_uses_no_attempt() {
    let night = TestNight::new().await.enqueued(1).await;
    let failed = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&failed);
    let work = Arc::new(Scripted::well().stepping(move |podcast| {
        (podcast.status == Status::AudioGenerating && !once.swap(true, Ordering::SeqCst)).then(|| {
            let mut failure = Failure::new(FailureKind::BadAnswer, "eight zero bytes").at("polly");
            failure.at_once = true;
            Outcome::failed(failure)
        })
    }));
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    let id = work.executions.lock().unwrap().keys().next().unwrap().0;
    let events = podcasts::events(night.pool(), id).await.unwrap();
    let ready = events.iter().find(|line| line.event == "audio_ready").unwrap();
    assert_eq!(ready.attempt, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_behind_its_deadline_is_given_up_with_its_reason() {
    let night = TestNight::new().await.enqueued(2).await;
    night
        .execute("update dailycast.daily_podcast set deadline_at = now() - interval '1 second' where user_id = 1")
        .await;
    let work = Arc::new(Scripted::well());
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    assert_eq!(night.count("user_id = 1 and status = 'failed' and error_kind = 'deadline_passed'").await, 1);
    assert_eq!(work.total(), 4, "no work was done for the late one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_steps_finish_and_hands_back_the_rest() {
    let night = TestNight::new().await.enqueued(40).await;
    let (work, gate) = Scripted::gated();
    let work = Arc::new(work);
    let worker = night.worker(&work);
    night.until("all slots are busy", async || work.in_flight.load(Ordering::SeqCst) == 16).await;
    worker.shutdown.ask();
    gate.add_permits(10_000);
    worker.running.await.unwrap().unwrap();
    assert_eq!(work.total(), 16, "what was begun was finished, and nothing new was begun");
    assert_eq!(night.count("status = 'script_generated' and lease_token is null").await, 16);
    assert_eq!(night.count("status = 'pending' and lease_token is null").await, 24);
    let pending: i64 = sqlx::query_scalar("select count(*) from apalis.jobs where status = 'Pending'")
        .fetch_one(night.pool())
        .await
        .unwrap();
    assert_eq!(pending, 40);

    let successor = night.worker(&work);
    night.done().await;
    successor.stop().await;
    assert!(work.repeated().is_empty());
    night.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_grace_is_over_what_is_in_hand_is_dropped_and_due_again() {
    let night = TestNight::new().await.enqueued(3).await;
    let stuck = Arc::new(AtomicBool::new(true));
    let hang = Arc::clone(&stuck);
    let work = Arc::new(Scripted::well().waiting(move |_| {
        let hang = hang.load(Ordering::SeqCst);
        async move {
            if hang {
                std::future::pending().await
            }
        }
    }));
    let worker = night.worker(&work);
    night.until("all are in flight", async || work.in_flight.load(Ordering::SeqCst) == 3).await;
    worker.shutdown.end_grace();
    worker.running.await.unwrap().unwrap();
    assert_eq!(night.count("status = 'pending' and lease_token is null and attempt = 0 and crashes = 0").await, 3);
    stuck.store(false, Ordering::SeqCst);
    let successor = night.worker(&work);
    night.done().await;
    successor.stop().await;
    night.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_declared_dead_drops_what_it_holds_and_begins_anew() {
    let night = TestNight::new().await.enqueued(8).await;
    let (work, gate) = Scripted::gated();
    let work = Arc::new(work);
    let worker = night.worker(&work);
    night.until("all are in flight", async || work.in_flight.load(Ordering::SeqCst) == 8).await;
    // Its heart beats meanwhile, and who was heard since is not declared dead.
    night
        .until("it is declared dead", async || {
            let heartbeat_at = sqlx::query_scalar("select heartbeat_at from dailycast.worker where id = 1");
            let silent = Silent {
                id: 1,
                name: String::new(),
                host: String::new(),
                boot_id: String::new(),
                pid: 0,
                pid_started: 0,
                lock_is_free: false,
                missed_two_beats: false,
                lease_ran_out: true,
                heartbeat_at: heartbeat_at.fetch_one(night.pool()).await.unwrap(),
            };
            let rescued = workers::declare_dead(&night.store, &silent, "a test", 3).await.unwrap();
            rescued.is_some_and(|rescued| rescued.len() == 8)
        })
        .await;
    gate.add_permits(10_000);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    let registrations: i64 =
        sqlx::query_scalar("select count(*) from dailycast.worker").fetch_one(night.pool()).await.unwrap();
    assert_eq!(registrations, 2);
}

/// Who is heard between the look and the verdict keeps its session, and its lead if it has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wakes_up_before_the_verdict_keeps_its_session() {
    let night = TestNight::new().await;
    let sleeper = register(&night).await;
    let mut session = Session::open(&night.store, sleeper).await.unwrap();
    let silence = async |id: i32| {
        let long_ago = "update dailycast.worker set heartbeat_at = now() - interval '1 hour' where id = ";
        night.execute(&format!("{long_ago}{id}")).await
    };
    silence(sleeper).await;
    let mut waking = night.pool().begin().await.unwrap();
    let beat = format!("update dailycast.worker set heartbeat_at = now() + interval '1 hour' where id = {sleeper}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(beat)).execute(&mut *waking).await.unwrap();
    let worker = night.worker(&Arc::new(Scripted::well()));
    night.until_waiting("declare_dead").await;
    waking.commit().await.unwrap();
    // A later round is over when one who is really gone is declared dead.
    let gone = register(&night).await;
    silence(gone).await;
    night
        .until("the next one is declared dead", async || {
            let is_dead = sqlx::query_scalar("select stopped_at is not null from dailycast.worker where id = $1");
            is_dead.bind(gone).fetch_one(night.pool()).await.unwrap()
        })
        .await;
    assert_eq!(session.beat().await.unwrap(), Beat::Alive);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_got_lost_is_let_go_by_the_audit() {
    let night = TestNight::new().await.enqueued(4).await;
    let work = Arc::new(Scripted::well().waiting(|_| std::future::pending()));
    let worker = night.worker(&work);
    night.until("all are in flight", async || work.in_flight.load(Ordering::SeqCst) == 4).await;
    // A row that is this worker's in the database, and unknown to it.
    night.execute("insert into academy.learner values (5, 'free', true, now())").await;
    night::enqueue_learners(night.pool(), night.deadline_at.date_naive(), night.deadline_at, &[5]).await.unwrap();
    night.until("the fifth is in flight", async || work.in_flight.load(Ordering::SeqCst) == 5).await;
    night.execute("insert into academy.learner values (6, 'free', true, now())").await;
    night.execute("insert into dailycast.daily_podcast (user_id, date, deadline_at, lease_token, worker_id) select 6, date, deadline_at, 1, 1 from dailycast.daily_podcast limit 1").await;
    night.execute("insert into apalis.jobs (id, job_type, job, status, lock_by, lock_at, idempotency_key) select dailycast.job_id(id), 'dailycast.podcast', '{}', 'Running', 'dailycast-1', now() - interval '1 hour', id::text from dailycast.daily_podcast where user_id = 6").await;
    night.until("it is in flight after all", async || work.in_flight.load(Ordering::SeqCst) == 6).await;
    worker.shutdown.end_grace();
    worker.running.await.unwrap().unwrap();
    assert_eq!(night.count("lease_token is null").await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_starts_a_missed_night_once_and_finishes_it() {
    let night = TestNight::new().await.with_learners(30).await;
    let work = Arc::new(Scripted::well());
    // A schedule whose start of today is past and whose deadline is ahead, whatever the time is.
    let now = night::now(night.pool()).await.unwrap();
    let mut plan = schedule(7);
    plan.cron = "* * * * *".parse().unwrap();
    plan.deadline = (now + chrono::Duration::hours(5)).time();
    let date = plan.due(now).unwrap().date;
    let start = |name: &str| {
        night.worker_with(&work, |settings| {
            settings.schedule = Some(plan.clone());
            settings.name = name.to_owned();
        })
    };
    let (a, b) = (start("a"), start("b"));
    night
        .until("the night is finished", async || night::status(night.pool(), date).await.unwrap().state == "finished")
        .await;
    night
        .until("what is kept of it is written", async || {
            board::frame(night.pool(), date).await.unwrap().night.unwrap().summary.is_some()
        })
        .await;
    a.stop().await;
    b.stop().await;
    assert_eq!(night.count("true").await, 30);
    night.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_the_machine_refuses_is_a_defect_and_not_a_move() {
    let night = TestNight::new().await.enqueued(1).await;
    let work = Arc::new(Scripted::well().stepping(|podcast| {
        (podcast.status == Status::Pending).then(|| Outcome::done(Event::AudioReady, podcast.made.clone()))
    }));
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    assert_eq!(night.count("status = 'failed' and error_kind = 'internal' and attempt = 3").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_over_its_limit_is_a_timeout() {
    let night = TestNight::new().await.enqueued(1).await;
    let mut work = Scripted::well().waiting(|_| std::future::pending());
    work.limit = Duration::from_millis(5);
    let worker = night.worker(&Arc::new(work));
    night.done().await;
    worker.stop().await;
    night.assert_all_is_well().await;
    assert_eq!(night.count("status = 'failed' and error_kind = 'timeout'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_loses_everything_is_not_paid_for_for_ever() {
    let night = TestNight::new().await.enqueued(1).await;
    let work = Arc::new(Scripted::well().stepping(|podcast| {
        (podcast.status == Status::PendingUpload).then(|| Outcome::done(Event::AudioLost, Default::default()))
    }));
    let worker = night.worker(&work);
    night.done().await;
    worker.stop().await;
    assert_eq!(night.count("status = 'failed' and error_kind = 'audio_lost'").await, 1);
    let id = work.executions.lock().unwrap().keys().next().unwrap().0;
    let spoken = work.executions.lock().unwrap()[&(id, Status::AudioGenerating)];
    assert_eq!(spoken, 4, "once, and once more for each loss that is mended");
}
