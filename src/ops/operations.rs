//! The operator's verbs in words: what is wished, what it will do and cost, and how it is begun.
//!
//! The preview looks at a bounded number of podcasts, so it is there at once, however many match.
//! It asks the same function as the deed what becomes of a podcast, so the two agree as long as
//! nothing moves meanwhile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Desk,
    filter::{self, Unclear},
    listing::{self, Sight},
    reason,
};
use crate::{
    machine::Status,
    store::{
        self, Store, chain, night,
        operations::{self, New, Operation, Started},
        podcasts::Filter,
        verbs::{self, Candidate, Effect, Fate, FromStep, Order, Reason, Verb},
    },
    worker::scheduler::Schedule,
};

/// What may come with a wish and is none of its words.
const BESIDE: [&str; 3] = ["csrf", "idempotency_key", "live"];

/// The longest key, in bytes.
const LONGEST_KEY: usize = 200;

/// Stuck podcasts that a page counts before they are done something to: each has to be asked for
/// whether it is stuck.
const STUCK_SHOWN: usize = 1_000;

/// How lately stuck podcasts were looked for in all of a night, at most, where their number is said
/// to be all of them: others may be stuck since.
const LATELY: Duration = Duration::from_secs(3);

/// Ids that are named in words.
const NAMED: usize = 5;

/// Something in a wish that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Unmeant {
    /// The word.
    pub field: String,
    /// What is wrong, and what would do.
    pub what: String,
}

impl Unmeant {
    fn new(field: &str, what: impl Into<String>) -> Self {
        Self { field: field.to_owned(), what: what.into() }
    }
}

impl From<Unclear> for Unmeant {
    fn from(unclear: Unclear) -> Self {
        Self::new(unclear.word, unclear.what)
    }
}

/// What an operator wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What is to be done.
    pub verb: Verb,
    /// To which podcasts.
    pub filter: Filter,
    /// Why; may be empty.
    pub reason: String,
    /// Names the wish, so that it is done once however often it is sent.
    pub key: Option<String>,
}

impl Wish {
    /// A wish, where nothing more is said.
    pub fn new(verb: Verb, filter: Filter) -> Self {
        Self { verb, filter, reason: String::new(), key: None }
    }
}

/// Reads a wish: `verb`, `from`, `reason`, and the words of a filter, of which there is at least one.
///
/// # Errors
/// [`Unmeant`] for the first word that cannot be meant.
pub fn read<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Wish, Unmeant> {
    let pairs: Vec<(&str, &str)> = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let is_known = |word: &str| {
        ["verb", "from", "reason"].contains(&word) || BESIDE.contains(&word) || filter::WORDS.contains(&word)
    };
    if let Some((word, _)) = pairs.iter().find(|(word, _)| !is_known(word)) {
        let words = filter::WORDS.join(", ");
        return Err(Unmeant::new(word, format!("no such word; podcasts are named by {words}")));
    }
    let value = |wanted: &str| pairs.iter().find(|(word, _)| *word == wanted).map(|(_, value)| value.trim());
    let from = match value("from") {
        None => None,
        Some(name) => Some(FromStep::named(name).ok_or_else(|| Unmeant::new("from", "script or speech"))?),
    };
    let verb = value("verb").and_then(|name| Verb::named(name, from));
    let verb = verb.ok_or_else(|| Unmeant::new("verb", format!("one of {}", Verb::NAMES.join(", "))))?;
    if from.is_some() && verb.from_step().is_none() {
        return Err(Unmeant::new("from", "only regenerate begins at a step"));
    }
    let filter = filter::read(pairs.iter().copied())?;
    if filter == Filter::default() {
        let words = filter::WORDS.join(", ");
        return Err(Unmeant::new("filter", format!("say which podcasts are meant, by {words}")));
    }
    let key = value("idempotency_key").map(str::to_owned);
    if key.as_ref().is_some_and(|key| key.len() > LONGEST_KEY || !filter::is_plain(key)) {
        return Err(Unmeant::new("idempotency_key", format!("write {LONGEST_KEY} letters at most, on one line")));
    }
    let reason = reason::read(value("reason").unwrap_or_default()).map_err(|what| Unmeant::new("reason", what))?;
    Ok(Wish { verb, filter, reason: reason.to_owned(), key })
}

/// Some podcasts to which the same happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share<K> {
    /// The word for programs.
    pub what: K,
    /// Podcasts.
    pub count: i64,
    /// What happens to them, or why nothing does.
    pub words: &'static str,
}

/// What a wish will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// What is to be done.
    pub verb: &'static str,
    /// Where a regeneration begins.
    pub from_step: Option<&'static str>,
    /// Which podcasts, by word.
    pub filter: BTreeMap<&'static str, String>,
    /// The same in words.
    pub subject: String,
    /// Podcasts that will be moved.
    pub touches: i64,
    /// Podcasts that match and will be left as they are.
    pub skips: i64,
    /// Not all were looked at: there may be more.
    pub is_capped: bool,
    /// What happens to them.
    pub effects: Vec<Share<Effect>>,
    /// Why some are left as they are.
    pub reasons: Vec<Share<Reason>>,
    /// What the calls that are still to be made cost, going by the newest podcasts; `null` when none
    /// of these is made, or not all were looked at.
    pub about_micro_usd: Option<i64>,
    /// What the button says; `null` when there is nothing to do.
    pub button: Option<String>,
}

/// Says what a wish will do.
///
/// # Errors
/// When the database cannot be read.
pub async fn preview(store: &Store, wish: &Wish) -> Result<Preview, store::Error> {
    // Stuck ones are looked for in all of a night, which takes longer than a view's statement may.
    let pool = if wish.filter.stuck { store.walks() } else { store.desk() };
    let mut connection = pool.acquire().await.map_err(store::Error::connecting)?;
    let walked = verbs::walk(&mut connection, &wish.filter, i64::MAX).await?;
    let seen = verbs::look(&mut connection, &walked, &wish.filter).await?;
    drop(connection);
    let usual = verbs::usual_costs(store.desk()).await?;
    Ok(sum_up(wish, &seen, walked.len() >= verbs::WALK, &usual))
}

/// The same for who waits no longer than `patience` until all of a night is looked through for stuck
/// ones: it goes by those that the list of them shows.
///
/// # Errors
/// When the database cannot be read.
pub async fn preview_at_once(desk: &Desk, wish: &Wish, patience: Duration) -> Result<Preview, store::Error> {
    if !wish.filter.stuck {
        return preview(&desk.store, wish).await;
    }
    let asked = listing::Asked { filter: wish.filter.clone(), ..listing::Asked::default() };
    let Sight { found, is_searching, age } = listing::find(desk, &asked, STUCK_SHOWN, patience).await?;
    let mut connection = desk.store.desk().acquire().await.map_err(store::Error::connecting)?;
    let seen = verbs::look(&mut connection, &found.ids, &wish.filter).await?;
    drop(connection);
    let is_capped = is_searching || age > LATELY || found.looked.is_some() || found.ids.len() >= STUCK_SHOWN;
    Ok(sum_up(wish, &seen, is_capped, &verbs::usual_costs(desk.store.desk()).await?))
}

fn sum_up(wish: &Wish, seen: &[Candidate], is_capped: bool, usual: &BTreeMap<String, i64>) -> Preview {
    let (mut effects, mut reasons, mut cost) = (BTreeMap::new(), BTreeMap::new(), 0);
    for row in seen {
        match verbs::fate(wish.verb, row) {
            Fate::Moves(effect) => {
                let shown = if row.was_cancelled && wish.verb == Verb::Requeue { Effect::Revived } else { effect };
                *effects.entry(shown).or_insert(0_i64) += 1;
                cost += cost_of(effect, row, usual);
            }
            Fate::Stays(reason) => *reasons.entry(reason).or_insert(0_i64) += 1,
        }
    }
    let touches = effects.values().sum();
    let verb = wish.verb;
    let is_free = verb == Verb::Cancel;
    Preview {
        verb: verb.as_str(),
        from_step: verb.from_step().map(FromStep::as_str),
        filter: filter::pairs(&wish.filter).into_iter().collect(),
        subject: in_words(&wish.filter),
        touches,
        skips: reasons.values().sum(),
        is_capped,
        effects: effects.into_iter().map(|(what, count)| Share { what, count, words: what_happens(what) }).collect(),
        reasons: reasons.into_iter().map(|(what, count)| Share { what, count, words: why_not(what) }).collect(),
        about_micro_usd: (!is_capped && (is_free || !usual.is_empty())).then_some(cost),
        button: button(verb, touches, is_capped),
    }
}

fn button(verb: Verb, touches: i64, is_capped: bool) -> Option<String> {
    let name = match verb {
        Verb::Requeue => "Requeue",
        Verb::Cancel => "Cancel",
        Verb::Regenerate(FromStep::Script) => "Make anew",
        Verb::Regenerate(FromStep::Speech) => "Speak anew",
    };
    match (touches, is_capped) {
        (_, true) => Some(format!("{name} all that match, {touches} or more")),
        (0, false) => None,
        (1, false) => Some(format!("{name} 1 podcast")),
        (touches, false) => Some(format!("{name} {touches} podcasts")),
    }
}

/// What the rest of a podcast usually costs.
fn cost_of(effect: Effect, row: &Candidate, usual: &BTreeMap<String, i64>) -> i64 {
    let from = match effect {
        Effect::Ends | Effect::EndsHeld | Effect::Revived => return 0,
        Effect::FromStart | Effect::NewScript => Status::Pending,
        Effect::FromSpeech | Effect::NewSpeech => Status::ScriptGenerated,
        Effect::FromUpload => Status::PendingUpload,
        Effect::GoesOn | Effect::TakenOver => row.status().unwrap_or(Status::Pending),
    };
    let is_to_come = |operation: &str| match operation {
        "script" => from == Status::Pending,
        "speech" => from != Status::PendingUpload,
        _ => true,
    };
    usual.iter().filter(|(operation, _)| is_to_come(operation)).map(|(_, cost)| cost).sum()
}

const fn what_happens(effect: Effect) -> &'static str {
    match effect {
        Effect::GoesOn => "due now, from where it stands",
        Effect::TakenOver => "due now, from where it stands; taken from a worker that is not alive",
        Effect::Revived => "was cancelled on purpose, and is made after all",
        Effect::FromStart => "starts from the beginning",
        Effect::FromSpeech => "goes on at the speech, the script is kept",
        Effect::FromUpload => "goes on at the upload, the audio is kept",
        Effect::Ends => "ends as failed, cancelled",
        Effect::EndsHeld => "ends as failed, cancelled; the worker that is at it drops it, what it has begun is billed",
        Effect::NewScript => "gets a new episode from the script on; the old one is no longer served",
        Effect::NewSpeech => "is spoken anew with its script; the old one is no longer served",
    }
}

const fn why_not(reason: Reason) -> &'static str {
    match reason {
        Reason::Held => "a worker is at it",
        Reason::Completed => "it is made already",
        Reason::Failed => "it has failed already",
        Reason::Unfinished => "it is not finished yet; requeue or cancel it instead",
        Reason::Replaced => "a newer episode of the same date replaces it",
        Reason::Unknown => "its status is known only to a newer version of this program",
    }
}

/// A filter in words: `podcasts 7, 8`, `all podcasts in status failed, of 2026-11-22`.
pub fn in_words(filter: &Filter) -> String {
    let numbers = |numbers: &[i64]| {
        let named: Vec<String> = numbers.iter().take(NAMED).map(i64::to_string).collect();
        let more = numbers.len().saturating_sub(NAMED);
        if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
    };
    let many = |numbers: &[i64]| if numbers.len() == 1 { "" } else { "s" };
    let mut words = vec![match &filter.ids {
        Some(ids) => format!("podcast{} {}", many(ids), numbers(ids)),
        None => "all podcasts".to_owned(),
    }];
    for (word, value) in filter::pairs(filter) {
        words.push(match word {
            "date" => format!("of {value}"),
            "status" => format!("in status {value}"),
            "stuck" => "that are stuck".to_owned(),
            "cause" => format!("with cause {value}"),
            "user" => {
                let users = filter.user_ids.as_deref().unwrap_or_default();
                match users {
                    [] => "of learners who were erased".to_owned(),
                    users => format!("of learner{} {}", many(users), numbers(users)),
                }
            }
            "plan" => format!("on plan {value}"),
            "provider" => format!("made by {value}"),
            "language" => format!("in language {value}"),
            _ => continue,
        });
    }
    let first = words.remove(0);
    if words.is_empty() { first } else { format!("{first} {}", words.join(", ")) }
}

/// Begins what is wished, or joins who has begun the same. It is carried out by
/// [`operations::carry_out`], by whoever calls that, or by the workers.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn begin(store: &Store, schedule: &Schedule, wish: &Wish, actor: &str) -> Result<Started, store::Error> {
    let seen = preview(store, wish).await?;
    let now = night::now(store.pool()).await?;
    let order = Order {
        verb: wish.verb,
        filter: &wish.filter,
        actor,
        reason: &wish.reason,
        deadline_at: schedule.deadline_by_hand(now),
    };
    let new = New { order, subject: &seen.subject, key: wish.key.as_deref(), expected: seen.touches + seen.skips };
    operations::start(store.pool(), new).await
}

/// Carries out what was begun, behind what this process carries out already. The workers go on with
/// it where this fails.
pub async fn carry_out_in_turn(desk: Arc<Desk>, id: i64) {
    // Never closed.
    let _turn = desk.carrying.acquire().await;
    if let Err(error) = operations::carry_out(desk.store.walks(), id, |_| {}).await {
        tracing::warn!(operation.id = id, error = chain(&error), "the workers have to go on with the operation");
    }
}

/// Begins what is wished and carries it out, telling of each page. `None` when its key has begun
/// another operation before.
///
/// # Errors
/// When the database cannot be read or written. What was begun is then carried out by the workers.
pub async fn complete(
    store: &Store,
    schedule: &Schedule,
    wish: &Wish,
    actor: &str,
    progress: impl FnMut(&Operation),
) -> Result<Option<Operation>, store::Error> {
    match begin(store, schedule, wish, actor).await? {
        Started::OtherContent(_) => Ok(None),
        Started::Begun(begun) | Started::Joined(begun) => {
            operations::carry_out(store.walks(), begun.id, progress).await
        }
    }
}

/// Requeues what has failed, where something has: else nothing is begun, so that no operation stands
/// for nothing.
///
/// # Errors
/// As [`complete`].
pub async fn requeue_failed(
    store: &Store,
    schedule: &Schedule,
    failed: Filter,
    actor: &str,
) -> Result<(), store::Error> {
    let wish = Wish::new(Verb::Requeue, Filter { status: Some(Status::Failed), ..failed });
    let seen = preview(store, &wish).await?;
    if seen.touches > 0 || seen.is_capped {
        complete(store, schedule, &wish, actor, |_| {}).await?;
    }
    Ok(())
}

/// An operation as pages and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its number.
    pub id: i64,
    /// What is done.
    pub verb: String,
    /// Where a regeneration begins.
    pub from_step: Option<String>,
    /// Which podcasts, by word.
    pub filter: BTreeMap<&'static str, String>,
    /// The same in words.
    pub subject: String,
    /// The same as the query of an address.
    pub query: String,
    /// Why; may be empty.
    pub reason: String,
    /// Who began it.
    pub actor: String,
    /// `running`, `finished` or `stopped`.
    pub state: String,
    /// Podcasts that matched at the start, as far as was counted.
    pub expected: i64,
    /// Podcasts that were moved.
    pub done: i64,
    /// Podcasts that matched and were left as they are.
    pub skipped: i64,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When its last page was written.
    pub updated_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// What ended it.
    pub error: Option<String>,
}

impl From<Operation> for Shown {
    /// A filter of a newer version shows as none.
    fn from(operation: Operation) -> Self {
        let meant = operation.filter().unwrap_or_default();
        let pairs = filter::pairs(&meant);
        Self {
            id: operation.id,
            verb: operation.verb,
            from_step: operation.from_step,
            subject: in_words(&meant),
            query: serde_urlencoded::to_string(&pairs).unwrap_or_default(),
            filter: pairs.into_iter().collect(),
            reason: operation.reason,
            actor: operation.actor,
            state: operation.state,
            expected: operation.expected,
            done: operation.done,
            skipped: operation.skipped,
            created_at: operation.created_at,
            updated_at: operation.updated_at,
            finished_at: operation.finished_at,
            error: operation.error,
        }
    }
}
