//! The story of one podcast: its row, every move with the calls that led to it, and when.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Desk, situation};
use crate::{
    explain::Explanation,
    store::{
        Error, listing as lists,
        podcasts::{self, CallLine, EventLine, Row},
    },
};

/// A podcast and all that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// Its columns.
    #[serde(flatten)]
    pub row: Row,
    /// Nothing will move it.
    pub is_stuck: bool,
    /// It can be heard.
    pub has_audio: bool,
    /// Where it stands, in words.
    pub explanation: Explanation,
    /// Its history, oldest line first.
    pub events: Vec<EventLine>,
    /// Its ledger, oldest line first.
    pub calls: Vec<CallLine>,
    /// The history with the calls of each move.
    pub steps: Vec<Step>,
    /// Sums.
    pub totals: Totals,
    /// Its first and last moment.
    pub span: Span,
    /// How it is drawn.
    pub picture: Picture,
    /// The episode that this one replaced.
    pub replaces: Option<i64>,
    /// The episode that replaced this one.
    pub replaced_by: Option<i64>,
}

/// A move, and the calls that were written down with it.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What happened, in words.
    pub words: &'static str,
    /// `well`, `bad`, `warn`, `busy` or `quiet`.
    pub tone: &'static str,
    /// The line of the history.
    pub event: EventLine,
    /// Where its work begins in the picture, from 0 to 1; where it ends when that is not known.
    pub from_x: f64,
    /// Where it ends.
    pub to_x: f64,
    /// Requests to providers. Kept is how long each took, not when it began.
    pub calls: Vec<CallLine>,
}

/// Sums over the story.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Totals {
    /// Requests to providers.
    pub calls: usize,
    /// Of these, those that failed.
    pub failed_calls: usize,
    /// Time that steps worked, in milliseconds.
    pub worked_ms: i64,
    /// From the first moment to the last, in milliseconds.
    pub elapsed_ms: i64,
}

/// The time that a story takes up.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Span {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The last one so far.
    pub to: DateTime<Utc>,
    /// What lies between them, in milliseconds; at least one.
    pub ms: i64,
}

/// Time from left to right, from 0 to 1. Where nothing was worked on for long, it is drawn shorter
/// than it was, and marked: a podcast that waited for an hour shows its seconds of work all the same.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Picture {
    /// The width of a millisecond.
    pub per_ms: f64,
    /// What is drawn shorter.
    pub pauses: Vec<Pause>,
    /// Beginnings and ends of work, in milliseconds after the first moment, with their places.
    #[serde(skip)]
    marks: Vec<(i64, f64)>,
}

/// A time in which nothing was worked on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pause {
    /// Its middle in the picture.
    pub x: f64,
    /// How long it was, in milliseconds.
    pub ms: i64,
}

/// A pause is drawn no longer than this share of all work.
const LONGEST_PAUSE: f64 = 0.15;

impl Picture {
    /// Of work that went on from and to these moments, in milliseconds after the first.
    fn of(mut work: Vec<(i64, i64)>) -> Self {
        work.sort_unstable();
        let mut spells: Vec<(i64, i64)> = Vec::new();
        for (from, to) in work {
            match spells.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => spells.push((from, to)),
            }
        }
        let worked: i64 = spells.iter().map(|(from, to)| to - from).sum();
        let longest = (worked as f64 * LONGEST_PAUSE).max(1.0);
        let drawn = |ms: i64| (ms as f64).min(longest);
        let pauses = || spells.windows(2).map(|pair| pair[1].0 - pair[0].1);
        let width = (worked as f64 + pauses().map(drawn).sum::<f64>()).max(1.0);
        let mut picture = Self { per_ms: 1.0 / width, ..Self::default() };
        let (mut x, mut before) = (0.0, None);
        for &(from, to) in &spells {
            if let Some(ms) = before.map(|before| from - before) {
                if ms as f64 > longest {
                    picture.pauses.push(Pause { x: x + longest / width / 2.0, ms });
                }
                x += drawn(ms) / width;
            }
            picture.marks.push((from, x));
            x += (to - from) as f64 / width;
            picture.marks.push((to, x));
            before = Some(to);
        }
        picture
    }

    /// The place of a moment at which work went on.
    fn place(&self, ms: i64) -> f64 {
        let mark = self.marks.iter().rev().find(|(at, _)| *at <= ms);
        mark.map_or(0.0, |(at, x)| (x + (ms - at) as f64 * self.per_ms).min(1.0))
    }
}

/// The story of a podcast; `None` when there is none of this number.
///
/// # Errors
/// When the database does not answer.
pub async fn of(desk: &Desk, id: i64) -> Result<Option<Story>, Error> {
    let pool = desk.store.desk();
    let Some(row) = podcasts::rows(pool, &[id]).await?.pop() else { return Ok(None) };
    let lines = lists::lines(pool, &[id]).await?;
    let told = situation::of_one(desk, id).await?;
    let (Some(line), Some(explanation)) = (lines.into_iter().next(), told) else { return Ok(None) };
    let (events, calls) = (podcasts::events(pool, id).await?, podcasts::calls(pool, id).await?);
    let versions = lists::versions(pool, row.user_id, row.date).await?;
    let span = span(&row, &events);
    let picture = Picture::of(events.iter().map(|event| worked(event, span.from)).collect());
    let steps = steps(&events, &calls, span.from, &picture);
    let totals = Totals {
        calls: calls.len(),
        failed_calls: calls.iter().filter(|call| call.outcome != "ok").count(),
        worked_ms: events.iter().filter_map(|event| event.duration_ms).map(i64::from).sum(),
        elapsed_ms: span.ms,
    };
    Ok(Some(Story {
        is_stuck: line.is_stuck,
        has_audio: line.has_audio,
        explanation,
        steps,
        totals,
        span,
        picture,
        replaces: versions.iter().copied().filter(|other| *other < id).max(),
        replaced_by: versions.iter().copied().filter(|other| *other > id).min(),
        row,
        events,
        calls,
    }))
}

fn began(event: &EventLine) -> Option<DateTime<Utc>> {
    event.duration_ms.map(|ms| event.at - chrono::TimeDelta::milliseconds(ms.into()))
}

fn span(row: &Row, events: &[EventLine]) -> Span {
    let moments = || events.iter().flat_map(|event| [Some(event.at), began(event)]).flatten();
    let from = moments().min().unwrap_or(row.created_at);
    let to = moments().max().unwrap_or(row.updated_at);
    Span { from, to, ms: (to - from).num_milliseconds().max(1) }
}

/// From when to when the work of a move went on, in milliseconds after a moment.
fn worked(event: &EventLine, from: DateTime<Utc>) -> (i64, i64) {
    let since = |at: DateTime<Utc>| (at - from).num_milliseconds();
    (since(began(event).unwrap_or(event.at)), since(event.at))
}

/// A call is written down in the commit of the move that it led to.
fn steps(events: &[EventLine], calls: &[CallLine], from: DateTime<Utc>, picture: &Picture) -> Vec<Step> {
    let step = |event: &EventLine| {
        let (words, tone) = told(&event.event);
        let (began, ended) = worked(event, from);
        let (from_x, to_x) = (picture.place(began), picture.place(ended));
        Step { words, tone, event: event.clone(), from_x, to_x, calls: Vec::new() }
    };
    let mut steps: Vec<Step> = events.iter().map(step).collect();
    for call in calls {
        let nth = steps.iter().position(|step| step.event.at >= call.at).or(steps.len().checked_sub(1));
        if let Some(step) = nth.and_then(|nth| steps.get_mut(nth)) {
            step.calls.push(call.clone());
        }
    }
    steps
}

/// An event in words, and its tone.
fn told(event: &str) -> (&'static str, &'static str) {
    match event {
        "enqueued" => ("Enqueued", "quiet"),
        "script_ready" => ("Script written", "well"),
        "speech_started" => ("Voice chosen, speech planned", "busy"),
        "audio_ready" => ("Audio spoken", "well"),
        "uploaded" => ("Uploaded", "well"),
        "audio_lost" => ("Audio lost, to be spoken again", "warn"),
        "attempt_failed" => ("Attempt failed, tried again later", "warn"),
        "rescued" => ("Taken back from a worker that died", "warn"),
        "cancelled" => ("Cancelled by an operator", "bad"),
        "gave_up" => ("Given up", "bad"),
        "requeued" => ("Requeued by an operator", "busy"),
        _ => ("Something that this version does not know", "quiet"),
    }
}
