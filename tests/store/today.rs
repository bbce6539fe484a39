//! Many who ask what they find today share statements, and none gets what is another's.

use std::time::Duration;

use chrono::NaiveDate;
use dailycast::store::{Reads, today};
use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};

use crate::{
    http::support,
    support::{database::TestDatabase, until},
};

const DATE: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
const EXPIRED: NaiveDate = NaiveDate::from_ymd_opt(2026, 10, 22).unwrap();

/// Learners from 100 on, each with a token and a podcast of the date.
async fn crowd(learners: i64) -> TestDatabase {
    let database = TestDatabase::migrated_by("http", support::migrate).await;
    let fill = format!(
        "insert into academy.learner select id, true, false, false from generate_series(100, {last}) id;
         insert into academy.learner_token select 'token ' || id, id from generate_series(100, {last}) id;
         insert into dailycast.daily_podcast (user_id, date, deadline_at, title)
         select id, '{DATE}', now(), 'for ' || id from generate_series(100, {last}) id",
        last = 99 + learners
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&database.pool).await.unwrap();
    database
}

fn title(today: &today::Today) -> Option<&str> {
    today.podcast.as_ref().and_then(|podcast| podcast.title.as_deref())
}

/// Somebody who keeps everybody from reading until the connection is closed.
async fn bar(database: &TestDatabase) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let lock = "begin; lock table dailycast.listening in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
    connection
}

async fn is_barred(database: &TestDatabase) -> bool {
    let waits = "select exists (select from pg_locks where not granted and relation = 'dailycast.listening'::regclass)";
    sqlx::query_scalar(waits).fetch_one(&database.pool).await.unwrap()
}

#[tokio::test]
async fn each_of_many_gets_what_is_theirs() {
    let database = crowd(300).await;
    let reads = database.reads();
    let known = join_all((100..400).map(|id| today::of_learner(&reads, id, DATE, EXPIRED)));
    let tokens: Vec<String> = (100..400).map(|id| format!("token {id}")).collect();
    let bearers = join_all(tokens.iter().map(|token| today::of_bearer(&reads, token, DATE, EXPIRED)));
    let strangers = join_all((0..20).map(|_| today::of_bearer(&reads, "nobody's", DATE, EXPIRED)));
    let others = join_all((0..20).map(|_| today::of_learner(&reads, 7, DATE, EXPIRED)));
    let (known, bearers, strangers, others) = tokio::join!(known, bearers, strangers, others);
    for ((id, known), bearer) in (100..400).zip(known).zip(bearers) {
        let (own, bearer) = (format!("for {id}"), bearer.unwrap().unwrap());
        assert_eq!(title(&known.unwrap()), Some(own.as_str()));
        assert_eq!((bearer.user_id, bearer.is_active, title(&bearer.today)), (id, true, Some(own.as_str())));
    }
    assert!(strangers.into_iter().all(|visit| visit.unwrap().is_none()));
    assert!(others.into_iter().all(|today| today.unwrap().podcast.is_none()));
}

#[tokio::test]
async fn who_goes_away_takes_nothing_from_those_who_wait() {
    let database = crowd(60).await;
    let reads = Reads::new(database.url.parse().unwrap(), 1, Duration::from_secs(60));
    let bar = bar(&database).await;
    let mut asked: Vec<_> = (100..160)
        .map(|id| {
            let reads = reads.clone();
            tokio::spawn(async move { today::of_learner(&reads, id, DATE, EXPIRED).await })
        })
        .collect();
    until("somebody waits", async || is_barred(&database).await).await;
    // The one whose statement is under way among them.
    let (gone, left): (Vec<_>, Vec<_>) = asked.drain(..).zip(100..160).partition(|(_, id)| id % 2 == 0);
    gone.iter().for_each(|(asking, _)| asking.abort());
    bar.close().await.unwrap();
    for (asking, id) in left {
        assert_eq!(title(&asking.await.unwrap().unwrap()), Some(format!("for {id}").as_str()));
    }
}

#[tokio::test]
async fn what_a_statement_met_is_told_to_all_and_the_next_one_is_new() {
    let database = crowd(20).await;
    let reads = Reads::new(database.url.parse().unwrap(), 1, Duration::from_millis(500));
    let bar = bar(&database).await;
    let asked = join_all((100..120).map(|id| today::of_learner(&reads, id, DATE, EXPIRED))).await;
    assert!(asked.iter().all(Result::is_err));
    bar.close().await.unwrap();
    let found = today::of_learner(&reads, 100, DATE, EXPIRED).await.unwrap();
    assert_eq!(title(&found), Some("for 100"));
}
