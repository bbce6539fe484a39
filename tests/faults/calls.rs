//! Without the database no call to a vendor begins: what it brings could not be written down.
//!
//! The vendors' answers are held back, so that it is known which calls are in flight when the
//! fault strikes, and that whatever comes after them came after it.

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Faults, Operation, Server, Settings},
};

use crate::support::{
    checker,
    ground::Ground,
    proxy::{Proxy, Target},
    until,
};

const LEARNERS: i64 = 12;

/// A simulator of the vendors, as slow as this says.
pub async fn simulator(faults: &str) -> Server {
    let faults = Faults::parse(faults).unwrap();
    Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap()
}

/// Calls that were begun, of those that may be billed.
pub fn begun(simulator: &Server) -> u64 {
    let counts = simulator.usage().into_values().flat_map(|count| count.by_operation);
    counts.filter(|(operation, _)| *operation != Operation::List).map(|(_, calls)| calls).sum()
}

/// A ground whose vendors are asked by way of a proxy which holds all answers back.
pub async fn held_back(learners: i64, at_once: u64) -> (Ground, Server, Proxy) {
    let simulator = simulator("").await;
    let vendors = Proxy::to(Target::Tcp(simulator.address())).await;
    let mut ground = Ground::new(learners as u32).await;
    ground.shorten_episodes();
    ground.point_to(&format!("http://127.0.0.1:{}", vendors.port()));
    ground.set("worker.concurrency", &at_once.to_string());
    vendors.mute();
    (ground, simulator, vendors)
}

/// Waits until so many calls have begun, each of which waits for its answer.
pub async fn until_begun(simulator: &Server, calls: u64) {
    until(&format!("{calls} calls have begun"), async || begun(simulator) >= calls).await;
}

/// The fault strikes while four calls are in flight, and is told as `heartbeat` says. Their answers
/// come, and the moves that hold them are turned away `times` times.
async fn no_call_begins(fault: impl Fn(&Proxy), heartbeat: &str, times: usize) {
    const AT_ONCE: u64 = 4;
    let (mut ground, simulator, vendors) = held_back(LEARNERS, AT_ONCE).await;
    let database = ground.behind_a_proxy().await;
    ground.start_night().await;
    let worker = ground.worker("alone");
    until_begun(&simulator, AT_ONCE).await;
    fault(&database);
    worker.until_it_says(heartbeat, 1).await;
    vendors.restore();
    worker.until_it_says("the database did not take the moves", times).await;
    assert_eq!(begun(&simulator), AT_ONCE);

    database.restore();
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.tidy().await;
    ground.assert_all_are_made(LEARNERS).await;
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
    ground.assert_none_is_to_blame().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_begins_while_the_database_is_cut_off() {
    no_call_begins(Proxy::cut, "a heartbeat failed", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_begins_while_the_database_does_not_answer() {
    no_call_begins(Proxy::stall, "a heartbeat was not answered", 1).await;
}

/// The heart beats on, and one desk of the writer finds no taker: the other one's podcasts wait too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_begins_while_one_move_is_not_taken() {
    const AT_ONCE: u64 = 2;
    let (ground, simulator, vendors) = held_back(2, AT_ONCE).await;
    ground.start_night().await;
    let full = "create function dailycast.no_room() returns trigger language plpgsql as $$
                begin raise exception 'no room' using errcode = 'disk_full'; end $$;
                create trigger no_room before insert on dailycast.podcast_event for each row
                when (new.event = 'script_ready') execute function dailycast.no_room()";
    ground.execute(full).await;
    let worker = ground.worker("alone");
    until_begun(&simulator, AT_ONCE).await;
    vendors.restore();
    worker.until_it_says("the database did not take the moves", 3).await;
    // From now on only the moves of the first desk are not taken.
    let (even, odd) =
        ("podcast_id % 2 = 0 and event = 'script_ready'", "podcast_id % 2 = 1 and event = 'script_ready'");
    ground
        .execute(
            "drop trigger no_room on dailycast.podcast_event;
             create trigger no_room before insert on dailycast.podcast_event for each row
             when (new.event = 'script_ready' and new.podcast_id % 2 = 0) execute function dailycast.no_room()",
        )
        .await;
    until("the other desk has written", async || ground.count("podcast_event", odd).await == 1).await;
    let tries = worker.says("the database did not take the moves");
    worker.until_it_says("the database did not take the moves", tries + 2).await;
    assert_eq!((ground.count("podcast_event", even).await, begun(&simulator)), (0, AT_ONCE));

    ground.execute("drop trigger no_room on dailycast.podcast_event").await;
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.assert_all_are_made(2).await;
    checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
}
