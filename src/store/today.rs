//! What learners find on a date: the podcast of that date, and the latest one before it.
//!
//! Asked more often than anything else, so those who ask at the same time share one statement
//! (`gather.rs`). Its cost for each is one step into an index, however large the table.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Error, Reads,
    gather::Gather,
    generation,
    listeners::{Episode, Row},
};

/// After so long a podcast takes longer than usual. Whoever waits for one is told that it takes a few
/// minutes. Its deadline tells nothing: soon after that it is given up.
const USUAL: TimeDelta = TimeDelta::minutes(30);

/// What a learner finds on a date.
#[derive(Debug, Clone, Default)]
pub struct Today {
    /// The podcast of the date, however far it is.
    pub podcast: Option<Episode>,
    /// When that one was begun.
    pub begun_at: Option<DateTime<Utc>>,
    /// The newest finished one of an earlier date.
    pub latest: Option<Episode>,
    /// When the learner last asked for one at once.
    pub asked_at: Option<DateTime<Utc>>,
}

/// Who has a token, and what that learner finds on a date.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The learner.
    pub user_id: i64,
    /// False for an account that was closed: it must not see the rest.
    pub is_active: bool,
    /// What is found.
    pub today: Today,
}

/// The columns of an episode, taken out of a statement's own kind of row.
macro_rules! row_of {
    ($row:ident) => {
        Row {
            id: $row.id,
            date: $row.date,
            status: $row.status,
            title: $row.title,
            topic: $row.topic,
            script_text: $row.script_text,
            language: $row.language,
            ai_model_used: $row.ai_model_used,
            tts_provider: $row.tts_provider,
            tts_voice_gender: $row.tts_voice_gender,
            is_fallback: $row.is_fallback,
            duration_seconds: $row.duration_seconds,
            object_key: $row.object_key,
            updated_at: $row.updated_at,
            position_ms: $row.position_ms,
            is_liked: $row.is_liked,
            is_shared: $row.is_shared,
        }
    };
}

/// Those who ask, known or by their token.
pub(super) struct Askers {
    known: Gather<Question<i64>, Result<Today, Error>>,
    bearers: Gather<Question<String>, Result<Option<Visit>, Error>>,
}

struct Question<W> {
    who: W,
    date: NaiveDate,
    expired: NaiveDate,
}

/// Questions as a statement takes them.
struct Columns<W> {
    who: Vec<W>,
    dates: Vec<NaiveDate>,
    expired: Vec<NaiveDate>,
}

impl<W> Columns<W> {
    fn of(questions: Vec<Question<W>>) -> Self {
        let (dates, expired) = questions.iter().map(|question| (question.date, question.expired)).unzip();
        Self { who: questions.into_iter().map(|question| question.who).collect(), dates, expired }
    }
}

impl Askers {
    /// With at most so many statements at a time.
    pub fn new(most: u32) -> Self {
        Self { known: Gather::new("today", most), bearers: Gather::new("visit", most) }
    }
}

/// What `user_id` finds on `date`, of the dates after `expired`: what is older is about to go, or
/// gone from the store already.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] for a status of a newer version.
pub async fn of_learner(reads: &Reads, user_id: i64, date: NaiveDate, expired: NaiveDate) -> Result<Today, Error> {
    let question = Question { who: user_id, date, expired };
    let others = reads.clone();
    let ask = move |questions| {
        let reads = others.clone();
        async move { known(&reads, Columns::of(questions)).await }
    };
    reads.in_time("today", reads.askers().known.answer(question, ask)).await?
}

/// Who the token `key` belongs to, and what they find on `date` after `expired`, in one round trip;
/// `None` for a token that nobody has.
///
/// # Errors
/// As [`of_learner`].
pub async fn of_bearer(reads: &Reads, key: &str, date: NaiveDate, expired: NaiveDate) -> Result<Option<Visit>, Error> {
    let question = Question { who: key.to_owned(), date, expired };
    let others = reads.clone();
    let ask = move |questions| {
        let reads = others.clone();
        async move { bearers(&reads, Columns::of(questions)).await }
    };
    reads.in_time("visit", reads.askers().bearers.answer(question, ask)).await?
}

/// Each row names the question that it answers; one that cannot be read is that learner's alone. What
/// a planner knows of a list of questions is nothing, so `limit` leaves it no other way than one look
/// into an index for each.
async fn known(reads: &Reads, asked: Columns<i64>) -> Result<Vec<Result<Today, Error>>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* today */
            select asked.n as "n!", e.id as "id?", e.date as "date?", e.status as "status?", e.title, e.topic,
                   e.script_text, e.language, e.ai_model_used, e.tts_provider, e.tts_voice_gender, e.is_fallback,
                   e.duration_seconds, e.object_key, e.updated_at as "updated_at?", m.position_ms as "position_ms?",
                   m.liked_at is not null as is_liked, m.share_hash is not null as is_shared,
                   e.created_at as "begun_at?", g.asked_at as "asked_at?"
            from unnest($1::bigint[], $2::date[], $3::date[]) with ordinality as asked (user_id, date, expired, n)
            left join lateral (
                select * from dailycast.generation w where w.user_id = asked.user_id limit 1
            ) g on true
            left join lateral (
                select p.*
                from dailycast.daily_podcast p
                where p.user_id = asked.user_id and p.is_active and p.date <= asked.date and p.date > asked.expired
                  and (p.date = asked.date or p.status in ('completed', 'completed_with_fallback'))
                order by p.date desc
                limit 2
            ) e on true
            left join lateral (
                select * from dailycast.listening l where l.podcast_id = e.id limit 1
            ) m on true"#,
            &asked.who,
            &asked.dates,
            &asked.expired,
        )
    };
    let mut found: Vec<Result<Today, Error>> = asked.who.iter().map(|_| Ok(Today::default())).collect();
    for row in reads.rows("today", ask).await? {
        let (place, times) = (place(row.n), Times { begun_at: row.begun_at, asked_at: row.asked_at });
        let (Some(found), Some(date)) = (found.get_mut(place), asked.dates.get(place)) else { continue };
        if let Ok(today) = found
            && let Err(error) = today.add(row_of!(row), times, *date)
        {
            *found = Err(error);
        }
    }
    Ok(found)
}

async fn bearers(reads: &Reads, asked: Columns<String>) -> Result<Vec<Result<Option<Visit>, Error>>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* visit */
            select asked.n as "n!", o.key as "key!", o.user_id as "user_id!", o.is_active as "is_active!",
                   e.id as "id?", e.date as "date?", e.status as "status?", e.title, e.topic, e.script_text,
                   e.language, e.ai_model_used, e.tts_provider, e.tts_voice_gender, e.is_fallback,
                   e.duration_seconds, e.object_key, e.updated_at as "updated_at?",
                   m.position_ms as "position_ms?", m.liked_at is not null as is_liked,
                   m.share_hash is not null as is_shared, e.created_at as "begun_at?", g.asked_at as "asked_at?"
            from unnest($1::text[], $2::date[], $3::date[]) with ordinality as asked (key, date, expired, n)
            cross join lateral (
                select t.key::text as key, t.user_id::bigint as user_id, coalesce(l.is_active, false) as is_active
                from learner_token t
                join learner l on l.user_id = t.user_id
                where t.key = asked.key
                limit 1
            ) o
            left join lateral (
                select * from dailycast.generation w where w.user_id = o.user_id limit 1
            ) g on true
            left join lateral (
                select p.*
                from dailycast.daily_podcast p
                where p.user_id = o.user_id and p.is_active and p.date <= asked.date and p.date > asked.expired
                  and (p.date = asked.date or p.status in ('completed', 'completed_with_fallback'))
                order by p.date desc
                limit 2
            ) e on true
            left join lateral (
                select * from dailycast.listening l where l.podcast_id = e.id limit 1
            ) m on true"#,
            &asked.who,
            &asked.dates,
            &asked.expired,
        )
    };
    let mut found: Vec<Result<Option<Visit>, Error>> = asked.who.iter().map(|_| Ok(None)).collect();
    for row in reads.rows("visit", ask).await? {
        let place = place(row.n);
        let (Some(key), Some(date)) = (asked.who.get(place), asked.dates.get(place)) else { continue };
        // MySQL, behind a foreign table, takes capitals and small letters for the same.
        let Some(found) = found.get_mut(place).filter(|_| row.key == *key) else { continue };
        let visit = Visit { user_id: row.user_id, is_active: row.is_active, today: Today::default() };
        let times = Times { begun_at: row.begun_at, asked_at: row.asked_at };
        if let Ok(known) = found
            && let Err(error) = known.get_or_insert(visit).today.add(row_of!(row), times, *date)
        {
            *found = Err(error);
        }
    }
    Ok(found)
}

/// The place of a question whose number is counted from 1.
fn place(number: i64) -> usize {
    usize::try_from(number - 1).unwrap_or(usize::MAX)
}

/// What a row tells beside the episode.
#[derive(Clone, Copy)]
struct Times {
    begun_at: Option<DateTime<Utc>>,
    asked_at: Option<DateTime<Utc>>,
}

impl Today {
    /// True when the podcast of the date takes longer than usual at `now`, and still comes.
    pub fn is_late(&self, now: DateTime<Utc>) -> bool {
        let is_coming = self.podcast.as_ref().is_some_and(|podcast| !podcast.has_audio() && !podcast.status.is_final());
        is_coming && self.begun_at.is_some_and(|begun| now - begun > USUAL)
    }

    /// When the learner may ask for one at once again; `None` when that is so at `now`.
    pub fn next_available_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.asked_at.map(generation::next_after).filter(|next| *next > now)
    }

    /// Takes a row in. A learner without a row of the date gets two earlier ones, and the older is left
    /// aside.
    fn add(&mut self, row: Row, times: Times, date: NaiveDate) -> Result<(), Error> {
        self.asked_at = times.asked_at;
        let Some(episode) = Episode::of(row)? else { return Ok(()) };
        if episode.date == date {
            self.podcast = Some(episode);
            self.begun_at = times.begun_at;
        } else if self.latest.as_ref().is_none_or(|latest| latest.date < episode.date) {
            self.latest = Some(episode);
        }
        Ok(())
    }
}
