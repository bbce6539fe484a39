//! Who works, and who did until lately.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    explain::Tone,
    store::{self, PgPool, workers},
};

/// The most workers that are shown.
const MOST: i64 = 200;

/// The workers.
#[derive(Debug, Clone, Serialize)]
pub struct Workers {
    /// How things stand, in a sentence.
    pub sentence: String,
    /// Workers that are alive.
    pub living: usize,
    /// Podcasts that they hold.
    pub held: i64,
    /// Podcasts that they could hold.
    pub places: i64,
    /// Those that have not stopped first, then those that stopped in the last day.
    pub workers: Vec<Shown>,
}

/// A worker in words.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// What is known of it.
    #[serde(flatten)]
    pub worker: workers::Shown,
    /// How much it asks for.
    pub tone: Tone,
    /// Its state in a word.
    pub state: &'static str,
    /// Seconds since its last heartbeat; null when it has stopped.
    pub silent_for_s: Option<i64>,
}

/// Who works.
///
/// # Errors
/// When the database cannot tell.
pub async fn list(pool: &PgPool) -> Result<Workers, store::Error> {
    let now = store::night::now(pool).await?;
    let workers: Vec<Shown> =
        workers::list(pool, MOST).await?.into_iter().map(|worker| describe(worker, now)).collect();
    let alive = || workers.iter().filter(|shown| shown.worker.is_alive);
    let living = alive().count();
    let (held, places) = alive()
        .fold((0, 0), |(held, places), one| (held + one.worker.held, places + i64::from(one.worker.concurrency)));
    let sentence = match living {
        0 => "No worker lives: nothing is made, no night starts and nobody watches for alerts. Start one with \
              `dailycast run` (with HTTP) or `dailycast work`; podcasts go on where they stand."
            .to_owned(),
        1 => format!("One worker lives and holds {held} of the {places} podcasts that it takes at once."),
        _ => format!("{living} workers live and hold {held} of the {places} podcasts that they take at once."),
    };
    Ok(Workers { sentence, living, held, places, workers })
}

fn describe(worker: workers::Shown, now: DateTime<Utc>) -> Shown {
    let reason = worker.stop_reason.as_deref();
    let (tone, state) = match worker.stopped_at {
        None if worker.is_alive => (Tone::Well, "alive"),
        None => (Tone::Stuck, "silent"),
        Some(_) if reason.is_some_and(is_regular) => (Tone::Waiting, "stopped"),
        Some(_) => (Tone::Failed, "dead"),
    };
    let silent_for_s = worker.stopped_at.is_none().then(|| (now - worker.heartbeat_at).num_seconds().max(0));
    Shown { worker, tone, state, silent_for_s }
}

/// True for a worker that said goodbye.
fn is_regular(reason: &str) -> bool {
    reason == "stopped in order"
}
