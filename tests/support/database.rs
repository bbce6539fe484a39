//! A database of its own for every test, copied from a template in milliseconds.
//!
//! All test runs of a user share one cluster without fsync below the temporary folder; the first
//! run starts it and the last one stops it. The template is made once per content of the SQL files.
//! Databases are never dropped one by one: a run drops what runs that ended have left.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dailycast::{
    local::postgres::{Cluster, Durability},
    store::Reads,
};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::Mutex;

/// Names the advisory lock under which templates are made and leftovers dropped.
const LOCK: i64 = 0x6461_696c_7963;

/// Templates kept for other versions of the migrations, which other checkouts may be testing.
const TEMPLATES_KEPT: usize = 8;

static CLUSTER: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A migrated database that only one test knows.
pub struct TestDatabase {
    /// Its address.
    pub url: String,
    /// Connections to it; tables of the academy are found by the search path.
    pub pool: PgPool,
    _cluster: Option<Arc<Cluster>>,
}

impl TestDatabase {
    /// A copy of the database that `migrate` makes. `flavour` names what `migrate` does, in letters,
    /// digits and `_`; tests that give the same one share a template.
    pub async fn migrated_by<E: std::fmt::Debug>(
        flavour: &str,
        migrate: impl AsyncFnOnce(&PgPool) -> Result<(), E>,
    ) -> Self {
        let cluster = cluster().await;
        let template = format!("template_{flavour}_{}", fingerprint());
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        execute(&mut connection, format!("select pg_advisory_lock({LOCK})")).await;
        let known: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&template)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if !known {
            make_template(&cluster, &mut connection, &template, migrate).await;
        }
        connection.close().await.unwrap();

        let name = format!("test_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        assert!(cluster.create_database(&name, Some(&template)).await.unwrap(), "{name} was there already");
        Self { _cluster: Some(Arc::clone(&cluster)), ..Self::at(&cluster.url(&name)).await }
    }

    /// A database on a cluster that somebody else keeps running, by the address of the cluster's.
    pub async fn at(url: &str) -> Self {
        let url = with_search_path(url);
        let pool = PgPoolOptions::new().max_connections(8).connect(&url).await.unwrap();
        Self { url, pool, _cluster: None }
    }

    /// Connections for reading, as learners have them.
    pub fn reads(&self) -> Reads {
        Reads::new(self.url.parse().unwrap(), 4, Duration::from_secs(3))
    }
}

/// Migrates under another name first: a run that dies on the way leaves no half template.
async fn make_template<E: std::fmt::Debug>(
    cluster: &Cluster,
    connection: &mut PgConnection,
    template: &str,
    migrate: impl AsyncFnOnce(&PgPool) -> Result<(), E>,
) {
    execute(connection, format!("drop database if exists unfinished_{template} with (force)")).await;
    execute(connection, format!("create database unfinished_{template}")).await;
    let url = with_search_path(&cluster.url(&format!("unfinished_{template}")));
    let pool = PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
    migrate(&pool).await.unwrap();
    pool.close().await;
    execute(connection, format!("alter database unfinished_{template} rename to {template}")).await;
}

/// The cluster of all test runs of this user, opened by the first test that needs it.
async fn cluster() -> Arc<Cluster> {
    let mut known = CLUSTER.lock().await;
    if let Some(cluster) = known.upgrade() {
        return cluster;
    }
    let uid = fs::metadata("/proc/self").unwrap().uid();
    let dir = std::env::temp_dir().join(format!("dailycast-tests-{uid}"));
    let open = tokio::task::spawn_blocking(move || Cluster::open(&dir, Durability::Off));
    let cluster = Arc::new(open.await.unwrap().unwrap());
    if known.strong_count() == 0 && NEXT.load(Ordering::Relaxed) == 0 {
        drop_leftovers(&cluster).await;
    }
    *known = Arc::downgrade(&cluster);
    cluster
}

/// Drops the databases of runs that ended, and all but the newest templates.
async fn drop_leftovers(cluster: &Cluster) {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    execute(&mut connection, format!("select pg_advisory_lock({LOCK})")).await;
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname ~ '^test_[0-9]+_' order by oid")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let templates: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname ~ '^template_' order by oid desc")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let of_ended_runs = names.iter().filter(|name| !is_of_a_living_run(name));
    for name in of_ended_runs.chain(templates.iter().skip(TEMPLATES_KEPT)) {
        execute(&mut connection, format!("drop database if exists {name} with (force)")).await;
    }
    connection.close().await.unwrap();
}

/// True when the process in the name of a database still runs. Its number may have been given to
/// this very process since, which has made no database yet.
fn is_of_a_living_run(name: &str) -> bool {
    let pid = name.split('_').nth(1).unwrap_or_default();
    pid != process::id().to_string() && Path::new("/proc").join(pid).exists()
}

async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.unwrap();
}

/// The learner views are written without a schema and found by the search path.
fn with_search_path(url: &str) -> String {
    format!("{url}&options=-csearch_path%3Dacademy,public")
}

/// Changes with every change of a file of SQL, or of a dependency with migrations of its own.
fn fingerprint() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("Cargo.lock")];
    for dir in ["migrations", "src", "tests"] {
        collect_sql(&root.join(dir), &mut files);
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.strip_prefix(root).unwrap().as_os_str().as_encoded_bytes());
        hash.update(fs::read(&file).unwrap());
    }
    hex::encode(&hash.finalize()[..8])
}

fn collect_sql(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect_sql(&path, files),
            path if path.extension().is_some_and(|ending| ending == "sql") => files.push(path),
            _ => {}
        }
    }
}
