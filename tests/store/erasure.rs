//! Learners who left: who is believed to have, and that nothing is left of them.

use chrono::Datelike as _;
use dailycast::{
    store::{
        claim::{self, Wanted},
        costs,
        erasure::{self, Due},
        missed::{self, Census},
    },
    worker::keeper,
};

use crate::support::{engine::TestNight, traces};

use super::claim::register;

/// A night of learners `1..=learners`, all enqueued, one of them [`traces::LEARNER`] in place of 1.
async fn night(learners: i64) -> TestNight {
    let night = TestNight::new().await;
    traces::tell_apart(night.pool()).await;
    let night = night.enqueued(learners).await;
    for table in ["academy.learner", "dailycast.daily_podcast"] {
        night.execute(&format!("update {table} set user_id = {} where user_id = 1", traces::LEARNER)).await;
    }
    night
}

async fn leave(night: &TestNight, condition: &str) {
    night.execute(&format!("delete from academy.learner where {condition}")).await;
}

/// Walks once over everybody, in pages smaller than the table.
async fn walk(night: &TestNight) -> Census {
    while !missed::look(night.pool(), 7).await.unwrap().is_last {}
    missed::census(night.pool(), 30).await.unwrap()
}

/// Makes the past longer by so many hours.
async fn later(night: &TestNight, hours: i32) {
    night
        .execute(&format!(
            "update dailycast.erasure set missed_at = missed_at - interval '{hours} hours',
                 missed_again_at = missed_again_at - interval '{hours} hours',
                 due_at = due_at - interval '{hours} hours', found_at = found_at - interval '{hours} hours'"
        ))
        .await;
}

async fn confirmed(night: &TestNight) -> i64 {
    sqlx::query_scalar("select count(*) from dailycast.erasure where confirmed_at is not null")
        .fetch_one(night.pool())
        .await
        .unwrap()
}

async fn due(night: &TestNight) -> Due {
    let mut due = erasure::due(night.pool(), 10).await.unwrap();
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0)
}

#[tokio::test]
async fn who_is_missed_often_and_long_enough_has_left() {
    let night = night(20).await;
    leave(&night, "user_id > 20").await;
    // The looks and the hours, each before the other is enough.
    for (hours, looks) in [(0, 1), (0, 1), (1, 2), (22, 3), (0, 3)] {
        later(&night, hours).await;
        let census = walk(&night).await;
        assert_eq!(census, Census { known: 20, missing: 1, shows_somebody: true });
        assert!(census.is_plausible());
        assert_eq!(missed::confirm(night.pool()).await.unwrap(), 0);
        let (on_the_way, _) = erasure::list(night.pool(), 9).await.unwrap();
        assert_eq!((on_the_way[0].user_id, on_the_way[0].looks), (traces::LEARNER, looks), "{hours}");
    }
    later(&night, 1).await;
    assert_eq!(missed::confirm(night.pool()).await.unwrap(), 1);
    assert_eq!(due(&night).await.user_id, traces::LEARNER);
    assert_eq!(walk(&night).await.missing, 0, "who is confirmed is no longer missed");
}

/// Their podcasts went with time, or there never were any.
#[tokio::test]
async fn who_left_a_feed_or_a_session_and_no_podcast_is_missed_too() {
    let night = night(20).await;
    night
        .execute(
            "insert into dailycast.feed (user_id, seed, key_hash) values (2, 'a', 'a'), (801, 'b', 'b');
             insert into dailycast.generation (user_id) values (802), (3);
             insert into dailycast.session (key_hash, user_id, expires_at)
             values ('a', 800, now() + interval '1 day'), ('b', 800, now() + interval '1 day'), ('c', 2, now())",
        )
        .await;
    assert_eq!(walk(&night).await, Census { known: 23, missing: 3, shows_somebody: true });
    let (missed, _) = erasure::list(night.pool(), 9).await.unwrap();
    let mut missed: Vec<i64> = missed.iter().map(|one| one.user_id).collect();
    missed.sort_unstable();
    assert_eq!(missed, [800, 801, 802]);
}

#[tokio::test]
async fn days_with_too_few_looks_prove_nothing() {
    let night = night(20).await;
    leave(&night, "user_id > 20").await;
    walk(&night).await;
    later(&night, 100).await;
    walk(&night).await;
    later(&night, 100).await;
    assert_eq!(missed::confirm(night.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn who_is_found_again_was_never_missed() {
    let night = night(20).await;
    night.execute("create table aside as table academy.learner").await;
    leave(&night, "user_id > 20").await;
    for _ in 0..3 {
        walk(&night).await;
        later(&night, 20).await;
    }
    night.execute("insert into academy.learner select * from aside where user_id > 20").await;
    assert_eq!(missed::confirm(night.pool()).await.unwrap(), 0, "there at the last moment");
    walk(&night).await;
    assert!(erasure::list(night.pool(), 9).await.unwrap().0.is_empty());
}

/// Whatever a broken view shows, and for however long: nobody is erased.
#[tokio::test]
async fn a_broken_view_erases_nobody() {
    for gone in ["true", "user_id % 2 = 0", "user_id > 16"] {
        let night = night(20).await;
        leave(&night, gone).await;
        for _ in 0..5 {
            let census = walk(&night).await;
            assert!(census.missing > 3 && !census.is_plausible(), "{gone}: {census:?}");
            later(&night, 30).await;
        }
        assert_eq!(confirmed(&night).await, 0);
    }
}

#[tokio::test]
async fn an_academy_that_is_away_is_no_look() {
    let night = night(20).await;
    leave(&night, "user_id > 20").await;
    night.execute("alter table academy.learner rename to elsewhere").await;
    assert!(missed::look(night.pool(), 7).await.is_err());
    assert!(missed::census(night.pool(), 30).await.is_err());
    assert!(missed::confirm(night.pool()).await.is_err());
    assert!(erasure::list(night.pool(), 9).await.unwrap().0.is_empty());
}

#[test]
fn a_hundredth_may_leave_at_once_and_three_always() {
    let plausible = |known, missing| Census { known, missing, shows_somebody: true }.is_plausible();
    for (known, most) in [(0, 3), (12, 3), (399, 3), (400, 4), (100_000, 1_000), (5_000_000, 9_999)] {
        assert!(plausible(known, most) && !plausible(known, most + 1), "{known}");
    }
    assert!(!Census { known: 12, missing: 0, shows_somebody: false }.is_plausible());
}

#[tokio::test]
async fn an_operators_word_confirms_who_is_still_missing() {
    let night = night(20).await;
    leave(&night, "user_id % 2 = 0").await;
    walk(&night).await;
    night.execute("insert into academy.learner values (2, 'free', true, now())").await;
    assert_eq!(missed::confirm_all(night.pool(), "an operator").await.unwrap(), 9);
    assert!(walk(&night).await.is_plausible());
    assert_eq!(confirmed(&night).await, 9);
}

/// Ages and finishes what makes a full life: several dates, a replaced episode, calls.
async fn with_a_past(night: &TestNight) {
    night
        .execute(&format!(
            "insert into dailycast.daily_podcast (user_id, date, deadline_at, is_active)
                 select {0}, '{1}'::date - n, now(), n <> 2 from generate_series(1, 3) n;
             insert into dailycast.provider_call
                 (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
             select id, 'polly', 'standard', 'speech', '{{\"characters\": 100}}', 400, 9, 'ok' from dailycast.daily_podcast;
             insert into dailycast.night
                 (date, started_by, scheduled_for, deadline_at, cursor_user_id, state, enqueued_at)
             values ('{1}', 'test', now(), now(), {0}, 'running', now());
             update dailycast.erasure_walk set after_user_id = {0}",
            traces::LEARNER,
            night.deadline_at.date_naive()
        ))
        .await;
}

#[tokio::test]
async fn a_learner_who_was_erased_leaves_nothing() {
    let night = night(5).await;
    with_a_past(&night).await;
    let podcasts = traces::podcasts(night.pool()).await;
    assert_eq!(podcasts.len(), 4);
    let before = traces::of_learner(night.pool(), &podcasts).await;
    for table in ["daily_podcast", "podcast_event", "provider_call", "night", "erasure_walk", "apalis.jobs"] {
        assert!(before.iter().any(|line| line.contains(table)), "{table}: {before:?}");
    }
    let asked = erasure::ask(night.pool(), &[traces::LEARNER, traces::LEARNER], "an operator").await.unwrap();
    let passed = keeper::erase(&night.store, asked[0], async { Ok(2) }).await.unwrap();
    assert_eq!((asked.len(), passed.podcasts, passed.objects, passed.is_over), (1, 4, 2, false));
    assert!(erasure::due(night.pool(), 9).await.unwrap().is_empty(), "another pass, but not yet");
    later(&night, 1).await;
    let passed = keeper::erase(&night.store, due(&night).await, async { Ok(0) }).await.unwrap();
    assert_eq!((passed.podcasts, passed.is_over), (0, true));
    assert_eq!(traces::of_learner(night.pool(), &podcasts).await, Vec::<String>::new());

    let (on_the_way, erased) = erasure::list(night.pool(), 9).await.unwrap();
    assert!(on_the_way.is_empty());
    assert_eq!((erased[0].learners, erased[0].podcasts, erased[0].objects), (1, 4, 2));
    assert_eq!(night.count("true").await, 4, "the others keep theirs");
}

/// What was spent is spent: sums of months do not change.
#[tokio::test]
async fn an_erasure_changes_no_sum_of_a_month() {
    let night = night(5).await;
    with_a_past(&night).await;
    let month = night.deadline_at.date_naive().with_day(1).unwrap();
    let before = costs::month(night.pool(), month).await.unwrap();
    assert!(before.spent.iter().map(|spent| spent.calls).sum::<i64>() >= 5);
    let asked = erasure::ask(night.pool(), &[traces::LEARNER, 2], "an operator").await.unwrap();
    for pass in asked {
        keeper::erase(&night.store, pass, async { Ok(0) }).await.unwrap();
    }
    let after = costs::month(night.pool(), month).await.unwrap();
    assert_eq!(after.spent, before.spent);
    assert!(
        after.made.iter().map(|made| made.podcasts).sum::<i64>() < before.made.iter().map(|made| made.podcasts).sum()
    );
}

/// A pass may end behind any of its commits. Whatever it was, the learner is not forgotten before
/// everything that was under way has ended.
#[tokio::test]
async fn a_pass_that_breaks_off_anywhere_is_done_again() {
    for boundary in ["rows", "objects"] {
        let night = night(5).await;
        let podcasts = traces::podcasts(night.pool()).await;
        erasure::ask(night.pool(), &[traces::LEARNER], "an operator").await.unwrap();
        erasure::delete_podcasts(night.pool(), traces::LEARNER, 10).await.unwrap();
        // Of the objects nothing is noted before the end of the pass: broken off behind them, the
        // next pass finds none, and one that arrives later is still found.
        let late = if boundary == "rows" { 1 } else { 0 };
        let passed = keeper::erase(&night.store, due(&night).await, async { Ok(late) }).await.unwrap();
        assert!(!passed.is_over, "{boundary}: rows went moments ago");
        later(&night, 1).await;
        let passed = keeper::erase(&night.store, due(&night).await, async { Ok(1) }).await.unwrap();
        assert!(!passed.is_over, "{boundary}: a late upload was found");
        later(&night, 1).await;
        assert!(keeper::erase(&night.store, due(&night).await, async { Ok(0) }).await.unwrap().is_over);
        assert_eq!(traces::of_learner(night.pool(), &podcasts).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn two_who_erase_at_once_count_once() {
    let night = night(5).await;
    with_a_past(&night).await;
    let pass = erasure::ask(night.pool(), &[traces::LEARNER], "an operator").await.unwrap()[0];
    let erase = async || keeper::erase(&night.store, pass, async { Ok(1) }).await.unwrap();
    let (one, other) = tokio::join!(erase(), erase());
    assert_eq!(one.podcasts + other.podcasts, 4);
    later(&night, 1).await;
    let pass = due(&night).await;
    let erase = async || keeper::erase(&night.store, pass, async { Ok(0) }).await.unwrap();
    let (one, other) = tokio::join!(erase(), erase());
    assert!(one.is_over != other.is_over);
    let (_, erased) = erasure::list(night.pool(), 9).await.unwrap();
    assert_eq!((erased[0].learners, erased[0].podcasts, erased[0].objects), (1, 4, 1));
}

/// Lines of a move that is written while its podcast is erased go with it, and what its call has
/// cost is kept.
#[tokio::test]
async fn a_move_that_is_not_committed_yet_leaves_nothing_behind() {
    let night = night(2).await;
    let podcasts = traces::podcasts(night.pool()).await;
    let mut writing = night.pool().begin().await.unwrap();
    let written = format!(
        "update dailycast.daily_podcast set moves = moves + 1 where id = {0};
         insert into dailycast.podcast_event (podcast_id, event, to_status) values ({0}, 'attempt_failed', 'pending');
         insert into dailycast.provider_call
             (podcast_id, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
         values ({0}, 'polly', 'standard', 'speech', '{{}}', 400, 9, 'ok')",
        podcasts[0]
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(written)).execute(&mut *writing).await.unwrap();
    let commit = async {
        night.until_waiting("lock_erased").await;
        writing.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(erasure::delete_podcasts(night.pool(), traces::LEARNER, 10), commit);
    assert_eq!(erased.unwrap(), 1);
    assert_eq!(traces::of_learner(night.pool(), &podcasts).await, Vec::<String>::new());
    let month = night.deadline_at.date_naive().with_day(1).unwrap();
    let spent = costs::month(night.pool(), month).await.unwrap().spent;
    assert_eq!(spent.iter().map(|spent| spent.cost_micro_usd).sum::<i64>(), 400);
}

#[tokio::test]
async fn a_job_of_another_queue_is_nobodys() {
    let night = night(1).await;
    night.execute("update apalis.jobs set job_type = 'another.queue'").await;
    assert_eq!(erasure::delete_podcasts(night.pool(), traces::LEARNER, 10).await.unwrap(), 1);
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs").fetch_one(night.pool()).await.unwrap();
    assert_eq!(jobs, 1);
}

/// A podcast that a worker holds goes like any other, and its job too.
#[tokio::test]
async fn a_podcast_that_is_held_is_fenced_off() {
    let night = night(1).await;
    let worker = register(&night).await;
    let held = claim::claim(&night.store, worker, 1, Wanted::Healthy).await.unwrap();
    let pass = erasure::ask(night.pool(), &[traces::LEARNER], "an operator").await.unwrap()[0];
    keeper::erase(&night.store, pass, async { Ok(0) }).await.unwrap();
    let leases: Vec<_> = held.iter().map(|podcast| podcast.lease).collect();
    assert_eq!(claim::let_go(&night.store, &leases, std::time::Duration::ZERO).await.unwrap(), 0);
    assert!(claim::held_by(&night.store, worker, std::time::Duration::ZERO).await.unwrap().is_empty());
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs").fetch_one(night.pool()).await.unwrap();
    assert_eq!(jobs, 0);
}
