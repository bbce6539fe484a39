//! The rules: from what was seen to what is raised and what is over. Pure.
//!
//! | kind | raised | over |
//! |---|---|---|
//! | `failure_rate_running` | the share of failed among finished podcasts is too high while a night runs | it is a fifth lower, or the night is over |
//! | `failure_rate_night` | the same at the end of a night | it is a fifth lower (requeued), or a day has passed |
//! | `stuck` | podcasts stay stuck for a minute, which the sweep should have mended | a whole look finds none |
//! | `speech_chain_failed` | nobody could speak a learner's episode | none is left that failed so in the last day |
//! | `upload_failed` | an episode could not be stored until its deadline | the same |
//! | `spool_full` | speech waits for room on a host | none waits any more |
//! | `night_late` | a night was not started, is not enqueued after half an hour without a pause, or not done after its deadline | it is, or a day has passed |
//!
//! The subject of a cause is a date or a host, never a podcast: a thousand failed uploads are one
//! alert. Between raising and its end lies a band in which nothing changes, so that a figure that
//! wavers does not raise again and again.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    machine::{FailureKind, Status},
    store::{
        alerts::{Alert, Notice},
        watch::{GivenUp, Night},
    },
};

/// The kinds that are judged here. Only these are resolved here.
pub const KINDS: [&str; 7] = [RUNNING, ENDED, STUCK, SPEECH, UPLOAD, SPOOL, LATE];

const RUNNING: &str = "failure_rate_running";
const ENDED: &str = "failure_rate_night";
const STUCK: &str = "stuck";
const SPEECH: &str = "speech_chain_failed";
const UPLOAD: &str = "upload_failed";
const SPOOL: &str = "spool_full";
const LATE: &str = "night_late";

/// Finished podcasts before which the share of failures says nothing.
pub const LEAST_FINISHED: i64 = 20;

/// The share must fall to this part of its limit before it is well again.
const WELL_AGAIN: f64 = 0.8;

/// The sweep mends within a minute: what is stuck for longer, it cannot mend.
const STUCK_FOR: Duration = Duration::from_secs(60);

/// The longest that enqueuing may take.
const ENQUEUING: chrono::TimeDelta = chrono::TimeDelta::minutes(30);

/// The shares of failures that are too high, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// While a night runs.
    pub running: f64,
    /// At its end.
    pub night: f64,
}

/// A night with what its rules need.
#[derive(Debug, Clone, PartialEq)]
pub struct NightFacts {
    /// The night.
    pub night: Night,
    /// Finished podcasts, counted up to [`enough`] only.
    pub finished: i64,
    /// Podcasts that should have been over ten minutes ago.
    pub late: i64,
}

/// What was seen. `None`: this round did not look, and what is open stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The nights that are not over, or not for a day.
    pub nights: Option<(DateTime<Utc>, Vec<NightFacts>)>,
    /// Everything is on hold.
    pub is_paused: bool,
    /// The night that was due and not started, if there is one.
    pub left_out: Option<NaiveDate>,
    /// Who was given up in the last day.
    pub given_up: Option<Vec<GivenUp>>,
    /// Stuck podcasts by date, and for how long some have been.
    pub stuck: Option<(Vec<(NaiveDate, i64)>, Duration)>,
    /// Why most of them are, by date, as `explain` says it.
    pub why_stuck: BTreeMap<NaiveDate, String>,
    /// Podcasts that wait for room, by host.
    pub without_room: Option<Vec<(String, i64)>>,
}

/// A cause that was seen.
#[derive(Debug)]
struct Cause {
    kind: &'static str,
    subject: String,
    message: String,
    cases: i64,
    /// False in the band between raising and the end: what is open stays open, nothing is raised.
    raises: bool,
}

/// How many finished podcasts must be counted to judge so many failed ones.
pub fn enough(failed: i64, limits: &Limits, is_over: bool) -> i64 {
    let limit = if is_over { limits.night } else { limits.running };
    let needed = failed as f64 / (limit * WELL_AGAIN);
    // A limit of nought needs no count: any failure is too many.
    if needed.is_finite() { LEAST_FINISHED.max(needed.ceil() as i64 + 1) } else { LEAST_FINISHED.max(failed) }
}

/// Failed podcasts of a date.
pub fn failed(given_up: &[GivenUp], date: NaiveDate) -> i64 {
    given_up.iter().filter(|group| group.date == date).map(|group| group.podcasts).sum()
}

/// What is news of the facts, compared with the alerts of these kinds that are open.
pub fn judge(facts: &Facts, limits: &Limits, open: &[Alert]) -> Vec<Notice> {
    let mut causes = Vec::new();
    let mut judged: Vec<&'static str> = Vec::new();
    if let (Some((now, nights)), Some(given_up)) = (&facts.nights, &facts.given_up) {
        judged.extend([RUNNING, ENDED, SPEECH, UPLOAD, LATE]);
        causes.extend(nights.iter().filter_map(|night| rate(night, given_up, limits)));
        causes.extend(nights.iter().filter_map(|night| late(night, *now, facts.is_paused)));
        causes.extend(facts.left_out.map(left_out));
        causes.extend(chains(given_up));
    }
    if let Some((stuck, since)) = &facts.stuck {
        judged.push(STUCK);
        let why = |date| facts.why_stuck.get(date).map(String::as_str);
        causes.extend(stuck.iter().map(|(date, podcasts)| self::stuck(*date, *podcasts, *since, why(date))));
    }
    if let Some(hosts) = &facts.without_room {
        judged.push(SPOOL);
        causes.extend(hosts.iter().map(|(host, podcasts)| spool(host, *podcasts)));
    }
    let mut notices: Vec<Notice> = causes.iter().filter_map(|cause| raise(cause, open)).collect();
    for kind in judged {
        let gone = open.iter().filter(|alert| alert.kind == kind);
        let gone =
            gone.filter(|alert| !causes.iter().any(|cause| cause.kind == kind && cause.subject == alert.subject));
        notices.extend(gone.map(|alert| Notice::Resolve { kind, subject: alert.subject.clone() }));
    }
    notices
}

/// What to write of a cause; `None` if it is open with these very words, or raises nothing.
fn raise(cause: &Cause, open: &[Alert]) -> Option<Notice> {
    let Cause { kind, subject, message, cases, raises } = cause;
    let known = open.iter().find(|alert| alert.kind == *kind && alert.subject == *subject);
    let times = match known {
        Some(alert) if alert.message == *message => return None,
        Some(alert) => (cases - alert.times).max(0),
        None if *raises => (*cases).max(1),
        None => return None,
    };
    Some(Notice::Raise { kind, subject: subject.clone(), message: message.clone(), times })
}

fn rate(facts: &NightFacts, given_up: &[GivenUp], limits: &Limits) -> Option<Cause> {
    let date = facts.night.date;
    let is_over = facts.night.finished_at.is_some();
    let (kind, limit) = if is_over { (ENDED, limits.night) } else { (RUNNING, limits.running) };
    let failed = failed(given_up, date);
    // At its end a night of five counts, too.
    if failed == 0 || (facts.finished < LEAST_FINISHED && !is_over) {
        return None;
    }
    let share = failed as f64 / facts.finished.max(failed) as f64;
    if share <= limit * WELL_AGAIN {
        return None;
    }
    let percent = limit * 100.0;
    let when = if is_over { "at its end" } else { "so far" };
    let message = format!(
        "More than {percent:.0}% of the podcasts of the night of {date} failed {when}: {}, most of them because {}. \
         These learners have no episode. Causes: `dailycast night status {date}`; when they are mended: \
         `dailycast podcast requeue --failed --date {date}`.",
        podcasts(failed),
        reason(given_up.iter().filter(|group| group.date == date)),
    );
    Some(Cause { kind, subject: date.to_string(), message, cases: failed, raises: share > limit })
}

/// What the learners of a date miss whose speech or upload was given up.
fn chains(given_up: &[GivenUp]) -> Vec<Cause> {
    let speech = [Status::ScriptGenerated.as_str(), Status::AudioGenerating.as_str()];
    let upload = [Status::PendingUpload.as_str()];
    let mut dates: Vec<NaiveDate> = given_up.iter().map(|group| group.date).collect();
    dates.sort_unstable();
    dates.dedup();
    let mut causes = Vec::new();
    for date in dates {
        for (kind, statuses) in [(SPEECH, &speech[..]), (UPLOAD, &upload[..])] {
            let groups =
                || given_up.iter().filter(move |group| group.date == date && statuses.contains(&&*group.status));
            let cases: i64 = groups().map(|group| group.podcasts).sum();
            if cases == 0 {
                continue;
            }
            let (count, why) = (podcasts(cases), reason(groups()));
            let message = if kind == SPEECH {
                format!(
                    "Nobody could speak {count} of {date}: {why}. These learners have no episode; their scripts are \
                     kept. See `dailycast provider list`; then `dailycast podcast requeue --failed --date {date}` speaks \
                     them."
                )
            } else {
                format!(
                    "{count} of {date} could not be stored: {why}. These learners have no episode; the audio is kept \
                     in the spool. See `dailycast doctor`; then `dailycast podcast requeue --failed --date {date}` \
                     goes on with the upload."
                )
            };
            causes.push(Cause { kind, subject: date.to_string(), message, cases, raises: true });
        }
    }
    causes
}

fn stuck(date: NaiveDate, cases: i64, since: Duration, why: Option<&str>) -> Cause {
    let why = why.map(|why| format!(" Most of those looked at: {why}")).unwrap_or_default();
    let message = format!(
        "{} stuck for more than a minute: nothing moves them, and the sweep could not mend it.{why} These \
         learners will have no episode. See `dailycast podcast list --stuck`; `dailycast podcast requeue --stuck` makes them due.",
        match cases {
            1 => format!("1 podcast of {date} is"),
            many => format!("{many} podcasts of {date} are"),
        }
    );
    Cause { kind: STUCK, subject: date.to_string(), message, cases, raises: since >= STUCK_FOR }
}

fn spool(host: &str, cases: i64) -> Cause {
    let message = format!(
        "The spool of {host}, or its disk, is full: {} no speech until there is room. It goes on by itself. If it \
         does not: see that the store of episodes takes uploads (`dailycast doctor`), make room, or raise spool.max_bytes.",
        match cases {
            1 => "1 podcast gets".to_owned(),
            many => format!("{many} podcasts get"),
        }
    );
    Cause { kind: SPOOL, subject: host.to_owned(), message, cases, raises: true }
}

fn late(facts: &NightFacts, now: DateTime<Utc>, is_paused: bool) -> Option<Cause> {
    let Night { date, enqueuing_since, deadline_at, enqueued_at, .. } = &facts.night;
    // Who paused knows why nothing is enqueued; what was raised before that stays.
    let raises = enqueued_at.is_some() || !is_paused;
    let (what, cases) = match enqueued_at {
        None if now - enqueuing_since > ENQUEUING => (
            format!(
                "Half an hour after its start, not all learners of the night of {date} are enqueued. Who is not has no \
                 episode. See that the academy can be read: `dailycast doctor`, `dailycast night status {date}`."
            ),
            1,
        ),
        Some(at) if at >= deadline_at => (
            format!(
                "The deadline of the night of {date} passed before all its learners were enqueued: the rest have no \
                 episode. `dailycast night start --date {date}` enqueues them."
            ),
            1,
        ),
        Some(_) if facts.late > 0 => (
            format!(
                "The night of {date} did not end by its deadline: {} should be over and {} not. See `dailycast night \
                 status {date}` and whether a worker lives: `dailycast doctor`.",
                podcasts(facts.late),
                if facts.late == 1 { "is" } else { "are" },
            ),
            facts.late,
        ),
        _ => return None,
    };
    Some(Cause { kind: LATE, subject: date.to_string(), message: what, cases, raises })
}

fn left_out(date: NaiveDate) -> Cause {
    let message = format!(
        "The night of {date} was not started before its deadline: no worker was running, or everything was paused. No \
         learner has an episode of that date. `dailycast night start --date {date}` makes up for it."
    );
    Cause { kind: LATE, subject: date.to_string(), message, cases: 1, raises: true }
}

/// The most frequent reason, in words.
fn reason<'g>(groups: impl Iterator<Item = &'g GivenUp>) -> &'static str {
    let most = groups.max_by_key(|group| group.podcasts);
    let kind = FailureKind::ALL.into_iter().find(|kind| most.is_some_and(|group| group.kind == kind.as_str()));
    kind.map_or("of something this version does not know", FailureKind::words)
}

fn podcasts(count: i64) -> String {
    if count == 1 { "1 podcast".to_owned() } else { format!("{count} podcasts") }
}
