//! A private Postgres cluster on a Unix socket, from the server programs of the machine.
//!
//! Any number of processes may open one folder at once: the first starts the server, the last one
//! out stops it. Two lock files say who is there, and the kernel lets go of both even when their
//! holder is killed: `gate.lock` is held while starting or stopping, `users.lock` is shared by all
//! who use the cluster. A server whose holders were all killed keeps running, and the next caller
//! adopts it.
//!
//! Postgres refuses to run as root, so a root caller lends the folder to the user `postgres`; when
//! that user cannot enter the wanted folder (anything below `/root`), the cluster goes below
//! `/var/lib/dailycast` instead, and [`Cluster::dir`] tells. There is no TCP: whoever cannot enter
//! the folder cannot reach the server, and whoever can is trusted.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{
    Error,
    binaries::{self, Account},
};

/// The superuser of every cluster.
const OWNER: &str = "app";

/// Where the clusters of root go when user `postgres` cannot enter the wanted folder.
const ROOTS_ROOM: &str = "/var/lib/dailycast";

/// The name of a socket behind its folder; part of Postgres's own naming.
const SOCKET: &str = "/.s.PGSQL.5432";

/// The longest path of a socket on Linux: `sun_path` has 108 bytes with its closing zero.
const LONGEST_SOCKET: usize = 107;

/// A server log larger than this is begun anew at the next start.
const LARGEST_LOG: u64 = 16 << 20;

/// What survives the machine's own crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// All that was acknowledged, as in production.
    On,
    /// Nothing is promised: no fsync. For tests, which begin from nothing.
    Off,
}

/// A running cluster, in use until this is dropped. Opening and dropping block, for seconds when
/// the cluster is made for the first time.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    bin: PathBuf,
    account: Option<Account>,
    gate: File,
    users: File,
}

impl Cluster {
    /// Opens the cluster in `dir`, making the folder and its databases the first time and starting
    /// the server when it does not run.
    ///
    /// # Errors
    /// Without an installed Postgres, when the folder cannot be used or was made with another
    /// durability, and when the server does not come up; each names its mend.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, Error> {
        let me = fs::metadata("/proc/self").map_err(Error::file("look at", "/proc/self"))?.uid();
        let account = Account::to_drop_to(me)?;
        let dir = make_room(dir, account)?;
        let cluster = Self {
            bin: binaries::find(made_with_version(&dir).as_deref())?,
            gate: lock_file(&dir, "gate.lock")?,
            users: lock_file(&dir, "users.lock")?,
            dir,
            account,
        };
        cluster.gate.lock().map_err(Error::file("lock", cluster.dir.join("gate.lock")))?;
        cluster.agree_on(durability)?;
        if !cluster.data().exists() {
            cluster.init(durability)?;
        }
        if !cluster.is_running() {
            cluster.start(durability)?;
        }
        cluster.users.lock_shared().map_err(Error::file("lock", cluster.dir.join("users.lock")))?;
        cluster.gate.unlock().map_err(Error::file("unlock", cluster.dir.join("gate.lock")))?;
        Ok(cluster)
    }

    /// Where the cluster really is; not always where it was asked for.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The address of a database in this cluster, as sqlx takes it.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{OWNER}@localhost/{}?host={}",
            escape(database.as_bytes()),
            escape(self.dir.as_os_str().as_bytes())
        )
    }

    /// Makes a database, as a copy of `template` where one is given. True when it is new, false
    /// when it was there already.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, for instance because the template is in use.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<bool, Error> {
        let what = || format!("make the database {name:?}");
        let mut connection = PgConnection::connect(&self.url("postgres")).await.map_err(Error::database(what()))?;
        let copy = template.map(|template| format!(" template {}", quote(template))).unwrap_or_default();
        let statement = AssertSqlSafe(format!("create database {}{copy}", quote(name)));
        let made = sqlx::raw_sql(statement).execute(&mut connection).await;
        // A goodbye that fails changes nothing: the server drops the connection by itself.
        connection.close().await.ok();
        match made {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(Error::database(what())(error)),
        }
    }

    /// Drops a database that may be in use, or was dropped before.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        let what = || format!("drop the database {name:?}");
        let mut connection = PgConnection::connect(&self.url("postgres")).await.map_err(Error::database(what()))?;
        let statement = AssertSqlSafe(format!("drop database if exists {} with (force)", quote(name)));
        sqlx::raw_sql(statement).execute(&mut connection).await.map_err(Error::database(what()))?;
        connection.close().await.ok();
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// A cluster keeps the durability it was made with: a server that is running already cannot
    /// be made durable by asking.
    fn agree_on(&self, durability: Durability) -> Result<(), Error> {
        let note = self.dir.join("durability");
        let wanted = durability.as_str();
        match fs::read_to_string(&note) {
            Ok(found) if found == wanted => Ok(()),
            Ok(found) => Err(Error::OtherDurability { dir: self.dir.clone(), found, wanted }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::write(&note, wanted).map_err(Error::file("write", note))
            }
            Err(error) => Err(Error::file("read", note)(error)),
        }
    }

    /// Makes the data folder beside its place and moves it there, so that a killed `initdb` leaves
    /// nothing that looks like a cluster.
    fn init(&self, durability: Durability) -> Result<(), Error> {
        let unfinished = self.dir.join("data.new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("remove", unfinished)(error)),
            _ => {}
        }
        let mut initdb = self.command("initdb");
        initdb.args(["-D", "data.new", "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-locale", "-k"]);
        initdb.arg("--no-instructions");
        if durability == Durability::Off {
            initdb.arg("--no-sync");
        }
        self.run("initdb", initdb)?;
        fs::rename(&unfinished, self.data()).map_err(Error::file("move into place", unfinished))
    }

    fn is_running(&self) -> bool {
        let mut status = self.command("pg_ctl");
        status.args(["status", "-D", "data"]).stdout(Stdio::null()).stderr(Stdio::null());
        status.status().is_ok_and(|status| status.success())
    }

    fn start(&self, durability: Durability) -> Result<(), Error> {
        let log = self.dir.join("server.log");
        if fs::metadata(&log).is_ok_and(|log| log.len() > LARGEST_LOG) {
            fs::remove_file(&log).map_err(Error::file("remove", &log))?;
        }
        let mut start = self.command("pg_ctl");
        start.args(["start", "-D", "data", "-l", "server.log", "-w", "-s", "-t", "60"]);
        start.arg("-o").arg(self.server_options(durability));
        self.run("pg_ctl", start)
    }

    /// The command line of the server. It goes through a shell, and the folder is an entry of a
    /// list with commas, hence the quotes in quotes.
    fn server_options(&self, durability: Durability) -> String {
        let dir = quote(&self.dir.display().to_string()).replace('\'', r"'\''");
        let mut options = format!("-c listen_addresses= -c unix_socket_directories='{dir}' -c max_connections=200");
        // The benchmarks count statements with it; it is part of Debian's package.
        if self.bin.with_file_name("lib").join("pg_stat_statements.so").exists() {
            options += " -c shared_preload_libraries=pg_stat_statements";
        }
        if durability == Durability::Off {
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off";
        }
        options
    }

    /// A program of Postgres, run as the user who may, in the folder of the cluster: names in it
    /// need no quoting by `pg_ctl`, which does it badly. A terminal's Ctrl-C is for us, not for the
    /// server.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .current_dir(&self.dir)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("PGDATA")
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Runs a program to its end. Its output goes to a file: the server inherits it, so a pipe
    /// would never close.
    fn run(&self, program: &'static str, mut command: Command) -> Result<(), Error> {
        let log = self.dir.join("set-up.log");
        let output = File::create(&log).map_err(Error::file("write", &log))?;
        let same = output.try_clone().map_err(Error::file("write", &log))?;
        let status = command
            .stdout(output)
            .stderr(same)
            .status()
            .map_err(Error::file("run", PathBuf::from(command.get_program())))?;
        if status.success() {
            return Ok(());
        }
        let said = [log.clone(), self.dir.join("server.log")].iter().map(|log| last_lines(log)).collect();
        Err(Error::Program { program, status: status.to_string(), log, said })
    }

    /// Stops the server when nobody else uses it.
    fn leave(&self) -> Result<(), Error> {
        self.gate.lock().map_err(Error::file("lock", self.dir.join("gate.lock")))?;
        self.users.unlock().map_err(Error::file("unlock", self.dir.join("users.lock")))?;
        if self.users.try_lock().is_err() {
            return Ok(());
        }
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-D", "data", "-w", "-s", "-m", "fast"]);
        self.run("pg_ctl", stop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            tracing::warn!(%error, dir = %self.dir.display(), "the private Postgres was left running");
        }
    }
}

impl Durability {
    const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// The folder for the cluster, made, closed to everyone else, and owned by who runs the server.
fn make_room(wanted: &Path, account: Option<Account>) -> Result<PathBuf, Error> {
    let mut dir = std::path::absolute(wanted).map_err(Error::file("find", wanted))?;
    let most = LONGEST_SOCKET - SOCKET.len();
    let bytes = dir.as_os_str().len();
    if let Some(account) = account {
        // Made before the look at it: a strict umask closes new folders to others, too.
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above).map_err(Error::file("make", above))?;
        }
        if bytes > most || !can_enter(account, &dir)? {
            let elsewhere = PathBuf::from(ROOTS_ROOM);
            fs::create_dir_all(&elsewhere).map_err(Error::file("make", &elsewhere))?;
            open_to_all(&elsewhere)?;
            let name = hex::encode(&Sha256::digest(dir.as_os_str().as_bytes())[..6]);
            dir = elsewhere.join(format!("postgres-{name}"));
        }
    } else if bytes > most {
        return Err(Error::PathTooLong { dir, bytes, most });
    }
    fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
    if let Some(Account { uid, gid }) = account {
        chown(&dir, Some(uid), Some(gid)).map_err(Error::file("hand over", &dir))?;
    }
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(Error::file("close to others", &dir))?;
    Ok(dir)
}

fn open_to_all(dir: &Path) -> Result<(), Error> {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(Error::file("open to user postgres", dir))
}

/// True when the account may pass through every folder above `dir`.
fn can_enter(account: Account, dir: &Path) -> Result<bool, Error> {
    for above in dir.ancestors().skip(1) {
        let found = fs::metadata(above).map_err(Error::file("look at", above))?;
        let pass = if found.uid() == account.uid {
            0o100
        } else if found.gid() == account.gid {
            0o010
        } else {
            0o001
        };
        if found.mode() & pass == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The major version that made the data, when there is data.
fn made_with_version(dir: &Path) -> Option<String> {
    let version = fs::read_to_string(dir.join("data/PG_VERSION")).ok()?;
    Some(version.trim().to_owned())
}

fn lock_file(dir: &Path, name: &str) -> Result<File, Error> {
    let path = dir.join(name);
    OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("open", path))
}

/// The end of a log, short enough for an error message.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].iter().map(|line| format!("  {line}\n")).collect()
}

/// Percent-encoding for the parts of a URL; a path keeps its slashes.
fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A name as an SQL identifier, or an entry of a list of folders.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// True for `duplicate_database`, also when two callers make it at the same moment and the
/// catalogue's own unique index speaks.
fn is_duplicate(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("42P04" | "23505"))
}
