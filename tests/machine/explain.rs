//! What is said of a podcast, word by word.

mod ends;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use dailycast::{
    explain::{Explanation, Facts, Holder, Pace, Pause, Provider, Tone, explain, most_frequent},
    machine::{FailureKind, Status},
};

fn now() -> DateTime<Utc> {
    "2026-11-23T03:30:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

/// Due since five minutes, with a job, beside a living worker.
fn facts(status: Status) -> Facts {
    Facts {
        status,
        attempt: 0,
        crashes: 0,
        error_kind: None,
        error_message: None,
        provider: None,
        updated_at: ago(600),
        next_attempt_at: ago(300),
        deadline_at: "2026-11-23T09:00:00Z".parse().unwrap(),
        has_script: status != Status::Pending,
        has_audio: status == Status::PendingUpload,
        refusals: Vec::new(),
        holder: None,
        has_job: true,
        is_suspect: false,
        living_workers: 1,
        pause: None,
        pace: Some(Pace { usual: Duration::from_secs(20), limit: Duration::from_secs(300), max_attempts: 4 }),
        providers: Arc::default(),
        budget_micro_usd: Some(8_000_000),
    }
}

/// The same with the last attempt failed, due again in five minutes.
fn again(status: Status, kind: FailureKind, provider: Option<&str>) -> Facts {
    Facts {
        attempt: 2,
        error_kind: Some(kind),
        error_message: Some("503 Slow down.".to_owned()),
        provider: provider.map(str::to_owned),
        next_attempt_at: now() + TimeDelta::minutes(5),
        ..facts(status)
    }
}

fn held(status: Status, heard: i64, since: i64) -> Facts {
    let heartbeat_at = ago(heard);
    let holder = Holder {
        name: "w-3".to_owned(),
        heartbeat_at,
        beat: Duration::from_millis(800),
        lease_until: heartbeat_at + TimeDelta::seconds(30),
        is_gone: false,
    };
    Facts { holder: Some(holder), updated_at: ago(since), ..facts(status) }
}

fn pause() -> Pause {
    Pause { paused_at: ago(1_080), paused_by: "amira".to_owned(), reason: "bad prompt".to_owned() }
}

#[track_caller]
fn says(facts: &Facts, cause: &str, tone: Tone, sentence: &str) -> Explanation {
    let said = explain(facts, now());
    assert_eq!((said.cause, said.tone, said.sentence.as_str()), (cause, tone, sentence));
    said
}

#[track_caller]
fn helps(said: &Explanation, verb: &str, label: &str, effect: &str) {
    let remedy = said.remedy.as_ref().unwrap();
    assert_eq!((remedy.verb, remedy.label.as_str(), remedy.effect.as_str()), (verb, label, effect));
}

#[test]
fn a_worker_at_work_or_lost() {
    for (status, doing) in [
        (Status::Pending, "writing the script"),
        (Status::ScriptGenerated, "choosing the voice"),
        (Status::AudioGenerating, "making the audio"),
        (Status::PendingUpload, "uploading the audio"),
    ] {
        let said = says(&held(status, 1, 10), "working", Tone::Well, &format!("Worker w-3 is {doing}."));
        assert_eq!((said.usual_seconds, said.mends_at, said.remedy), (Some(20), None, None));
    }

    let lost = held(Status::AudioGenerating, 60, 100);
    let said =
        says(&lost, "worker_lost", Tone::Stuck, "Worker w-3 stopped reporting 1 min ago while making the audio.");
    assert_eq!((said.since, said.mends_at), (ago(60), Some(ago(60) + TimeDelta::seconds(90))));
    assert_eq!(said.mends.unwrap(), "Another worker takes it back and goes on; no attempt is used.");

    says(
        &held(Status::AudioGenerating, 720, 800),
        "worker_lost",
        Tone::Stuck,
        "Worker w-3 stopped reporting 12 min ago while making the audio. The others should have taken it back by 03:19.",
    );
    let alone = Facts { living_workers: 0, ..lost };
    let said = says(
        &alone,
        "worker_lost",
        Tone::Stuck,
        "Worker w-3 stopped reporting 1 min ago while making the audio. No other worker reports that could take it over.",
    );
    helps(
        &said,
        "start_worker",
        "Start a worker",
        "`dailycast work` on any host that reaches the database, or restart the one there was. It resumes at the speech; \
         the script and what was spoken are kept; nothing is billed twice.",
    );
    let mut dead = held(Status::Pending, 5, 10);
    dead.holder.as_mut().unwrap().is_gone = true;
    says(
        &dead,
        "worker_lost",
        Tone::Stuck,
        "Worker w-3 stopped reporting less than a minute ago while writing the script.",
    );
}

#[test]
fn a_worker_that_is_silent_and_a_step_that_is_overdue_are_not_stuck() {
    let said = says(
        &held(Status::Pending, 10, 15),
        "worker_silent",
        Tone::Waiting,
        "Worker w-3, which is writing the script, was last heard at 03:29:50; its lease runs until 03:30:20.",
    );
    assert_eq!(said.mends_at, Some(now() + TimeDelta::seconds(20)));

    let said = says(
        &held(Status::Pending, 1, 240),
        "step_overdue",
        Tone::Waiting,
        "The script step has run 4 min; it usually takes 20 s. Its worker reports, but there is no answer yet.",
    );
    assert_eq!((said.usual_seconds, said.mends_at), (Some(20), Some(now() + TimeDelta::seconds(60))));
    assert_eq!(said.mends.unwrap(), "At its time limit the attempt is broken off and tried again.");
    // Three times as long as usual is nothing when usual is short.
    says(&held(Status::Pending, 1, 60), "working", Tone::Well, "Worker w-3 is writing the script.");
    let unknown = Facts { pace: None, ..held(Status::Pending, 1, 9_000) };
    says(&unknown, "working", Tone::Well, "Worker w-3 is writing the script.");
}

#[test]
fn a_scheduled_retry_is_not_stuck() {
    for (kind, provider, sentence) in [
        (FailureKind::RateLimited, Some("google"), "Google TTS asked us to slow down."),
        (FailureKind::Timeout, Some("openai"), "OpenAI did not answer in time."),
        (FailureKind::Unavailable, Some("gemini"), "Gemini could not be reached or is down."),
        (FailureKind::BadAnswer, Some("polly"), "The answer of Amazon Polly could not be used."),
        (FailureKind::ContentRefused, Some("anthropic"), "Anthropic declined this content."),
        (FailureKind::BadRequest, Some("azure"), "Azure Speech called our request wrong."),
        (FailureKind::OutOfCredit, Some("openai"), "The account at OpenAI has no credit left."),
        (FailureKind::KeyRefused, Some("openai"), "OpenAI does not accept our key."),
        (FailureKind::ModelRetired, Some("openai"), "OpenAI no longer has the model or voice."),
        (FailureKind::Timeout, None, "The provider did not answer in time."),
        (FailureKind::Internal, None, "A defect of this program: 503 Slow down."),
    ] {
        let sentence = format!("Trying again at 03:35 — {sentence} 2 of 4 attempts are used.");
        let said = says(&again(Status::AudioGenerating, kind, provider), "waiting_retry", Tone::Waiting, &sentence);
        assert_eq!(said.mends_at, Some(now() + TimeDelta::minutes(5)));
    }
    let first = Facts { attempt: 0, ..again(Status::Pending, FailureKind::RateLimited, Some("google")) };
    let said =
        says(&first, "waiting_retry", Tone::Waiting, "Trying again at 03:35 — Google TTS asked us to slow down.");
    helps(
        &said,
        "requeue",
        "Try now",
        "Tries at once instead of at 03:35, with all attempts anew. It begins with the script; nothing was made before, \
         nothing is billed twice.",
    );
    let later = Facts { next_attempt_at: now() + TimeDelta::days(2), ..facts(Status::Pending) };
    says(&later, "waiting", Tone::Waiting, "It is due at 25 Nov 03:30.");
}

#[test]
fn what_it_waits_for_is_named() {
    for (kind, status, cause, sentence) in [
        (
            FailureKind::OwnLimit,
            Status::AudioGenerating,
            "own_limit",
            "Waiting for its turn at Amazon Polly: our own limit of calls is reached, or a pause was asked for. Next try \
             03:35.",
        ),
        (
            FailureKind::BudgetReached,
            Status::AudioGenerating,
            "budget_stop",
            "The night's budget of $8.00 is used. No paid call begins; next look 03:35.",
        ),
        (
            FailureKind::SpoolFull,
            Status::AudioGenerating,
            "spool_full",
            "The spool has no room for its audio. Next try 03:35; it goes on when uploads have made room.",
        ),
        (
            FailureKind::AcademyUnavailable,
            Status::Pending,
            "academy_unavailable",
            "The academy's data could not be read: 503 Slow down. Next try 03:35.",
        ),
        (
            FailureKind::StorageUnavailable,
            Status::PendingUpload,
            "upload_pending",
            "The audio is ready, but storage refused it: 503 Slow down. Trying again at 03:35.",
        ),
    ] {
        says(&again(status, kind, Some("polly")), cause, Tone::Waiting, sentence);
    }
    let budget = explain(&again(Status::Pending, FailureKind::BudgetReached, None), now());
    helps(
        &budget,
        "raise_budget",
        "Raise the budget",
        "Set budget.usd_per_night higher and restart the workers: paid calls begin again, up to the new budget.",
    );
    let upload = explain(&again(Status::PendingUpload, FailureKind::StorageUnavailable, None), now());
    helps(
        &upload,
        "requeue",
        "Try now",
        "Tries at once instead of at 03:35, with all attempts anew. It resumes at the upload; script and audio kept; \
         nothing is billed twice.",
    );
}

#[test]
fn a_breaker_is_described_as_it_is_now() {
    let waiting = |is_open, until, cause: Option<&str>| Facts {
        providers: Arc::new([Provider {
            name: "google".to_owned(),
            is_open,
            until,
            cause: cause.map(str::to_owned),
            failures_in_a_row: 5,
        }]),
        ..again(Status::AudioGenerating, FailureKind::BreakerOpen, Some("google"))
    };
    let probe = now() + TimeDelta::minutes(1);
    let said = says(
        &waiting(true, Some(probe), Some("failures")),
        "breaker_open",
        Tone::Waiting,
        "Waiting for Google TTS, which failed 5 times in a row. Next probe 03:31.",
    );
    helps(
        &said,
        "close_provider",
        "Close the breaker of Google TTS",
        "Calls to Google TTS begin again at once and are billed as usual; what waits tries at its stated time.",
    );
    let until_closed = "Waiting for Google TTS, which gets no calls until an operator closes its breaker";
    for (cause, why) in [
        ("out_of_credit", "the account there has no credit left"),
        ("key_refused", "it does not accept our key"),
        ("operator", "an operator opened its breaker"),
    ] {
        let sentence = format!("{until_closed}: {why}.");
        says(&waiting(true, None, Some(cause)), "breaker_open", Tone::Waiting, &sentence);
    }
    says(
        &waiting(false, None, None),
        "breaker_open",
        Tone::Waiting,
        "Google TTS got no calls at the last try; it does now. Next try 03:35.",
    );
    says(
        &again(Status::Pending, FailureKind::BreakerOpen, Some("openai")),
        "breaker_open",
        Tone::Waiting,
        "Waiting for OpenAI, which got no calls at the last try. Next try 03:35.",
    );
    says(
        &again(Status::Pending, FailureKind::BreakerOpen, None),
        "breaker_open",
        Tone::Waiting,
        "The providers that could do it get no calls at the moment. Next try 03:35.",
    );
}

#[test]
fn who_is_due_waits_for_a_slot_or_for_what_is_missing() {
    let due = facts(Status::ScriptGenerated);
    let said =
        says(&due, "due", Tone::Waiting, "It is due since 03:25 and waits for a free slot: the speech comes next.");
    assert_eq!(said.mends.unwrap(), "The next free worker takes it.");

    let nobody = Facts { living_workers: 0, ..due.clone() };
    says(&nobody, "no_workers", Tone::Stuck, "Nobody is working: no worker reports. It was due at 03:25.");
    let lost = Facts { has_job: false, ..due.clone() };
    let said =
        says(&lost, "job_missing", Tone::Stuck, "It was due at 03:25, but no job names it, so no worker takes it.");
    assert_eq!(said.mends.as_deref(), Some("The sweep gives it a job within a minute."));
    helps(
        &said,
        "requeue",
        "Requeue now",
        "Gives it a job at once. It resumes at the speech; script kept; nothing is billed twice.",
    );
    for fresh in [nobody, lost] {
        let said = explain(&Facts { next_attempt_at: ago(59), ..fresh }, now());
        assert_eq!(said.tone, Tone::Waiting, "{}: within the first minute", said.cause);
    }

    let late = Facts { deadline_at: ago(60), ..due.clone() };
    says(&late, "deadline_passed", Tone::Waiting, "Its deadline 03:29 has passed; a worker gives it up next.");
    says(
        &Facts { is_suspect: true, crashes: 3, ..due },
        "suspect",
        Tone::Waiting,
        "Its worker died 3 times while it was in flight. It runs alone, when nothing else is due.",
    );
}

#[test]
fn during_a_pause_nothing_is_stuck() {
    let paused = Facts { pause: Some(pause()), living_workers: 0, has_job: false, ..facts(Status::AudioGenerating) };
    let said = says(&paused, "paused", Tone::Waiting, "Paused by amira at 03:12: 'bad prompt'.");
    helps(
        &said,
        "resume",
        "Resume",
        "Everything goes on at once, each podcast at the step it had reached; nothing is billed twice. Its deadline stays \
         09:00.",
    );
    let silent = Pause { reason: String::new(), ..pause() };
    says(&Facts { pause: Some(silent), ..paused.clone() }, "paused", Tone::Waiting, "Paused by amira at 03:12.");
    let late = explain(&Facts { deadline_at: ago(60), ..paused }, now()).remedy.unwrap();
    assert!(late.effect.ends_with("Its deadline 03:29 has passed: it is given up then."), "{}", late.effect);
    let working = Facts { pause: Some(pause()), ..held(Status::AudioGenerating, 1, 30) };
    says(
        &working,
        "pausing",
        Tone::Waiting,
        "Worker w-3 finishes making the audio; then it waits: paused by amira at 03:12.",
    );
    let lost = Facts { pause: Some(pause()), ..held(Status::AudioGenerating, 600, 700) };
    says(&lost, "paused", Tone::Waiting, "Paused by amira at 03:12: 'bad prompt'.");
}

/// Whatever the facts: an end of its own, and no panic.
#[test]
fn every_status_and_kind_is_explained() {
    for status in Status::ALL {
        for kind in FailureKind::ALL.map(Some).into_iter().chain([None]) {
            for next_attempt_at in [ago(300), now() + TimeDelta::minutes(5)] {
                let said = explain(&Facts { error_kind: kind, next_attempt_at, ..facts(status) }, now());
                assert!(said.sentence.ends_with('.') && !said.sentence.contains(".."), "{said:?}");
                assert_eq!(said.tone == Tone::Failed, status == Status::Failed, "{said:?}");
                assert!(said.tone != Tone::Stuck, "it has a job and a worker: {said:?}");
            }
        }
    }
}

#[test]
fn the_cause_that_most_share_speaks_for_all() {
    let of = |facts: Facts| explain(&facts, now());
    let nobody = || of(Facts { living_workers: 0, ..facts(Status::Pending) });
    let lost = of(Facts { has_job: false, ..facts(Status::Pending) });
    assert_eq!(most_frequent([nobody(), lost, nobody()]).unwrap().cause, "no_workers");
    assert_eq!(most_frequent([]), None);
}
