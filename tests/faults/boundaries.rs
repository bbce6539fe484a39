//! `kill -9` at the boundary of every step: its work is done, and the move that says so is on its
//! way. It may be lost, or be committed when its worker is dead already; both must end well.

use crate::support::{gate::Gate, ground::Ground};

const LEARNERS: i64 = 4;

/// What became of the move that the killed worker was making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Lost,
    Late,
}

/// A worker is killed while its first moves of the kind `event` wait for their commit.
async fn killed_at(event: &str, fate: Move) -> Ground {
    let ground = Ground::new(LEARNERS as u32).await;
    let mut gate = Gate::before(&ground, event).await;
    ground.start_night().await;
    let victim = ground.worker("victim");
    gate.until_reached().await;
    victim.kill().await;
    if fate == Move::Lost {
        gate.turn_away().await;
    }
    gate.open().await;
    let told = ground.count("podcast_event", &format!("event = '{event}'")).await;
    assert_eq!(told > 0, fate == Move::Late, "{told} lines {event}");
    let heir = ground.worker("heir");
    ground.until_finished().await;
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(LEARNERS).await;
    ground
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_script_is_written() {
    for fate in [Move::Lost, Move::Late] {
        let ground = killed_at("script_ready", fate).await;
        let (planned, told) = ground.chunks().await;
        assert_eq!(told, planned);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_speech_is_planned() {
    for fate in [Move::Lost, Move::Late] {
        let ground = killed_at("speech_started", fate).await;
        let (planned, told) = ground.chunks().await;
        assert_eq!(told, planned);
    }
}

/// Every chunk is in the spool by then, so that none is spoken again: the ledger lacks those of
/// the lost moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_episode_is_spoken() {
    for fate in [Move::Lost, Move::Late] {
        let ground = killed_at("audio_ready", fate).await;
        let (planned, told) = ground.chunks().await;
        match fate {
            Move::Lost => assert!(told < planned, "{told} of {planned} chunks were spoken by the heir"),
            Move::Late => assert!(told <= planned, "{told} of {planned} chunks are told"),
        }
    }
}

/// The object is in the store already. Putting it again changes nothing, and it is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_when_the_episode_is_uploaded() {
    for fate in [Move::Lost, Move::Late] {
        let ground = killed_at("uploaded", fate).await;
        assert_eq!(ground.count("podcast_event", "event = 'audio_lost'").await, 0);
    }
}
