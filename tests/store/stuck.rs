//! Stuck podcasts far below, and far above, very many that only wait.

use std::collections::BTreeMap;

use dailycast::{
    ops::operations::{Wish, preview},
    store::{
        board, figures,
        podcasts::{self, Filter},
        stuck,
        verbs::Verb,
    },
};

use super::operations::all;
use crate::support::engine::TestNight;

/// As many as no bounded look sees at once.
const MANY: i64 = 16_000;

/// The stuck ones: more than a walk below the newest, and more than a look above the oldest.
const STUCK: [i64; 3] = [10_500, 2, 1];

/// A night in which all wait for a stated time but [`STUCK`], which are overdue.
async fn large_night() -> TestNight {
    let night = TestNight::new().await;
    let date = night.deadline_at.date_naive();
    night
        .execute(&format!(
            "insert into dailycast.daily_podcast (id, user_id, date, deadline_at, next_attempt_at)
             overriding system value
             select n, n, '{date}', now() + interval '1 hour', now() + interval '1 hour' from generate_series(1, {MANY}) n;
             update dailycast.daily_podcast set next_attempt_at = now() - interval '1 hour' where id in (1, 2, 10500);
             analyze dailycast.daily_podcast"
        ))
        .await;
    night
}

#[tokio::test]
async fn the_stuck_are_found_by_everybody_wherever_they_are() {
    let night = large_night().await;
    let date = night.deadline_at.date_naive();
    let filter = Filter { stuck: true, date: Some(date), ..Filter::default() };

    let listed = podcasts::list(&night.store, &filter, 50).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), STUCK);
    assert_eq!(podcasts::list(&night.store, &filter, 2).await.unwrap().len(), 2);
    let of_one_plan = Filter { plan: Some("premium".to_owned()), ..filter.clone() };
    assert!(podcasts::list(&night.store, &of_one_plan, 50).await.unwrap().is_empty());
    assert_eq!(stuck::find(&night.store, Some(date), 10_500, 1).await.unwrap(), [2]);
    assert_eq!(stuck::find(&night.store, Some(date), i64::MAX, 1).await.unwrap(), [10_500]);
    assert!(stuck::find(&night.store, date.succ_opt(), i64::MAX, 9).await.unwrap().is_empty());
    assert_eq!(board::tally(night.pool(), date).await.unwrap().stuck, 3);
    assert_eq!(figures::read(&night.store).await.unwrap().stuck, 3);

    let shown = preview(&night.store, &Wish::new(Verb::Requeue, filter.clone())).await.unwrap();
    assert_eq!((shown.touches, shown.is_capped), (3, false));
    assert_eq!(all(&night, Verb::Requeue, &filter).await, (3, 0));
}

/// One statement finds all of them, another asks of one row: they must mean the same.
#[tokio::test]
async fn what_is_found_is_what_is_stuck() {
    let night = TestNight::new().await.enqueued(24).await;
    night
        .execute(
            "insert into dailycast.worker (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms,
                                           heartbeat_at, stopped_at, stop_reason)
             values ('lives', 'h', 'b', 1, 1, '1', 1, 30000, 1000, now(), null, null),
                    ('silent', 'h', 'b', 1, 1, '1', 1, 30000, 1000, now() - interval '1 hour', null, null),
                    ('gone', 'h', 'b', 1, 1, '1', 1, 30000, 1000, now(), now(), 'test');
             with numbered as (select id, row_number() over (order by id) as n from dailycast.daily_podcast)
             update dailycast.daily_podcast p
             set worker_id = case n % 4 when 1 then 1 when 2 then 2 when 3 then 3 end,
                 lease_token = case when n % 4 > 0 then n end,
                 next_attempt_at = now() - (n % 3 - 1) * interval '1 hour',
                 is_active = n % 5 > 0
             from numbered where numbered.id = p.id;
             delete from apalis.jobs where idempotency_key::bigint % 2 = 0;
             update apalis.jobs set status = 'Running' where idempotency_key::bigint % 7 = 0",
        )
        .await;
    let mut found = BTreeMap::new();
    for (what, change) in [
        ("one worker is alive", "select 1"),
        ("everything is paused", "insert into dailycast.pause (paused_by) values ('test')"),
        (
            "no worker is alive",
            "delete from dailycast.pause; update dailycast.worker set heartbeat_at = now() - interval '1 hour'",
        ),
    ] {
        night.execute(change).await;
        let asked = "select id from dailycast.daily_podcast p where dailycast.is_stuck(p) order by id desc";
        let asked: Vec<i64> = sqlx::query_scalar(asked).fetch_all(night.pool()).await.unwrap();
        assert_eq!(stuck::find(&night.store, None, i64::MAX, 100).await.unwrap(), asked, "{what}");
        let active = "select count(*) from dailycast.daily_podcast p where is_active and dailycast.is_stuck(p)";
        let active: i64 = sqlx::query_scalar(active).fetch_one(night.pool()).await.unwrap();
        let mut connection = night.pool().acquire().await.unwrap();
        assert_eq!(stuck::count(&mut connection, None).await.unwrap().0, active, "{what}");
        found.insert(what, asked.len());
    }
    assert!(found["everything is paused"] == 0 && found["one worker is alive"] > 3, "{found:?}");
    assert!(found["no worker is alive"] > found["one worker is alive"], "{found:?}");
}
