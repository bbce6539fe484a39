//! Who is alive, who is dead, and what becomes of what the dead held.

use std::time::Duration;

use dailycast::store::{
    claim::{self, Wanted},
    sweep,
    workers::{self, Beat, Session, Silent},
};

use crate::support::engine::TestNight;

use super::claim::register;

/// A worker without a session, as others see it.
async fn seen_silent(night: &TestNight, worker: i32) -> Silent {
    let silent = workers::silent(&night.store, -1).await.unwrap();
    silent.into_iter().find(|silent| silent.id == worker).unwrap()
}

#[tokio::test]
async fn a_worker_with_its_lock_is_not_silent_and_one_without_is() {
    let night = TestNight::new().await;
    let (a, b) = (register(&night).await, register(&night).await);
    let session = Session::open(&night.store, b).await.unwrap();
    assert!(workers::silent(&night.store, a).await.unwrap().is_empty());
    session.close().await;
    night.until("the lock is free", async || !workers::silent(&night.store, a).await.unwrap().is_empty()).await;
    let silent = workers::silent(&night.store, a).await.unwrap().remove(0);
    assert_eq!(silent.id, b);
    assert!(silent.lock_is_free && !silent.missed_two_beats && !silent.lease_ran_out);
}

#[tokio::test]
async fn a_cut_session_is_replaced_while_the_old_one_lingers() {
    let night = TestNight::new().await;
    let worker = register(&night).await;
    let old = Session::open(&night.store, worker).await.unwrap();
    let mut new = Session::open(&night.store, worker).await.unwrap();
    assert_eq!(new.beat().await.unwrap(), Beat::Alive);
    old.close().await;
    night
        .until("the new session has the lock", async || {
            new.beat().await.unwrap();
            workers::silent(&night.store, -1).await.unwrap().is_empty()
        })
        .await;
}

#[tokio::test]
async fn one_leads_and_the_lead_passes_on() {
    let night = TestNight::new().await;
    let (a, b) = (register(&night).await, register(&night).await);
    let mut first = Session::open(&night.store, a).await.unwrap();
    let mut second = Session::open(&night.store, b).await.unwrap();
    assert!(first.lead().await.unwrap());
    assert!(first.lead().await.unwrap());
    assert!(!second.lead().await.unwrap());
    first.close().await;
    night.until("the lead passes on", async || second.lead().await.unwrap()).await;
}

#[tokio::test]
async fn what_the_dead_held_goes_back_by_the_front_door() {
    let night = TestNight::new().await.enqueued(3).await;
    let (dead, heir) = (register(&night).await, register(&night).await);
    let held = claim::claim(&night.store, dead, 2, Wanted::Healthy).await.unwrap();
    let silent = seen_silent(&night, dead).await;
    let rescued = workers::declare_dead(&night.store, &silent, "a test", 3).await.unwrap().unwrap();
    assert_eq!(rescued.len(), 2);
    assert!(rescued.iter().all(|podcast| podcast.crashes == 1 && !podcast.alone));
    assert!(workers::declare_dead(&night.store, &silent, "again", 3).await.unwrap().is_none());
    let claimed = claim::claim(&night.store, heir, 5, Wanted::Healthy).await.unwrap();
    assert_eq!(claimed.len(), 3);
    assert!(held.iter().all(|old| claimed.iter().any(|new| new.id == old.id && new.lease.token > old.lease.token)));
    let session = Session::open(&night.store, dead).await.unwrap();
    let mut session = session;
    assert_eq!(session.beat().await.unwrap(), Beat::DeclaredDead);
}

#[tokio::test]
async fn who_is_heard_after_all_is_not_declared_dead() {
    let night = TestNight::new().await.enqueued(1).await;
    let worker = register(&night).await;
    claim::claim(&night.store, worker, 1, Wanted::Healthy).await.unwrap();
    let silent = seen_silent(&night, worker).await;
    // The judge is stopped here; meanwhile the worker is heard again.
    let mut session = Session::open(&night.store, worker).await.unwrap();
    assert_eq!(session.beat().await.unwrap(), Beat::Alive);
    assert!(workers::declare_dead(&night.store, &silent, "a test", 3).await.unwrap().is_none());
    assert_eq!(session.beat().await.unwrap(), Beat::Alive);
    assert_eq!(night.count("lease_token is not null and crashes = 0").await, 1);
}

#[tokio::test]
async fn who_held_nothing_is_declared_dead_as_well() {
    let night = TestNight::new().await.enqueued(1).await;
    let worker = register(&night).await;
    let silent = seen_silent(&night, worker).await;
    let rescued = workers::declare_dead(&night.store, &silent, "a test", 3).await.unwrap();
    assert_eq!(rescued.map(|rescued| rescued.len()), Some(0));
}

#[tokio::test]
async fn a_claim_and_its_job_may_both_be_lost() {
    let night = TestNight::new().await.enqueued(1).await;
    let (holder, other) = (register(&night).await, register(&night).await);
    let lease = claim::claim(&night.store, holder, 1, Wanted::Healthy).await.unwrap().remove(0).lease;
    night.execute("delete from apalis.jobs").await;
    assert!(claim::held_by(&night.store, holder, Duration::ZERO).await.unwrap().is_empty());
    assert_eq!(sweep::mend_page(&night.store, 0, 100).await.unwrap().armed, 1);
    assert!(claim::claim(&night.store, other, 1, Wanted::Healthy).await.unwrap().is_empty(), "it is held");
    assert_eq!(claim::held_by(&night.store, holder, Duration::ZERO).await.unwrap(), [lease], "its audit finds it");
    assert_eq!(claim::let_go(&night.store, &[lease], Duration::ZERO).await.unwrap(), 1);
    assert_eq!(claim::claim(&night.store, other, 1, Wanted::Healthy).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_was_in_flight_at_several_deaths_runs_alone_and_then_no_more() {
    let night = TestNight::new().await.enqueued(2).await;
    for death in 1..=3 {
        let worker = register(&night).await;
        assert_eq!(claim::claim(&night.store, worker, 5, Wanted::Healthy).await.unwrap().len(), 2, "{death}");
        workers::declare_dead(&night.store, &seen_silent(&night, worker).await, "a test", 3).await.unwrap();
    }
    let worker = register(&night).await;
    assert!(claim::claim(&night.store, worker, 5, Wanted::Healthy).await.unwrap().is_empty());
    assert_eq!(claim::claim(&night.store, worker, 1, Wanted::Suspect).await.unwrap().len(), 1);
    let silent = seen_silent(&night, worker).await;
    let rescued = workers::declare_dead(&night.store, &silent, "a test", 3).await.unwrap().unwrap();
    assert_eq!(rescued.len(), 1);
    assert!(rescued[0].alone && rescued[0].crashes == 4, "proved to have brought its worker down");
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs where status = 'Pending'")
        .fetch_one(night.pool())
        .await
        .unwrap();
    assert_eq!(jobs, 1, "the guilty one gets no job, the other suspect keeps its own");
}

#[tokio::test]
async fn the_sweep_finds_what_nothing_would_move() {
    let night = TestNight::new().await.enqueued(5).await;
    let (gone, alive) = (register(&night).await, register(&night).await);
    claim::claim(&night.store, gone, 2, Wanted::Healthy).await.unwrap();
    claim::claim(&night.store, alive, 1, Wanted::Healthy).await.unwrap();
    workers::stop(&night.store, gone, "gone").await.unwrap();
    night.execute("delete from apalis.jobs").await;
    // In pages smaller than the table, as a large night is walked.
    let (mut after, mut freed, mut armed) = (0, 0, 0);
    loop {
        let page = sweep::mend_page(&night.store, after, 2).await.unwrap();
        freed += page.freed;
        armed += page.armed;
        let Some(next) = page.next_after else { break };
        after = next;
    }
    assert_eq!((freed, armed), (2, 5), "the row that a living worker holds stays held, and gets a job");
    assert_eq!(night.count("lease_token is not null").await, 1);
    let again = sweep::mend_page(&night.store, 0, 100).await.unwrap();
    assert_eq!((again.freed, again.armed), (0, 0));
}
