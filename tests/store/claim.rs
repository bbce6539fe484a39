//! Claiming: who gets what, and what becomes of jobs that deserve nothing.

use std::time::Duration;

use dailycast::{
    machine::{Lease, Status},
    store::{
        claim::{self, Marks, Wanted},
        workers::{self, Registration},
    },
};

use crate::support::engine::{TestNight, settings};

pub async fn register(night: &TestNight) -> i32 {
    let registration: Registration = dailycast::worker::host::registration(&settings());
    workers::register(&night.store, &registration).await.unwrap()
}

#[tokio::test]
async fn two_workers_share_what_is_due_and_never_the_same() {
    let night = TestNight::new().await.enqueued(10).await;
    let (a, b) = (register(&night).await, register(&night).await);
    let first = claim::claim(&night.store, a, 7, Wanted::Healthy).await.unwrap();
    let second = claim::claim(&night.store, b, 7, Wanted::Healthy).await.unwrap();
    assert_eq!((first.len(), second.len()), (7, 3));
    assert!(first.iter().all(|one| second.iter().all(|other| other.id != one.id)));
    assert!(first.iter().all(|one| one.lease.token != second[0].lease.token), "each claim has its own fence");
    assert_eq!(claim::claim(&night.store, b, 7, Wanted::Healthy).await.unwrap().len(), 0);
    assert_eq!(claim::held_by(&night.store, a, Duration::ZERO).await.unwrap().len(), 7);
}

#[tokio::test]
async fn jobs_that_deserve_nothing_are_put_away() {
    let night = TestNight::new().await.enqueued(5).await;
    let (worker, other) = (register(&night).await, register(&night).await);
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from dailycast.daily_podcast order by id").fetch_all(night.pool()).await.unwrap();
    // The first failed, the second is not due yet, the third is held by someone else, who gets
    // its job, the fourth is gone, the fifth is due.
    night.execute(&format!("update dailycast.daily_podcast set status = 'failed', finished_at = now(), error_kind = 'internal' where id = {}", ids[0])).await;
    night
        .execute(&format!(
            "update dailycast.daily_podcast set next_attempt_at = now() + interval '1 hour' where id = {}",
            ids[1]
        ))
        .await;
    night
        .execute(&format!(
            "update dailycast.daily_podcast set lease_token = 1, worker_id = {other} where id = {}",
            ids[2]
        ))
        .await;
    night.execute(&format!("delete from dailycast.daily_podcast where id = {}", ids[3])).await;
    night.execute("insert into apalis.jobs (id, job_type, job, idempotency_key) values ('no-ulid', 'dailycast.podcast', '\\xff00', 'garbage')").await;

    let claimed = claim::claim(&night.store, worker, 10, Wanted::Healthy).await.unwrap();
    assert_eq!(claimed.iter().map(|podcast| podcast.id).collect::<Vec<_>>(), [ids[4]]);
    assert_eq!(claimed[0].status, Status::Pending);

    let jobs: Vec<(String, String, bool)> = sqlx::query_as(
        "select coalesce(idempotency_key, ''), status, run_at > now() + interval '50 minutes' from apalis.jobs order by 1",
    )
    .fetch_all(night.pool())
    .await
    .unwrap();
    let expected = [
        (ids[1].to_string(), "Pending".to_owned(), true),
        (ids[2].to_string(), "Running".to_owned(), false),
        (ids[4].to_string(), "Running".to_owned(), false),
        ("garbage".to_owned(), "Killed".to_owned(), false),
    ];
    assert_eq!(jobs, expected);
}

#[tokio::test]
async fn rows_of_a_newer_version_are_left_alone() {
    let night = TestNight::new().await.enqueued(2).await;
    let worker = register(&night).await;
    night.execute("alter table dailycast.daily_podcast drop constraint status_is_known").await;
    night.execute("alter table dailycast.daily_podcast disable trigger all").await;
    night
        .execute("update dailycast.daily_podcast set status = 'translating', script_text = 'Hello.' where user_id = 1")
        .await;
    let claimed = claim::claim(&night.store, worker, 10, Wanted::Healthy).await.unwrap();
    assert_eq!(claimed.iter().map(|podcast| podcast.user_id).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn what_is_let_go_is_due_at_once_and_an_old_lease_lets_go_of_nothing() {
    let night = TestNight::new().await.enqueued(3).await;
    let (a, b) = (register(&night).await, register(&night).await);
    let held: Vec<Lease> = claim::claim(&night.store, a, 3, Wanted::Healthy)
        .await
        .unwrap()
        .into_iter()
        .map(|podcast| podcast.lease)
        .collect();
    let old: Vec<Lease> = held.iter().map(|lease| Lease { token: lease.token - 1, ..*lease }).collect();
    assert_eq!(claim::let_go(&night.store, &old, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(claim::let_go(&night.store, &held, Duration::ZERO).await.unwrap(), 3);
    let again = claim::claim(&night.store, b, 3, Wanted::Healthy).await.unwrap();
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|podcast| podcast.lease.token > held[0].token), "fences grow");
    assert_eq!(claim::let_go(&night.store, &held, Duration::ZERO).await.unwrap(), 0, "they are someone else's now");
    let leases: Vec<Lease> = again.iter().map(|podcast| podcast.lease).collect();
    assert_eq!(claim::let_go(&night.store, &leases, Duration::from_secs(60)).await.unwrap(), 3);
    assert!(claim::claim(&night.store, b, 3, Wanted::Healthy).await.unwrap().is_empty(), "they rest");
}

#[tokio::test]
async fn a_row_that_is_half_unreadable_does_not_hold_up_the_others() {
    let night = TestNight::new().await.enqueued(2).await;
    let worker = register(&night).await;
    night.execute("update dailycast.daily_podcast set chunk_plan = '{\"cuts\": 3}' where user_id = 1").await;
    let claimed = claim::claim(&night.store, worker, 10, Wanted::Healthy).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|podcast| podcast.made.chunk_plan.is_none()), "it is planned anew");
}

/// Arms the jobs of these learners for so many minutes ago, in this class.
async fn arm(night: &TestNight, learners: &str, minutes: i32, class: i32) {
    let armed = night
        .execute(&format!(
            "update apalis.jobs j set run_at = now() - interval '{minutes} minutes', priority = {class}
             from dailycast.daily_podcast p where j.id = dailycast.job_id(p.id) and p.user_id in ({learners})"
        ))
        .await;
    assert!(armed > 0);
}

/// The learners whose podcasts a claim of `limit` behind the marks gets.
async fn users(night: &TestNight, worker: i32, limit: usize, marks: &mut Marks) -> Vec<i64> {
    let claimed = claim::claim_behind(&night.store, worker, limit, Wanted::Healthy, marks).await.unwrap();
    let mut users: Vec<i64> = claimed.iter().map(|podcast| podcast.user_id).collect();
    users.sort_unstable();
    users
}

#[tokio::test]
async fn what_is_behind_the_marks_is_claimed_and_the_rest_from_the_front() {
    let night = TestNight::new().await.enqueued(6).await;
    let worker = register(&night).await;
    for learner in 1..=6 {
        arm(&night, &learner.to_string(), 60 - learner, 0).await;
    }
    let mut marks = Marks::default();
    assert_eq!(users(&night, worker, 2, &mut marks).await, [1, 2]);
    assert_eq!(users(&night, worker, 2, &mut marks).await, [3, 4]);
    // The last one is armed for a time that was looked through already.
    arm(&night, "6", 90, 0).await;
    assert_eq!(users(&night, worker, 2, &mut marks).await, [5]);
    assert_eq!(users(&night, worker, 2, &mut marks).await, [0_i64; 0]);
    assert_eq!(users(&night, worker, 2, &mut Marks::default()).await, [6]);
}

#[tokio::test]
async fn what_was_begun_goes_first_but_for_what_was_asked_for_by_hand() {
    let night = TestNight::new().await.enqueued(6).await;
    let worker = register(&night).await;
    for (learner, minutes, class) in [("1", 31, 0), ("2", 30, 0), ("3", 21, 5), ("4", 20, 5), ("5", 10, 10)] {
        arm(&night, learner, minutes, class).await;
    }
    // Waits, and nobody who is due waits for it.
    arm(&night, "6", -10, 10).await;
    let mut marks = Marks::default();
    assert_eq!(users(&night, worker, 2, &mut marks).await, [3, 5], "by hand, and the first that was begun");
    assert_eq!(users(&night, worker, 2, &mut marks).await, [1, 4], "a claim goes on with the next class");
    // An urgent one that comes later is found behind the marks as well.
    arm(&night, "6", 0, 10).await;
    assert_eq!(users(&night, worker, 1, &mut marks).await, [6]);
    assert_eq!(users(&night, worker, 1, &mut marks).await, [2]);
}

#[tokio::test]
async fn what_is_let_go_was_begun_and_goes_first() {
    let night = TestNight::new().await.enqueued(2).await;
    let worker = register(&night).await;
    arm(&night, "1", 30, 0).await;
    arm(&night, "2", 20, 0).await;
    let claimed = claim::claim(&night.store, worker, 2, Wanted::Healthy).await.unwrap();
    let second = claimed.iter().find(|podcast| podcast.user_id == 2).unwrap().lease;
    let first = claimed.iter().find(|podcast| podcast.user_id == 1).unwrap().lease;
    assert_eq!(claim::let_go(&night.store, &[second, first], Duration::ZERO).await.unwrap(), 2);
    arm(&night, "1", 30, 0).await;
    assert_eq!(users(&night, worker, 1, &mut Marks::default()).await, [2]);
}

#[tokio::test]
async fn a_job_of_a_class_that_we_do_not_have_gets_the_nearest() {
    let night = TestNight::new().await.enqueued(5).await;
    let worker = register(&night).await;
    let classes = [("1", "99"), ("2", "7"), ("3", "1"), ("4", "-5"), ("5", "null")];
    for (learner, class) in classes {
        night
            .execute(&format!(
                "update apalis.jobs j set priority = {class} from dailycast.daily_podcast p
                 where j.id = dailycast.job_id(p.id) and p.user_id = {learner}"
            ))
            .await;
    }
    let got: Vec<(String, i32)> = sqlx::query_as(
        "select p.user_id::text, j.priority from apalis.jobs j
         join dailycast.daily_podcast p on j.id = dailycast.job_id(p.id) order by 1",
    )
    .fetch_all(night.pool())
    .await
    .unwrap();
    assert_eq!(got.iter().map(|(_, class)| *class).collect::<Vec<_>>(), [10, 5, 0, -1, 0]);
    assert_eq!(users(&night, worker, 9, &mut Marks::default()).await, [1, 2, 3, 5]);
    let suspects = claim::claim(&night.store, worker, 9, Wanted::Suspect).await.unwrap();
    assert_eq!(suspects.iter().map(|podcast| podcast.user_id).collect::<Vec<_>>(), [4]);
}
