//! Links by which others hear an episode.

use dailycast::{
    store::{
        erasure,
        listening::{self, Shared},
    },
    worker::keeper,
};
use reqwest::{Method, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::support::{TOKEN, TestServer};

async fn ask(server: &TestServer, method: Method, id: i64) -> Response {
    let request = server.request(method, &format!("/api/dailycast/episodes/{id}/share/"));
    request.header("Authorization", format!("Token {TOKEN}")).send().await.unwrap()
}

/// The link of an episode, which has to be given.
async fn link(server: &TestServer, id: i64) -> String {
    let response = ask(server, Method::POST, id).await;
    assert_eq!(response.status(), 200);
    response.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned()
}

/// Where a link leads.
async fn leads(server: &TestServer, link: &str) -> Shared {
    let key = link.strip_prefix(&format!("{}/listen/", server.url)).unwrap();
    assert!(key.len() == 40 && key.bytes().all(|digit| digit.is_ascii_hexdigit()), "{key}");
    listening::shared(&server.reads, &Sha256::digest(format!("share {key}")).into()).await.unwrap()
}

#[tokio::test]
async fn a_link_stays_the_same_until_it_is_taken_back() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let first = link(&server, id).await;
    assert_eq!(link(&server, id).await, first);
    assert_eq!(leads(&server, &first).await, Shared::Podcast(id));
    assert_eq!(server.today().await["podcast"]["shared"], true);
    for _ in 0..2 {
        let response = ask(&server, Method::DELETE, id).await;
        assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (204, String::new()));
        assert_eq!(leads(&server, &first).await, Shared::Revoked);
    }
    assert_eq!(server.today().await["podcast"]["shared"], false);
    let second = link(&server, id).await;
    assert_ne!(second, first);
    assert_eq!(leads(&server, &first).await, Shared::Revoked);
    assert_eq!(leads(&server, &second).await, Shared::Podcast(id));
    let guess = format!("{}/listen/{}", server.url, "0".repeat(40));
    assert_eq!(leads(&server, &guess).await, Shared::Unknown);
}

#[tokio::test]
async fn whoever_shares_at_once_gets_one_link() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let links = futures_util::future::join_all((0..10).map(|_| link(&server, id))).await;
    assert!(links.iter().all(|link| *link == links[0]), "{links:?}");
    assert_eq!(leads(&server, &links[0]).await, Shared::Podcast(id));
    let both = futures_util::future::join_all((0..10).map(async |n| {
        ask(&server, if n % 2 == 0 { Method::DELETE } else { Method::POST }, id).await.status().as_u16()
    }));
    assert!(both.await.iter().all(|status| matches!(status, 200 | 204)));
    assert_eq!(leads(&server, &links[0]).await, Shared::Revoked);
}

/// A key that was made with another secret cannot be told again.
#[tokio::test]
async fn a_link_of_another_secret_is_replaced_when_it_is_asked_for() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let old = link(&server, id).await;
    sqlx::query("update dailycast.listening set share_seed = 'other'").execute(&server.db).await.unwrap();
    assert_eq!(leads(&server, &old).await, Shared::Podcast(id), "it is found by its hash");
    let links = futures_util::future::join_all((0..6).map(|_| link(&server, id))).await;
    assert!(links.iter().all(|link| *link == links[0] && *link != old), "{links:?}");
    assert_eq!(leads(&server, &old).await, Shared::Revoked);
    assert_eq!(leads(&server, &links[0]).await, Shared::Podcast(id));
}

#[tokio::test]
async fn the_link_to_a_replaced_episode_leads_nowhere_and_can_be_taken_back() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let old = link(&server, id).await;
    server.set(id, "completed", "is_active = false").await;
    let new = server.podcast(7, "2026-11-22", "completed").await;
    assert_eq!(leads(&server, &old).await, Shared::Revoked);
    assert_eq!(server.today().await["podcast"]["shared"], false);
    assert_ne!(link(&server, new).await, old);
    assert_eq!(ask(&server, Method::DELETE, id).await.status(), 204);
    assert_eq!(leads(&server, &old).await, Shared::Revoked);
}

/// Nothing is kept of the key itself.
#[tokio::test]
async fn a_copy_of_the_database_opens_nothing() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let link = link(&server, id).await;
    let key = link.rsplit('/').next().unwrap();
    let kept: Vec<String> =
        sqlx::query_scalar("select l::text from dailycast.listening l").fetch_all(&server.db).await.unwrap();
    assert!(kept.len() == 1 && !kept[0].contains(key), "{kept:?}");
}

/// Whichever comes first: in the end there is neither the episode nor a link that leads to it.
#[tokio::test]
async fn an_episode_that_is_erased_at_this_moment_is_not_shared() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let before = link(&server, id).await;
    let mut erasing = server.db.begin().await.unwrap();
    sqlx::query("select from dailycast.daily_podcast where id = $1 for update")
        .bind(id)
        .execute(&mut *erasing)
        .await
        .unwrap();
    let gone = async {
        let waiting = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like '/* share_episode */%'";
        crate::support::until("the share waits", async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&server.db).await.unwrap() == 1
        })
        .await;
        sqlx::query("delete from dailycast.daily_podcast where id = $1").bind(id).execute(&mut *erasing).await.unwrap();
        erasing.commit().await.unwrap();
    };
    let (late, ()) = tokio::join!(ask(&server, Method::POST, id), gone);
    assert_eq!(late.status(), 404);
    assert_eq!(leads(&server, &before).await, Shared::Unknown);
}

#[tokio::test]
async fn who_is_erased_leaves_links_that_were_taken_back() {
    let server = TestServer::start().await;
    let id = server.podcast(7, "2026-11-22", "completed").await;
    let foreign = server.podcast(8, "2026-11-22", "completed").await;
    let link = link(&server, id).await;
    sqlx::raw_sql(
        "insert into dailycast.feed (user_id, seed, key_hash) values (7, 'a', 'feed of 7'), (8, 'b', 'feed of 8');
         insert into dailycast.generation (user_id) values (7), (8);
         insert into dailycast.session (key_hash, user_id, expires_at) values ('s7', 7, now() + '1 h'), ('s8', 8, now() + '1 h');
         insert into dailycast.entrance (key_hash, user_id, expires_at) values ('e7', 7, now() + '1 h'), ('e8', 8, now() + '1 h')",
    )
    .execute(&server.db)
    .await
    .unwrap();
    let pass = erasure::ask(&server.db, &[7], "an operator").await.unwrap()[0];
    let passed = keeper::erase(&server.all, pass, async { Ok(0) }).await.unwrap();
    assert!(!passed.is_over, "something was found");
    assert_eq!(leads(&server, &link).await, Shared::Revoked);
    for table in ["feed", "generation", "session", "entrance", "daily_podcast"] {
        let whose = format!("select array_agg(user_id) from dailycast.{table}");
        let whose: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(whose)).fetch_one(&server.db).await.unwrap();
        assert_eq!(whose, [8], "{table}");
    }
    let told: bool =
        sqlx::query_scalar("select exists (select from dailycast.revoked_link where key_hash = 'feed of 7')")
            .fetch_one(&server.db)
            .await
            .unwrap();
    assert!(told && foreign > 0);
}
