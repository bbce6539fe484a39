//! The operator's verbs: what each does to whom, and that an operation is done once, whoever does it.

use std::sync::Arc;

use dailycast::{
    machine::Status,
    podcast::Podcast,
    store::{
        claim::{self, Wanted},
        moves::{self, Move, Then},
        operations::{self, New, Operation, Started},
        podcasts::Filter,
        verbs::{FromStep, Order, Verb},
    },
};

use crate::support::engine::{Scripted, TestNight, success};

use super::claim::register;

fn order<'o>(night: &TestNight, verb: Verb, filter: &'o Filter, actor: &'o str) -> Order<'o> {
    Order { verb, filter, actor, reason: "", deadline_at: night.deadline_at }
}

async fn start(night: &TestNight, verb: Verb, filter: &Filter) -> i64 {
    let new = New { order: order(night, verb, filter, "a test"), subject: "some", key: None, expected: 0 };
    match operations::start(night.pool(), new).await.unwrap() {
        Started::Begun(begun) => begun.id,
        other => panic!("{other:?}"),
    }
}

async fn carried_out(night: &TestNight, id: i64) -> Operation {
    operations::carry_out(night.pool(), id, |_| {}).await.unwrap().unwrap()
}

/// Does a verb to all that match; how many were moved and left.
pub async fn all(night: &TestNight, verb: Verb, filter: &Filter) -> (i64, i64) {
    let over = carried_out(night, start(night, verb, filter).await).await;
    assert_eq!((over.state.as_str(), over.is_running()), ("finished", false));
    (over.done, over.skipped)
}

fn ids(ids: &[i64]) -> Filter {
    Filter { ids: Some(ids.to_vec()), ..Filter::default() }
}

async fn every_id(night: &TestNight) -> Vec<i64> {
    sqlx::query_scalar("select id from dailycast.daily_podcast order by id").fetch_all(night.pool()).await.unwrap()
}

async fn lines(night: &TestNight, condition: &str) -> i64 {
    let query = format!("select count(*) from dailycast.podcast_event where {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(night.pool()).await.unwrap()
}

/// Eleven podcasts: one in each status, failed ones with nothing, a script, and audio; one held by a
/// worker that is alive, one by a worker that is not.
async fn one_of_each(night: &TestNight) -> Vec<i64> {
    let ids = every_id(night).await;
    let (living, dead) = (register(night).await, register(night).await);
    let script = "status = 'script_generated', script_text = 'Hello.', language = 'en', title = 'A title'";
    let speech = "status = 'audio_generating', tts_provider = 'local', chunk_plan = '{}'";
    let audio = "status = 'pending_upload', spool_ref = 'spooled', duration_seconds = 240";
    let upload = "finished_at = now(), object_key = 'key', audio_url = 's3://b/key'";
    let failed = "status = 'failed', finished_at = now(), error_kind = 'internal'";
    let completed = format!("status = 'completed', {upload}");
    let fallback = format!("status = 'completed_with_fallback', is_fallback = true, {upload}");
    let held_by_living = format!("lease_token = 1, worker_id = {living}");
    let held_by_dead = format!("lease_token = 2, worker_id = {dead}");
    let ways: [&[&str]; 11] = [
        &[],
        &[script],
        &[script, speech],
        &[script, speech, audio],
        &[script, speech, audio, &completed],
        &[script, speech, audio, &fallback],
        &[failed],
        &[script, failed],
        &[script, speech, audio, failed],
        &[&held_by_living],
        &[script, &held_by_dead],
    ];
    for (id, way) in ids.iter().zip(ways) {
        for columns in way {
            night.execute(&format!("update dailycast.daily_podcast set {columns} where id = {id}")).await;
        }
    }
    night.execute("delete from apalis.jobs where idempotency_key in (select id::text from dailycast.daily_podcast where finished_at is not null)").await;
    night.execute(&format!("update dailycast.worker set heartbeat_at = 'epoch' where id = {dead}")).await;
    ids
}

async fn statuses(night: &TestNight) -> Vec<(i64, String)> {
    let query = "select user_id, status from dailycast.daily_podcast where is_active order by user_id";
    sqlx::query_as(query).fetch_all(night.pool()).await.unwrap()
}

/// Where the eleven stand after a verb.
async fn after(verb: Verb, moved: (i64, i64), expected: [&str; 11]) -> TestNight {
    let night = TestNight::new().await.enqueued(11).await;
    let ids = one_of_each(&night).await;
    assert_eq!(all(&night, verb, &self::ids(&ids)).await, moved);
    let statuses: Vec<String> = statuses(&night).await.into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, expected);
    night
}

#[tokio::test]
async fn a_requeue_goes_on_from_what_is_there_and_takes_from_the_dead() {
    let expected = [
        "pending",
        "script_generated",
        "audio_generating",
        "pending_upload",
        "completed",
        "completed_with_fallback",
        "pending",
        "script_generated",
        "pending_upload",
        "pending",
        "script_generated",
    ];
    let night = after(Verb::Requeue, (8, 3), expected).await;
    assert_eq!(night.count("lease_token is not null").await, 1, "the living keep theirs");
    assert_eq!(lines(&night, "event = 'requeued' and detail = 'requeued by a test'").await, 8);
}

#[tokio::test]
async fn a_cancel_ends_what_is_not_finished_whoever_holds_it() {
    let expected = [
        "failed",
        "failed",
        "failed",
        "failed",
        "completed",
        "completed_with_fallback",
        "failed",
        "failed",
        "failed",
        "failed",
        "failed",
    ];
    let night = after(Verb::Cancel, (6, 5), expected).await;
    assert_eq!(night.count("error_kind = 'cancelled' and finished_at is not null and lease_token is null").await, 6);
    assert_eq!(night.count("finished_at is null").await, 0);
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs").fetch_one(night.pool()).await.unwrap();
    assert_eq!(jobs, 0);
}

#[tokio::test]
async fn a_regeneration_replaces_what_is_finished_and_nothing_else() {
    let expected = [
        "pending",
        "script_generated",
        "audio_generating",
        "pending_upload",
        "script_generated",
        "script_generated",
        "pending",
        "script_generated",
        "script_generated",
        "pending",
        "script_generated",
    ];
    let night = after(Verb::Regenerate(FromStep::Speech), (5, 6), expected).await;
    assert_eq!(night.count("not is_active and status in ('completed', 'completed_with_fallback', 'failed')").await, 5);
    let kept = "is_active and metadata ? 'regenerated_from' and script_text = 'Hello.' and title = 'A title'";
    assert_eq!(night.count(kept).await, 4);
    assert_eq!(lines(&night, "event = 'enqueued' and detail like 'regenerated from % by a test'").await, 5);
    // Once more, nothing is left to replace: the old ones are, the new ones are not finished.
    let old: Vec<i64> = sqlx::query_scalar("select id from dailycast.daily_podcast where not is_active")
        .fetch_all(night.pool())
        .await
        .unwrap();
    assert_eq!(all(&night, Verb::Regenerate(FromStep::Script), &ids(&old)).await, (0, 5));
    assert_eq!(all(&night, Verb::Requeue, &ids(&old)).await, (0, 5), "what was replaced is not made again");

    let expected = [
        "pending",
        "script_generated",
        "audio_generating",
        "pending_upload",
        "pending",
        "pending",
        "pending",
        "pending",
        "pending",
        "pending",
        "script_generated",
    ];
    let night = after(Verb::Regenerate(FromStep::Script), (5, 6), expected).await;
    assert_eq!(night.count("is_active and metadata ? 'regenerated_from' and script_text is null").await, 5);
}

#[tokio::test]
async fn a_cancelled_podcast_stays_so_and_its_worker_goes_on_with_the_others() {
    let night = TestNight::new().await.enqueued(3).await;
    let (work, gate) = Scripted::gated();
    let worker = night.worker(&Arc::new(work));
    night.until("all are held", async || night.count("lease_token is not null").await == 3).await;
    let first = every_id(&night).await[0];
    assert_eq!(all(&night, Verb::Cancel, &ids(&[first])).await, (1, 0));
    gate.add_permits(1_000);
    night.done().await;
    worker.stop().await;
    assert_eq!(night.count(&format!("id = {first} and status = 'failed' and error_kind = 'cancelled'")).await, 1);
    assert_eq!(night.count("status = 'completed_with_fallback'").await, 2);
    assert_eq!(lines(&night, &format!("podcast_id = {first}")).await, 2, "enqueued, cancelled, and nothing after that");
    night.assert_all_is_well().await;
}

#[tokio::test]
async fn episodes_that_are_regenerated_by_two_at_once_are_made_once() {
    let night = TestNight::new().await.enqueued(4).await;
    let worker = night.worker(&Arc::new(Scripted::well()));
    night.done().await;
    worker.stop().await;
    let (by_id, by_date) =
        (ids(&every_id(&night).await), Filter { date: Some(night.deadline_at.date_naive()), ..Filter::default() });
    let verb = Verb::Regenerate(FromStep::Speech);
    let (one, other) = (start(&night, verb, &by_id).await, start(&night, verb, &by_date).await);
    let (one, other) = tokio::join!(carried_out(&night, one), carried_out(&night, other));
    assert_eq!(one.done + other.done, 4);
    let worker = night.worker(&Arc::new(Scripted::well()));
    night.done().await;
    worker.stop().await;
    assert_eq!(night.count("is_active and status = 'completed_with_fallback'").await, 4);
    assert_eq!(night.count("not is_active").await, 4);
    assert_eq!(lines(&night, "event = 'script_ready'").await, 4, "no script is written again");
    night.assert_all_is_well().await;
}

#[tokio::test]
async fn two_who_carry_out_the_same_operation_move_each_podcast_once() {
    let night = TestNight::new().await.enqueued(1_200).await;
    let pending = Filter { status: Some(Status::Pending), ..Filter::default() };
    let id = start(&night, Verb::Cancel, &pending).await;
    let (a, b) = tokio::join!(carried_out(&night, id), carried_out(&night, id));
    assert_eq!((a.done, a.skipped), (1_200, 0));
    assert_eq!((b.done, b.state), (a.done, a.state));
    assert_eq!(lines(&night, "event = 'cancelled'").await, 1_200);
    assert_eq!(night.count("error_kind = 'cancelled'").await, 1_200);
}

#[tokio::test]
async fn the_same_wish_is_one_operation() {
    let night = TestNight::new().await.enqueued(2).await;
    let (two, one_two) = (ids(&[2, 1, 2]), ids(&[1, 2]));
    let begin = async |actor, filter, key| {
        let order = order(&night, Verb::Cancel, filter, actor);
        operations::start(night.pool(), New { order, subject: "two", key, expected: 2 }).await.unwrap()
    };
    let Started::Begun(first) = begin("a", &two, Some("k")).await else { panic!("it is new") };
    for (actor, filter, key) in [("a", &one_two, Some("k")), ("b", &one_two, None), ("b", &two, Some("k"))] {
        let Started::Joined(same) = begin(actor, filter, key).await else { panic!("{actor} begins another") };
        assert_eq!((same.id, same.actor.as_str()), (first.id, "a"));
    }
    let other = ids(&[1]);
    assert!(matches!(begin("a", &other, Some("k")).await, Started::OtherContent(known) if known.id == first.id));
    carried_out(&night, first.id).await;
    // Over: the key still names it, and who brings none begins anew.
    assert!(matches!(begin("a", &two, Some("k")).await, Started::Joined(known) if known.id == first.id));
    // So does the key of one who joined it.
    assert!(matches!(begin("b", &two, Some("k")).await, Started::Joined(known) if known.id == first.id));
    assert!(matches!(begin("b", &two, None).await, Started::Begun(_)));
    let noted: i64 =
        sqlx::query_scalar("select count(*) from dailycast.audit where action = 'cancel' and subject = 'two'")
            .fetch_one(night.pool())
            .await
            .unwrap();
    assert_eq!(noted, 2, "a line for each that was begun");
}

#[tokio::test]
async fn what_is_made_after_the_start_is_not_met_and_a_stopped_operation_does_no_more() {
    let night = TestNight::new().await.enqueued(2).await;
    let all_pending = Filter { status: Some(Status::Pending), ..Filter::default() };
    let (first, second) =
        (start(&night, Verb::Cancel, &all_pending).await, start(&night, Verb::Requeue, &all_pending).await);
    let night = night.with_more_learners(3, 5).await;
    assert!(operations::stop(night.pool(), second, "a test").await.unwrap());
    assert!(!operations::stop(night.pool(), second, "a test").await.unwrap());
    assert_eq!(carried_out(&night, second).await.done, 0);
    assert_eq!(carried_out(&night, first).await.done, 2);
    assert_eq!(night.count("status = 'pending'").await, 3);
}

#[tokio::test]
async fn the_leader_goes_on_with_what_was_left_alone() {
    let night = TestNight::new().await.enqueued(3).await;
    night.execute("update dailycast.daily_podcast set next_attempt_at = now() + interval '1 day'").await;
    night.execute("update apalis.jobs set run_at = now() + interval '1 day'").await;
    let all_pending = Filter { status: Some(Status::Pending), ..Filter::default() };
    let id = start(&night, Verb::Cancel, &all_pending).await;
    night.execute("update dailycast.operation set updated_at = now() - interval '1 minute'").await;
    let worker = night.worker(&Arc::new(Scripted::well()));
    night.done().await;
    worker.stop().await;
    assert_eq!(operations::find(night.pool(), id).await.unwrap().unwrap().done, 3);
    night.assert_all_is_well().await;
}

/// A worker that was thought dead, and writes after all, finds its lease gone.
#[tokio::test]
async fn who_lost_a_podcast_to_a_requeue_writes_nothing() {
    let night = TestNight::new().await.enqueued(1).await;
    let worker = register(&night).await;
    let held = claim::claim(&night.store, worker, 1, Wanted::Healthy).await.unwrap();
    night.execute("update dailycast.worker set heartbeat_at = 'epoch'").await;
    let stuck = Filter { stuck: true, ..Filter::default() };
    assert_eq!(all(&night, Verb::Requeue, &stuck).await, (1, 0));
    assert!(moves::write(&night.store, worker, &[script_ready(&held[0])]).await.unwrap().is_empty());
    assert_eq!(night.count("status = 'pending' and lease_token is null and next_attempt_at <= now()").await, 1);
    let due: i64 = sqlx::query_scalar("select count(*) from apalis.jobs where status = 'Pending' and priority = 10")
        .fetch_one(night.pool())
        .await
        .unwrap();
    assert_eq!(due, 1);
}

fn script_ready(podcast: &Podcast) -> Move {
    Move {
        lease: podcast.lease,
        nth: podcast.moves,
        from: podcast.status,
        event: dailycast::machine::Event::ScriptReady,
        to: Status::ScriptGenerated,
        then: Then::GoOn,
        attempt: 0,
        tried: 1,
        made: success(podcast).made,
        calls: Vec::new(),
        error: None,
        provider: None,
        duration_ms: 1,
    }
}

#[tokio::test]
async fn an_operation_whose_deadline_is_past_makes_nothing_due() {
    let night = TestNight::new().await.enqueued(2).await;
    let all_pending = Filter { status: Some(Status::Pending), ..Filter::default() };
    let (late, cancels) =
        (start(&night, Verb::Requeue, &all_pending).await, start(&night, Verb::Cancel, &all_pending).await);
    night.execute("update dailycast.operation set deadline_at = now()").await;
    let over = carried_out(&night, late).await;
    assert_eq!((over.state.as_str(), over.done), ("stopped", 0));
    assert!(over.error.unwrap().contains("deadline"));
    assert_eq!(carried_out(&night, cancels).await.done, 2, "to end them it is never too late");
}
