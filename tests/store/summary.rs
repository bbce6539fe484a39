//! What is kept of a night that is over.

use dailycast::store::board;

use crate::support::engine::TestNight;

#[tokio::test]
async fn what_was_counted_before_a_night_ran_again_is_not_kept() {
    let night = TestNight::new().await.enqueued(3).await;
    let date = night.deadline_at.date_naive();
    night
        .execute(&format!(
            "update dailycast.daily_podcast set status = 'failed', error_kind = 'internal', finished_at = now();
             delete from dailycast.night;
             insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, started_at, enqueued_at, finished_at)
             values ('{date}', 'finished', 'test', now(), now(), now() - interval '1 hour', now(), now())"
        ))
        .await;
    let summary = board::summarise(&night.store, date).await.unwrap().unwrap();
    assert_eq!(summary.tally.podcasts, 3);
    let ended = board::frame(night.pool(), date).await.unwrap().night.unwrap().finished_at.unwrap();

    // While it was counted the night ran again, and ended again.
    night.execute("update dailycast.night set summary = null, finished_at = finished_at + interval '1 minute'").await;
    assert!(!board::keep(&night.store, date, ended, &summary).await.unwrap());
    assert_eq!(board::without_summary(night.pool()).await.unwrap(), Some(date), "it is counted again");
    night.execute("update dailycast.night set state = 'running', finished_at = null").await;
    assert!(board::summarise(&night.store, date).await.unwrap().is_none());
}
