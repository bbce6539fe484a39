//! An episode at once.

use dailycast::store::{night, pause};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use super::support::{FOREIGN, INACTIVE, TOKEN, TestServer};

const PATH: &str = "/api/dailycast/generate/";

/// A server whose clock stands where the database's does, and whose academy knows plans.
async fn server() -> TestServer {
    let server = TestServer::start().await;
    sqlx::raw_sql("alter table academy.learner add plan text").execute(&server.db).await.unwrap();
    server.clock.set(&night::now(&server.db).await.unwrap().to_rfc3339());
    server
}

async fn ask(server: &TestServer, token: &str) -> Response {
    let request = server.request(Method::POST, PATH).header("Authorization", format!("Token {token}"));
    request.body("whatever").send().await.unwrap()
}

async fn podcasts(server: &TestServer) -> i64 {
    sqlx::query_scalar("select count(*) from dailycast.daily_podcast").fetch_one(&server.db).await.unwrap()
}

#[tokio::test]
async fn it_is_made_now_and_workers_are_told() {
    let server = server().await;
    pause::pause(&server.db, "an operator", "a pause refuses nobody").await.unwrap();
    let mut listener = PgListener::connect_with(&server.db).await.unwrap();
    listener.listen("dailycast_due").await.unwrap();
    let response = ask(&server, TOKEN).await;
    assert_eq!(response.status(), 202);
    let body: Value = response.json().await.unwrap();
    listener.recv().await.unwrap();
    let row: (i64, i64, String, bool, bool) = sqlx::query_as(
        "select id, user_id, status, deadline_at > now() + interval '6 hours',
                exists (select from apalis.jobs where id = dailycast.job_id(p.id))
                and exists (select from dailycast.podcast_event e where e.podcast_id = p.id and event = 'enqueued')
         from dailycast.daily_podcast p",
    )
    .fetch_one(&server.db)
    .await
    .unwrap();
    assert_eq!(row, (body["podcast_id"].as_i64().unwrap(), 7, "pending".to_owned(), true, true));
    assert_eq!(body["status"], "pending");
    let next: chrono::DateTime<chrono::Utc> = body["next_available_at"].as_str().unwrap().parse().unwrap();
    let hours: f64 = sqlx::query_scalar("select (extract(epoch from $1 - now()) / 3600)::float8")
        .bind(next)
        .fetch_one(&server.db)
        .await
        .unwrap();
    assert!((23.9..=24.0).contains(&hours), "{hours}");
    let nights: i64 = sqlx::query_scalar("select count(*) from dailycast.night").fetch_one(&server.db).await.unwrap();
    assert_eq!(nights, 0, "it needs none");
    // From now on it is today's.
    let again = ask(&server, TOKEN).await;
    assert_eq!(again.status(), 200);
    let todays = json!({
        "status": "pending", "podcast": null, "latest": null, "late": false, "next_available_at": body["next_available_at"],
    });
    assert_eq!(again.json::<Value>().await.unwrap(), todays);
    assert_eq!(server.today().await, todays);
}

/// It is today's answer, and stays it: nothing is begun, and nothing used up.
#[tokio::test]
async fn one_that_failed_is_not_made_again() {
    let server = server().await;
    let date = night::now(&server.db).await.unwrap().date_naive().to_string();
    server.podcast(7, &date, "failed").await;
    for _ in 0..2 {
        let response = ask(&server, TOKEN).await;
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["status"], &body["late"], &body["podcast"]), (&json!("failed"), &json!(false), &Value::Null));
        assert_eq!(body["next_available_at"], Value::Null);
    }
    assert_eq!(podcasts(&server).await, 1);
}

#[tokio::test]
async fn who_has_todays_gets_it_and_has_asked_for_nothing() {
    let server = server().await;
    let date = night::now(&server.db).await.unwrap().date_naive().to_string();
    server.podcast(7, &date, "completed").await;
    let response = ask(&server, TOKEN).await;
    assert_eq!((response.status().as_u16(), &response.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert_eq!(response.json::<Value>().await.unwrap(), server.today().await);
    let asked: i64 =
        sqlx::query_scalar("select count(*) from dailycast.generation").fetch_one(&server.db).await.unwrap();
    assert_eq!((asked, podcasts(&server).await), (0, 1));
}

#[tokio::test]
async fn the_next_one_is_to_be_had_after_a_day() {
    let server = server().await;
    let asked = async |ago: &str| {
        let statement = format!(
            "insert into dailycast.generation values (7, now() - interval '{ago}')
             on conflict (user_id) do update set asked_at = excluded.asked_at"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&server.db).await.unwrap();
        ask(&server, TOKEN).await
    };
    let response = asked("23 hours 59 minutes").await;
    assert_eq!(response.status(), 429);
    let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["code"], &body["seconds_until_available"]), (&json!("too_soon"), &json!(wait)));
    assert!(body["detail"].is_string() && body["next_available_at"].as_str().unwrap().ends_with('Z'), "{body}");
    assert_eq!(podcasts(&server).await, 0);
    assert_eq!(ask(&server, FOREIGN).await.status(), 202, "another learner");
    assert_eq!(asked("24 hours").await.status(), 202);
    assert_eq!(podcasts(&server).await, 2);
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_makes_it() {
    let server = server().await;
    let all = futures_util::future::join_all((0..12).map(async |_| ask(&server, TOKEN).await.status().as_u16())).await;
    let count = |wanted: u16| all.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(202), count(200)), (1, 11), "{all:?}");
    assert_eq!(podcasts(&server).await, 1);
}

#[tokio::test]
async fn only_a_learner_of_the_academy_may_ask() {
    let server = server().await;
    assert_eq!(server.request(Method::POST, PATH).send().await.unwrap().status(), 401);
    assert_eq!(ask(&server, INACTIVE).await.status(), 401);
    assert_eq!(server.get(PATH).await.headers()["allow"], "POST");
    // Closed a moment after the token was found to be good.
    server.today().await;
    sqlx::query("update academy.learner set is_active = false").execute(&server.db).await.unwrap();
    let closed = ask(&server, TOKEN).await;
    assert_eq!(closed.status(), 401);
    assert_eq!(closed.text().await.unwrap(), "{\"detail\":\"User inactive or deleted.\"}");
    let left: i64 =
        sqlx::query_scalar("select count(*) from dailycast.generation").fetch_one(&server.db).await.unwrap();
    assert_eq!((left, podcasts(&server).await), (0, 0));
}

/// An academy that cannot be read is a 503, and the wish is not used up.
#[tokio::test]
async fn what_could_not_be_made_may_be_asked_for_again() {
    let server = server().await;
    server.today().await;
    sqlx::raw_sql("alter table academy.learner rename column plan to lost").execute(&server.db).await.unwrap();
    assert_eq!(ask(&server, TOKEN).await.status(), 503);
    sqlx::raw_sql("alter table academy.learner rename column lost to plan").execute(&server.db).await.unwrap();
    assert_eq!(ask(&server, TOKEN).await.status(), 202);
}
