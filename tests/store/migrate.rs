//! Migrations: many at once, and after an index whose making was cut short.

use std::convert::Infallible;

use dailycast::store;
use sqlx::PgPool;

use crate::support::database::TestDatabase;

async fn empty() -> TestDatabase {
    TestDatabase::migrated_by("empty", async |_: &PgPool| Ok::<_, Infallible>(())).await
}

const IS_WHOLE: &str = "select indisvalid from pg_index where indexrelid = 'dailycast.podcast_event_ended'::regclass";

#[tokio::test]
async fn many_who_migrate_at_once_come_one_after_the_other() {
    let database = empty().await;
    let one = || store::migrate(&database.pool);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    for done in [a, b, c, d] {
        done.unwrap();
    }
    assert!(store::level(&database.pool).await.unwrap().is_enough());
    assert!(sqlx::query_scalar::<_, bool>(IS_WHOLE).fetch_one(&database.pool).await.unwrap());
}

#[tokio::test]
async fn an_index_whose_making_was_cut_short_is_made_anew() {
    let database = empty().await;
    store::migrate(&database.pool).await.unwrap();
    let cut_short =
        "update pg_index set indisvalid = false where indexrelid = 'dailycast.podcast_event_ended'::regclass;
        delete from dailycast.migration where version = 20261123000430";
    sqlx::raw_sql(cut_short).execute(&database.pool).await.unwrap();
    store::migrate(&database.pool).await.unwrap();
    assert!(sqlx::query_scalar::<_, bool>(IS_WHOLE).fetch_one(&database.pool).await.unwrap());
}
