//! The gate while the database is away, is held up, or has lost what it said.

use super::*;

#[tokio::test]
async fn a_probe_whose_answer_was_lost_is_taken_again_by_its_process_alone() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    sync(&[&a]).await;
    rest_is_over(&night).await;
    sync(&[&a, &b]).await;
    let pass = admit(&a).await.unwrap();
    night.execute("create table public.taken as select probe_by, probe_until from dailycast.provider_state").await;
    drop(pass);
    sync(&[&a, &b]).await;
    // As if it had been taken once more, and nobody had heard of it.
    night
        .execute(
            "update dailycast.provider_state s set probe_by = t.probe_by, probe_until = t.probe_until
             from public.taken t",
        )
        .await;
    assert!(admit(&b).await.is_err(), "it is another's");
    assert!(admit(&a).await.is_ok(), "it is its own");
    let Ok(probe) = admit(&a).await else { panic!("that the last one was broken off was not told yet") };
    assert!(admit(&a).await.is_err(), "one probe at a time");
    end(probe, None);
    sync(&[&a, &b]).await;
    assert!(admit(&a).await.is_ok() && admit(&b).await.is_ok());
}

#[tokio::test]
async fn what_a_database_that_lost_a_commit_says_holds() {
    let night = TestNight::new().await;
    let (a, b) = two(&night, WIDE).await;
    calls_fail(&a, 3, FailureKind::Unavailable).await;
    sync(&[&a, &b]).await;
    night.execute("update dailycast.provider_state set generation = 0, cause = null, opened_at = null, open_until = null, rest_ms = 0, failures_in_a_row = 0").await;
    sync(&[&a, &b]).await;
    assert!(admit(&a).await.is_ok() && admit(&b).await.is_ok());
}

#[tokio::test]
async fn a_row_that_another_session_holds_stops_nobody() {
    let night = TestNight::new().await;
    let (a, _) = two(&night, WIDE).await;
    let hasty = Settings {
        limits: BTreeMap::from([("openai".to_owned(), WIDE), ("polly".to_owned(), WIDE)]),
        turn: Duration::from_millis(300),
        ..settings(WIDE)
    };
    let b = Fleet::idle(night.store.another(), hasty);
    b.sync().await.unwrap();
    let polly = Wish { provider: "polly", night: date(), is_paid: true };
    end(admit(&a).await.unwrap(), None);
    a.sync().await.unwrap();
    end(admit(&b).await.unwrap(), None);
    end(b.admit(&polly).await.unwrap(), Some(FailureKind::OutOfCredit));

    let mut other = night.pool().begin().await.unwrap();
    sqlx::query("set local idle_in_transaction_session_timeout = 0").execute(&mut *other).await.unwrap();
    sqlx::query("select from dailycast.provider_state where provider = 'openai' for update")
        .execute(&mut *other)
        .await
        .unwrap();
    let bounded = tokio::time::timeout(Duration::from_secs(30), async {
        assert!(b.sync().await.is_err(), "the news of one provider are not told");
        for _ in 0..2_000 {
            // Slots that were reserved before are used; then there are none.
            if let Err(refused) = admit(&b).await {
                assert_eq!(refused.kind, FailureKind::OwnLimit);
                return;
            }
        }
        panic!("it was never refused");
    });
    bounded.await.expect("it hangs");
    a.sync().await.unwrap();
    let cause: Option<String> =
        sqlx::query_scalar("select cause from dailycast.provider_state where provider = 'polly'")
            .fetch_one(night.pool())
            .await
            .unwrap();
    assert_eq!(cause.as_deref(), Some("out_of_credit"), "the news of the others are");
    other.rollback().await.unwrap();
    b.sync().await.unwrap();
    assert_eq!(shown(&night).await.calls, 2);
}

#[tokio::test]
async fn nothing_blocks_while_the_database_is_away() {
    let night = TestNight::new().await;
    let store = night.store.another();
    let hasty = Settings { micro_usd_per_night: Some(1), turn: Duration::from_millis(300), ..settings(WIDE) };
    let fleet = Fleet::idle(store.clone(), hasty);
    assert_eq!(refusal(&fleet).await.kind, FailureKind::OwnLimit, "nothing is known yet");
    let unpaid = Wish { provider: "openai", night: date(), is_paid: false };
    assert_eq!(fleet.admit(&unpaid).await.err().unwrap().kind, FailureKind::OwnLimit);
    fleet.sync().await.unwrap();
    let under_way = join_all((0..4).map(|_| fleet.admit(&unpaid))).await;
    store.close().await;
    assert!(fleet.sync().await.is_err());
    for pass in under_way {
        end(pass.unwrap(), Some(FailureKind::Unavailable));
    }
    assert_eq!(fleet.admit(&unpaid).await.err().unwrap().kind, FailureKind::BreakerOpen, "what was seen holds");
    assert!(fleet.admit(&Wish { provider: "local", ..unpaid }).await.is_ok(), "who has no limit needs no database");
}

#[tokio::test]
async fn a_probe_is_not_given_away_while_its_call_may_last() {
    let night = TestNight::new().await;
    let slow = Settings { longest_call: Duration::from_secs(600), ..settings(WIDE) };
    let fleet = Fleet::idle(night.store.another(), slow);
    sync(&[&fleet]).await;
    calls_fail(&fleet, 3, FailureKind::Unavailable).await;
    sync(&[&fleet]).await;
    rest_is_over(&night).await;
    sync(&[&fleet]).await;
    let probe = admit(&fleet).await.unwrap();
    let is_ours = "select probe_until > now() + interval '10 minutes' from dailycast.provider_state";
    let is_ours: bool = sqlx::query_scalar(is_ours).fetch_one(night.pool()).await.unwrap();
    assert!(is_ours);
    drop(probe);
}
