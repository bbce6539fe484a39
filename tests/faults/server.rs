//! The server of the database itself: it crashes, is restarted, has no room left, is replaced by
//! its standby. Each test has one of its own.

use std::time::Duration;

use dailycast::sim::Server;

use super::calls::{begun, simulator};
use crate::support::{checker, ground::Ground, postgres::Postgres, process::Process, until};

const LEARNERS: i64 = 60;

/// Vendors slow enough that a fault strikes when calls are in flight.
const SLOW: &str = "[latency]\nscript = 0.3\nspeech = 0.2\n";

/// A ground on a server of its own, with its simulated vendors.
async fn ground_on(server: &Postgres) -> (Ground, Server) {
    let simulator = simulator(SLOW).await;
    let mut ground = Ground::on(server.filled(LEARNERS as u32).await).await;
    ground.shorten_episodes();
    ground.rewrite("daily_podcast.toml", &[("first_delay = \"30s\"", "first_delay = \"1s\"")]);
    ground.point_at(&simulator);
    ground.set("worker.concurrency", "4");
    ground.set("worker.lease", "30s");
    (ground, simulator)
}

/// The night goes on to its end by itself. Nothing is lost, nothing is paid for twice, and no
/// podcast is to blame.
async fn ends_well(ground: &Ground, simulator: &Server, workers: Vec<Process>) {
    ground.until_finished().await;
    for mut worker in workers {
        assert!(!worker.has_ended());
        ground.stop(worker).await;
    }
    ground.tidy().await;
    ground.assert_all_are_made(LEARNERS).await;
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
    ground.assert_none_is_to_blame().await;
    assert_eq!(ground.count("podcast_event", "event = 'rescued'").await, 0, "nobody died");
}

/// A crash loses what was not acknowledged, and a stop in order ends all connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_or_is_restarted_is_waited_for() {
    let mut server = Postgres::new();
    let (ground, simulator) = ground_on(&server).await;
    ground.start_night().await;
    let workers = vec![ground.worker("one"), ground.worker("two")];
    for (mode, finished) in [("immediate", 5), ("fast", 20)] {
        ground.until_at_least(finished, "finished_at is not null").await;
        for worker in &workers {
            ground.until_busy(worker).await;
        }
        let told: Vec<usize> = workers.iter().map(|worker| worker.says("trying again")).collect();
        server.stop(mode);
        for (worker, told) in workers.iter().zip(told) {
            worker.until_it_says("trying again", told + 3).await;
        }
        server.start();
    }
    ends_well(&ground, &simulator, workers).await;
}

/// The address leads to the standby at once, which takes no writes until it is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_and_nothing_committed_is_lost() {
    let primary = Postgres::new();
    let (mut ground, simulator) = ground_on(&primary).await;
    let proxy = ground.behind_a_proxy().await;
    let standby = primary.standby().await;
    ground.start_night().await;
    let mut workers = vec![ground.worker("one"), ground.worker("two")];
    ground.until_at_least(5, "finished_at is not null").await;
    for worker in &workers {
        ground.until_busy(worker).await;
    }
    proxy.lead_to(standby.target());
    primary.kill().await;
    for worker in &workers {
        worker.until_it_says("read-only transaction", 3).await;
    }
    let late = ground.worker("late");
    late.until_it_says("read-only transaction", 1).await;
    let calls = begun(&simulator);
    workers[0].until_it_says("read-only transaction", workers[0].says("read-only transaction") + 3).await;
    assert_eq!(begun(&simulator), calls, "a call began that could not be written down");

    standby.promote();
    ground.database = standby.database().await;
    ground.until_busy(&late).await;
    workers.push(late);
    ends_well(&ground, &simulator, workers).await;
}

/// First no table can grow, then not even the log, which brings the server down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_waited_for() {
    let Some(mut server) = Postgres::on_a_small_disk(256) else { return };
    server.set("max_wal_size", "32MB").await;
    server.set("min_wal_size", "32MB").await;
    // What has no room for its log goes down and stays down, instead of making room by its recovery.
    server.set("restart_after_crash", "off").await;
    let (ground, simulator) = ground_on(&server).await;
    ground.start_night().await;
    let worker = ground.worker("patient");
    let not_taken = "the database did not take the moves";

    ground.until_at_least(5, "finished_at is not null").await;
    // The log has a segment of its own room now, so that only tables meet the end of the disk.
    server.execute("select pg_switch_wal()").await.unwrap();
    server.execute("checkpoint").await.unwrap();
    server.fill_the_disk();
    worker.until_it_says(not_taken, 1).await;
    let in_flight = || {
        let answered: u64 = simulator.usage().values().flat_map(|count| count.by_status.values()).sum();
        simulator.usage().values().map(|count| count.calls).sum::<u64>() - answered
    };
    until("all calls are answered", async || in_flight() == 0).await;
    // A page that was free may still have taken a move, after which calls may begin.
    let more_tries = async || worker.until_it_says(not_taken, worker.says(not_taken) + 3).await;
    let written = async || ground.count("podcast_event", "true").await;
    loop {
        let before = written().await;
        more_tries().await;
        let calls = begun(&simulator);
        more_tries().await;
        if written().await == before {
            assert_eq!(begun(&simulator), calls, "a call began that could not be written down");
            break;
        }
    }
    let finished = ground.count("daily_podcast", "finished_at is not null").await;
    server.empty_the_disk();
    ground.until_at_least(finished + 5, "finished_at is not null").await;

    ground.until_busy(&worker).await;
    server.fill_the_disk();
    until("the log has no room", async || {
        // More than a checkpoint makes room for meanwhile. One that goes down may never answer.
        let line = "select pg_logical_emit_message(true, 'fill', repeat('x', 1000000)) from generate_series(1, 100)";
        tokio::time::timeout(Duration::from_secs(5), server.execute(line)).await.ok();
        server.is_down()
    })
    .await;
    worker.until_it_says("trying again", worker.says("trying again") + 3).await;
    server.empty_the_disk();
    server.start();
    ends_well(&ground, &simulator, vec![worker]).await;
}
