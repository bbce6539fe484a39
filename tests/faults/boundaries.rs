//! `kill -9` at every boundary of every step: a claim or a move is on its way to its commit, which may
//! be lost or come when its worker is dead already; a call is on its way to somebody outside, or its
//! answer on the way back. All must end well, and no more is paid for twice than was under way.

use std::fs;

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Count, Operation, Server, Settings},
};

use crate::support::{
    filter::{Fault, Filter},
    gate::Gate,
    ground::Ground,
    process::Process,
    until,
};

const LEARNERS: i64 = 2;

/// What becomes of the statement whose commit the killed worker waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commit {
    Lost,
    Late,
}

const COMMITS: [Commit; 2] = [Commit::Lost, Commit::Late];

/// Where a call is when its worker dies.
const CALLS: [Fault; 2] = [Fault::Hold, Fault::HoldAnswer];

/// A night of writers and voices that are simulated, with the ways to them and to the store.
struct Night {
    ground: Ground,
    simulator: Server,
    vendors: Filter,
    store: Filter,
}

impl Night {
    async fn new() -> Self {
        let simulator = Server::start(Settings::new(|| SystemClock.now())).await.unwrap();
        let vendors = Filter::to(simulator.address(), 1).await;
        let mut ground = Ground::new(LEARNERS as u32).await;
        ground.point_to(&vendors.url());
        let all_by_polly = [
            (r#"["google", "azure", "polly", "local"]"#, r#"["polly", "google", "azure", "local"]"#),
            (r#"["azure", "google", "polly", "local"]"#, r#"["polly", "google", "azure", "local"]"#),
        ];
        ground.rewrite("plans.toml", &all_by_polly);
        let store = ground.behind_a_filter(1).await;
        Self { ground, simulator, vendors, store }
    }

    /// Calls that reached a vendor so far.
    fn calls(&self) -> i64 {
        let calls = |count: &Count| count.calls - count.by_operation.get(&Operation::List).copied().unwrap_or_default();
        self.simulator.usage().values().map(calls).sum::<u64>() as i64
    }

    /// Paid work that no crash can take away any more: scripts in rows, and chunks in the spool.
    async fn kept(&self) -> i64 {
        let unfinished = "select id::text from dailycast.daily_podcast where finished_at is null";
        let unfinished: Vec<String> = sqlx::query_scalar(unfinished).fetch_all(self.ground.pool()).await.unwrap();
        let files = unfinished.iter().flat_map(|id| fs::read_dir(self.ground.spool().join(id)).into_iter().flatten());
        let chunks = files.filter(|file| file.as_ref().unwrap().file_name() != "episode.mp3").count() as i64;
        let of_finished = self.ground.sum_of_chunks("finished_at is not null").await;
        self.ground.count("podcast_event", "event = 'script_ready'").await + chunks + of_finished
    }

    /// The worker is dead; another one ends the night.
    async fn ends_well(self, victim: Process, gate: Option<(Gate, Commit)>, what: &str) {
        victim.freeze().await;
        victim.kill().await;
        if let Some((mut gate, fate)) = gate {
            if fate == Commit::Lost {
                gate.turn_away().await;
            }
            gate.open().await;
        }
        // Cleared before, the way would let calls of the dead pass that count as repeated.
        self.vendors.until_idle().await;
        self.store.until_idle().await;
        self.vendors.clear();
        self.store.clear();
        let under_way = self.calls() - self.kept().await;
        let Self { ground, .. } = &self;
        let heir = ground.worker("heir");
        ground.until_finished().await;
        ground.stop(heir).await;
        ground.tidy().await;
        ground.assert_all_are_made(LEARNERS).await;
        assert_eq!(ground.count("daily_podcast", "status = 'completed'").await, LEARNERS, "{what}");
        assert_eq!(ground.count("podcast_event", "event in ('audio_lost', 'attempt_failed')").await, 0, "{what}");
        let (planned, _) = ground.chunks().await;
        let repeated = self.calls() - (LEARNERS + planned);
        assert!((0..=under_way).contains(&repeated), "{what}: {repeated} calls repeated, {under_way} were under way");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_claim() {
    for fate in COMMITS {
        let night = Night::new().await;
        let mut gate = Gate::at(&night.ground, "claim_podcasts").await;
        night.ground.start_night().await;
        let victim = night.ground.worker("victim");
        gate.until_reached().await;
        night.ends_well(victim, Some((gate, fate)), &format!("claim, {fate:?}")).await;
    }
}

async fn killed_at_a_move(event: &str) {
    for fate in COMMITS {
        let night = Night::new().await;
        let mut gate = Gate::before(&night.ground, event).await;
        night.ground.start_night().await;
        let victim = night.ground.worker("victim");
        gate.until_reached().await;
        night.ends_well(victim, Some((gate, fate)), &format!("{event}, {fate:?}")).await;
    }
}

/// The work of a status is done, and the row does not know; or it does, and the next one has not
/// begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_the_first_moves() {
    killed_at_a_move("script_ready").await;
    killed_at_a_move("speech_started").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_the_last_moves() {
    killed_at_a_move("audio_ready").await;
    killed_at_a_move("uploaded").await;
}

/// Kills while the calls whose first line has `first_line` in it are held, all but the first `spared`.
async fn killed_at_a_call(first_line: &'static str, spared: usize) {
    for fault in CALLS {
        let night = Night::new().await;
        let filter = if first_line.starts_with("PUT") { &night.store } else { &night.vendors };
        filter.strike_at(fault, first_line, spared);
        night.ground.start_night().await;
        let victim = night.ground.worker("victim");
        until("a call is held", async || filter.met() > 0).await;
        night.ends_well(victim, None, &format!("{first_line} after {spared}, {fault:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_call_of_a_writer() {
    killed_at_a_call("POST /v1/chat/completions", 0).await;
}

/// The first chunk of all, and one after which there is something in the spool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_a_call_of_a_voice() {
    for spared in 0..2 {
        killed_at_a_call("POST /v1/speech", spared).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_an_upload() {
    for spared in 0..2 {
        killed_at_a_call("PUT /episodes/podcasts", spared).await;
    }
}
