//! Nights: one per date, in batches, by anyone.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, Utc};
use dailycast::{
    store::{
        night::{self, NewNight},
        pause::{self, Ran},
    },
    worker::scheduler::{Schedule, enqueue},
};

use crate::support::engine::TestNight;

pub(crate) fn schedule(batch_size: u32) -> Schedule {
    Schedule {
        cron: "0 3 * * *".parse().unwrap(),
        zone: chrono_tz::UTC,
        deadline: NaiveTime::from_hms_opt(9, 0, 0).unwrap(),
        batch_size,
        active_within: Duration::from_secs(14 * 86_400),
    }
}

fn tonight(test: &TestNight) -> NewNight {
    NewNight {
        date: test.deadline_at.date_naive(),
        scheduled_for: test.deadline_at,
        deadline_at: test.deadline_at,
        started_by: "test".to_owned(),
    }
}

#[tokio::test]
async fn a_night_is_started_once_by_however_many() {
    let test = TestNight::new().await;
    let night = tonight(&test);
    let starts = futures_util::future::join_all((0..8).map(|_| night::start(test.pool(), &night))).await;
    assert_eq!(starts.into_iter().filter(|started| *started.as_ref().unwrap()).count(), 1);
}

#[tokio::test]
async fn two_who_enqueue_at_once_make_each_podcast_once_with_its_job() {
    let test = TestNight::new().await.with_learners(250).await;
    test.execute("update academy.learner set is_active = false where user_id = 7").await;
    test.execute("update academy.learner set last_seen_at = now() - interval '15 days' where user_id = 8").await;
    night::start(test.pool(), &tonight(&test)).await.unwrap();
    let open = night::open(test.pool()).await.unwrap().remove(0);
    let plan = schedule(20);
    let (a, b) = tokio::join!(
        enqueue(test.pool(), open.clone(), &plan, |_| {}),
        enqueue(test.pool(), open.clone(), &plan, |_| {})
    );
    assert_eq!(a.unwrap().podcasts + b.unwrap().podcasts, 248);
    let armed: i64 = sqlx::query_scalar(
        "select count(*) from apalis.jobs j join dailycast.daily_podcast p on j.id = dailycast.job_id(p.id)
         join dailycast.podcast_event e on e.podcast_id = p.id and e.event = 'enqueued'
         where j.status = 'Pending'",
    )
    .fetch_one(test.pool())
    .await
    .unwrap();
    assert_eq!(armed, 248);
    let status = night::status(test.pool(), open.date).await.unwrap();
    assert_eq!((status.eligible, status.enqueued, status.state.as_str()), (248, 248, "running"));
    assert_eq!(status.by_status["pending"], 248);
}

#[tokio::test]
async fn an_enqueuer_that_died_is_continued_behind_its_cursor() {
    let test = TestNight::new().await.with_learners(100).await;
    night::start(test.pool(), &tonight(&test)).await.unwrap();
    let open = night::open(test.pool()).await.unwrap().remove(0);
    night::enqueue_batch(test.pool(), &open, 30, 1e6).await.unwrap();
    let open = night::open(test.pool()).await.unwrap().remove(0);
    assert_eq!(open.cursor_user_id, 30);
    let rest = enqueue(test.pool(), open, &schedule(30), |_| {}).await.unwrap();
    assert_eq!(rest.podcasts, 70);
    assert!(night::open(test.pool()).await.unwrap().is_empty());
}

#[tokio::test]
async fn behind_a_cursor_that_someone_else_moved_nothing_is_enqueued() {
    let test = TestNight::new().await.with_learners(50).await;
    night::start(test.pool(), &tonight(&test)).await.unwrap();
    let open = night::open(test.pool()).await.unwrap().remove(0);
    let batch = async |open: &night::Open| night::enqueue_batch(test.pool(), open, 20, 1e6).await.unwrap();
    assert_eq!(batch(&open).await.enqueued, 20);
    assert!(batch(&open).await.is_stale);
    assert_eq!(test.count("true").await, 20);
    // One who died is followed by another, while a third still believes in an older cursor.
    let moved = night::still_open(test.pool(), open.date).await.unwrap().unwrap();
    let (two, too_many) = tokio::join!(batch(&moved), batch(&moved));
    assert_eq!(two.enqueued + too_many.enqueued, 20);
    assert!(two.is_stale != too_many.is_stale);
    let rest = enqueue(test.pool(), open.clone(), &schedule(20), |_| {}).await.unwrap();
    assert_eq!((rest.podcasts, rest.batches), (10, 1));
    assert!(batch(&moved).await.is_stale, "the night is closed");
    assert!(night::still_open(test.pool(), open.date).await.unwrap().is_none());
    let night = night::status(test.pool(), open.date).await.unwrap();
    assert_eq!((night.eligible, night.enqueued), (50, 50));
}

#[tokio::test]
async fn learners_named_by_hand_are_enqueued_once_and_delivered_first() {
    let test = TestNight::new().await.enqueued(3).await;
    test.execute(
        "insert into academy.learner select n, 'premium', true, now() - interval '1 year' from generate_series(4, 5) n",
    )
    .await;
    let date = test.deadline_at.date_naive();
    let ids = [3, 4, 5, 999];
    assert_eq!(night::enqueue_learners(test.pool(), date, test.deadline_at, &ids).await.unwrap(), 2);
    assert_eq!(night::enqueue_learners(test.pool(), date, test.deadline_at, &ids).await.unwrap(), 0);
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs where priority = 10")
        .fetch_one(test.pool())
        .await
        .unwrap();
    assert_eq!(jobs, 5);
}

#[tokio::test]
async fn a_night_gone_through_again_has_the_later_deadline() {
    let test = TestNight::new().await.with_learners(3).await;
    let past = NewNight { deadline_at: test.deadline_at - chrono::Duration::hours(12), ..tonight(&test) };
    night::start(test.pool(), &past).await.unwrap();
    night::close(test.pool(), past.date).await.unwrap();
    let again = NewNight { deadline_at: test.deadline_at, ..past.clone() };
    assert_eq!(pause::start_by_hand(test.pool(), &again).await.unwrap(), Ran::Again);
    let open = night::open(test.pool()).await.unwrap().remove(0);
    assert_eq!(enqueue(test.pool(), open, &schedule(10), |_| {}).await.unwrap().podcasts, 3);
    assert_eq!(test.count("deadline_at > now()").await, 3);
}

#[tokio::test]
async fn stuck_is_what_nothing_will_move_and_not_what_waits_its_turn() {
    let test = TestNight::new().await.enqueued(4).await;
    let stuck = async || test.count("dailycast.is_stuck(daily_podcast)").await;
    assert_eq!(stuck().await, 0, "just enqueued");
    test.execute("update dailycast.daily_podcast set next_attempt_at = now() - interval '1 hour'").await;
    assert_eq!(stuck().await, 4, "no worker is alive");
    let worker = super::claim::register(&test).await;
    assert_eq!(stuck().await, 0, "they wait for a free slot");
    test.execute("delete from apalis.jobs where idempotency_key = (select min(id)::text from dailycast.daily_podcast)")
        .await;
    assert_eq!(stuck().await, 1, "one has no job");
    test.execute("update dailycast.daily_podcast set lease_token = 1, worker_id = 999 where user_id = 4").await;
    assert_eq!(stuck().await, 2, "one is held by nobody who lives");
    test.execute(&format!("update dailycast.daily_podcast set worker_id = {worker} where user_id = 4")).await;
    assert_eq!(stuck().await, 1);
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_night_is_due_from_its_start_to_its_deadline_and_missed_starts_are_made_up() {
    let plan = schedule(100);
    assert_eq!(plan.due(at("2026-11-22T02:59:59Z")), None, "yesterday's night is past its deadline");
    let due = plan.due(at("2026-11-22T03:00:00Z")).unwrap();
    assert_eq!(due.date.to_string(), "2026-11-22");
    assert_eq!(due.deadline_at, at("2026-11-22T09:00:00Z"));
    assert_eq!(plan.due(at("2026-11-22T08:59:59Z")).unwrap(), due);
    assert_eq!(plan.due(at("2026-11-22T09:00:00Z")), None);
    assert_eq!(plan.next(at("2026-11-22T03:00:00Z")), Some(at("2026-11-23T03:00:00Z")));
}

#[test]
fn work_by_hand_has_at_least_six_hours() {
    let plan = schedule(100);
    assert_eq!(plan.deadline_by_hand(at("2026-11-22T02:00:00Z")), at("2026-11-22T09:00:00Z"));
    assert_eq!(plan.deadline_by_hand(at("2026-11-22T04:00:00Z")), at("2026-11-23T09:00:00Z"));
}

#[test]
fn nights_keep_their_hour_when_the_clocks_change() {
    let mut plan = schedule(100);
    plan.zone = chrono_tz::Europe::Berlin;
    // Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 back to 02:00 on 2026-10-25.
    let spring = plan.due(at("2026-03-29T05:00:00Z")).unwrap();
    assert_eq!((spring.scheduled_for, spring.deadline_at), (at("2026-03-29T01:00:00Z"), at("2026-03-29T07:00:00Z")));
    let autumn = plan.due(at("2026-10-25T05:00:00Z")).unwrap();
    assert_eq!((autumn.scheduled_for, autumn.deadline_at), (at("2026-10-25T02:00:00Z"), at("2026-10-25T08:00:00Z")));
    // A deadline in an hour that one day does not have, and another has twice.
    let hasty = Schedule { cron: "0 0 * * *".parse().unwrap(), deadline: "02:30:00".parse().unwrap(), ..plan.clone() };
    assert_eq!(hasty.due(at("2026-03-29T00:00:00Z")).unwrap().deadline_at, at("2026-03-29T01:30:00Z"));
    assert_eq!(hasty.due(at("2026-10-25T00:00:00Z")).unwrap().deadline_at, at("2026-10-25T00:30:00Z"));
    // An hour that one day does not have, and another has twice.
    plan.cron = "30 2 * * *".parse().unwrap();
    for start in ["2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z"] {
        let mut now = at(start);
        let mut dates = Vec::new();
        while dates.len() < 4 {
            if let Some(due) = plan.due(now)
                && dates.last() != Some(&due.date)
            {
                dates.push(due.date);
            }
            now += chrono::Duration::minutes(10);
        }
        assert!(dates.windows(2).all(|pair| pair[1] - pair[0] == chrono::Duration::days(1)), "{dates:?}");
    }
}
