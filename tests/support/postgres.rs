//! A Postgres server that only one test knows, so that the test may crash it, stop it, fill its
//! disk and replace it by a standby. Durable as in production, unlike the server that the other
//! tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dailycast::local::postgres::{Cluster, Durability};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Folder, database::TestDatabase, disk::SmallDisk, ground, proxy::Target, until};

/// The database of every such server.
const DATABASE: &str = "night";

/// The server; gone with all it has when this is dropped.
pub struct Postgres {
    cluster: Cluster,
    _disk: Option<SmallDisk>,
    _folder: Option<Folder>,
}

impl Postgres {
    /// A server that runs, on the disk where all tests work.
    pub fn new() -> Self {
        let folder = Folder::new();
        Self { cluster: open(&folder.0), _disk: None, _folder: Some(folder) }
    }

    /// A server on a disk of so many MiB. `None` where none may be mounted.
    pub fn on_a_small_disk(mib: u32) -> Option<Self> {
        let folder = Folder::new();
        let disk = SmallDisk::mounted(&folder.0, mib)?;
        Some(Self { cluster: open(&folder.0), _disk: Some(disk), _folder: Some(folder) })
    }

    /// Makes the one database, migrated and with an academy of so many learners.
    pub async fn filled(&self, learners: u32) -> TestDatabase {
        self.cluster.create_database(DATABASE, None).await.unwrap();
        let database = self.database().await;
        ground::fill(&database.pool, learners).await.unwrap();
        database
    }

    /// The one database, made before.
    pub async fn database(&self) -> TestDatabase {
        TestDatabase::at(&self.cluster.url(DATABASE)).await
    }

    /// Where a proxy finds it.
    pub fn target(&self) -> Target {
        Target::cluster(self.cluster.dir())
    }

    /// Changes a setting that needs no restart.
    pub async fn set(&self, key: &str, value: &str) {
        self.execute(&format!("alter system set {key} = '{value}'")).await.unwrap();
        self.execute("select pg_reload_conf()").await.unwrap();
    }

    /// A statement of the superuser, on a connection of its own.
    pub async fn execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.cluster.url("postgres")).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map(drop)
    }

    /// Stops it: `fast` says goodbye, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        self.call("pg_ctl", &["stop", "-D", "data", "-w", "-s", "-m", mode]);
    }

    /// Starts it again, if it does not run.
    pub fn start(&mut self) {
        self.cluster = open(self.cluster.dir());
    }

    /// True when its process is gone.
    pub fn is_down(&self) -> bool {
        self.pid().is_none_or(|pid| !runs(pid))
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
    }

    /// `kill -9` of all its processes, as when its host is lost.
    pub async fn kill(&self) {
        let postmaster = self.pid().unwrap();
        let mut pids = vec![postmaster];
        pids.extend(children_of(postmaster));
        let mut kill = Command::new("kill");
        // Some may have ended by themselves since.
        kill.args(["-s", "KILL"]).args(pids.iter().map(u32::to_string)).stderr(Stdio::null()).status().unwrap();
        until("the killed server is gone", async || pids.iter().all(|pid| !runs(*pid))).await;
        // Nobody is to be told to stop when this is dropped.
        fs::remove_file(self.data().join("postmaster.pid")).unwrap();
    }

    /// A standby that has received every commit before it is acknowledged.
    pub async fn standby(&self) -> Self {
        let from = self.cluster.dir().display().to_string();
        let copy = ["-h", &from, "-U", "app", "-D", "standby/data", "-R", "-X", "stream", "-c", "fast"];
        self.call("pg_basebackup", &copy);
        let standby = Self { cluster: open(&self.cluster.dir().join("standby")), _disk: None, _folder: None };
        self.set("synchronous_standby_names", "*").await;
        let mut connection = PgConnection::connect(&self.cluster.url("postgres")).await.unwrap();
        until("the standby is synchronous", async || {
            let states = "select exists (select from pg_stat_replication where sync_state = 'sync')";
            sqlx::query_scalar::<_, bool>(states).fetch_one(&mut connection).await.unwrap()
        })
        .await;
        standby
    }

    /// Makes a standby the server that may be written to.
    pub fn promote(&self) {
        self.call("pg_ctl", &["promote", "-D", "data", "-w", "-s"]);
    }

    /// Takes all room that is left on its small disk.
    pub fn fill_the_disk(&self) {
        let full = fs::write(self.filler(), vec![0; 1 << 30]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Gives the room back.
    pub fn empty_the_disk(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.cluster.dir().join("filler")
    }

    fn data(&self) -> PathBuf {
        self.cluster.dir().join("data")
    }

    /// Runs a program of Postgres to its end. A server that it starts must not keep its outputs.
    fn call(&self, program: &str, args: &[&str]) {
        let mut command = self.cluster.command(program);
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().unwrap();
        assert!(status.success(), "{program} {args:?}: {status}");
    }
}

fn open(dir: &Path) -> Cluster {
    Cluster::open(dir, Durability::On).unwrap()
}

/// The processes that a process has begun.
fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, ppid)| ppid == parent)).collect()
}

/// True unless a process has ended, though nobody may have collected it yet.
fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// State and parent of a process (proc(5)).
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
