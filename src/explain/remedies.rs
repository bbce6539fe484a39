//! What an operator may do, what that does, and what it costs. A requeue goes back to the furthest
//! status whose work exists (`store::podcasts`); what lies before it is kept and not billed again.

use chrono::{DateTime, Utc};

use super::{
    Facts, Remedy,
    words::{clock, provider},
};
use crate::machine::{FailureKind, Status};

/// Due now instead of later.
pub(super) fn try_now(facts: &Facts, now: DateTime<Utc>) -> Remedy {
    let at = clock(facts.next_attempt_at, now);
    let effect = format!("Tries at once instead of at {at}, with all attempts anew. {}", kept(facts));
    Remedy { verb: "requeue", label: "Try now".to_owned(), effect }
}

/// Due now, with a job.
pub(super) fn requeue_in_place(facts: &Facts) -> Remedy {
    let effect = format!("Gives it a job at once. {}", kept(facts));
    Remedy { verb: "requeue", label: "Requeue now".to_owned(), effect }
}

/// Out of the hands of a worker that is lost.
pub(super) fn take_away(facts: &Facts) -> Remedy {
    let effect = format!("Takes it out of that worker's hands, which can change nothing any more. {}", kept(facts));
    Remedy { verb: "requeue", label: "Requeue now".to_owned(), effect }
}

/// What goes on where, in place.
fn kept(facts: &Facts) -> &'static str {
    match facts.status {
        Status::Pending => "It begins with the script; nothing was made before, nothing is billed twice.",
        Status::ScriptGenerated => "It resumes at the speech; script kept; nothing is billed twice.",
        Status::AudioGenerating => {
            "It resumes at the speech; the script and what was spoken are kept; nothing is billed twice."
        }
        _ => "It resumes at the upload; script and audio kept; nothing is billed twice.",
    }
}

/// The requeue of one that was given up.
pub(super) fn requeue_failed(facts: &Facts) -> Remedy {
    let (label, resumes) = match (facts.has_script, facts.has_audio) {
        (true, true) => {
            ("Requeue from the upload", "It resumes at the upload; script and audio kept; nothing is billed twice.")
        }
        (true, false) => ("Requeue from the speech", "It resumes at the speech; script kept; the speech is billed."),
        (false, _) => ("Requeue from the script", "It begins with the script; script and speech are billed."),
    };
    let first = match facts.error_kind {
        Some(FailureKind::OutOfCredit) => "First add credit at the provider. ",
        Some(FailureKind::KeyRefused) => "First set a valid key. ",
        Some(FailureKind::ModelRetired) => "First name a successor in models.toml or voices.toml. ",
        Some(FailureKind::NoVoice) => "First give the language a voice in voices.toml, or set up its provider. ",
        Some(FailureKind::BudgetReached) => "First raise budget.usd_per_night. ",
        Some(FailureKind::WorkerCrashed) => "It may bring down a worker again. ",
        Some(FailureKind::AudioLost) => "First see that the spool keeps what it is given. ",
        Some(FailureKind::DeadlinePassed) => "It gets a new deadline. ",
        _ => "",
    };
    Remedy { verb: "requeue", label: label.to_owned(), effect: format!("{first}{resumes}") }
}

/// A script of a model in place of the template's.
pub(super) fn rewrite() -> Remedy {
    let effect = "A model is asked for a new script, which is then spoken: script and speech are billed.";
    Remedy { verb: "regenerate", label: "Regenerate the script".to_owned(), effect: effect.to_owned() }
}

/// The end of the pause.
pub(super) fn resume(facts: &Facts, now: DateTime<Utc>) -> Remedy {
    let deadline = clock(facts.deadline_at, now);
    let after = match facts.deadline_at > now {
        true => format!("Its deadline stays {deadline}."),
        false => format!("Its deadline {deadline} has passed: it is given up then."),
    };
    let effect = format!(
        "Everything goes on at once, each podcast at the step it had reached; nothing is billed twice. {after}"
    );
    Remedy { verb: "resume", label: "Resume".to_owned(), effect }
}

/// Calls to a provider begin again.
pub(super) fn close(name: &str) -> Remedy {
    let who = provider(name);
    let effect =
        format!("Calls to {who} begin again at once and are billed as usual; what waits tries at its stated time.");
    Remedy { verb: "close_provider", label: format!("Close the breaker of {who}"), effect }
}

/// Somebody has to work.
pub(super) fn start_worker(facts: &Facts) -> Remedy {
    let effect = format!(
        "`dailycast work` on any host that reaches the database, or restart the one there was. {}",
        kept(facts)
    );
    Remedy { verb: "start_worker", label: "Start a worker".to_owned(), effect }
}

/// Paid calls begin again.
pub(super) fn raise_budget() -> Remedy {
    let effect =
        "Set budget.usd_per_night higher and restart the workers: paid calls begin again, up to the new budget.";
    Remedy { verb: "raise_budget", label: "Raise the budget".to_owned(), effect: effect.to_owned() }
}
