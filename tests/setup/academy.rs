//! The sample academy, and what is read of any academy: how many learners, the same ones for the
//! same seed, their facts in one statement, and what is missing named.

use dailycast::{
    learner::{Facts, Quiz, Week},
    local::{
        self,
        academy::{STAFF, SUPERUSER, Sample, fill_sample},
    },
    store::academy::{self, Missing, TokenOwner},
};
use sqlx::PgPool;

use crate::support::database::TestDatabase;

/// A database with nothing but the empty tables and views of the sample.
async fn empty_academy() -> TestDatabase {
    TestDatabase::migrated_by("academy", async |pool: &PgPool| fill_sample(pool, "academy", 1, 0).await.map(drop)).await
}

async fn filled_academy(learners: u32) -> TestDatabase {
    let database = empty_academy().await;
    let sample = fill_sample(&database.pool, "academy", learners, 7).await.unwrap();
    assert!(sample.is_new);
    database
}

async fn one<T>(pool: &PgPool, question: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(question).fetch_one(pool).await.unwrap()
}

const ELIGIBLE: &str = "select count(*) from learner where is_active and last_seen_at >= now() - interval '14 days'";
const OTHERS: &str = "select count(*) from learner where not is_active or last_seen_at < now() - interval '14 days'";
const EVERYTHING: &str = "select md5(string_agg(l::text, '|' order by user_id)) from sample_learner l";

/// Asked for `n`, there are exactly `n` to make a podcast for, and always some others.
#[tokio::test]
async fn a_sample_has_exactly_the_learners_that_were_asked_for() {
    let database = empty_academy().await;
    for learners in [1, 2, 3, 12, 100, 2_000] {
        let sample = fill_sample(&database.pool, "academy", learners, 7).await.unwrap();
        assert_eq!(sample.eligible, learners);
        assert_eq!(one::<i64>(&database.pool, ELIGIBLE).await, i64::from(learners));
        assert_eq!(one::<i64>(&database.pool, OTHERS).await, i64::from(sample.ineligible));
        assert!(one::<bool>(&database.pool, "select bool_or(not is_active) from learner").await);
    }
}

/// More than one batch; the seam between batches neither loses nor doubles anybody.
#[tokio::test]
async fn a_sample_of_several_batches_is_whole() {
    let database = filled_academy(60_000).await;
    assert_eq!(one::<i64>(&database.pool, ELIGIBLE).await, 60_000);
    assert_eq!(one::<i64>(&database.pool, "select max(rank)::bigint from learner_ability").await, 60_000);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_academy() {
    let (database, other) = tokio::join!(filled_academy(300), filled_academy(300));
    let first: String = one(&database.pool, EVERYTHING).await;
    assert_eq!(one::<String>(&other.pool, EVERYTHING).await, first);

    let again = fill_sample(&database.pool, "academy", 300, 7).await.unwrap();
    assert_eq!(again, Sample { is_new: false, ..again });
    assert_eq!(one::<String>(&database.pool, EVERYTHING).await, first);

    fill_sample(&database.pool, "academy", 300, 8).await.unwrap();
    assert_ne!(one::<String>(&database.pool, EVERYTHING).await, first, "another seed, other learners");
}

/// Twelve learners, as in the demo, show every plan and language, a name in HTML or Japanese, a
/// gap in the numbers and somebody who has not done anything yet.
#[tokio::test]
async fn a_small_sample_shows_some_of_everything() {
    let database = filled_academy(12).await;
    assert_eq!(one::<i64>(&database.pool, "select count(distinct plan) from learner where user_id > 2").await, 4);
    assert_eq!(one::<i64>(&database.pool, "select count(distinct languages[1]) from learner").await, 5);
    assert!(one::<bool>(&database.pool, "select bool_and(languages && '{en,es,fr,de}') from learner").await);
    assert!(one::<bool>(&database.pool, "select max(user_id) - 41 > count(*) from learner where user_id > 2").await);
    assert!(one::<bool>(&database.pool, "select bool_or(score is null) from sample_learner where user_id > 2").await);
    assert!(one::<bool>(&database.pool, "select bool_and(key ~ '^[0-9a-f]{40}$') from learner_token").await);
}

/// A larger one has the names that break things.
#[tokio::test]
async fn a_larger_sample_has_odd_names() {
    let database = filled_academy(400).await;
    for name in ["<b>Bob</b>", "花子", "D'Arcy", "", "محمد"] {
        let known: bool = sqlx::query_scalar("select exists (select from learner where display_name = $1)")
            .bind(name)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert!(known, "nobody is called {name:?}");
    }
}

/// A schema that already holds another kind of academy is left as it is.
#[tokio::test]
async fn a_real_academy_is_not_overwritten() {
    let database = empty_academy().await;
    sqlx::raw_sql("create schema real; create view real.learner as select 1 as user_id")
        .execute(&database.pool)
        .await
        .unwrap();
    let error = fill_sample(&database.pool, "real", 5, 7).await.unwrap_err();
    assert!(matches!(error, local::Error::Database { .. }) && error.to_string().contains("real"), "{error}");
    assert!(one::<bool>(&database.pool, "select to_regclass('real.sample_learner') is null").await);
}

#[tokio::test]
async fn the_facts_of_sarah_are_those_of_the_example() {
    let database = filled_academy(12).await;
    let facts = academy::facts(&database.pool, &[42]).await.unwrap();
    let [sarah] = facts.as_slice() else { panic!("one learner, not {facts:?}") };
    let ability = sarah.ability.clone().unwrap();
    assert_eq!((sarah.user_id, sarah.display_name.as_str(), sarah.plan.as_str()), (42, "Sarah", "premium"));
    assert_eq!(sarah.languages, ["en"]);
    assert_eq!((ability.score, ability.rank), (520.5, Some(7)));
    assert_eq!(ability.weakest, Some(("Past Tense Verbs".to_owned(), 420.0)));
    assert_eq!(ability.strongest, Some(("Vocabulary".to_owned(), 610.5)));
    assert_eq!(sarah.week, Week { answered: 10, correct: 7, answered_before: 8, correct_before: 5 });
    assert_eq!(sarah.due_reviews.len(), 3);
    assert_eq!(sarah.due_reviews[2], "Yesterday I ___ to the library. (go)", "the most urgent is first");
    assert_eq!(sarah.last_mistake.as_ref().unwrap().correct_answer.as_deref(), Some("lost"));
    assert_eq!(
        sarah.recommended_quiz,
        Some(Quiz {
            title: "Past Tense in Everyday Stories".to_owned(),
            subject: Some("Past Tense Verbs".to_owned()),
            difficulty: Some("medium".to_owned()),
        })
    );
    assert_eq!(sarah.interests, ["cooking", "travel"]);
}

/// Many at once, in the order asked for; who is gone is left out, who has done nothing is there.
#[tokio::test]
async fn facts_of_many_learners_come_in_the_order_asked_for() {
    let database = filled_academy(12).await;
    let newcomer: i64 =
        one(&database.pool, "select min(user_id) from sample_learner where score is null and user_id > 2").await;
    let facts = academy::facts(&database.pool, &[newcomer, 999_999, 43, 42]).await.unwrap();
    assert_eq!(facts.iter().map(|facts| facts.user_id).collect::<Vec<_>>(), [newcomer, 43, 42]);
    let nothing = Facts {
        user_id: newcomer,
        display_name: facts[0].display_name.clone(),
        languages: facts[0].languages.clone(),
        plan: facts[0].plan.clone(),
        interests: facts[0].interests.clone(),
        ..Facts::default()
    };
    assert_eq!(facts[0], nothing);
}

/// Whatever a view gives, the facts are usable: nulls, doubled rows, scores that are no numbers.
#[tokio::test]
async fn hostile_rows_become_plain_facts() {
    let database = empty_academy().await;
    sqlx::raw_sql(
        "drop view learner, learner_ability, learner_due_review;
         create view learner as select 5 as user_id, null::varchar(60) as display_name,
             array[null, 'EN-us', 'ja', '', 'en', 'klingon']::varchar[] as languages, null::text as plan,
             true as is_active, now() as last_seen_at, false as is_staff, false as is_superuser
             from generate_series(1, 2);
         create view learner_ability as select 5 as user_id, 400::numeric as score, null::bigint as rank,
             '{\"Verbs\": \"x\", \"\": 1, \"Nouns\": 300, \"Adverbs\": null}'::jsonb as by_subject;
         create view learner_due_review as select 5 as user_id, repeat('あ', 100000) as text, now() as due_at",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let facts = academy::facts(&database.pool, &[5]).await.unwrap();
    assert_eq!(facts.len(), 1, "one learner is one row");
    let ability = facts[0].ability.clone().unwrap();
    assert_eq!((facts[0].display_name.as_str(), facts[0].plan.as_str()), ("", ""));
    assert_eq!(facts[0].languages, ["en", "ja"]);
    assert_eq!((ability.weakest, ability.strongest), (Some(("Nouns".to_owned(), 300.0)), None));
    assert_eq!(facts[0].due_reviews[0].chars().count(), 2_000);
}

#[tokio::test]
async fn a_token_names_its_owner_and_nobody_else() {
    let database = filled_academy(12).await;
    let token: String = one(&database.pool, "select key from learner_token where user_id = 42").await;
    let reads = database.reads();
    let owner = academy::learner_by_token(&reads, &token).await.unwrap();
    assert_eq!(owner, Some(TokenOwner { user_id: 42, is_active: true, is_staff: false, is_superuser: false }));
    assert_eq!(academy::learner_by_token(&reads, &token.to_uppercase()).await.unwrap(), None);

    let staff: Vec<(i64, bool)> =
        sqlx::query_as("select user_id, is_superuser from learner where is_staff and is_active order by user_id")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(staff, [(SUPERUSER, true), (STAFF, false)]);
}

/// The enqueue and the log-in of every request must not read the whole table.
#[tokio::test]
async fn learners_and_tokens_are_found_by_an_index() {
    let database = filled_academy(5_000).await;
    for question in [
        "explain select user_id from learner where user_id > 42 and is_active
             and last_seen_at >= now() - interval '14 days' order by user_id limit 100",
        "explain select user_id from learner_token where key = 'x'",
    ] {
        let plan: Vec<String> = sqlx::query_scalar(question).fetch_all(&database.pool).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan") && !plan.contains("Seq Scan"), "{plan}");
    }
}

#[tokio::test]
async fn what_the_views_lack_is_named() {
    let database = empty_academy().await;
    assert_eq!(academy::check(&database.pool, "academy").await.unwrap(), []);
    sqlx::raw_sql(
        "drop view learner_week, learner_quiz;
         create view learner_quiz as select 1 as user_id, 'x' as title, 'x' as subject, 1.5 as match_score;
         drop view learner_token;
         create view learner_token as select true as key, 1 as user_id",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let missing = academy::check(&database.pool, "academy").await.unwrap();
    assert_eq!(
        missing,
        [
            Missing::Type {
                view: "academy.learner_token".to_owned(),
                column: "key",
                wanted: "text",
                found: "boolean".to_owned()
            },
            Missing::View { view: "academy.learner_week".to_owned() },
            Missing::Column { view: "academy.learner_quiz".to_owned(), column: "difficulty", wanted: "text" },
        ]
    );
    assert_eq!(missing[1].to_string(), "the view academy.learner_week is missing: see migrations/academy/");
    assert_eq!(academy::check(&database.pool, "elsewhere").await.unwrap().len(), 8);
}
