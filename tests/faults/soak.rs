//! Everything at once: random kills, every fault of the vendors, a store that fails in every way,
//! connections to the database that are cut. Everybody has an episode in the end, and what no ledger
//! knows was under way when a worker died.

use std::{collections::BTreeMap, fmt::Display, fs, time::Duration};

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Faults, Server, Settings},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

use super::vendor_nights::{FAULTS, warnings};
use crate::support::{
    checker,
    filter::{Fault, Filter},
    ground::Ground,
    process::Process,
    until, until_within,
};

/// What the night of all faults lacks: kinds that end a vendor's night, or only one podcast's call.
const MORE_FAULTS: &str = r#"
    { provider = "gemini", operation = "script", most = 1, error = "key_refused" },
    { provider = "anthropic", operation = "script", most = 1, error = "daily_quota" },
    { provider = "azure", operation = "speech", most = 1, error = "out_of_credit" },
    { operation = "script", share = 0.01, error = "bad_request" },
    { operation = "script", share = 0.005, error = "too_large" },
    { operation = "script", share = 0.01, error = "server_error" },
    { operation = "script", share = 0.002, spoil = "huge" },
    { operation = "speech", share = 0.01, error = "bad_request" },
    { operation = "speech", share = 0.01, error = "overloaded" },
    { operation = "speech", share = 0.01, error = "timeout" },
]
"#;

/// Calls of one attempt: each writer may be asked three times, and so may the voice for a chunk.
const LOST_WITH_THE_RESCUED: &str = "select coalesce(sum(case e.from_status when 'pending' then 9
                              when 'audio_generating' then 3 * jsonb_array_length(p.chunk_plan->'ends') end), 0)::bigint
     from dailycast.podcast_event e join dailycast.daily_podcast p on p.id = e.podcast_id where e.event = 'rescued'";

/// How much of it.
struct Soak {
    learners: u32,
    workers: usize,
    concurrency: usize,
    kills: usize,
    /// Cuts of all connections to the database.
    cuts: usize,
    /// Multiplies the time that answers take: 15 s for a script, 20 s for a chunk.
    slowness: f64,
    bound: Duration,
}

/// What is done to the night when so many podcasts are finished.
#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Cut,
    /// The store fails every time, until many wait for it.
    StoreGone,
}

/// A night is struck at the same points again with `DAILYCAST_FAULTS_SEED`.
fn seed() -> u64 {
    let given = std::env::var("DAILYCAST_FAULTS_SEED").ok();
    given.map_or_else(rand::random, |seed| seed.parse().expect("DAILYCAST_FAULTS_SEED is a number"))
}

impl Soak {
    async fn simulator(&self, seed: u64) -> Server {
        let faults = FAULTS.trim_end().trim_end_matches(']').replace("seed = 3", &format!("seed = {}", seed >> 16));
        let latency = "[latency]\nscript = 15.0\nspeech = 20.0\nlist = 0.2\n";
        let faults = Faults::parse(&format!("{faults}{MORE_FAULTS}\n{latency}")).unwrap();
        let faults = faults.with_latency_scale(self.slowness);
        Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap()
    }

    /// Short episodes and short waits: a night of minutes.
    async fn ground(&self, simulator: &Server) -> Ground {
        let mut ground = Ground::new(self.learners).await;
        ground.point_at(simulator);
        ground.shorten_episodes();
        ground.shorten_waits();
        ground.set("worker.concurrency", &self.concurrency.to_string());
        let quick = [
            ("calls_per_minute = ", "calls_per_minute = 60000 # "),
            ("first_rest = \"30s\"", "first_rest = \"1s\""),
            ("longest_rest = \"10m\"", "longest_rest = \"4s\""),
        ];
        ground.rewrite("providers.toml", &quick);
        ground
    }

    /// When what happens, sorted.
    fn blows(&self, chance: &mut StdRng) -> Vec<(i64, Blow)> {
        let all = i64::from(self.learners) * 9 / 10;
        let kinds = [(Blow::Kill, self.kills), (Blow::Cut, self.cuts), (Blow::StoreGone, 1)];
        let blows = kinds.into_iter().flat_map(|(blow, times)| std::iter::repeat_n(blow, times));
        let mut blows: Vec<_> = blows.map(|blow| (chance.random_range(0..all), blow)).collect();
        blows.sort_by_key(|(point, _)| *point);
        blows
    }

    async fn run(&self) {
        let seed = seed();
        eprintln!("DAILYCAST_FAULTS_SEED={seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        let simulator = self.simulator(seed).await;
        let mut ground = self.ground(&simulator).await;
        let filter = ground.behind_a_filter(seed).await;
        filter.strike(&Fault::ALL, 0.1);
        ground.start_night().await;
        let began = Instant::now();
        let mut workers: Vec<_> = (0..self.workers).map(|number| ground.worker(&format!("first-{number}"))).collect();
        for (point, blow) in self.blows(&mut chance) {
            until_within(self.bound, "the night goes on", async || {
                revive(&ground, &mut workers);
                ground.count("daily_podcast", "finished_at is not null").await >= point
            })
            .await;
            match blow {
                Blow::Kill => kill_one(&ground, &mut workers, &mut chance).await,
                Blow::Cut => cut_connections(&ground).await,
                Blow::StoreGone => store_gone(&ground, &filter, i64::from(self.learners) / 50).await,
            }
        }
        until_within(self.bound, "every podcast is finished", async || {
            revive(&ground, &mut workers);
            ground.count("daily_podcast", "finished_at is null").await == 0
        })
        .await;
        let took = began.elapsed();
        filter.clear();
        for worker in workers {
            until("the worker has started", async || worker.log().contains("worker started")).await;
            ground.stop(worker).await;
        }
        ground.tidy().await;
        ground.assert_all_are_made(i64::from(self.learners)).await;
        let bound = sqlx::query_scalar(LOST_WITH_THE_RESCUED).fetch_one(ground.pool()).await.unwrap();
        let lost = checker::assert_ledger_lacks_at_most(ground.pool(), &simulator.usage(), bound).await;
        self.tell(&ground, &filter, took, lost, bound).await;
    }

    /// The summary, as a table, and what the logs had beyond the usual.
    async fn tell(&self, ground: &Ground, filter: &Filter, took: Duration, lost: checker::Lost, bound: i64) {
        let row = |what: &str, figure: &dyn Display| eprintln!("| {what:<58} | {figure:>9} |");
        row("podcasts", &self.learners);
        row("minutes", &format!("{:.1}", took.as_secs_f64() / 60.0));
        row("workers killed", &self.kills);
        row("cuts of all connections to the database", &self.cuts);
        row("requests to the store that met a fault", &filter.met());
        row("calls of vendors", &lost.calls);
        row("calls in no ledger", &lost.untold);
        row("calls that the rescued podcasts may have had under way", &bound);
        let queries = [
            "select status, count(*) from dailycast.daily_podcast group by status order by 1",
            "select 'event ' || event, count(*) from dailycast.podcast_event group by event order by 1",
            "select operation || ' ' || outcome, count(*) from dailycast.provider_call group by 1 order by 1",
            "select 'worker: ' || stop_reason, count(*) from dailycast.worker group by 1 order by 1",
        ];
        for query in queries {
            let counts: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(ground.pool()).await.unwrap();
            counts.iter().for_each(|(what, count)| row(what, count));
        }
        for (what, count) in all_warnings(ground) {
            row(what.trim_matches('"'), &count);
        }
    }
}

/// Kills any one of the workers while it holds something; an heir comes.
async fn kill_one(ground: &Ground, workers: &mut Vec<Process>, chance: &mut StdRng) {
    let place = chance.random_range(0..workers.len());
    until("the worker works", async || {
        revive(ground, workers);
        let held = format!("worker_id in (select id from dailycast.worker where pid = {})", workers[place].pid());
        ground.count("daily_podcast", &held).await > 0
            || ground.count("daily_podcast", "finished_at is null").await == 0
    })
    .await;
    workers.swap_remove(place).kill().await;
    workers.push(ground.worker("heir"));
}

/// Who was cut off while it started has ended with an error, and is started again as by any
/// supervisor.
fn revive(ground: &Ground, workers: &mut [Process]) {
    for worker in workers.iter_mut().filter_map(|worker| worker.has_ended().then_some(worker)) {
        *worker = ground.worker("again");
    }
}

/// Ends all sessions of the database but the one that says so.
async fn cut_connections(ground: &Ground) {
    ground
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
}

async fn store_gone(ground: &Ground, filter: &Filter, enough: i64) {
    filter.strike(&Fault::ALL, 1.0);
    let waiting = "status = 'pending_upload' and attempt > 0";
    until("many wait for the store", async || {
        ground.count("daily_podcast", waiting).await >= enough
            || ground.count("daily_podcast", "status in ('pending', 'script_generated', 'audio_generating')").await == 0
    })
    .await;
    filter.strike(&Fault::ALL, 0.1);
}

/// The warnings of all workers' logs, and how often each was given.
fn all_warnings(ground: &Ground) -> BTreeMap<String, u32> {
    let files = fs::read_dir(&ground.folder.0).unwrap().map(|file| file.unwrap().path());
    let mut all = BTreeMap::new();
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "log")) {
        for (what, count) in warnings(&fs::read_to_string(file).unwrap()) {
            *all.entry(what).or_default() += count;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_survives_everything_at_once() {
    let soak = Soak {
        learners: 400,
        workers: 2,
        concurrency: 16,
        kills: 10,
        cuts: 2,
        slowness: 0.01,
        bound: Duration::from_secs(240),
    };
    soak.run().await;
}

/// As it is meant: `just soak`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "lasts for many minutes"]
async fn a_night_of_10000_learners_survives_200_kills_and_all_faults() {
    let soak = Soak {
        learners: 10_000,
        workers: 3,
        concurrency: 48,
        kills: 200,
        cuts: 20,
        slowness: 0.02,
        bound: Duration::from_secs(7_200),
    };
    soak.run().await;
}
