//! `kill -9` at every statement by which the engine changes something: right before its commit,
//! and right after, before anybody has heard of it.

use crate::support::{gate::Gate, ground::Ground, process::Process, until};

/// Learners, each with a podcast for the date of every kill.
const LEARNERS: i64 = 3;

/// What became of the statement of the killed process.
const FATES: [&str; 2] = ["lost", "late"];

/// How a process comes to carry a statement out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// `night start`.
    Starting,
    /// A worker, in the middle of its work.
    Working,
    /// A worker that finds this done to the database before.
    Mending(&'static str),
    /// A worker that is told to stop after this was done to the database.
    Stopping(&'static str),
}

/// A podcast of which a worker's claim was committed and its answer lost.
const LOST_CLAIM: &str = "
    with chosen as (
        select id, (select max(id) from dailycast.worker where stopped_at is null) as worker
        from dailycast.daily_podcast
        where finished_at is null and lease_token is null order by id desc limit 1 for update
    ), claimed as (
        update dailycast.daily_podcast p set lease_token = nextval('dailycast.lease_token'), worker_id = worker
        from chosen where p.id = chosen.id
    )
    update apalis.jobs j set status = 'Running', lock_by = 'dailycast-' || worker, lock_at = now()
    from chosen where j.id = dailycast.job_id(chosen.id)";

const NO_JOBS: &str = "delete from apalis.jobs";

const OLD_PODCASTS: &str = "
    insert into dailycast.daily_podcast (user_id, date, deadline_at)
    select 1000000 + n, current_date - 60, now() from generate_series(1, 3) n on conflict do nothing;
    update dailycast.daily_podcast set status = 'failed', error_kind = 'internal', finished_at = now()
    where date < current_date";

const STATEMENTS: [(&str, By); 8] = [
    ("start_night_by_hand", By::Starting),
    ("enqueue_batch", By::Starting),
    ("close_night", By::Starting),
    ("register_worker", By::Working),
    ("claim_podcasts", By::Working),
    ("write_moves", By::Working),
    // The workers killed before are dead, and nobody has said so yet.
    ("declare_dead", By::Working),
    ("mend_unfinished", By::Mending(NO_JOBS)),
];

/// Statements of a worker that stops.
const PARTING: [(&str, By); 2] = [("let_go", By::Stopping(LOST_CLAIM)), ("stop_worker", By::Stopping("select 1"))];

/// Statements that come once a minute.
const RARE: [(&str, By); 1] = [("prune_podcasts", By::Mending(OLD_PODCASTS))];

/// A night that is killed again and again, on as many dates as there are kills.
struct Night {
    ground: Ground,
    dates: i64,
}

impl Night {
    async fn new() -> Self {
        let mut ground = Ground::new(LEARNERS as u32).await;
        ground.shorten_episodes();
        ground.set("worker.concurrency", "2");
        ground.set("night.batch_size", "2");
        // Whoever is in flight at all these deaths is not to blame.
        ground.rewrite("daily_podcast.toml", &[("crash_limit = 3", "crash_limit = 100")]);
        Self { ground, dates: 0 }
    }

    /// A date after all dates before.
    async fn next_date(&mut self) -> String {
        self.dates += 1;
        let date = format!("select (current_date + {})::text", self.dates);
        sqlx::query_scalar(sqlx::AssertSqlSafe(date)).fetch_one(self.ground.pool()).await.unwrap()
    }

    async fn start(&self, date: &str) {
        let started = self.ground.run(&["night", "start", "--date", date]).await;
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// Kills a process at a statement, which is then never committed, or is when nobody waits for
    /// it any more.
    async fn kill_at(&mut self, statement: &str, by: By, fate: &str) {
        let date = self.next_date().await;
        if by != By::Starting {
            self.start(&date).await;
        }
        if let By::Mending(what) = by {
            self.ground.execute(what).await;
        }
        let mut gate = Gate::at(&self.ground, statement).await;
        let victim = self.victim(by, &date).await;
        gate.until_reached().await;
        victim.kill().await;
        if fate == "lost" {
            gate.turn_away().await;
        }
        gate.open().await;
        if by == By::Starting {
            // Who has seen it fail says it again.
            self.start(&date).await;
        }
    }

    async fn victim(&self, by: By, date: &str) -> Process {
        match by {
            By::Starting => self.ground.process("starter", &["night", "start", "--date", date], &[]),
            By::Working | By::Mending(_) => self.ground.worker("victim"),
            By::Stopping(what) => {
                let victim = self.ground.worker("victim");
                self.ground.until_busy(&victim).await;
                self.ground.execute(what).await;
                victim.signal("TERM");
                victim
            }
        }
    }

    /// Somebody works until everything is done.
    async fn end(self) {
        let heir = self.ground.worker("heir");
        until("all nights are finished", async || self.ground.count("night", "state = 'finished'").await == self.dates)
            .await;
        self.ground.until_finished().await;
        until("the dead are known", async || self.ground.count("worker", "stopped_at is null").await == 1).await;
        self.ground.stop(heir).await;
        self.ground.tidy().await;
        self.ground.assert_all_is_well(LEARNERS * self.dates).await;
        self.ground.assert_none_is_to_blame().await;
    }
}

async fn killed_at(statements: &[(&str, By)]) {
    let mut night = Night::new().await;
    for (statement, by) in statements {
        for fate in FATES {
            eprintln!("{statement}, {fate}");
            night.kill_at(statement, *by, fate).await;
        }
    }
    night.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_statement() {
    killed_at(&STATEMENTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_statement_of_a_stop() {
    killed_at(&PARTING).await;
}

/// Part of `just soak`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "lasts for minutes"]
async fn killed_at_every_statement_that_is_rare() {
    let mut night = Night::new().await;
    for (statement, by) in RARE {
        for fate in FATES {
            night.kill_at(statement, by, fate).await;
        }
    }
    assert_eq!(night.ground.count("daily_podcast", "date < current_date").await, 0, "the past is still there");
    night.end().await;
}
