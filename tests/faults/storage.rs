//! The store of episodes is away: the audio waits in the spool, and nothing is spoken again.

use crate::support::ground::Ground;

const LEARNERS: i64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn episodes_wait_for_the_store_and_are_requeued_when_it_is_back() {
    let mut ground = Ground::new(LEARNERS as u32).await;
    ground.shorten_episodes();
    ground.stop_s3().await;
    ground.start_night().await;
    let worker = ground.worker("patient");
    let waiting = "status = 'pending_upload' and lease_token is null and attempt = 1
                   and error_kind = 'storage_unavailable' and next_attempt_at > now() + interval '1 minute'";
    ground.until_at_least(LEARNERS, waiting).await;
    for id in ids(&ground).await {
        assert!(ground.spool().join(&id).join("episode.mp3").is_file(), "the audio of podcast {id} is safe");
    }
    let stuck = ground.run(&["podcast", "requeue", "--stuck", "--json"]).await;
    assert_eq!(String::from_utf8(stuck.stdout).unwrap(), "{\"requeued\":0,\"skipped\":0,\"unknown\":0}\n");

    ground.start_s3().await;
    let ids = ids(&ground).await;
    let all: Vec<&str> = ["podcast", "requeue"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let requeued = ground.run(&all).await;
    assert!(requeued.status.success(), "{}", String::from_utf8_lossy(&requeued.stderr));
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.assert_all_is_well(LEARNERS).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned);
}

async fn ids(ground: &Ground) -> Vec<String> {
    sqlx::query_scalar("select id::text from dailycast.daily_podcast order by id")
        .fetch_all(ground.pool())
        .await
        .unwrap()
}
