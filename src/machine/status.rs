//! The statuses of a podcast, and who moves each of them on.

use serde::{Deserialize, Serialize};

/// Where a podcast stands. Stored as text in `dailycast.daily_podcast.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Enqueued, nothing made yet. The script step moves it on.
    Pending,
    /// The script is stored. The speech step chooses provider, voice and chunks, and moves it on.
    ScriptGenerated,
    /// A provider is chosen and speaks chunk by chunk. The speech step moves it on.
    AudioGenerating,
    /// The audio is safe in the spool. The upload step moves it on.
    PendingUpload,
    /// Uploaded, with a script written for this learner by a model. Nothing moves it.
    Completed,
    /// Uploaded, with the script of the template. Nothing moves it.
    CompletedWithFallback,
    /// Given up or cancelled. Only an operator's requeue moves it.
    Failed,
}

/// A status text that this version of the program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown podcast status {0:?}")]
pub struct UnknownStatus(pub String);

impl Status {
    /// Every status, in the order in which a podcast meets them.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::ScriptGenerated,
        Self::AudioGenerating,
        Self::PendingUpload,
        Self::Completed,
        Self::CompletedWithFallback,
        Self::Failed,
    ];

    /// The name used in the database, the API and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::ScriptGenerated => "script_generated",
            Self::AudioGenerating => "audio_generating",
            Self::PendingUpload => "pending_upload",
            Self::Completed => "completed",
            Self::CompletedWithFallback => "completed_with_fallback",
            Self::Failed => "failed",
        }
    }

    /// True when no step has work left: `completed`, `completed_with_fallback` and `failed`.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithFallback | Self::Failed)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
