//! What the learners' pages show beside what the API tells: a list of episodes without their scripts,
//! who is greeted in which language, and what a link shares.

use chrono::NaiveDate;

use super::{Error, Reads};

/// Episodes that the page lists.
const MOST_PAST: i64 = 30;

/// An episode in the page's list.
#[derive(Debug, Clone)]
pub struct Past {
    /// The row's key.
    pub id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Its title.
    pub title: Option<String>,
    /// BCP 47 primary tag of what is spoken.
    pub language: Option<String>,
    /// Length in whole seconds.
    pub duration_seconds: Option<i32>,
    /// Where its learner stopped, in milliseconds.
    pub position_ms: i32,
    /// Its learner heard some of it.
    pub is_heard: bool,
    /// Its learner likes it.
    pub is_liked: bool,
    /// Its words, of the one that is wanted only.
    pub script: Option<String>,
}

/// The newest episodes of a learner that can be heard, of the dates after `expired` up to `date`.
/// The words are those of the one that is `wanted`, or of the newest when none is.
///
/// # Errors
/// [`Error::Database`].
pub async fn past(
    reads: &Reads,
    user_id: i64,
    date: NaiveDate,
    expired: NaiveDate,
    wanted: Option<i64>,
) -> Result<Vec<Past>, Error> {
    let ask = || {
        sqlx::query_as!(
            Past,
            r#"/* past_episodes */
            select id, date, title, language, duration_seconds, coalesce(position_ms, 0) as "position_ms!",
                   heard_at is not null as "is_heard!", liked_at is not null as "is_liked!",
                   case when id = coalesce($5, first_value(id) over (order by date desc)) then script_text end as script
            from dailycast.daily_podcast left join dailycast.listening on podcast_id = id
            where user_id = $1 and is_active and date <= $2 and date > $3
              and status in ('pending_upload', 'completed', 'completed_with_fallback')
            order by date desc
            limit $4"#,
            user_id,
            date,
            expired,
            MOST_PAST,
            wanted,
        )
    };
    reads.rows("past_episodes", ask).await
}

/// Who is greeted.
#[derive(Debug, Clone, Default)]
pub struct Greeted {
    /// How the learner is called, if the academy says so.
    pub name: Option<String>,
    /// Languages the learner wants to hear, best first, as the academy writes them.
    pub languages: Vec<String>,
}

/// Whom the page greets; nobody in particular when the academy has no such learner.
///
/// # Errors
/// [`Error::Database`], also when the academy's view cannot be read.
pub async fn greeted(reads: &Reads, user_id: i64) -> Result<Greeted, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* greeted */
            select left(display_name::text, 80) as name, languages[1:8]::text[] as languages
            from learner where user_id = $1 limit 1"#,
            user_id,
        )
    };
    let row = reads.rows("greeted", ask).await?.pop();
    Ok(row.map_or_else(Greeted::default, |row| Greeted {
        name: row.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        languages: row.languages.unwrap_or_default(),
    }))
}

/// A shared episode, with nothing of whom it was made for.
#[derive(Debug, Clone)]
pub struct SharedEpisode {
    /// The date it is for.
    pub date: NaiveDate,
    /// Its title.
    pub title: Option<String>,
    /// What it is about, in a few words.
    pub topic: Option<String>,
    /// Its words.
    pub script: Option<String>,
    /// BCP 47 primary tag.
    pub language: Option<String>,
    /// Length in whole seconds.
    pub duration_seconds: Option<i32>,
}

/// A podcast that can be heard, of a date after `expired`.
///
/// # Errors
/// [`Error::Database`].
pub async fn shared_episode(reads: &Reads, id: i64, expired: NaiveDate) -> Result<Option<SharedEpisode>, Error> {
    let ask = || {
        sqlx::query_as!(
            SharedEpisode,
            r#"/* episode_by_link */
            select date, title, topic, script_text as script, language, duration_seconds
            from dailycast.daily_podcast
            where id = $1 and date > $2 and status in ('pending_upload', 'completed', 'completed_with_fallback')"#,
            id,
            expired,
        )
    };
    Ok(reads.rows("episode_by_link", ask).await?.pop())
}
