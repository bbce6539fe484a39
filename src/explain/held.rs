//! A podcast that a worker holds. It is stuck when that worker is lost, and only then: a step that
//! takes long ends by its own limit.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Explanation, Facts, GRACE, Holder, Pause, Tone, remedies,
    words::{clock, doing, lasted, second, span, step},
};

/// A step is overdue that has lasted this many times longer than usual.
const FAR_LONGER: u32 = 3;

/// No step is overdue before this.
const AT_LEAST: TimeDelta = TimeDelta::seconds(30);

pub(super) fn explain(facts: &Facts, holder: &Holder, now: DateTime<Utc>) -> Explanation {
    if holder.is_lost(now) {
        return lost(facts, holder, now);
    }
    let two_beats = TimeDelta::from_std(holder.beat * 2).unwrap_or_default();
    let said = if now - holder.heartbeat_at > two_beats {
        silent(facts, holder)
    } else if is_overdue(facts, now) {
        overdue(facts, now)
    } else {
        let sentence = format!("Worker {} is {}.", holder.name, doing(facts.status));
        Explanation::new("working", Tone::Well, facts.updated_at, sentence)
    };
    Explanation { usual_seconds: facts.pace.map(|pace| pace.usual.as_secs()), ..said }
}

/// The step in hand is finished first.
pub(super) fn before_the_pause(facts: &Facts, pause: &Pause, holder: &Holder, now: DateTime<Utc>) -> Explanation {
    let sentence = format!(
        "Worker {} finishes {}; then it waits: paused by {} at {}.",
        holder.name,
        doing(facts.status),
        pause.paused_by,
        clock(pause.paused_at, now),
    );
    Explanation::new("pausing", Tone::Waiting, pause.paused_at, sentence).with(remedies::resume(facts, now))
}

fn lost(facts: &Facts, holder: &Holder, now: DateTime<Utc>) -> Explanation {
    let (name, doing) = (&holder.name, doing(facts.status));
    let since = holder.heartbeat_at;
    let sentence = format!("Worker {name} stopped reporting {} ago while {doing}.", lasted(since, now));
    if facts.living_workers == 0 {
        let sentence = format!("{sentence} No other worker reports that could take it over.");
        return Explanation::new("worker_lost", Tone::Stuck, since, sentence).with(remedies::start_worker(facts));
    }
    let taken_back_by = holder.lease_until + GRACE;
    if taken_back_by > now {
        let how = "Another worker takes it back and goes on; no attempt is used.";
        return Explanation::new("worker_lost", Tone::Stuck, since, sentence).mending(Some(taken_back_by), how);
    }
    let sentence = format!("{sentence} The others should have taken it back by {}.", clock(taken_back_by, now));
    Explanation::new("worker_lost", Tone::Stuck, since, sentence).with(remedies::take_away(facts))
}

fn silent(facts: &Facts, holder: &Holder) -> Explanation {
    let sentence = format!(
        "Worker {}, which is {}, was last heard at {}; its lease runs until {}.",
        holder.name,
        doing(facts.status),
        second(holder.heartbeat_at),
        second(holder.lease_until),
    );
    let how = "It is heard again, or another worker takes over: no later than a moment after its lease.";
    Explanation::new("worker_silent", Tone::Waiting, holder.heartbeat_at, sentence)
        .mending(Some(holder.lease_until), how)
}

fn is_overdue(facts: &Facts, now: DateTime<Utc>) -> bool {
    let lasts = now - facts.updated_at;
    let is_far_longer =
        |usual: std::time::Duration| TimeDelta::from_std(usual * FAR_LONGER).is_ok_and(|far| lasts > far);
    lasts >= AT_LEAST && facts.pace.is_some_and(|pace| is_far_longer(pace.usual))
}

fn overdue(facts: &Facts, now: DateTime<Utc>) -> Explanation {
    let since = facts.updated_at;
    let usual = facts.pace.map(|pace| span(pace.usual)).unwrap_or_default();
    let ends_at = facts.pace.and_then(|pace| since.checked_add_signed(TimeDelta::from_std(pace.limit).ok()?));
    let sentence = format!(
        "The {} step has run {}; it usually takes {usual}. Its worker reports, but there is no answer yet.",
        step(facts.status),
        lasted(since, now),
    );
    Explanation::new("step_overdue", Tone::Waiting, since, sentence)
        .mending(ends_at, "At its time limit the attempt is broken off and tried again.")
}
