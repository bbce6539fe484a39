//! What can happen to a podcast.

/// Whose words the script is; decides between the two completed statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    /// A language model wrote it.
    Written,
    /// The template filled in.
    Template,
}

/// Where a requeued podcast goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resume {
    /// It was not finished: it stays where it is and becomes due now.
    InPlace,
    /// It had failed without a script: from the beginning.
    FromStart,
    /// It had failed with a script: from the speech.
    WithScript,
    /// It had failed with its audio still in the spool: from the upload.
    WithAudio,
}

/// Something that happened to a podcast. Each event is one line of `dailycast.podcast_event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The row was made, with its job.
    Enqueued,
    /// The script is checked and stored.
    ScriptReady,
    /// Provider, voice and chunk plan are chosen.
    SpeechStarted,
    /// The MP3 is whole, measured and in the spool.
    AudioReady,
    /// The object store has the MP3.
    Uploaded(Script),
    /// The spooled audio is gone or damaged: speak again, keep the script.
    AudioLost,
    /// One attempt at the work of the status failed; it is tried again at a stated time.
    AttemptFailed,
    /// The worker that held the lease died; the row may be claimed again.
    Rescued,
    /// An operator ended it.
    Cancelled,
    /// No attempt is left, or none would help.
    GaveUp,
    /// An operator wants it done after all, or sooner.
    Requeued(Resume),
}

impl Event {
    /// Every event, with each of its variants.
    pub const ALL: [Self; 15] = [
        Self::Enqueued,
        Self::ScriptReady,
        Self::SpeechStarted,
        Self::AudioReady,
        Self::Uploaded(Script::Written),
        Self::Uploaded(Script::Template),
        Self::AudioLost,
        Self::AttemptFailed,
        Self::Rescued,
        Self::Cancelled,
        Self::GaveUp,
        Self::Requeued(Resume::InPlace),
        Self::Requeued(Resume::FromStart),
        Self::Requeued(Resume::WithScript),
        Self::Requeued(Resume::WithAudio),
    ];

    /// The name in `podcast_event.event`; variants of one event share it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::ScriptReady => "script_ready",
            Self::SpeechStarted => "speech_started",
            Self::AudioReady => "audio_ready",
            Self::Uploaded(_) => "uploaded",
            Self::AudioLost => "audio_lost",
            Self::AttemptFailed => "attempt_failed",
            Self::Rescued => "rescued",
            Self::Cancelled => "cancelled",
            Self::GaveUp => "gave_up",
            Self::Requeued(_) => "requeued",
        }
    }
}
