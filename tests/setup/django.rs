//! The learner views over the academy's Django tables: on Postgres, and through foreign tables of
//! MySQL, for which tables of the same columns stand in here. Both must tell the same facts.

use dailycast::{
    learner::{Ability, Facts, Mistake, Quiz, Week},
    store::academy::{self, TokenOwner},
};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::database::TestDatabase;

const TABLES: &str = include_str!("django.sql");
const POSTGRES_VIEWS: &str = include_str!("../../migrations/academy/django_postgres.sql");
const MYSQL_TABLES: &str = include_str!("../../migrations/academy/mysql_fdw.sql");
const MYSQL_VIEWS: &str = include_str!("../../migrations/academy/mysql_views.sql");

async fn run(pool: &PgPool, sql: impl Into<String>) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(pool).await.map(drop)
}

async fn on_postgres() -> TestDatabase {
    TestDatabase::migrated_by("django", async |pool: &PgPool| {
        run(pool, format!("set search_path to public; {TABLES}")).await?;
        run(pool, format!("create schema academy; set search_path to academy; {POSTGRES_VIEWS}")).await
    })
    .await
}

/// Foreign tables become plain ones with the very same columns, filled from Django's as MySQL
/// would tell them: truth as a number, times in UTC without saying so, JSON as text.
async fn on_mysql() -> TestDatabase {
    TestDatabase::migrated_by("mysql", async |pool: &PgPool| {
        run(pool, format!("set search_path to public; {TABLES}")).await?;
        run(pool, "create schema academy; create schema academy_mysql").await?;
        for statement in MYSQL_TABLES.split(';').filter(|statement| statement.contains("create foreign table")) {
            let (table, _) = statement.split_once(") server academy_mysql").unwrap();
            run(pool, table.replace("create foreign table", "create table") + ")").await?;
        }
        run(pool, COPY).await?;
        run(pool, format!("set search_path to academy; {MYSQL_VIEWS}")).await
    })
    .await
}

const COPY: &str = "do $$
    declare copy text;
    begin
        for copy in
            select format('insert into academy_mysql.%1$I (%2$s) select %3$s from public.%1$I',
                theirs.table_name,
                string_agg(quote_ident(theirs.column_name), ','),
                string_agg(quote_ident(theirs.column_name) || case ours.data_type
                    when 'boolean' then '::int'
                    when 'timestamp with time zone' then ' at time zone ''UTC'''
                    else '::' || theirs.data_type
                end, ','))
            from information_schema.columns theirs
            join information_schema.columns ours
                on ours.table_schema = 'public' and ours.table_name = theirs.table_name
                and ours.column_name = theirs.column_name
            where theirs.table_schema = 'academy_mysql'
            group by theirs.table_name
        loop
            execute copy;
        end loop;
    end $$";

fn sarah() -> Facts {
    Facts {
        user_id: 42,
        display_name: "Sarah 花".to_owned(),
        languages: ["en", "es", "ja"].map(str::to_owned).to_vec(),
        plan: "premium".to_owned(),
        interests: ["Grammar", "verbs"].map(str::to_owned).to_vec(),
        ability: Some(Ability {
            score: 520.5,
            rank: Some(3),
            weakest: Some(("Grammar".to_owned(), 420.0)),
            strongest: Some(("Listening".to_owned(), 610.5)),
        }),
        week: Week { answered: 10, correct: 7, answered_before: 8, correct_before: 3 },
        due_reviews: ["Sounds", "The past of \"see\"?"].map(str::to_owned).to_vec(),
        last_mistake: Some(Mistake {
            question: "<p>I ___ home.</p>".to_owned(),
            subject: Some("Grammar".to_owned()),
            correct_answer: Some("went".to_owned()),
        }),
        recommended_quiz: Some(Quiz {
            title: "Verbs".to_owned(),
            subject: Some("Grammar".to_owned()),
            difficulty: Some("easy".to_owned()),
        }),
    }
}

async fn tells_the_facts(database: TestDatabase) {
    assert_eq!(academy::check(&database.pool, "academy").await.unwrap(), []);
    let facts = academy::facts(&database.pool, &[42, 43, 45]).await.unwrap();
    assert_eq!(facts[0], sarah());
    let newcomer =
        Facts { user_id: 43, display_name: "newcomer".to_owned(), plan: "free".to_owned(), ..Facts::default() };
    assert_eq!(facts[1], newcomer);
    let odd = Facts {
        user_id: 45,
        display_name: "Odd".to_owned(),
        languages: ["fr", "en"].map(str::to_owned).to_vec(),
        plan: "free".to_owned(),
        interests: vec!["Listening".to_owned()],
        ability: Some(Ability { score: 300.0, ..Ability::default() }),
        recommended_quiz: Some(Quiz {
            title: "Sounds".to_owned(),
            subject: Some("Listening".to_owned()),
            difficulty: None,
        }),
        ..Facts::default()
    };
    assert_eq!(facts[2], odd);
}

/// Sarah was last active when she answered; the newcomer has not come for long, whatever the
/// password log-in says.
async fn tells_who_is_active(database: TestDatabase) {
    let active: Vec<i32> = sqlx::query_scalar(
        "select user_id from learner where is_active and last_seen_at >= now() - interval '14 days' order by user_id",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(active, [42, 45]);
    let reads = database.reads();
    let owner = |key: &'static str| academy::learner_by_token(&reads, key);
    let sarah = owner("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").await.unwrap();
    assert_eq!(sarah, Some(TokenOwner { user_id: 42, is_active: true, is_staff: false, is_superuser: false }));
    let gone = owner("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb").await.unwrap();
    assert_eq!(gone, Some(TokenOwner { user_id: 44, is_active: false, is_staff: false, is_superuser: false }));
}

#[tokio::test]
async fn the_facts_on_postgres() {
    tells_the_facts(on_postgres().await).await;
}

#[tokio::test]
async fn the_facts_through_mysql() {
    tells_the_facts(on_mysql().await).await;
}

#[tokio::test]
async fn who_is_active_on_postgres() {
    tells_who_is_active(on_postgres().await).await;
}

#[tokio::test]
async fn who_is_active_through_mysql() {
    tells_who_is_active(on_mysql().await).await;
}
