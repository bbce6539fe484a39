//! Nights in which a fifth of all calls goes wrong, in every way and at every vendor. Everybody has
//! an episode, the template wrote where nobody else did, and our ledger is the vendors' bill.

use std::{collections::BTreeMap, fs, time::Duration};

use dailycast::{
    clock::{Clock as _, SystemClock},
    sim::{Faults, Server, Settings},
};

use super::vendors::assert_only_who_failed_everywhere_fell_back;
use crate::support::{checker, ground::Ground, process::Process, until, until_within};

/// What goes wrong beside outages: of each writer's and each speaker's calls about a fifth.
pub(super) const FAULTS: &str = r#"
seed = 3
fault = [
    { operation = "script", share = 0.03, by = "prompt", spoil = "refused" },
    { operation = "script", share = 0.02, spoil = "malformed" },
    { operation = "script", share = 0.02, spoil = "wrong_type" },
    { operation = "script", share = 0.02, spoil = "truncated" },
    { operation = "script", share = 0.02, spoil = "reset" },
    { operation = "script", share = 0.02, spoil = "cut_off" },
    { operation = "script", share = 0.01, spoil = "empty" },
    { operation = "script", share = 0.01, spoil = "thinking_only" },
    { operation = "script", share = 0.02, status = 503 },
    { operation = "script", share = 0.02, error = "overloaded", retry_after = 1.0 },
    { operation = "script", share = 0.01, error = "timeout" },
    { operation = "script", share = 0.01, error = "rate_limited", retry_after = 1.0 },
    { operation = "speech", share = 0.03, status = 503 },
    { operation = "speech", share = 0.02, error = "server_error" },
    { operation = "speech", share = 0.01, error = "rate_limited", retry_after = 1.0 },
    { operation = "speech", share = 0.03, spoil = "malformed" },
    { operation = "speech", share = 0.03, spoil = "truncated" },
    { operation = "speech", share = 0.02, spoil = "silent" },
    { operation = "speech", share = 0.03, spoil = "reset" },
    { operation = "speech", share = 0.02, spoil = "wrong_type" },
    { operation = "speech", share = 0.01, delay = 1.0, drip = 400000 },
]
"#;

/// How large a night is, and how slow.
struct Night {
    learners: u32,
    concurrency: u32,
    /// Multiplies the time that answers take: 15 s for a script, 20 s for a chunk.
    slowness: f64,
    bound: Duration,
}

impl Night {
    fn faults(&self) -> Faults {
        let latency = "[latency]\nscript = 15.0\nspeech = 20.0\nlist = 0.2\n";
        Faults::parse(&format!("{FAULTS}\n{latency}")).unwrap().with_latency_scale(self.slowness)
    }

    async fn simulator(&self) -> Server {
        let faults = self.faults();
        Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap()
    }

    async fn ground(&self, simulator: &Server) -> Ground {
        let mut ground = Ground::new(self.learners).await;
        ground.point_at(simulator);
        ground.set("worker.concurrency", &self.concurrency.to_string());
        ground
    }

    /// Works until everybody has an episode, and looks at all that must hold then.
    async fn end(&self, ground: &Ground, simulator: &Server, worker: Process) {
        until_within(self.bound, "the night is over", async || {
            ground.count("daily_podcast", "finished_at is null").await == 0
        })
        .await;
        let (memory, warnings) = (memory(&worker), warnings(&worker.log()));
        ground.stop(worker).await;
        ground.assert_all_are_made(i64::from(self.learners)).await;
        assert_only_who_failed_everywhere_fell_back(ground).await;
        checker::assert_ledger_is_the_bill(ground.pool(), &simulator.usage()).await;
        tell(ground, simulator).await;
        eprintln!("{memory}\nwarnings: {warnings:#?}");
    }
}

/// The most memory that a process ever had.
fn memory(worker: &Process) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

/// What a log has beyond the usual, and how often.
pub(super) fn warnings(log: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    // The last line may not be whole yet.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    for line in lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR") {
        *counts.entry(line["message"].to_string()).or_default() += 1;
    }
    counts
}

/// What came of a night, for whoever watches it.
async fn tell(ground: &Ground, simulator: &Server) {
    let queries = [
        "select status || ': ' || count(*) from dailycast.daily_podcast group by status order by 1",
        "select 'minutes: ' || round(extract(epoch from max(finished_at) - min(created_at)) / 60, 1)
             || ', cost in USD: ' || round(sum(cost_micro_usd) / 1e6, 2) from dailycast.daily_podcast",
        "select provider || ' ' || operation || ' ' || outcome || ': ' || count(*) from dailycast.provider_call
         group by provider, operation, outcome order by 1",
        "select 'waited: ' || coalesce(error_kind, event) || ' in ' || from_status || ': ' || count(*)
         from dailycast.podcast_event where event = 'attempt_failed' group by error_kind, event, from_status order by 1",
        "select 'alert: ' || kind || ' ' || subject || ' ' || times || coalesce(' resolved ' || resolved_at, '')
         from dailycast.alert order by id",
    ];
    for query in queries {
        let lines: Vec<String> = sqlx::query_scalar(query).fetch_all(ground.pool()).await.unwrap();
        lines.iter().for_each(|line| eprintln!("{line}"));
    }
    for (vendor, count) in simulator.usage() {
        eprintln!(
            "{}: {} calls, {:?}, lost {:?} in {}",
            vendor.as_str(),
            count.calls,
            count.billed,
            count.lost,
            count.lost_calls
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_of_all_plans_ends_well_with_a_fifth_of_faults() {
    let night = Night { learners: 120, concurrency: 64, slowness: 0.02, bound: Duration::from_secs(180) };
    let simulator = night.simulator().await;
    let mut ground = night.ground(&simulator).await;
    ground.shorten_episodes();
    ground.rewrite("daily_podcast.toml", &[("first_delay = \"30s\"", "first_delay = \"1s\"")]);
    ground.start_night().await;
    let worker = ground.worker("one");
    night.end(&ground, &simulator, worker).await;
    assert!(ground.count("daily_podcast", "status = 'completed_with_fallback'").await > 0);
    let kinds = "select count(distinct outcome) from dailycast.provider_call";
    let kinds: i64 = sqlx::query_scalar(kinds).fetch_one(ground.pool()).await.unwrap();
    assert!(kinds >= 5, "{kinds} kinds of endings");
}

/// As long as a real night: `just vendors-night`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "lasts for many minutes"]
async fn a_night_of_2000_learners_ends_well_with_a_fifth_of_faults() {
    let night = Night { learners: 2_000, concurrency: 256, slowness: 1.0, bound: Duration::from_secs(7_200) };
    let simulator = night.simulator().await;
    let ground = night.ground(&simulator).await;
    ground.start_night().await;
    let worker = ground.worker("one");
    night.end(&ground, &simulator, worker).await;
}

/// A breaker that is open stays open, whoever dies: the refused key is not tried by any heir.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_forget_no_breaker_and_pay_nothing_twice() {
    const AT_ONCE: i64 = 8;
    const KILLS: i64 = 2;
    let night = Night { learners: 60, concurrency: AT_ONCE as u32, slowness: 0.01, bound: Duration::from_secs(180) };
    let locked = "[[fault]]\nprovider = \"openai\"\nerror = \"key_refused\"\n";
    let latency = "[latency]\nscript = 15.0\nspeech = 20.0\nscale = 0.01\n";
    let faults = Faults::parse(&format!("{latency}{locked}")).unwrap();
    let simulator = Server::start(Settings { faults, ..Settings::new(|| SystemClock.now()) }).await.unwrap();
    let mut ground = night.ground(&simulator).await;
    ground.shorten_episodes();
    ground.start_night().await;
    let mut worker = ground.worker("one");
    for finished in [10, 30] {
        ground.until_at_least(finished, "finished_at is not null").await;
        ground.until_busy(&worker).await;
        until("the breaker is known", async || ground.count("provider_state", "cause = 'key_refused'").await == 1)
            .await;
        worker.kill().await;
        worker = ground.worker("heir");
    }
    ground.until_finished().await;
    ground.stop(worker).await;
    ground.tidy().await;
    ground.assert_all_are_made(i64::from(night.learners)).await;
    assert_eq!(ground.count("alert", "true").await, 1);
    assert_eq!(ground.count("alert", "kind = 'provider_key_refused' and resolved_at is null and times = 1").await, 1);
    let usage = simulator.usage();
    let mut in_flight = 0;
    for (vendor, count) in &usage {
        let name = vendor.as_str();
        let (called, told) = (count.calls as i64, ground.count("provider_call", &format!("provider = '{name}'")).await);
        assert!(told <= called, "{name} was called {called} times, the ledger has {told}");
        assert!(name != "openai" || called <= AT_ONCE, "{called} calls with a refused key");
        in_flight += called - told;
    }
    assert!(in_flight <= KILLS * AT_ONCE, "{in_flight} calls are in no ledger");
    // Everybody needs a script and a chunk; beyond that there is what a kill broke off.
    let needed = i64::from(night.learners) * 2;
    let made: i64 = usage.values().map(|count| count.ok as i64).sum();
    assert!((needed..=needed + KILLS * AT_ONCE).contains(&made), "{made} answers, {needed} needed");
}
