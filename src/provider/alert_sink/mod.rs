//! Where alerts are sent. A sink takes one message or says why not; when it is asked again, and for
//! how long, is the affair of the room `alert`.

pub mod mail;
pub mod webhook;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{machine::FailureKind, podcast::Failure};

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The same for the same news of the same alert: who gets it twice can tell by it.
    pub key: String,
    /// The key of the message that this one follows.
    pub follows: Option<String>,
    /// One line.
    pub title: String,
    /// What happened, what it means and what to do.
    pub text: String,
    /// When it is sent.
    pub at: DateTime<Utc>,
    /// The same for machines: an object.
    pub facts: Value,
}

/// Who is told.
#[async_trait]
pub trait AlertSink: Send + Sync {
    /// Its name in the database and for operators; not secret. May be somebody's address, which is
    /// no business of logs.
    fn name(&self) -> &str;

    /// What it is, for logs.
    fn kind(&self) -> &'static str;

    /// Sends a message.
    ///
    /// # Errors
    /// A [`Failure`] without secrets: `key_refused` or `bad_request` when the same message would
    /// never be taken, any other when it may be later.
    async fn send(&self, message: &Message) -> Result<(), Failure>;

    /// Finds out, without sending anything, whether it can be reached. Answers with what it found.
    ///
    /// # Errors
    /// As [`AlertSink::send`].
    async fn reach(&self) -> Result<String, Failure>;
}

/// True when the same message will not be taken later, either.
pub fn is_final(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::KeyRefused | FailureKind::BadRequest)
}

/// One line that no terminal, mail header or chat obeys.
fn line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
