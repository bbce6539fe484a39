//! The learners of `bench api`: a million finished podcasts, tokens for those who hear them, and
//! the select of one row that is the floor.

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::{Error, Reads, Store};

/// Learners whose podcasts are written by one statement.
const BATCH: i64 = 100_000;

/// Different scripts; each row keeps a copy of its own.
const SCRIPTS: i64 = 512;

/// The token of a learner. The statement that fills the table makes the same.
pub fn token(user_id: i64) -> String {
    let mut token = hex::encode(Sha256::digest(format!("learner {user_id}")));
    token.truncate(40);
    token
}

/// Makes the learners `1..=learners`, each with a finished podcast for `date`, the even ones with an
/// earlier one too. Podcasts are born finished here, so the guard of births looks away meanwhile.
///
/// # Errors
/// [`Error::Database`].
pub async fn fill(store: &Store, learners: i64, date: NaiveDate, mut progress: impl FnMut(i64)) -> Result<(), Error> {
    // These statements may take their time, and nobody has to be told.
    let patient = store.session_options().options([("statement_timeout", "0")]).disable_statement_logging();
    let mut connection = PgConnection::connect_with(&patient).await.map_err(Error::connecting)?;
    let prepare = format!(
        "/* crowd_academy */
        create schema academy;
        create table academy.learner (user_id bigint primary key, is_active boolean not null);
        create table academy.learner_token (key text primary key, user_id bigint not null);
        create table academy.script (id bigint primary key, text text not null);
        alter table dailycast.daily_podcast disable trigger born_by_the_table;
        insert into academy.script
        select id, substr(string_agg(word, ' '), 1, 4096)
        from generate_series(0, {SCRIPTS} - 1) id
        cross join lateral (
            select (array['review', 'the', 'past', 'tense', 'of', 'seven', 'verbs', 'and', 'answer', 'ten',
                          'questions', 'today', 'weather', 'listen', 'carefully', 'grammar'])
                   [1 + (hashint8extended(id * 1000 + n, 7) & 15)] as word
            from generate_series(1, 900) n
        ) words
        group by id;
        analyze academy.script"
    );
    run(&mut connection, "crowd_academy", prepare).await?;
    let mut first = 1;
    while first <= learners {
        let last = learners.min(first + BATCH - 1);
        run(&mut connection, "crowd_batch", batch(first, last, date)).await?;
        progress(last);
        first = last + 1;
    }
    let end = "/* crowd_end */ alter table dailycast.daily_podcast enable trigger born_by_the_table";
    run(&mut connection, "crowd_end", end.to_owned()).await?;
    for table in ["dailycast.daily_podcast", "academy.learner", "academy.learner_token"] {
        run(&mut connection, "crowd_vacuum", format!("/* crowd_vacuum */ vacuum (analyze) {table}")).await?;
    }
    connection.close().await.ok();
    Ok(())
}

fn batch(first: i64, last: i64, date: NaiveDate) -> String {
    format!(
        "/* crowd_batch */
        insert into academy.learner select user_id, true from generate_series({first}, {last}) user_id;
        insert into academy.learner_token
        select substr(encode(sha256(convert_to('learner ' || user_id, 'UTF8')), 'hex'), 1, 40), user_id
        from generate_series({first}, {last}) user_id;
        insert into dailycast.daily_podcast
            (user_id, date, status, deadline_at, finished_at, script_text, language, title, topic, ai_model_used,
             is_fallback, tts_provider, tts_voice, tts_voice_gender, duration_seconds, audio_bytes, audio_url,
             object_key, object_etag)
        select user_id, date '{date}' - day, 'completed', now(), now(), script.text, 'en', 'A title', 'A topic',
               'template', false, 'local', 'voice', 'female', 240, 1000000,
               's3://bucket/podcasts/' || user_id || '/' || day, 'podcasts/' || user_id || '/' || day, repeat('0', 32)
        from generate_series({first}, {last}) user_id
        cross join generate_series(0, 1) day
        join academy.script on script.id = (user_id + day) % {SCRIPTS}
        where day = 0 or user_id % 2 = 0"
    )
}

async fn run(connection: &mut PgConnection, name: &'static str, statement: String) -> Result<(), Error> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    statement.execute(connection).await.map_err(Error::in_statement(name))?;
    Ok(())
}

/// The bare select: the columns that a page shows, of a learner's podcast of `date`; gives the
/// script.
///
/// # Errors
/// [`Error::Database`].
pub async fn script(reads: &Reads, user_id: i64, date: NaiveDate) -> Result<Option<String>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* crowd_script */
            select id as "id?", date as "date?", status as "status?", title, topic, script_text, language,
                   ai_model_used, tts_provider, tts_voice_gender, is_fallback, duration_seconds, object_key,
                   updated_at as "updated_at?"
            from dailycast.daily_podcast
            where user_id = $1 and date = $2 and is_active"#,
            user_id,
            date,
        )
    };
    Ok(reads.rows("crowd_script", ask).await?.pop().and_then(|row| row.script_text))
}
