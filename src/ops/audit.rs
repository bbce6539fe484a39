//! What operators did, written down and told in words.

use serde::Serialize;

use super::actor::Actor;
use crate::store::{
    self, PgPool,
    audit::{self, Deed, Line, Wanted},
};

/// What is written down, as programs call it, and in words. `{}` is what it was done to.
const WORDS: &[(&str, &str)] = &[
    ("alert_acknowledge", "took note of {}"),
    ("cancel", "cancelled {}"),
    ("entrance_add", "made a link that lets {} in once"),
    ("log_in", "logged in"),
    ("log_out", "logged out"),
    ("pause", "paused everything"),
    ("provider_close", "lets calls go to {} again"),
    ("provider_open", "lets no call go to {}"),
    ("regenerate", "had {} made anew"),
    ("requeue", "requeued {}"),
    ("resume", "let everything go on"),
    ("reveal", "looked up how {} is called"),
    ("run", "started {}"),
    ("skip", "skips {}"),
    ("stop", "stopped {}"),
    ("unskip", "no longer skips {}"),
];

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// As it is kept.
    #[serde(flatten)]
    pub line: Line,
    /// What was done, in words that follow the actor's name.
    pub words: String,
    /// The page about what it was done to, if there is one.
    pub page: Option<String>,
}

/// Writes down what somebody did. `subject` is a kind and a name, like `provider openai` or
/// `podcast 12`; the detail may be empty. No secrets, and nothing about a learner but the number.
///
/// # Errors
/// When the database did not take it.
pub async fn record(
    pool: &PgPool,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), store::Error> {
    tracing::debug!(audit.actor = actor.name, audit.action = action, audit.subject = subject, "operator");
    audit::write(pool, Deed { actor: &actor.name, action, subject, detail }).await
}

/// What was done, the newest first.
///
/// # Errors
/// When the database cannot tell.
pub async fn list(pool: &PgPool, wanted: &Wanted, limit: i64) -> Result<Vec<Told>, store::Error> {
    Ok(audit::list(pool, wanted, limit).await?.into_iter().map(tell).collect())
}

/// The actions that are known, for programs and in words.
pub fn actions() -> impl Iterator<Item = (&'static str, String)> {
    WORDS.iter().map(|(action, _)| (*action, action.replace('_', " ")))
}

fn tell(line: Line) -> Told {
    let known = WORDS.iter().find(|(action, _)| *action == line.action);
    let words = match known {
        Some((_, words)) => words.replace("{}", &line.subject),
        // Of a newer version.
        None => format!("{} {}", line.action.replace('_', " "), line.subject),
    };
    Told { page: page(&line), words, line }
}

fn page(line: &Line) -> Option<String> {
    if let Some(id) = line.operation_id {
        return Some(format!("/ops/operations/{id}"));
    }
    let (kind, name) = line.subject.split_once(' ')?;
    let is_number = name.parse::<i64>().is_ok();
    match kind {
        "podcast" if is_number => Some(format!("/ops/podcasts/{name}")),
        "operation" if is_number => Some(format!("/ops/operations/{name}")),
        "alert" if is_number => Some("/ops/alerts".to_owned()),
        "provider" => Some("/ops/providers".to_owned()),
        _ => None,
    }
}
