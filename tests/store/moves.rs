//! Writing moves: fenced, together, with everything that belongs to them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dailycast::{
    machine::{Event, FailureKind, Status},
    podcast::{Artefacts, Ledger, Podcast, StepResult},
    store::{
        claim::{self, Wanted},
        moves::{self, Move, Then},
        podcasts::{self, Filter},
        verbs::Verb,
        writer::{Supervision, Writer},
    },
};

use tokio_util::sync::CancellationToken;

use crate::support::engine::{TestNight, one_call, success};

use super::claim::register;

/// The move of a step that succeeded.
fn advance(podcast: &Podcast) -> Move {
    let (outcome, ledger) = (success(podcast), Ledger::of(podcast.id));
    one_call(&ledger);
    let StepResult::Done(event) = outcome.result else { panic!("a success that failed") };
    let to = dailycast::machine::apply(podcast.status, event).unwrap();
    Move {
        lease: podcast.lease,
        nth: podcast.moves,
        from: podcast.status,
        event,
        to,
        then: if to.is_final() { Then::Finish } else { Then::GoOn },
        attempt: 0,
        tried: 1,
        made: outcome.made,
        calls: ledger.take(),
        error: None,
        provider: None,
        duration_ms: 1,
    }
}

async fn claimed(night: &TestNight, limit: usize) -> (i32, Vec<Podcast>) {
    let worker = register(night).await;
    (worker, claim::claim(&night.store, worker, limit, Wanted::Healthy).await.unwrap())
}

#[tokio::test]
async fn a_stale_lease_changes_nothing_at_all() {
    let night = TestNight::new().await.enqueued(2).await;
    let (worker, podcasts) = claimed(&night, 2).await;
    let mut stale = advance(&podcasts[0]);
    stale.lease.token -= 1;
    let mut early = advance(&podcasts[1]);
    early.from = Status::PendingUpload;
    let good = advance(&podcasts[1]);
    assert!(moves::write(&night.store, worker, &[stale, early]).await.unwrap().is_empty());
    assert_eq!(night.count("status <> 'pending' or script_text is not null or cost_micro_usd > 0").await, 0);
    for table in ["podcast_event where event <> 'enqueued'", "provider_call"] {
        let query = format!("select count(*) from dailycast.{table}");
        let lines: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(night.pool()).await.unwrap();
        assert_eq!(lines, 0, "{table}");
    }
    let written = moves::write(&night.store, worker, &[good]).await.unwrap();
    assert_eq!(written, [podcasts[1].lease].into());
}

#[tokio::test]
async fn a_finished_podcast_and_its_job_end_in_the_same_commit() {
    let night = TestNight::new().await.enqueued(3).await;
    let (worker, mut podcasts) = claimed(&night, 3).await;
    for _ in 0..4 {
        let moves: Vec<Move> = podcasts.iter().map(advance).collect();
        assert_eq!(moves::write(&night.store, worker, &moves).await.unwrap().len(), 3);
        for (podcast, one) in podcasts.iter_mut().zip(moves) {
            podcast.status = one.to;
            podcast.moves += 1;
            podcast.made.is_fallback = podcast.made.is_fallback.or(one.made.is_fallback);
        }
    }
    assert_eq!(night.count("status = 'completed_with_fallback' and cost_micro_usd = 4").await, 3);
    night.assert_all_is_well().await;
}

#[tokio::test]
async fn a_resting_podcast_waits_in_row_and_job_alike() {
    let night = TestNight::new().await.enqueued(1).await;
    let (worker, podcasts) = claimed(&night, 1).await;
    let rest = Move {
        event: Event::AttemptFailed,
        to: Status::Pending,
        then: Then::Rest(Duration::from_secs(300)),
        attempt: 1,
        made: Artefacts::default(),
        error: Some((FailureKind::Timeout, "no answer".to_owned())),
        ..advance(&podcasts[0])
    };
    moves::write(&night.store, worker, &[rest]).await.unwrap();
    let row = &podcasts::list(&night.store, &Filter::default(), 1).await.unwrap()[0];
    assert_eq!((row.attempt, row.error_kind.as_deref(), row.worker_id), (1, Some("timeout"), None));
    let same: bool = sqlx::query_scalar(
        "select j.run_at = p.next_attempt_at and j.status = 'Pending' and j.run_at > now() + interval '4 minutes'
         from apalis.jobs j join dailycast.daily_podcast p on j.id = dailycast.job_id(p.id)",
    )
    .fetch_one(night.pool())
    .await
    .unwrap();
    assert!(same);
    assert!(claim::claim(&night.store, worker, 1, Wanted::Healthy).await.unwrap().is_empty());
}

#[tokio::test]
async fn lost_audio_is_forgotten_and_the_script_kept() {
    let night = TestNight::new().await.enqueued(1).await;
    let (worker, mut podcasts) = claimed(&night, 1).await;
    let podcast = &mut podcasts[0];
    for _ in 0..3 {
        let one = advance(podcast);
        podcast.status = one.to;
        podcast.moves += 1;
        moves::write(&night.store, worker, &[one]).await.unwrap();
    }
    let lost = Move {
        event: Event::AudioLost,
        to: Status::ScriptGenerated,
        then: Then::GoOn,
        made: Artefacts::default(),
        ..advance(podcast)
    };
    moves::write(&night.store, worker, &[lost]).await.unwrap();
    assert_eq!(night.count("status = 'script_generated' and spool_ref is null and script_text = 'Hello.'").await, 1);
}

#[tokio::test]
async fn a_requeue_resumes_where_work_exists_and_doubles_nothing() {
    let night = TestNight::new().await.enqueued(4).await;
    let (worker, podcasts) = claimed(&night, 3).await;
    // One fails without a script, one with it, one is held, one waits for its first claim.
    moves::write(&night.store, worker, &[advance(&podcasts[1])]).await.unwrap();
    let fail = |podcast: &Podcast, from| Move {
        nth: i32::from(from != Status::Pending),
        from,
        event: Event::GaveUp,
        to: Status::Failed,
        then: Then::Finish,
        made: Artefacts::default(),
        error: Some((FailureKind::Internal, "because".to_owned())),
        ..advance(podcast)
    };
    let failures = [fail(&podcasts[0], Status::Pending), fail(&podcasts[1], Status::ScriptGenerated)];
    assert_eq!(moves::write(&night.store, worker, &failures).await.unwrap().len(), 2);

    let today = Filter { date: Some(night.deadline_at.date_naive()), ..Filter::default() };
    assert_eq!(super::operations::all(&night, Verb::Requeue, &today).await, (3, 1));
    let failed = Filter { status: Some(Status::Failed), ..Filter::default() };
    assert_eq!(super::operations::all(&night, Verb::Requeue, &failed).await, (0, 0));
    assert_eq!(night.count("status = 'pending' and lease_token is null").await, 2);
    assert_eq!(night.count("status = 'script_generated' and attempt = 0 and finished_at is null").await, 1);
    let jobs: i64 = sqlx::query_scalar("select count(*) from apalis.jobs").fetch_one(night.pool()).await.unwrap();
    assert_eq!(jobs, 4);
}

#[tokio::test]
async fn a_move_written_twice_counts_once() {
    let night = TestNight::new().await.enqueued(1).await;
    let (worker, podcasts) = claimed(&night, 1).await;
    // The next provider at once: status and token stay, so only the count of moves tells.
    let again = Move {
        event: Event::AttemptFailed,
        to: Status::Pending,
        then: Then::GoOn,
        made: Artefacts::default(),
        error: Some((FailureKind::BadAnswer, "nonsense".to_owned())),
        ..advance(&podcasts[0])
    };
    assert_eq!(moves::write(&night.store, worker, std::slice::from_ref(&again)).await.unwrap().len(), 1);
    assert!(moves::write(&night.store, worker, std::slice::from_ref(&again)).await.unwrap().is_empty());
    assert_eq!(night.count("cost_micro_usd = 1").await, 1);
}

#[tokio::test]
async fn what_the_database_refuses_becomes_a_failed_attempt_and_rests() {
    let night = TestNight::new().await.enqueued(2).await;
    let (worker, podcasts) = claimed(&night, 2).await;
    let supervision = Supervision { failing: Arc::default(), give_up: CancellationToken::new() };
    let (writer, _writing) = Writer::start(&night.store, worker, 4, &supervision);
    // A completed podcast without its object is against the rules of the table.
    let mut refused = advance(&podcasts[0]);
    refused.made.script_text = None;
    let mut with_zero = advance(&podcasts[1]);
    with_zero.made.script_text = Some("Hel\0lo.".to_owned());
    let (a, b) = tokio::join!(writer.write(refused), writer.write(with_zero));
    assert!(a.is_err() && b.is_ok());
    assert_eq!(night.count("status = 'pending' and error_kind = 'internal' and attempt = 1 and cost_micro_usd = 1 and lease_token is null and next_attempt_at > now() + interval '30 seconds'").await, 1);
    assert_eq!(night.count("script_text = 'Hello.'").await, 1);
    assert_eq!(supervision.failing.load(Ordering::Relaxed), 0);
}
