//! What goes with time.

use dailycast::store::{
    claim::{self, Wanted},
    retention,
};

use crate::support::engine::TestNight;

use super::claim::register;

/// Makes all podcasts of the learners below 3 forty days old, and two of them finished.
async fn aged(night: &TestNight) {
    night
        .execute(
            "update dailycast.daily_podcast
             set date = date - 40, status = 'failed', finished_at = now(), error_kind = 'internal' where user_id < 3",
        )
        .await;
}

async fn count(night: &TestNight, table: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(night.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_past_is_pruned_with_its_events_and_calls() {
    let night = TestNight::new().await.enqueued(4).await;
    aged(&night).await;
    night.execute("update dailycast.daily_podcast set date = date - 40 where user_id = 3").await;
    night.execute("update dailycast.daily_podcast set is_active = false where user_id = 1").await;
    let first = retention::prune(night.pool(), 30, 1, None).await.unwrap();
    assert_eq!(first.podcasts, 1);
    let second = retention::prune(night.pool(), 30, 10, first.last).await.unwrap();
    assert_eq!(second.podcasts, 1);
    assert_eq!(retention::prune(night.pool(), 30, 10, second.last).await.unwrap().podcasts, 0);
    assert_eq!(night.count("user_id in (3, 4)").await, 2, "one is of today, the other not finished");
    assert_eq!(night.count("true").await, 2);
    assert_eq!(count(&night, "dailycast.podcast_event").await, 2);
}

/// On the last day of the retention nothing goes, on the day after it does.
#[tokio::test]
async fn a_podcast_is_kept_as_many_days_as_is_said() {
    let night = TestNight::new().await.enqueued(2).await;
    aged(&night).await;
    let age = "update dailycast.daily_podcast set date = now()::date - 29 - user_id::integer";
    night.execute(age).await;
    assert_eq!(retention::prune(night.pool(), 30, 10, None).await.unwrap().podcasts, 1);
    assert_eq!(night.count("date = now()::date - 30").await, 1);
}

/// A podcast that is requeued while it is pruned is no longer over.
#[tokio::test]
async fn what_is_requeued_at_this_moment_stays() {
    let night = TestNight::new().await.enqueued(2).await;
    aged(&night).await;
    let mut requeueing = night.pool().begin().await.unwrap();
    let requeued = "update dailycast.daily_podcast set status = 'pending', finished_at = null, error_kind = null
                    where user_id = 1";
    sqlx::raw_sql(requeued).execute(&mut *requeueing).await.unwrap();
    let commit = async {
        night.until_waiting("prune_podcasts").await;
        requeueing.commit().await.unwrap();
    };
    let (pruned, ()) = tokio::join!(retention::prune(night.pool(), 30, 10, None), commit);
    assert_eq!(pruned.unwrap().podcasts, 1);
    assert_eq!(night.count("user_id = 1 and finished_at is null").await, 1);
    assert_eq!(count(&night, "dailycast.podcast_event").await, 1);
}

#[tokio::test]
async fn two_who_prune_at_once_delete_everything_once() {
    let night = TestNight::new().await.enqueued(60).await;
    night.execute("update dailycast.daily_podcast set date = date - 40, status = 'failed', finished_at = now(), error_kind = 'internal'").await;
    let all = async || {
        let (mut gone, mut behind) = (0, None);
        loop {
            let page = retention::prune(night.pool(), 30, 7, behind).await.unwrap();
            gone += page.podcasts;
            behind = page.last;
            if behind.is_none() {
                return gone;
            }
        }
    };
    let (one, other) = tokio::join!(all(), all());
    let rest = all().await;
    assert_eq!(one + other + rest, 60);
    assert_eq!(count(&night, "dailycast.podcast_event").await, 0);
}

#[tokio::test]
async fn a_night_goes_with_its_last_podcast() {
    let night = TestNight::new().await.enqueued(2).await;
    aged(&night).await;
    let date = night.deadline_at.date_naive();
    night
        .execute(&format!(
            "insert into dailycast.night (date, started_by, scheduled_for, deadline_at, state, enqueued_at, finished_at)
             select distinct date, 'test', now(), now(), 'finished', now(), now() from dailycast.daily_podcast;
             insert into dailycast.night (date, started_by, scheduled_for, deadline_at)
             values ('{date}', 'test', now(), now());
             insert into dailycast.erased_spending values
                 ('{date}'::date - 40, 'free', 'polly', 'standard', 1, 0, 0, 0, 9, 0, 5),
                 ('{date}', 'free', 'polly', 'standard', 1, 0, 0, 0, 9, 0, 5)"
        ))
        .await;
    retention::prune_nights(night.pool(), 30).await.unwrap();
    assert_eq!(count(&night, "dailycast.night").await, 2);
    assert_eq!(count(&night, "dailycast.erased_spending").await, 1);
    retention::prune(night.pool(), 30, 10, None).await.unwrap();
    retention::prune_nights(night.pool(), 30).await.unwrap();
    assert_eq!(count(&night, "dailycast.night").await, 1);
}

#[tokio::test]
async fn jobs_that_nobody_will_take_are_thrown_away() {
    let night = TestNight::new().await.enqueued(3).await;
    let worker = register(&night).await;
    let claimed = claim::claim(&night.store, worker, 2, Wanted::Healthy).await.unwrap();
    night.execute(&format!("delete from dailycast.daily_podcast where id = {}", claimed[0].id)).await;
    night
        .execute(
            "insert into apalis.jobs (id, job_type, job, status, done_at, idempotency_key) values
                 ('old', 'dailycast.podcast', '', 'Killed', now() - interval '31 days', 'old'),
                 ('new', 'dailycast.podcast', '', 'Killed', now() - interval '29 days', 'new'),
                 ('other', 'another.queue', '', 'Running', null, 'other'),
                 ('other parked', 'another.queue', '', 'Killed', now() - interval '31 days', 'parked')",
        )
        .await;
    night.execute(&format!("update apalis.jobs set lock_by = 'dailycast-{worker}' where id = 'other'")).await;
    retention::prune_jobs(&night.store, 30).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar(
        "select case when job_type = 'dailycast.podcast' and status <> 'Killed' then 'ours' else id end from apalis.jobs order by 1",
    )
    .fetch_all(night.pool())
    .await
    .unwrap();
    assert_eq!(left, ["new", "other", "other parked", "ours", "ours"]);
}

#[tokio::test]
async fn what_operators_left_goes_when_it_is_over_and_old() {
    let night = TestNight::new().await;
    night
        .execute(
            "insert into dailycast.operation (verb, filter, actor, state, expected, below, deadline_at, finished_at)
             select 'requeue', jsonb_build_object('user_ids', array[n]), 'a test', state, 0, 0, now(), finished_at
             from (values (1, 'finished', now() - interval '31 days'), (2, 'finished', now()), (3, 'running', null))
                 as of (n, state, finished_at)",
        )
        .await;
    night.execute("insert into dailycast.operation_key (actor, key, operation_id) select actor, id::text, id from dailycast.operation").await;
    night
        .execute("insert into dailycast.night_skip (date, skipped_by) select now()::date + n, 'a test' from generate_series(-31, 1, 32) n")
        .await;
    night
        .execute(
            "insert into dailycast.session (key_hash, user_id, expires_at)
             values ('a', 1, now()), ('b', 1, now() + interval '1 hour')",
        )
        .await;
    night
        .execute(
            "insert into dailycast.revoked_link values ('a', now() - interval '401 days'), ('b', now() - interval '399 days');
             insert into dailycast.generation values (1, now() - interval '49 hours'), (2, now() - interval '47 hours')",
        )
        .await;
    assert_eq!(retention::prune_desk(night.pool(), 30).await.unwrap(), 1);
    for (table, left) in [
        ("dailycast.operation", 2),
        ("dailycast.operation_key", 2),
        ("dailycast.night_skip", 1),
        ("dailycast.session", 1),
        ("dailycast.revoked_link", 1),
        ("dailycast.generation", 1),
    ] {
        assert_eq!(count(&night, table).await, left, "{table}");
    }
}
