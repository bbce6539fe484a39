//! What learners read: all that can be heard, one episode, its audio and its words. What they find on
//! a date is in `today.rs`, what they write in `listening.rs`.
//!
//! Each is one statement over `daily_podcast_one_per_day` or the primary key, so its cost does not
//! grow with the table. Nothing here writes, but for the secret that signs temporary addresses, which
//! is made once when the configuration names none.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::{Error, Reads};
use crate::machine::Status;

/// A podcast as its learner may see it.
#[derive(Debug, Clone)]
pub struct Episode {
    /// The row's key.
    pub id: i64,
    /// The date it is for.
    pub date: NaiveDate,
    /// Where it stands.
    pub status: Status,
    /// Its title.
    pub title: Option<String>,
    /// What it is about, in a few words.
    pub topic: Option<String>,
    /// Its words.
    pub script: Option<String>,
    /// BCP 47 primary tag.
    pub language: Option<String>,
    /// Model id, or `template`.
    pub ai_model_used: Option<String>,
    /// Who spoke.
    pub tts_provider: Option<String>,
    /// `female` or `male`.
    pub tts_voice_gender: Option<String>,
    /// True when the template wrote it.
    pub is_fallback: bool,
    /// Length in whole seconds.
    pub duration_seconds: Option<i32>,
    /// Key of the object in its bucket, when it is there.
    pub object_key: Option<String>,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
    /// Where its learner stopped, in milliseconds.
    pub position_ms: i32,
    /// The learner likes it.
    pub is_liked: bool,
    /// Others may hear it, by a link.
    pub is_shared: bool,
}

impl Episode {
    /// True when there is something to listen to: in the store, or waiting for its upload.
    pub fn has_audio(&self) -> bool {
        matches!(self.status, Status::PendingUpload | Status::Completed | Status::CompletedWithFallback)
    }
}

/// A row of a statement that finds episodes, or the nulls that stand for none.
pub(super) struct Row {
    pub(super) id: Option<i64>,
    pub(super) date: Option<NaiveDate>,
    pub(super) status: Option<String>,
    pub(super) title: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) script_text: Option<String>,
    pub(super) language: Option<String>,
    pub(super) ai_model_used: Option<String>,
    pub(super) tts_provider: Option<String>,
    pub(super) tts_voice_gender: Option<String>,
    pub(super) is_fallback: Option<bool>,
    pub(super) duration_seconds: Option<i32>,
    pub(super) object_key: Option<String>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) position_ms: Option<i32>,
    pub(super) is_liked: Option<bool>,
    pub(super) is_shared: Option<bool>,
}

/// A learner's episodes that can be heard, newest first: at most `limit`, of dates before `before` and
/// after `expired`.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] for a status of a newer version.
pub async fn episodes(
    reads: &Reads,
    user_id: i64,
    before: NaiveDate,
    expired: NaiveDate,
    limit: i64,
) -> Result<Vec<Episode>, Error> {
    let ask = || {
        sqlx::query_as!(
            Row,
            r#"/* episodes */
            select id as "id?", date as "date?", status as "status?", title, topic, script_text, language,
                   ai_model_used, tts_provider, tts_voice_gender, is_fallback, duration_seconds, object_key,
                   updated_at as "updated_at?", position_ms as "position_ms?",
                   liked_at is not null as is_liked, share_hash is not null as is_shared
            from dailycast.daily_podcast left join dailycast.listening on podcast_id = id
            where user_id = $1 and is_active and date < $2 and date > $3
              and status in ('pending_upload', 'completed', 'completed_with_fallback')
            order by date desc
            limit $4"#,
            user_id,
            before,
            expired,
            limit,
        )
    };
    let rows = reads.rows("episodes", ask).await?;
    rows.into_iter().filter_map(|row| Episode::of(row).transpose()).collect()
}

/// One episode of a learner that can be heard, of a date after `expired`, and that was not replaced.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] for a status of a newer version.
pub async fn episode(reads: &Reads, id: i64, user_id: i64, expired: NaiveDate) -> Result<Option<Episode>, Error> {
    let ask = || {
        sqlx::query_as!(
            Row,
            r#"/* episode */
            select id as "id?", date as "date?", status as "status?", title, topic, script_text, language,
                   ai_model_used, tts_provider, tts_voice_gender, is_fallback, duration_seconds, object_key,
                   updated_at as "updated_at?", position_ms as "position_ms?",
                   liked_at is not null as is_liked, share_hash is not null as is_shared
            from dailycast.daily_podcast left join dailycast.listening on podcast_id = id
            where id = $1 and user_id = $2 and is_active and date > $3
              and status in ('pending_upload', 'completed', 'completed_with_fallback')"#,
            id,
            user_id,
            expired,
        )
    };
    reads.rows("episode", ask).await?.pop().map_or(Ok(None), Episode::of)
}

impl Episode {
    /// `None` for the row of nulls that stands for no row.
    pub(super) fn of(row: Row) -> Result<Option<Self>, Error> {
        let (Some(id), Some(date), Some(text), Some(updated_at)) = (row.id, row.date, row.status, row.updated_at)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            date,
            status: status(id, &text)?,
            title: row.title,
            topic: row.topic,
            script: row.script_text,
            language: row.language,
            ai_model_used: row.ai_model_used,
            tts_provider: row.tts_provider,
            tts_voice_gender: row.tts_voice_gender,
            is_fallback: row.is_fallback.unwrap_or(false),
            duration_seconds: row.duration_seconds,
            object_key: row.object_key,
            updated_at,
            position_ms: row.position_ms.unwrap_or_default(),
            is_liked: row.is_liked.unwrap_or(false),
            is_shared: row.is_shared.unwrap_or(false),
        }))
    }
}

/// Where the audio of a podcast is, and whose it is.
#[derive(Debug, Clone)]
pub struct Audio {
    /// The learner it was made for.
    pub user_id: i64,
    /// Where the podcast stands.
    pub status: Status,
    /// Key of the object, when it is in the store.
    pub object_key: Option<String>,
    /// Reference into the spool, while it waits for its upload.
    pub spool_ref: Option<String>,
    /// SHA-256 of the MP3, lower-case hex.
    pub sha256: Option<String>,
    /// Length of the MP3 in bytes.
    pub bytes: Option<i64>,
    /// By what the store tells the object from others, without quotes, when it is there.
    pub etag: Option<String>,
}

/// Reads where the audio of a podcast is; `None` when there is no such podcast after the date
/// `expired`. One that was replaced is still found, so that whoever listens to it may go on.
///
/// # Errors
/// [`Error::Database`]; [`Error::Unreadable`] for a status of a newer version.
pub async fn audio(reads: &Reads, id: i64, expired: NaiveDate) -> Result<Option<Audio>, Error> {
    let ask = || {
        sqlx::query!(
            r#"/* audio */
            select user_id, status, object_key, spool_ref, audio_sha256, audio_bytes, object_etag
            from dailycast.daily_podcast
            where id = $1 and date > $2"#,
            id,
            expired,
        )
    };
    let row = reads.rows("audio", ask).await?.pop();
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Audio {
        user_id: row.user_id,
        status: status(id, &row.status)?,
        object_key: row.object_key,
        spool_ref: row.spool_ref,
        sha256: row.audio_sha256,
        bytes: row.audio_bytes,
        etag: row.object_etag,
    }))
}

/// What is known of what is said in a podcast, and whose it is.
#[derive(Debug, Clone)]
pub struct Speech {
    /// The learner it was made for.
    pub user_id: i64,
    /// Its words.
    pub script: String,
    /// BCP 47 primary tag.
    pub language: Option<String>,
    /// Length in whole seconds.
    pub duration_seconds: Option<i32>,
    /// How the script was cut for who spoke it; null when that is not known.
    pub chunk_plan: serde_json::Value,
    /// What was measured of the speech; null for nothing.
    pub measured: serde_json::Value,
}

/// Reads what is said in a podcast that can be heard; `None` when there is none after the date
/// `expired`. One that was replaced is found, as by [`audio`].
///
/// # Errors
/// [`Error::Database`].
pub async fn speech(reads: &Reads, id: i64, expired: NaiveDate) -> Result<Option<Speech>, Error> {
    let ask = || {
        sqlx::query_as!(
            Speech,
            r#"/* speech */
            select user_id, script_text as "script!", language, duration_seconds,
                   coalesce(chunk_plan, 'null') as "chunk_plan!", coalesce(metadata->'speech', 'null') as "measured!"
            from dailycast.daily_podcast
            where id = $1 and date > $2 and script_text is not null
              and status in ('pending_upload', 'completed', 'completed_with_fallback')"#,
            id,
            expired,
        )
    };
    Ok(reads.rows("speech", ask).await?.pop())
}

/// The secret that signs temporary addresses, the same for every process on this database.
/// `fresh` becomes the secret if there is none yet: 32 random bytes.
///
/// # Errors
/// [`Error::Database`].
pub async fn signing_secret(db: &PgPool, fresh: [u8; 32]) -> Result<Vec<u8>, Error> {
    sqlx::query_scalar!(
        r#"/* signing_secret */
        insert into dailycast.secret as kept (name, value) values ('signing', $1)
        on conflict (name) do update set value = kept.value
        returning value as "value!""#,
        &fresh[..],
    )
    .fetch_one(db)
    .await
    .map_err(Error::in_statement("signing_secret"))
}

fn status(id: i64, text: &str) -> Result<Status, Error> {
    text.parse().map_err(|unknown: crate::machine::UnknownStatus| Error::Unreadable {
        table: "dailycast.daily_podcast",
        column: "status",
        id,
        what: unknown.to_string(),
    })
}
