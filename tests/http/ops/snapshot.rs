//! Figures that are counted in the background: once for everybody, and shown at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::NaiveDate;
use dailycast::{ops::snapshot::Snapshots, store};
use tokio::sync::Semaphore;

use crate::support::until;

const PATIENCE: Duration = Duration::from_secs(60);

fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

/// Counts that end when they are let; each returns its number.
#[derive(Clone)]
struct Counts {
    begun: Arc<AtomicUsize>,
    let_end: Arc<Semaphore>,
}

impl Counts {
    fn new(let_end: usize) -> Self {
        Self { begun: Arc::default(), let_end: Arc::new(Semaphore::new(let_end)) }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn count(self) -> Result<usize, store::Error> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.let_end.acquire().await.unwrap().forget();
        Ok(number)
    }
}

#[tokio::test]
async fn two_who_look_at_once_make_one_count() {
    let (snapshots, counts) = (Snapshots::default(), Counts::new(0));
    let look = || {
        let counts = counts.clone();
        snapshots.look(date(22), PATIENCE, move || counts.count())
    };
    let (one, two, ()) = tokio::join!(look(), look(), async {
        until("a count has begun", async || counts.begun() > 0).await;
        counts.let_end.add_permits(10);
    });
    assert_eq!((one.value.as_deref(), two.value.as_deref()), (Some(&1), Some(&1)));
    assert_eq!(counts.begun(), 1);
}

#[tokio::test]
async fn who_looks_first_waits_no_longer_than_he_likes() {
    let (snapshots, counts) = (Snapshots::default(), Counts::new(0));
    for _ in 0..3 {
        let counts = counts.clone();
        let look = snapshots.look(date(22), Duration::ZERO, move || counts.count()).await;
        assert!(look.value.is_none() && !look.has_failed);
    }
    until("the count has begun", async || counts.begun() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_last_is_shown_while_it_is_counted_again() {
    let (snapshots, counts) = (Snapshots::default(), Counts::new(1));
    let look = || {
        let counts = counts.clone();
        snapshots.look(date(22), PATIENCE, move || counts.count())
    };
    assert_eq!(look().await.value.as_deref(), Some(&1));
    assert_eq!(look().await.value.as_deref(), Some(&1));
    tokio::task::yield_now().await;
    assert_eq!(counts.begun(), 1, "it is not counted again at once");
    tokio::time::advance(Duration::from_secs(30)).await;
    let stale = look().await;
    assert_eq!((stale.value.as_deref(), stale.age), (Some(&1), Duration::from_secs(30)));
    until("it is counted again", async || counts.begun() == 2).await;
    assert_eq!(look().await.value.as_deref(), Some(&1), "the second count has not ended");
    counts.let_end.add_permits(1);
    until("the second count has ended", async || look().await.value.as_deref() == Some(&2)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_minutes_old_is_counted_again_before_it_is_shown() {
    let (snapshots, counts) = (Snapshots::default(), Counts::new(1));
    let look = |patience| {
        let counts = counts.clone();
        snapshots.look(date(22), patience, move || counts.count())
    };
    assert_eq!(look(PATIENCE).await.value.as_deref(), Some(&1));
    tokio::time::advance(Duration::from_secs(600)).await;
    let late = look(Duration::from_millis(60)).await;
    assert_eq!(late.value.as_deref(), Some(&1), "a count that does not end is not waited for");
    counts.let_end.add_permits(2);
    until("the second count has ended", async || look(Duration::ZERO).await.value.as_deref() == Some(&2)).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let new = look(PATIENCE).await;
    assert_eq!((new.value.as_deref(), new.age), (Some(&3), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_count_that_fails_or_breaks_is_told_and_tried_again() {
    let snapshots: Snapshots<NaiveDate, usize> = Snapshots::default();
    let failed = || async { Err(store::Error::Address(sqlx::Error::PoolTimedOut)) };
    assert!(snapshots.look(date(22), PATIENCE, failed).await.has_failed);
    let broken = || async { panic!("a defect, in a test") };
    assert!(snapshots.look(date(23), PATIENCE, broken).await.has_failed);
    for day in [22, 23] {
        tokio::time::advance(Duration::from_secs(60)).await;
        snapshots.look(date(day), PATIENCE, async || Ok(7)).await;
        until("it was counted", async || {
            let look = snapshots.look(date(day), PATIENCE, async || Ok(7)).await;
            look.value.as_deref() == Some(&7) && !look.has_failed
        })
        .await;
    }
}

#[tokio::test]
async fn of_very_many_dates_only_some_are_remembered() {
    let (snapshots, counts) = (Snapshots::default(), Counts::new(0));
    for days in 0..500 {
        let counts = counts.clone();
        let date = date(1) + chrono::Days::new(days);
        assert!(snapshots.look(date, Duration::ZERO, move || counts.count()).await.value.is_none());
    }
    let remembered = format!("{snapshots:?}");
    assert_eq!(remembered, "Snapshots { keys: 64 }");
    until("one is being counted", async || counts.begun() == 1).await;
}
