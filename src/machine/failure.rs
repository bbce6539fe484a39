//! Classes of failures. The class alone decides what happens next; the message is for people.

use serde::{Deserialize, Serialize};

/// Why an attempt failed, or a podcast was given up. Stored in `error_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The provider did not answer in time.
    Timeout,
    /// The provider asks for fewer calls.
    RateLimited,
    /// The provider, or the way to it, is down.
    Unavailable,
    /// The provider answered, but not with something usable.
    BadAnswer,
    /// The provider declines this content.
    ContentRefused,
    /// The provider calls our request wrong.
    BadRequest,
    /// The account at the provider has no credit left.
    OutOfCredit,
    /// The provider does not accept our key.
    KeyRefused,
    /// The provider no longer has the model or voice.
    ModelRetired,
    /// The breaker of the provider is open: it gets no calls at the moment.
    BreakerOpen,
    /// It is not our turn yet: our own limit of calls is reached, or the provider asked for a pause.
    OwnLimit,
    /// The night has cost what it may cost.
    BudgetReached,
    /// No provider in the chain has a voice for any of the learner's languages.
    NoVoice,
    /// The spooled audio is gone or damaged.
    AudioLost,
    /// The spool cannot take more.
    SpoolFull,
    /// The object store is down or refuses the object.
    StorageUnavailable,
    /// The academy's views cannot be read.
    AcademyUnavailable,
    /// The learner is no longer in the academy.
    LearnerGone,
    /// The row brought down its worker too often.
    WorkerCrashed,
    /// The deadline of the night has passed.
    DeadlinePassed,
    /// An operator ended it.
    Cancelled,
    /// A defect of this program.
    Internal,
}

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same again, later, and it counts as an attempt.
    RetryLater,
    /// The same again, later, however often: nothing is wrong with this podcast.
    Snooze,
    /// Another provider; when there is none left, another round later.
    NextProvider,
    /// Nothing that time would mend.
    GiveUp,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::Timeout,
        Self::RateLimited,
        Self::Unavailable,
        Self::BadAnswer,
        Self::ContentRefused,
        Self::BadRequest,
        Self::OutOfCredit,
        Self::KeyRefused,
        Self::ModelRetired,
        Self::BreakerOpen,
        Self::OwnLimit,
        Self::BudgetReached,
        Self::NoVoice,
        Self::AudioLost,
        Self::SpoolFull,
        Self::StorageUnavailable,
        Self::AcademyUnavailable,
        Self::LearnerGone,
        Self::WorkerCrashed,
        Self::DeadlinePassed,
        Self::Cancelled,
        Self::Internal,
    ];

    /// What to do about it.
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::Timeout | Self::RateLimited | Self::Unavailable | Self::StorageUnavailable | Self::Internal => {
                Remedy::RetryLater
            }
            Self::BreakerOpen | Self::OwnLimit | Self::BudgetReached | Self::SpoolFull | Self::AcademyUnavailable => {
                Remedy::Snooze
            }
            Self::BadAnswer
            | Self::ContentRefused
            | Self::BadRequest
            | Self::OutOfCredit
            | Self::KeyRefused
            | Self::ModelRetired => Remedy::NextProvider,
            Self::NoVoice
            | Self::AudioLost
            | Self::LearnerGone
            | Self::WorkerCrashed
            | Self::DeadlinePassed
            | Self::Cancelled => Remedy::GiveUp,
        }
    }

    /// The name in the database, the API and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::BadAnswer => "bad_answer",
            Self::ContentRefused => "content_refused",
            Self::BadRequest => "bad_request",
            Self::OutOfCredit => "out_of_credit",
            Self::KeyRefused => "key_refused",
            Self::ModelRetired => "model_retired",
            Self::BreakerOpen => "breaker_open",
            Self::OwnLimit => "own_limit",
            Self::BudgetReached => "budget_reached",
            Self::NoVoice => "no_voice",
            Self::AudioLost => "audio_lost",
            Self::SpoolFull => "spool_full",
            Self::StorageUnavailable => "storage_unavailable",
            Self::AcademyUnavailable => "academy_unavailable",
            Self::LearnerGone => "learner_gone",
            Self::WorkerCrashed => "worker_crashed",
            Self::DeadlinePassed => "deadline_passed",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The class in words an operator understands.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Timeout => "the provider did not answer in time",
            Self::RateLimited => "the provider asked for fewer calls",
            Self::Unavailable => "the provider could not be reached or is down",
            Self::BadAnswer => "the provider's answer could not be used",
            Self::ContentRefused => "the provider declined this content",
            Self::BadRequest => "the provider called the request wrong",
            Self::OutOfCredit => "the account at the provider has no credit left",
            Self::KeyRefused => "the provider does not accept the key",
            Self::ModelRetired => "the provider no longer has this model or voice",
            Self::BreakerOpen => "the provider gets no calls at the moment, its breaker is open",
            Self::OwnLimit => "it is not our turn yet: our own limit is reached, or the provider asked for a pause",
            Self::BudgetReached => "the night has cost what it may cost",
            Self::NoVoice => "no provider has a voice for the learner's languages",
            Self::AudioLost => "the finished audio is gone or damaged",
            Self::SpoolFull => "there is no room for audio that waits for its upload",
            Self::StorageUnavailable => "the object store could not be reached or refused the audio",
            Self::AcademyUnavailable => "the academy's data could not be read",
            Self::LearnerGone => "the learner is no longer in the academy",
            Self::WorkerCrashed => "the podcast brought down its worker again and again",
            Self::DeadlinePassed => "the deadline of the night passed before it was done",
            Self::Cancelled => "an operator cancelled it",
            Self::Internal => "a defect of this program",
        }
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
