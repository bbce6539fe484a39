//! `migrations/roles/service.sql`: with no more than it grants, a whole night is made, and nothing
//! else can be done.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::ground::Ground;

const LEARNERS: i64 = 6;

/// A ground whose processes log in as the role of the service.
async fn ground() -> Ground {
    let mut ground = Ground::new(LEARNERS as u32).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/roles/service.sql");
    let grants = fs::read_to_string(file).unwrap();
    for _ in 0..2 {
        ground.execute(&grants).await;
    }
    ground.set("database.url", &url(&ground));
    ground
}

fn url(ground: &Ground) -> String {
    let (owner, rest) = ground.database.url.split_once('@').unwrap();
    let (scheme, _) = owner.split_once("://").unwrap();
    format!("{scheme}://dailycast_service@{rest}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_of_the_service_can_make_a_night() {
    let ground = ground().await;
    let told = ground.run(&["academy", "check"]).await;
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    ground.start_night().await;
    let victim = ground.worker("victim");
    ground.until_busy(&victim).await;
    victim.kill().await;
    let heir = ground.worker("heir");
    ground.until_finished().await;
    for command in [
        &["night", "status"][..],
        &["podcast", "list"],
        &["provider", "list"],
        &["alert", "list"],
        &["audit"],
        &["cost"],
    ] {
        let told = ground.run(command).await;
        assert!(told.status.success(), "{command:?}: {}", String::from_utf8_lossy(&told.stderr));
    }
    ground.stop(heir).await;
    ground.tidy().await;
    ground.assert_all_is_well(LEARNERS).await;
}

#[tokio::test]
async fn the_role_of_the_service_can_do_nothing_else() {
    let ground = ground().await;
    let mut service = PgConnection::connect(&url(&ground)).await.unwrap();
    for statement in [
        "select 1 from academy.sample_learner",
        "update academy.learner set plan = 'free'",
        "delete from academy.learner_token",
        "truncate dailycast.podcast_event",
        "drop table dailycast.daily_podcast",
        "alter table dailycast.daily_podcast disable trigger all",
        "create table dailycast.mine (id integer)",
        "create or replace function dailycast.is_legal_move(from_status text, to_status text) returns boolean
            language sql as 'select true'",
        "delete from dailycast.migration",
        "delete from apalis._sqlx_migrations",
    ] {
        let refused = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut service).await;
        let code = refused.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
    // What a later migration of the owner makes is covered too.
    ground.execute("create table dailycast.later (id integer)").await;
    sqlx::raw_sql("insert into dailycast.later values (1)").execute(&mut service).await.unwrap();
    service.close().await.unwrap();
}
