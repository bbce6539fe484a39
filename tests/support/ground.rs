//! What real processes of the program work on: a database with a sample academy, a local S3 server
//! and a spool, all of which only one test knows.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use dailycast::{
    cli::sim::variables,
    local::{academy, s3_server::S3Server},
    provider::object_store::{
        ObjectStore,
        s3::{S3Store, Settings},
    },
    sim::Server,
    store,
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::Command;

use super::{
    Folder, checker,
    database::TestDatabase,
    filter::Filter,
    process::Process,
    proxy::{Proxy, Target},
    until,
};

/// The bucket of all tests.
const BUCKET: &str = "episodes";

/// Migrates an empty database and makes an academy with `learners` eligible learners in it.
pub async fn fill(pool: &PgPool, learners: u32) -> Result<(), dailycast::local::Error> {
    store::migrate(pool).await.unwrap();
    academy::fill_sample(pool, "academy", learners, 1).await.map(drop)
}

/// A night that can be worked on by real processes.
pub struct Ground {
    pub folder: Folder,
    pub database: TestDatabase,
    s3: Option<S3Server>,
    s3_address: SocketAddr,
    s3_keys: (String, String),
    settings: BTreeMap<String, String>,
    workflows: Option<PathBuf>,
    started: AtomicU32,
}

impl Ground {
    /// A database with `learners` eligible learners and no podcast yet, and all neighbours running.
    pub async fn new(learners: u32) -> Self {
        let migrate = async |pool: &PgPool| fill(pool, learners).await;
        Self::on(TestDatabase::migrated_by(&format!("academy_{learners}"), migrate).await).await
    }

    /// The same on a database that is filled already.
    pub async fn on(database: TestDatabase) -> Self {
        let folder = Folder::new();
        fs::create_dir_all(&folder.0).unwrap();
        // A build beside the test must not change the program in the middle of it.
        let built = env!("CARGO_BIN_EXE_dailycast");
        fs::hard_link(built, folder.0.join("dailycast"))
            .or_else(|_| fs::copy(built, folder.0.join("dailycast")).map(drop))
            .unwrap();
        let s3 = S3Server::start(&folder.0.join("s3"), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let keys = (s3.keys().access_key_id.clone(), s3.keys().secret_access_key.clone());
        let mut ground = Self {
            s3_address: s3.address(),
            s3_keys: keys,
            s3: Some(s3),
            settings: BTreeMap::new(),
            workflows: None,
            started: AtomicU32::new(0),
            folder,
            database,
        };
        ground.objects().ready().await.unwrap();
        ground.set_all();
        ground
    }

    fn set_all(&mut self) {
        let endpoint = format!("http://{}", self.s3_address);
        let (id, secret) = self.s3_keys.clone();
        let (url, spool) = (self.database.url.clone(), self.spool().display().to_string());
        for (key, value) in [
            ("database.url", url.as_str()),
            ("database.max_connections", "6"),
            ("storage.s3.bucket", BUCKET),
            ("storage.s3.endpoint_url", &endpoint),
            ("storage.s3.force_path_style", "true"),
            ("storage.s3.access_key_id", &id),
            ("storage.s3.secret_access_key", &secret),
            ("spool.dir", &spool),
            ("providers.local_tts.enabled", "true"),
            ("providers.local_tts.voice", "tone"),
            ("worker.lease", "2s"),
            ("worker.grace", "20s"),
            ("worker.concurrency", "16"),
            // Nights are started by the tests alone.
            ("night.cron", "0 0 29 2 *"),
            ("ops.log_format", "json"),
        ] {
            self.set(key, value);
        }
    }

    /// Changes a setting of all processes that are started from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        let variable = format!("DAILYCAST_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.settings.insert(variable, value.to_owned());
    }

    /// Makes episodes as short as the template can, which is enough where only their number counts.
    pub fn shorten_episodes(&mut self) {
        let short = [("shortest = \"190s\"", "shortest = \"1s\""), ("target = \"240s\"", "target = \"2s\"")];
        self.rewrite("daily_podcast.toml", &short);
    }

    /// Makes the waits after a failure moments, and breaks off an upload that is not answered.
    pub fn shorten_waits(&mut self) {
        let quick = [
            ("first_delay = \"30s\"", "first_delay = \"1s\""),
            ("first_delay = \"5m\"", "first_delay = \"1s\""),
            ("max_delay = \"10m\"", "max_delay = \"4s\""),
            ("max_delay = \"15m\"", "max_delay = \"4s\""),
            ("max_delay = \"20m\"", "max_delay = \"4s\""),
            ("time_limit = \"2m\"", "time_limit = \"3s\""),
            ("usual_time = \"5s\"", "usual_time = \"2s\""),
        ];
        self.rewrite("daily_podcast.toml", &quick);
    }

    /// Changes words in a file of the workflow, for all processes that are started from now on.
    pub fn rewrite(&mut self, file: &str, changes: &[(&str, &str)]) {
        let dir = self.folder.0.join("workflows");
        let own = dir.join(file);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows").join(file);
        let mut text = fs::read_to_string(if own.exists() { &own } else { &shipped }).unwrap();
        for (old, new) in changes {
            assert!(text.contains(old), "{file} does not say {old}");
            text = text.replace(old, new);
        }
        fs::create_dir_all(&dir).unwrap();
        fs::write(own, text).unwrap();
        self.workflows = Some(dir);
    }

    /// Points all six vendors at a simulator; nobody else speaks.
    pub fn point_at(&mut self, simulator: &Server) {
        self.point_to(&simulator.url());
    }

    /// The same by the simulator's address, or by that of a way to it.
    pub fn point_to(&mut self, url: &str) {
        let variables = variables(url);
        self.settings.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.set("providers.local_tts.enabled", "false");
    }

    /// Leads all processes that are started from now on to the database by a way of their own.
    pub async fn behind_a_proxy(&mut self) -> Proxy {
        let (before, host) = self.database.url.split_once("host=").unwrap();
        let dir = host.split('&').next().unwrap();
        assert!(!dir.contains('%') || dir.contains("%2F"), "{dir}");
        let name = before.rsplit('/').next().unwrap().trim_end_matches('?');
        let proxy = Proxy::to(Target::cluster(dir.replace("%2F", "/"))).await;
        self.set("database.url", &format!("postgres://app@127.0.0.1:{}/{name}", proxy.port()));
        proxy
    }

    /// Leads all processes that are started from now on to the store of episodes by a way that can
    /// be spoiled.
    pub async fn behind_a_filter(&mut self, seed: u64) -> Filter {
        let filter = Filter::to(self.s3_address, seed).await;
        self.set("storage.s3.endpoint_url", &filter.url());
        filter
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.0.join("spool")
    }

    /// The store of episodes, as the program reaches it.
    pub fn objects(&self) -> S3Store {
        S3Store::new(Settings {
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            endpoint_url: Some(format!("http://{}", self.s3_address)),
            force_path_style: true,
            access_key_id: self.s3_keys.0.clone(),
            secret_access_key: self.s3_keys.1.clone(),
            session_token: None,
            credentials_expire_at: None,
            create_bucket: true,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
        })
    }

    /// Where the store of episodes listens.
    pub fn store_url(&self) -> String {
        format!("http://{}", self.s3_address)
    }

    /// The store of episodes goes away.
    pub async fn stop_s3(&mut self) {
        self.s3.take().unwrap().stop().await;
    }

    /// It is back, at the same address and with what it had.
    pub async fn start_s3(&mut self) {
        self.s3 = Some(S3Server::start(&self.folder.0.join("s3"), self.s3_address).await.unwrap());
    }

    /// The program with these arguments and the settings of this ground, and no others.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.0.join("dailycast"));
        command.args(args).current_dir(&self.folder.0).env_clear();
        command.args(self.workflows.iter().flat_map(|dir| ["--workflows".as_ref(), dir.as_os_str()]));
        command.env("PATH", std::env::var_os("PATH").unwrap()).envs(&self.settings);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// Starts tonight's night.
    pub async fn start_night(&self) {
        let started = self.run(&["night", "start"]).await;
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// Starts a worker.
    pub fn worker(&self, name: &str) -> Process {
        self.process(name, &["work"], &[])
    }

    /// Starts a process with these arguments, and with variables that only it has.
    pub fn process(&self, name: &str, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let mut command = self.command(args);
        command.env("DAILYCAST_WORKER__ID", name).envs(variables.iter().copied());
        Process::start(command, name, self.folder.0.join(format!("{number}-{name}.log")))
    }

    /// Starts a server of the API, and tells its address without a slash at the end.
    pub async fn server(&self) -> (Process, String) {
        self.serving(&["serve", "--listen", "127.0.0.1:0"]).await
    }

    /// Starts a process that serves something, and tells its address without a slash at the end.
    pub async fn serving(&self, args: &[&str]) -> (Process, String) {
        let server = self.process("server", args, &[]);
        let address = || {
            let log = server.log();
            let line = log.lines().find(|line| line.contains("\"http.address\""))?;
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(format!("http://{}", line["http.address"].as_str()?))
        };
        until("the server serves", async || address().is_some()).await;
        let address = address().unwrap();
        (server, address)
    }

    /// How many rows a table has that meet a condition.
    pub async fn count(&self, table: &str, condition: &str) -> i64 {
        let query = format!("select count(*) from dailycast.{table} where {condition}");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(self.pool()).await.unwrap()
    }

    /// Waits until so many podcasts meet a condition.
    pub async fn until_at_least(&self, podcasts: i64, condition: &str) {
        let what = format!("{podcasts} podcasts have {condition}");
        until(&what, async || self.count("daily_podcast", condition).await >= podcasts).await;
    }

    /// Waits until a worker holds podcasts.
    pub async fn until_busy(&self, worker: &Process) {
        let held = format!("worker_id in (select id from dailycast.worker where pid = {})", worker.pid());
        self.until_at_least(1, &held).await;
    }

    /// Panics if an attempt failed, or a podcast was given up, through a fault of its own: on a machine
    /// with too much to do the database may seem to be away for a moment.
    pub async fn assert_none_is_to_blame(&self) {
        let blamed = "select concat_ws(' ', podcast_id, event, from_status, provider, error_kind, detail)
                      from dailycast.podcast_event
                      where event = 'gave_up' or event = 'attempt_failed' and error_kind <> 'academy_unavailable'
                          and detail not like 'broken off%' and detail not like '%the database did not say in time%'";
        let blamed: Vec<String> = sqlx::query_scalar(blamed).fetch_all(self.pool()).await.unwrap();
        assert!(blamed.is_empty(), "to blame: {blamed:#?}");
    }

    /// What was planned to be spoken, and what the ledger says was spoken, in chunks.
    pub async fn chunks(&self) -> (i64, i64) {
        let planned = self.sum_of_chunks("true").await;
        (planned, self.count("provider_call", "operation = 'speech'").await)
    }

    /// Chunks of all podcasts that meet a condition.
    pub async fn sum_of_chunks(&self, condition: &str) -> i64 {
        let sum = "select coalesce(sum(jsonb_array_length(chunk_plan->'ends')), 0) from dailycast.daily_podcast where";
        sqlx::query_scalar(AssertSqlSafe(format!("{sum} {condition}"))).fetch_one(self.pool()).await.unwrap()
    }

    /// Waits until no podcast is unfinished.
    pub async fn until_finished(&self) {
        until("every podcast is finished", async || self.count("daily_podcast", "finished_at is null").await == 0)
            .await;
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.pool()).await.unwrap().rows_affected()
    }

    /// Everything that must hold when a night without writers is over: in the database, in the store
    /// of episodes, in the spool, and that `podcasts` episodes were made, all of them.
    pub async fn assert_all_is_well(&self, podcasts: i64) {
        assert_eq!(self.count("daily_podcast", "status = 'completed_with_fallback'").await, podcasts);
        self.assert_all_are_made(podcasts).await;
    }

    /// The same, whoever wrote.
    pub async fn assert_all_are_made(&self, podcasts: i64) {
        checker::assert_all_is_well(self.pool()).await;
        let made = "status in ('completed', 'completed_with_fallback')";
        assert_eq!(self.count("daily_podcast", made).await, podcasts);
        assert_eq!(self.count("daily_podcast", "true").await, podcasts);
        assert_eq!(self.count("worker", "stopped_at is null").await, 0, "workers that nobody has signed off");
        let endpoint = format!("http://{}", self.s3_address);
        checker::assert_every_episode_is_stored(self.pool(), &endpoint, BUCKET, &self.s3_keys).await;
        checker::assert_nothing_is_left(self.pool(), &self.spool()).await;
    }

    /// Tells a worker, or a server, to stop and waits until it has, in order. One that has only just been
    /// begun does not listen yet.
    pub async fn stop(&self, process: Process) {
        let has_begun = || process.says("\"worker started\"") + process.says("\"serving\"") > 0;
        until("it listens to signals", async || has_begun()).await;
        process.signal("TERM");
        assert_eq!(process.exit_code().await, 0);
    }

    /// A worker that was killed may leave files of episodes that were just finished, and nobody may have
    /// noticed its death yet. A worker that starts throws them away and signs it off.
    pub async fn tidy(&self) {
        let worker = self.worker("tidy");
        worker.until_it_says("worker started", 1).await;
        until("the spool is empty", async || checker::spooled(self.pool(), &self.spool()).await.is_empty()).await;
        until("the dead are signed off", async || self.count("worker", "stopped_at is null").await == 1).await;
        self.stop(worker).await;
    }
}
