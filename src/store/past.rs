//! The nights of `bench pages`: podcasts by the million in every state that an operator meets, with
//! their history and their calls; and a night that has just begun.

use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::{Error, Store};

/// One of so many podcasts that wait has no job: it is stuck.
const STUCK: i64 = 50_000;

/// Podcasts that are written by one statement.
const BATCH: i64 = 50_000;

/// Makes `nights` nights up to `date` with `podcasts` podcasts in each. The newest goes on: of a
/// thousand podcasts 70 wait, and 10 are stuck. Of each night 30 in a thousand failed, and 40 were
/// written by the template. Podcasts are born finished here, so the guard of births looks away
/// meanwhile.
///
/// # Errors
/// [`Error::Database`].
pub async fn fill(
    store: &Store,
    nights: u32,
    podcasts: i64,
    date: NaiveDate,
    mut progress: impl FnMut(i64),
) -> Result<(), Error> {
    let mut connection = patient(store).await?;
    let begin = "/* past_begin */ alter table dailycast.daily_podcast disable trigger born_by_the_table";
    run(&mut connection, "past_begin", begin.to_owned()).await?;
    let mut done = 0;
    for back in (0..nights).rev() {
        let night = date.checked_sub_days(Days::new(back.into())).unwrap_or(NaiveDate::MIN);
        let (is_over, first) = (back > 0, i64::from(back) * podcasts);
        run(&mut connection, "past_night", one_night(night, podcasts, is_over)).await?;
        for from in (0..podcasts).step_by(usize::try_from(BATCH).unwrap_or(1)) {
            let to = podcasts.min(from + BATCH) - 1;
            run(&mut connection, "past_batch", batch(first + from, first + to, night, is_over)).await?;
            done += to - from + 1;
            progress(done);
        }
    }
    let end = "/* past_end */ alter table dailycast.daily_podcast enable trigger born_by_the_table";
    run(&mut connection, "past_end", end.to_owned()).await?;
    tidy(connection).await
}

/// Makes the newest night larger by `podcasts` that are due, each with its job, of new learners from
/// `learners` on; one of [`STUCK`] has no job. A worker lives that does nothing.
///
/// # Errors
/// [`Error::Database`].
pub async fn begin_night(
    store: &Store,
    learners: i64,
    podcasts: i64,
    date: NaiveDate,
    mut progress: impl FnMut(i64),
) -> Result<(), Error> {
    let mut connection = patient(store).await?;
    let worker = "/* past_worker */
        insert into dailycast.worker (name, host, boot_id, pid, pid_started, version, concurrency, lease_ms, beat_ms)
        values ('bench', 'bench', 'bench', 1, 1, 'bench', 256, 86400000, 1000)";
    run(&mut connection, "past_worker", worker.to_owned()).await?;
    for from in (0..podcasts).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let to = podcasts.min(from + BATCH);
        run(&mut connection, "past_waiting", waiting(learners + from, learners + to - 1, date)).await?;
        progress(to);
    }
    tidy(connection).await
}

/// A connection whose statements may take their time, and nobody has to be told.
async fn patient(store: &Store) -> Result<PgConnection, Error> {
    let patient = store.session_options().options([("statement_timeout", "0")]).disable_statement_logging();
    PgConnection::connect_with(&patient).await.map_err(Error::connecting)
}

async fn tidy(mut connection: PgConnection) -> Result<(), Error> {
    for table in ["dailycast.daily_podcast", "dailycast.podcast_event", "dailycast.provider_call", "apalis.jobs"] {
        run(&mut connection, "past_vacuum", format!("/* past_vacuum */ vacuum (analyze) {table}")).await?;
    }
    connection.close().await.ok();
    Ok(())
}

fn waiting(from: i64, to: i64, night: NaiveDate) -> String {
    format!(
        "/* past_waiting */
        with born as (
            insert into dailycast.daily_podcast
                (user_id, date, plan, next_attempt_at, deadline_at, created_at, updated_at)
            select 1 + n, '{night}', (array['free', 'premium', 'enterprise'])[1 + n % 3], start,
                   now() + interval '3 hours', start, start
            from generate_series({from}, {to}) n, (select now() - interval '10 minutes' as start) night
            returning id, user_id, next_attempt_at
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, event, to_status) select id, 'enqueued', 'pending' from born
        )
        select dailycast.first_jobs(array_agg(id), array_agg(next_attempt_at), 0)
        from born where user_id % {STUCK} > 0"
    )
}

fn one_night(night: NaiveDate, podcasts: i64, is_over: bool) -> String {
    let (state, end) = if is_over { ("finished", "start + interval '40 minutes'") } else { ("running", "null") };
    format!(
        "/* past_night */
        insert into dailycast.night (date, state, started_by, scheduled_for, deadline_at, eligible, enqueued,
                                     started_at, enqueued_at, finished_at)
        select '{night}', '{state}', 'schedule', start, start + interval '6 hours', {podcasts}, {podcasts}, start,
               start + interval '1 minute', {end}
        from (select least('{night}'::timestamp at time zone 'UTC' + interval '3 hours',
                           now() - interval '1 hour') as start) as night"
    )
}

fn batch(from: i64, to: i64, night: NaiveDate, is_over: bool) -> String {
    format!(
        "/* past_batch */
        with drawn as (
            select n, (hashint8extended(n, 11) & 1023) * 1000 / 1024 as lot, now() - interval '1 hour' as start
            from generate_series({from}, {to}) n
        ), known as (
            select *, case
                when lot < 30 then 'failed'
                when lot < 70 then 'completed_with_fallback'
                when lot < 140 and not {is_over} then 'pending'
                when lot < 150 and not {is_over} then 'script_generated'
                else 'completed' end as status
            from drawn
        ), born as (
            insert into dailycast.daily_podcast
                (user_id, date, status, plan, attempt, next_attempt_at, deadline_at, created_at, updated_at,
                 finished_at, error_kind, error_message, script_text, language, title, topic, ai_model_used,
                 is_fallback, tts_provider, tts_voice, tts_voice_gender, duration_seconds, audio_bytes, audio_url,
                 object_key, object_etag, cost_micro_usd)
            select 1 + n, '{night}', status, (array['free', 'premium', 'enterprise'])[1 + n % 3],
                   case status when 'failed' then 5 when 'pending' then 1 else 0 end,
                   case status when 'pending' then now() + interval '2 hours' else start end, now() + interval '3 hours',
                   start, start + lot * interval '2 seconds',
                   case when status not in ('pending', 'script_generated') then start + lot * interval '2 seconds' end,
                   case status when 'failed' then (array['timeout', 'unavailable', 'no_voice', 'content_refused',
                       'storage_unavailable', 'deadline_passed'])[1 + n % 6] when 'pending' then 'rate_limited' end,
                   case status when 'failed' then 'no answer within 60 s' end,
                   case when status <> 'pending' then repeat('Good morning. ', 250) end, 'en', 'A title', 'A topic',
                   case status when 'completed_with_fallback' then 'template' else 'gpt-4o-mini' end,
                   status = 'completed_with_fallback', (array['polly', 'google', 'azure'])[1 + n % 3], 'voice', 'female',
                   240, 1000000, 's3://bucket/' || n, 'podcasts/' || n, repeat('0', 32), 4000
            from known
            returning id, status, error_kind, created_at, updated_at, tts_provider
        ), lines as (
            insert into dailycast.podcast_event (podcast_id, at, event, from_status, to_status, error_kind, provider, detail)
            select id, created_at, 'enqueued', null, 'pending', null, null, null from born
            union all
            select id, updated_at, case status when 'failed' then 'gave_up' else 'uploaded' end,
                   case status when 'failed' then 'script_generated' else 'pending_upload' end, status, error_kind,
                   tts_provider, case status when 'failed' then 'no answer within 60 s' end
            from born where status not in ('pending', 'script_generated')
        )
        insert into dailycast.provider_call
            (podcast_id, at, provider, model, operation, units, cost_micro_usd, latency_ms, outcome)
        select id, created_at, provider, model, operation, units, 2000, 4000, 'ok'
        from born cross join lateral (values
            ('openai', 'gpt-4o-mini', 'script', '{{\"input_tokens\": 1200, \"output_tokens\": 900}}'::jsonb),
            (tts_provider, 'neural', 'speech', '{{\"characters\": 3500}}'::jsonb)
        ) as call (provider, model, operation, units)
        where status <> 'pending'"
    )
}

async fn run(connection: &mut PgConnection, name: &'static str, statement: String) -> Result<(), Error> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    statement.execute(connection).await.map_err(Error::in_statement(name))?;
    Ok(())
}
