//! A pause holds back every claim and every start; a skipped date starts by hand only.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use dailycast::store::{
    claim::{self, Wanted},
    night::{self, NewNight},
    pause::{self, Ran, Skipped},
    watch,
    workers::{Beat, Session},
};

use super::claim::register;
use crate::support::engine::TestNight;

fn night_of(test: &TestNight, date: NaiveDate) -> NewNight {
    NewNight { date, scheduled_for: test.deadline_at, deadline_at: test.deadline_at, started_by: "schedule".to_owned() }
}

async fn audit(test: &TestNight) -> Vec<(String, String, String, String)> {
    sqlx::query_as("select actor, action, subject, detail from dailycast.audit order by id")
        .fetch_all(test.pool())
        .await
        .unwrap()
}

fn line(actor: &str, action: &str, subject: &str, detail: &str) -> (String, String, String, String) {
    (actor.to_owned(), action.to_owned(), subject.to_owned(), detail.to_owned())
}

#[tokio::test]
async fn during_a_pause_nobody_claims_and_a_heartbeat_tells() {
    let test = TestNight::new().await.enqueued(3).await;
    let worker = register(&test).await;
    let mut session = Session::open(&test.store, worker).await.unwrap();
    assert_eq!(session.beat().await.unwrap(), Beat::Alive);
    assert!(pause::current(test.pool()).await.unwrap().is_none());

    assert!(pause::pause(test.pool(), "amira", "bad prompt").await.unwrap());
    assert!(!pause::pause(test.pool(), "boris", "me too").await.unwrap());
    let paused = pause::current(test.pool()).await.unwrap().unwrap();
    assert_eq!((paused.paused_by.as_str(), paused.reason.as_str()), ("amira", "bad prompt"));
    assert_eq!(session.beat().await.unwrap(), Beat::Paused);
    for wanted in [Wanted::Healthy, Wanted::Suspect] {
        assert!(claim::claim(&test.store, worker, 10, wanted).await.unwrap().is_empty());
    }
    assert_eq!(test.count("lease_token is null").await, 3);

    assert_eq!(pause::resume(test.pool(), "boris").await.unwrap(), Some(paused));
    assert_eq!(pause::resume(test.pool(), "boris").await.unwrap(), None);
    assert_eq!(session.beat().await.unwrap(), Beat::Alive);
    assert_eq!(claim::claim(&test.store, worker, 10, Wanted::Healthy).await.unwrap().len(), 3);
    let lines = [
        line("amira", "pause", "everything", "bad prompt"),
        line("boris", "resume", "everything", "paused by amira: bad prompt"),
    ];
    assert_eq!(audit(&test).await, lines);
}

#[tokio::test]
async fn during_a_pause_no_night_starts_by_itself() {
    let test = TestNight::new().await;
    let night = night_of(&test, test.deadline_at.date_naive());
    pause::pause(test.pool(), "amira", "").await.unwrap();
    assert!(!pause::start_due(test.pool(), &night).await.unwrap());
    pause::resume(test.pool(), "amira").await.unwrap();
    assert!(pause::start_due(test.pool(), &night).await.unwrap());
    assert!(!pause::start_due(test.pool(), &night).await.unwrap(), "once");
}

#[tokio::test]
async fn a_skipped_date_starts_by_hand_only_and_is_not_missed() {
    let test = TestNight::new().await;
    let date = test.deadline_at.date_naive();
    night::start(test.pool(), &night_of(&test, date - Days::new(1))).await.unwrap();
    assert!(watch::was_left_out(test.pool(), date).await.unwrap());

    assert_eq!(pause::skip(test.pool(), date, "amira", "holiday").await.unwrap(), Skipped::Now);
    assert_eq!(pause::skip(test.pool(), date, "boris", "").await.unwrap(), Skipped::Before);
    assert!(!watch::was_left_out(test.pool(), date).await.unwrap());
    assert!(!pause::start_due(test.pool(), &night_of(&test, date)).await.unwrap());
    let skips = pause::skips(test.pool(), date).await.unwrap();
    assert_eq!((skips.len(), skips[0].skipped_by.as_str(), skips[0].reason.as_str()), (1, "amira", "holiday"));
    assert!(pause::skips(test.pool(), date + Days::new(1)).await.unwrap().is_empty());

    assert!(pause::unskip(test.pool(), date, "boris").await.unwrap());
    assert!(!pause::unskip(test.pool(), date, "boris").await.unwrap());
    assert!(watch::was_left_out(test.pool(), date).await.unwrap());
    pause::skip(test.pool(), date, "amira", "").await.unwrap();
    let by_hand = NewNight { started_by: "boris".to_owned(), ..night_of(&test, date) };
    assert_eq!(pause::start_by_hand(test.pool(), &by_hand).await.unwrap(), Ran::Started);
    assert_eq!(pause::start_by_hand(test.pool(), &by_hand).await.unwrap(), Ran::UnderWay);
    night::close(test.pool(), date).await.unwrap();
    assert_eq!(pause::start_by_hand(test.pool(), &by_hand).await.unwrap(), Ran::Again);
    assert_eq!(night::open(test.pool()).await.unwrap().len(), 2);

    let subject = format!("night {date}");
    let lines = [
        line("amira", "skip", &subject, "holiday"),
        line("boris", "unskip", &subject, ""),
        line("amira", "skip", &subject, ""),
        line("boris", "run", &subject, ""),
        line("boris", "run", &subject, ""),
    ];
    assert_eq!(audit(&test).await, lines);
}

#[tokio::test]
async fn a_night_that_begins_and_a_skip_of_it_do_not_both_happen() {
    let test = TestNight::new().await;
    let date = test.deadline_at.date_naive();
    assert_eq!(pause::skip(test.pool(), date, "amira", "").await.unwrap(), Skipped::Now);
    for day in 1..30 {
        let date = date + Days::new(day);
        let night = night_of(&test, date);
        let (started, skipped) =
            tokio::join!(pause::start_due(test.pool(), &night), pause::skip(test.store.desk(), date, "amira", ""));
        let expected = if started.unwrap() { Skipped::HasBegun } else { Skipped::Now };
        assert_eq!(skipped.unwrap(), expected, "{date}");
    }
}

/// The skip waits for a start that is under way, however long that takes.
#[tokio::test]
async fn a_skip_waits_for_a_start_that_is_not_committed() {
    let test = TestNight::new().await;
    let date = test.deadline_at.date_naive();
    let mut starting = test.pool().begin().await.unwrap();
    sqlx::query(
        "insert into dailycast.night (date, started_by, scheduled_for, deadline_at) values ($1, 'x', now(), now())",
    )
    .bind(date)
    .execute(&mut *starting)
    .await
    .unwrap();
    let store = test.store.clone();
    let skip = tokio::spawn(async move { pause::skip(store.desk(), date, "amira", "").await });
    test.until_waiting("hold_nights").await;
    starting.commit().await.unwrap();
    let skipped = tokio::time::timeout(Duration::from_secs(10), skip).await.unwrap().unwrap();
    assert_eq!(skipped.unwrap(), Skipped::HasBegun);
}
