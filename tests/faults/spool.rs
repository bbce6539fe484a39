//! The spool is full, because the store is away: speech pauses, nothing that was paid for is thrown
//! away, and it goes on when there is room.

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Server, Settings},
};

use crate::support::{
    checker,
    disk::SmallDisk,
    filter::{Fault, Filter},
    ground::Ground,
};

/// A night of simulated vendors whose store is away.
async fn night(learners: u32) -> (Ground, Server, Filter) {
    let simulator = Server::start(Settings::new(|| SystemClock.now())).await.unwrap();
    let mut ground = Ground::new(learners).await;
    ground.point_at(&simulator);
    ground.shorten_waits();
    let filter = ground.behind_a_filter(1).await;
    filter.strike(&[Fault::InternalError], 1.0);
    (ground, simulator, filter)
}

/// Works until nothing goes on, lets the store come back, and looks at what was paid for.
async fn fills_and_drains(ground: &Ground, simulator: &Server, filter: &Filter, learners: i64) {
    ground.start_night().await;
    let worker = ground.worker("alone");
    let waits = "error_kind = 'spool_full' and status in ('script_generated', 'audio_generating')";
    let uploads = "status = 'pending_upload' and attempt > 0";
    ground.until_at_least(learners, &format!("({waits}) or ({uploads})")).await;
    let (full, spoken) = (ground.count("daily_podcast", waits).await, ground.count("daily_podcast", uploads).await);
    assert!(full > 0 && spoken > 0, "{full} wait for room, {spoken} for the store");
    assert_eq!(ground.count("daily_podcast", "error_kind = 'spool_full' and attempt > 0").await, 0);

    filter.clear();
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.assert_all_are_made(learners).await;
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
    let (planned, told) = ground.chunks().await;
    assert_eq!(told, planned, "every chunk was paid for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_pauses_speech_and_costs_nothing() {
    const LEARNERS: u32 = 24;
    let (mut ground, simulator, filter) = night(LEARNERS).await;
    ground.shorten_episodes();
    let Some(_disk) = SmallDisk::mounted(&ground.spool(), 4) else { return };
    fills_and_drains(&ground, &simulator, &filter, i64::from(LEARNERS)).await;
}

/// Long before the disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_of_the_spool_pauses_speech_before_it_is_reached() {
    const LEARNERS: u32 = 32;
    let (mut ground, simulator, filter) = night(LEARNERS).await;
    ground.set("spool.max_bytes", "64MiB");
    fills_and_drains(&ground, &simulator, &filter, i64::from(LEARNERS)).await;
}
