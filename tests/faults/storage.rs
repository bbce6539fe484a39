//! The store of episodes is away: the audio waits in the spool, and nothing is spoken again.

use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use crate::support::{
    filter::{Fault, Filter},
    ground::Ground,
    process::Process,
    until, web,
};

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
    let stuck: serde_json::Value = serde_json::from_slice(&stuck.stdout).unwrap();
    assert_eq!((&stuck["requeued"], &stuck["skipped"], &stuck["unknown"]), (&0.into(), &0.into(), &0.into()));

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

/// A store that is away when the worker starts gets its rule when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_episodes_expire_in_a_store_that_was_away_at_the_start() {
    let mut ground = Ground::new(1).await;
    ground.stop_s3().await;
    let worker = ground.worker("patient");
    worker.until_it_says("the store of episodes is not ready", 1).await;
    ground.start_s3().await;
    worker.until_it_says("the bucket lets old episodes expire now", 1).await;
    ground.stop(worker).await;
}

async fn ids(ground: &Ground) -> Vec<String> {
    sqlx::query_scalar("select id::text from dailycast.daily_podcast order by id")
        .fetch_all(ground.pool())
        .await
        .unwrap()
}

/// Nights of one fault each at the same time; they wait more than they work.
const AT_ONCE: usize = 4;

/// Learners of each of them.
const FEW: i64 = 2;

/// Whatever a store does to an upload: the row waits, the learner hears the episode all the same, and
/// it is stored by itself when the store is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_store_does_loses_an_episode() {
    stream::iter(Fault::ALL).map(survives).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn survives(fault: Fault) {
    let mut ground = Ground::new(FEW as u32).await;
    ground.shorten_episodes();
    ground.shorten_waits();
    let filter = ground.behind_a_filter(1).await;
    filter.strike_at(fault, "PUT /episodes/podcasts", 0);
    ground.start_night().await;
    let worker = ground.worker("patient");
    if fault == Fault::WrongTag {
        // What is stored is right, and the store says so when it is asked again.
        ground.until_finished().await;
        assert_eq!(ground.count("podcast_event", "event = 'attempt_failed'").await, 0);
    } else {
        waits_and_plays(&ground, &filter, fault).await;
    }
    filter.clear();
    ground.until_finished().await;
    ends_well(&ground, worker).await;
}

async fn waits_and_plays(ground: &Ground, filter: &Filter, fault: Fault) {
    let kinds = if fault.holds() { "'timeout'" } else { "'storage_unavailable', 'key_refused'" };
    let waiting = format!("status = 'pending_upload' and attempt > 0 and error_kind in ({kinds})");
    ground.until_at_least(FEW, &waiting).await;
    let (server, address) = ground.server().await;
    let learners: Vec<(String, String)> = sqlx::query_as(
        "select key, p.audio_sha256 from academy.learner_token t join dailycast.daily_podcast p using (user_id)",
    )
    .fetch_all(ground.pool())
    .await
    .unwrap();
    assert_eq!(learners.len() as i64, FEW);
    for (token, sha256) in learners {
        assert_eq!(heard(&address, &token).await, sha256, "{fault:?}");
    }
    assert!(filter.met() as i64 >= FEW);
    assert_eq!(ground.count("daily_podcast", "finished_at is not null").await, 0, "{fault:?}");
    ground.stop(server).await;
}

/// The checksum of what the API plays to a learner today.
async fn heard(address: &str, token: &str) -> String {
    let web = web().build().unwrap();
    let today = web.get(format!("{address}/api/dailycast/today/")).header("authorization", format!("Token {token}"));
    let today: serde_json::Value = today.send().await.unwrap().json().await.unwrap();
    assert_eq!(today["status"], "pending_upload");
    let audio = web.get(today["podcast"]["audio_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(audio.status(), 200);
    hex::encode(Sha256::digest(audio.bytes().await.unwrap()))
}

async fn ends_well(ground: &Ground, worker: Process) {
    ground.stop(worker).await;
    ground.assert_all_is_well(FEW).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned);
}

/// A store that takes requests and answers none holds up no worker that starts: its podcasts are
/// spoken meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_answers_nothing_holds_up_no_start() {
    let mut ground = Ground::new(FEW as u32).await;
    ground.shorten_episodes();
    ground.shorten_waits();
    let filter = ground.behind_a_filter(1).await;
    filter.strike(&[Fault::Hold], 1.0);
    ground.start_night().await;
    let worker = ground.worker("patient");
    ground.until_at_least(FEW, "status = 'pending_upload'").await;
    assert!(!worker.log().contains("the store of episodes is not ready"), "it still waits for the first answer");
    until("an upload was broken off", async || ground.count("daily_podcast", "error_kind = 'timeout'").await > 0).await;
    filter.clear();
    ground.until_finished().await;
    ends_well(&ground, worker).await;
}
