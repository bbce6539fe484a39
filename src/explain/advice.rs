//! What to do about podcasts that a kind of failure has ended: one sentence per kind.

use crate::machine::FailureKind;

/// What an operator does about it, before or instead of a requeue.
pub const fn advice(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Timeout => "See on Providers whether it answers again, then requeue.",
        FailureKind::RateLimited => "Lower its calls per minute in the configuration, or wait, then requeue.",
        FailureKind::Unavailable => "Wait until the provider is up again, then requeue.",
        FailureKind::BadAnswer => "Read an answer on one podcast's page; requeueing asks for a new one.",
        FailureKind::ContentRefused => {
            "Look at what the prompt asks for; regenerate from the script to have another one."
        }
        FailureKind::BadRequest => "Compare the model and its settings with the provider's documents, then requeue.",
        FailureKind::OutOfCredit => "Top up the account at the provider, close its breaker, then requeue.",
        FailureKind::KeyRefused => "Put a valid key into the configuration, close the breaker, then requeue.",
        FailureKind::ModelRetired => "Name a model or voice that the provider still has in the workflow, then requeue.",
        FailureKind::BreakerOpen => "Let the breaker close by its probe, or close it on Providers, then requeue.",
        FailureKind::OwnLimit => "Raise our limit of calls if the contract allows it, then requeue.",
        FailureKind::BudgetReached => "Raise the budget of the night, or leave them; requeueing spends more.",
        FailureKind::NoVoice => "Add a voice for these languages to the workflow, then requeue.",
        FailureKind::AudioLost => "Regenerate from the speech: the script is kept, the audio is spoken anew.",
        FailureKind::SpoolFull => "Make room for the spool, or mend the uploads that fill it, then requeue.",
        FailureKind::StorageUnavailable => {
            "Mend the way to the bucket or its rights, then requeue: only the upload is done again."
        }
        FailureKind::AcademyUnavailable => "Run `dailycast doctor` and mend the academy's views, then requeue.",
        FailureKind::LearnerGone => "Nothing: the learner has left, and what is kept of them goes by itself.",
        FailureKind::WorkerCrashed => {
            "Read the worker's log for these podcasts before you requeue them: they may do it again."
        }
        FailureKind::DeadlinePassed => {
            "Requeue to have them late, after more workers are up or the provider is faster."
        }
        FailureKind::Cancelled => "Nothing: somebody wanted it so, see Audit; requeueing takes it back.",
        FailureKind::Internal => "Report it with the log lines of one podcast; requeueing rarely helps.",
    }
}
