//! A database that does not answer, or whose connections are gone.

use std::time::Duration;

use dailycast::store::{Address, Reads, Store};
use reqwest::Method;

use super::support::{FOREIGN, TOKEN, TestServer, migrate};
use crate::support::{
    database::TestDatabase,
    proxy::{Proxy, Target},
    until,
};

const TODAY: &str = "/api/dailycast/today/";

/// A server whose database is reached through a proxy, and waits for it `patience` long.
async fn behind_a_proxy(patience: Duration) -> (TestServer, Proxy) {
    let database = TestDatabase::migrated_by("http_learners", migrate).await;
    let (before, host) = database.url.split_once("host=").unwrap();
    let (folder, _) = host.split_once('&').unwrap();
    let name = before.rsplit('/').next().unwrap().trim_end_matches('?');
    let proxy = Proxy::to(Target::cluster(folder.replace("%2F", "/"))).await;
    let user = before.split("//").nth(1).unwrap().split('@').next().unwrap();
    let url = format!("postgres://{user}@127.0.0.1:{}/{name}?options=-csearch_path%3Dacademy,public", proxy.port());
    let reads = Reads::new(url.parse().unwrap(), 2, patience);
    (TestServer::start_on(database, |_| {}, Some(reads)).await, proxy)
}

async fn status(server: &TestServer, token: &str) -> u16 {
    let request = server.request(Method::GET, TODAY).header("Authorization", format!("Token {token}"));
    request.send().await.unwrap().status().as_u16()
}

/// Also those who wait for a connection, and those whose token someone else is looking up.
#[tokio::test]
async fn a_database_that_stalls_is_a_503_for_everyone_and_forgotten_when_it_is_back() {
    let (server, proxy) = behind_a_proxy(Duration::from_secs(2)).await;
    // The first connection takes its time on a machine that is busy.
    until("the way is open", async || status(&server, TOKEN).await == 200).await;
    proxy.stall();
    let all = (0..6).map(|n| status(&server, if n < 3 { TOKEN } else { FOREIGN }));
    assert_eq!(futures_util::future::join_all(all).await, [503; 6]);
    proxy.restore();
    for token in [TOKEN, FOREIGN] {
        until("the database is back", async || status(&server, token).await == 200).await;
    }
}

/// Nobody is let in any longer because nobody can be asked.
#[tokio::test]
async fn an_outage_does_not_prolong_a_token() {
    let (server, proxy) = behind_a_proxy(Duration::from_secs(3)).await;
    assert_eq!(status(&server, TOKEN).await, 200);
    sqlx::query("delete from academy.learner_token").execute(&server.db).await.unwrap();
    proxy.cut();
    server.clock.set("2026-11-22T10:00:09Z");
    assert_eq!(status(&server, TOKEN).await, 503);
    proxy.restore();
    assert_eq!(status(&server, TOKEN).await, 200);
    server.clock.set("2026-11-22T10:00:10Z");
    assert_eq!(status(&server, TOKEN).await, 401);
}

/// A server that was restarted has closed all connections, and no learner hears of it.
#[tokio::test]
async fn connections_that_the_database_closed_are_replaced_unseen() {
    let server = TestServer::start().await;
    for _ in 0..2 {
        let asked = (0..8).map(|_| status(&server, TOKEN));
        assert_eq!(futures_util::future::join_all(asked).await, [200; 8]);
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()
                     and query like '%/* today */%'";
        let ended: i64 = sqlx::query_scalar(cut).fetch_one(&server.db).await.unwrap();
        assert!(ended > 0);
    }
    assert_eq!(status(&server, TOKEN).await, 200);
}

/// What a learner changes is changed once, however often it has to be said.
#[tokio::test]
async fn a_change_gets_through_as_soon_as_the_database_does() {
    let (server, proxy) = behind_a_proxy(Duration::from_secs(3)).await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    sqlx::raw_sql("alter table academy.learner add plan text").execute(&server.db).await.unwrap();
    let change = async |method: Method, path: &str| {
        let request =
            server.request(method, &format!("/api/dailycast/{path}")).json(&serde_json::json!({ "position": 1 }));
        request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap().status().as_u16()
    };
    let changes = [
        (Method::PUT, format!("episodes/{id}/position/"), 200),
        (Method::PUT, format!("episodes/{id}/like/"), 200),
        (Method::POST, format!("episodes/{id}/share/"), 200),
        (Method::DELETE, format!("episodes/{id}/share/"), 204),
        (Method::POST, "generate/".to_owned(), 202),
    ];
    until("the way is open", async || status(&server, TOKEN).await == 200).await;
    proxy.cut();
    for (method, path, _) in &changes {
        assert_eq!(change(method.clone(), path).await, 503, "{path}");
    }
    proxy.restore();
    for (method, path, done) in changes {
        assert_eq!(status(&server, TOKEN).await, 200);
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid() and query like '/* %'";
        sqlx::query(end).execute(&server.db).await.unwrap();
        assert_eq!(change(method, &path).await, done, "{path}");
    }
}

/// The engine may use all that it has: what learners need is not its own.
#[tokio::test]
async fn a_busy_engine_leaves_connections_for_learners() {
    let database = TestDatabase::migrated_by("http_learners", migrate).await;
    let address = Address { url: database.url.clone(), academy_schema: "academy".to_owned(), max_connections: 4 };
    let store = Store::new(&address).unwrap();
    let server = TestServer::start_on(database, |_| {}, Some(store.reads().clone())).await;
    let most = usize::try_from(store.pool().options().get_max_connections()).unwrap();
    let held = futures_util::future::join_all((0..most).map(|_| store.pool().acquire())).await;
    assert!(held.iter().all(Result::is_ok) && store.pool().try_acquire().is_none());
    assert_eq!(status(&server, TOKEN).await, 200);
    store.close().await;
}
