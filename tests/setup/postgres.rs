//! The private Postgres: made once, shared, adopted when its holders died, stopped by the last.
//! These clusters are made without fsync, for speed; the durable kind differs in nothing else.

use std::{fs, path::Path, process::Command, thread};

use dailycast::local::{
    Error,
    postgres::{Cluster, Durability},
};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::{Folder, database::TestDatabase};

async fn answer(cluster: &Cluster, question: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
}

fn server_pid(dir: &Path) -> Option<String> {
    let pid = fs::read_to_string(dir.join("data/postmaster.pid")).ok()?;
    pid.lines().next().map(str::to_owned)
}

/// Whoever comes first starts, whoever is last stops, and what was written is there next time.
#[tokio::test(flavor = "multi_thread")]
async fn openers_share_one_server_and_the_last_one_stops_it() {
    let folder = Folder::new();
    let open = |_| {
        thread::spawn({
            let dir = folder.0.clone();
            move || Cluster::open(&dir, Durability::Off)
        })
    };
    let openers: Vec<_> = (0..4).map(open).collect();
    let mut clusters: Vec<_> = openers.into_iter().map(|opener| opener.join().unwrap().unwrap()).collect();
    let dir = clusters[0].dir().to_owned();
    let pid = server_pid(&dir).unwrap();

    assert!(clusters[0].create_database("kept", None).await.unwrap());
    assert!(!clusters[1].create_database("kept", None).await.unwrap(), "it is there already");
    let last = clusters.pop().unwrap();
    drop(clusters);
    assert_eq!(server_pid(&dir), Some(pid), "one is still using it");
    assert_eq!(answer(&last, "show fsync").await, "off");
    drop(last);
    assert_eq!(server_pid(&dir), None, "nobody is using it");

    let again = Cluster::open(&folder.0, Durability::Off).unwrap();
    assert!(!again.create_database("kept", None).await.unwrap(), "it was kept");
}

/// A process that is killed cannot stop the server; the next one takes it over and stops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_holders_is_adopted() {
    let folder = Folder::new();
    let first = Cluster::open(&folder.0, Durability::Off).unwrap();
    let dir = first.dir().to_owned();
    let pid = server_pid(&dir).unwrap();
    // What a kill leaves: a running server, and locks that the kernel has let go.
    std::mem::forget(first);
    fs::remove_file(dir.join("users.lock")).unwrap();

    let heir = Cluster::open(&folder.0, Durability::Off).unwrap();
    assert_eq!(server_pid(&dir), Some(pid), "the same server");
    drop(heir);
    assert_eq!(server_pid(&dir), None);
}

/// `initdb` may be killed half way; the next opener begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_made_cluster_is_made_again() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("data.new/base")).unwrap();
    fs::write(folder.0.join("data.new/PG_VERSION"), "15\n").unwrap();
    let cluster = Cluster::open(&folder.0, Durability::Off).unwrap();
    assert_eq!(answer(&cluster, "select 'up'").await, "up");
}

/// Names of folders are anything; the URL and the server's command line survive it.
#[tokio::test(flavor = "multi_thread")]
async fn an_odd_folder_name_is_taken_as_it_is() {
    let folder = Folder::new();
    let cluster = Cluster::open(&folder.0.join("it's 50% ü, \"ok\"&c"), Durability::Off).unwrap();
    assert_eq!(answer(&cluster, "select 'up'").await, "up");
}

#[test]
fn a_cluster_for_tests_is_never_opened_as_a_durable_one() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("durability"), "off").unwrap();
    let error = Cluster::open(&folder.0, Durability::On).unwrap_err();
    assert!(matches!(error, Error::OtherDurability { .. }), "{error}");
    assert!(error.to_string().contains("choose another folder"), "{error}");
}

/// Data of a version that is not installed: the message names the package.
#[test]
fn a_missing_version_names_the_package_that_has_it() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("data")).unwrap();
    fs::write(folder.0.join("data/PG_VERSION"), "9\n").unwrap();
    let error = Cluster::open(&folder.0, Durability::Off).unwrap_err().to_string();
    assert!(error.contains("apt-get install postgresql-9"), "{error}");
}

/// A folder whose path leaves no room for a socket: root gets another one, others are told.
#[test]
fn a_path_that_is_too_long_is_refused_or_replaced() {
    let folder = Folder::new();
    let long = folder.0.join("x".repeat(100));
    match Cluster::open(&long, Durability::Off) {
        Ok(cluster) => {
            let elsewhere = cluster.dir().to_owned();
            assert!(elsewhere.starts_with("/var/lib/dailycast"), "{}", elsewhere.display());
            drop(cluster);
            fs::remove_dir_all(elsewhere).unwrap();
        }
        Err(error) => assert!(error.to_string().contains("choose a shorter --data"), "{error}"),
    }
}

/// A server that cannot start says what its log says.
#[test]
fn a_broken_cluster_shows_the_end_of_its_log() {
    let folder = Folder::new();
    let cluster = Cluster::open(&folder.0, Durability::Off).unwrap();
    let dir = cluster.dir().to_owned();
    drop(cluster);
    fs::write(dir.join("data/postgresql.auto.conf"), "no_such_setting = 1\n").unwrap();
    let error = Cluster::open(&folder.0, Durability::Off).unwrap_err().to_string();
    assert!(error.contains("pg_ctl failed") && error.contains("no_such_setting"), "{error}");
}

/// A folder below `/root` is closed to user `postgres`; the cluster goes where it can live.
#[test]
fn root_keeps_a_cluster_where_user_postgres_can_enter() {
    let folder = Folder::new();
    let closed = folder.0.join("closed");
    fs::create_dir_all(&closed).unwrap();
    assert!(Command::new("chmod").arg("700").arg(&closed).status().unwrap().success());
    let cluster = Cluster::open(&closed.join("postgres"), Durability::Off).unwrap();
    let is_elsewhere = !cluster.dir().starts_with(&closed);
    let i_am_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    assert_eq!(is_elsewhere, i_am_root);
    let dir = cluster.dir().to_owned();
    drop(cluster);
    fs::remove_dir_all(dir).unwrap();
}

/// Two tests that ask at once share the template and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn every_test_has_a_database_of_its_own() {
    let migrate = async |pool: &PgPool| {
        sqlx::raw_sql("create schema own; create table own.note (text text)").execute(pool).await.map(drop)
    };
    let (one, other) =
        tokio::join!(TestDatabase::migrated_by("note", migrate), TestDatabase::migrated_by("note", migrate));
    assert_ne!(one.url, other.url);
    sqlx::query("insert into own.note values ('mine')").execute(&one.pool).await.unwrap();
    let notes: i64 = sqlx::query_scalar("select count(*) from own.note").fetch_one(&other.pool).await.unwrap();
    assert_eq!(notes, 0);
}
