//! The real work: what each status needs is fetched here and handed to its step. A learner's facts
//! are read when the script is written; the steps themselves know no database.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    machine::{FailureKind, RetryPolicy, Status},
    podcast::{Attempt, Failure, Outcome, Podcast},
    provider::{
        gate::Gate,
        llm::ScriptWriter,
        object_store::ObjectStore,
        spool::Spool,
        tts::{
            Speaker,
            local::{self, Local},
        },
    },
    step::{call::Calls, script, speech, upload},
    store::{Store, academy, chain},
    workflow::{KEEPER, VoiceChoice, Workflow},
};

use super::Work;

/// What a status without a step of its own would be retried with; no podcast is ever worked on in
/// a final status.
const NO_STEP: RetryPolicy =
    RetryPolicy { max_attempts: 1, first_delay: Duration::ZERO, factor: 1.0, max_delay: Duration::ZERO, jitter: 0.0 };

/// Who works.
pub struct Neighbours {
    /// Lets the calls to vendors through, or not.
    pub gate: Arc<dyn Gate>,
    /// Language models that are set up; may be none.
    pub writers: Vec<Arc<dyn ScriptWriter>>,
    /// Vendors that speak and are set up; may be none.
    pub speakers: Vec<Arc<dyn Speaker>>,
    /// The offline voice, where it may speak.
    pub local: Option<Arc<Local>>,
    /// True to let the offline voice beep instead of speak.
    pub tone: bool,
    /// Where audio waits.
    pub spool: Arc<dyn Spool>,
    /// Where episodes are kept.
    pub object_store: Arc<dyn ObjectStore>,
    /// False when nobody bills what is kept there.
    pub storage_is_billed: bool,
}

/// The steps with all they need.
pub struct Steps {
    store: Store,
    workflow: Workflow,
    neighbours: Neighbours,
    cpu: Semaphore,
    meters: Semaphore,
}

impl Steps {
    /// Steps that follow `workflow`.
    pub fn new(store: Store, workflow: Workflow, neighbours: Neighbours) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Half of the cores at most: loudness is good to know, the night comes first.
        let meters = Semaphore::new(cores.div_ceil(2));
        Self { store, workflow, neighbours, cpu: Semaphore::new(cores), meters }
    }

    /// The names of all who can speak.
    fn speakers(&self) -> Vec<&str> {
        let vendors = self.neighbours.speakers.iter().map(|speaker| speaker.name());
        vendors.chain(self.neighbours.local.is_some().then_some(local::NAME)).collect()
    }

    async fn write_script(&self, calls: Calls<'_>) -> Outcome {
        let facts = match academy::facts_of(&self.store, calls.podcast.user_id).await {
            Ok(Some(facts)) => facts,
            Ok(None) => {
                let message = "the academy no longer has this learner";
                return Outcome::failed(Failure::new(FailureKind::LearnerGone, message));
            }
            Err(error) => return Outcome::failed(Failure::new(FailureKind::AcademyUnavailable, chain(&error))),
        };
        let writers: Vec<&dyn ScriptWriter> = self.neighbours.writers.iter().map(AsRef::as_ref).collect();
        script::run(&script::Job {
            calls,
            facts: &facts,
            workflow: &self.workflow,
            writers: &writers,
            speakers: &self.speakers(),
        })
        .await
    }

    async fn speak(&self, calls: Calls<'_>) -> Outcome {
        let podcast = calls.podcast;
        // What was begun may be finished: the spool keeps room for it.
        if podcast.status == Status::ScriptGenerated && !self.neighbours.spool.has_room().await {
            return Outcome::failed(Failure::new(FailureKind::SpoolFull, "the spool has no room for more audio"));
        }
        let language = podcast.made.language.clone().unwrap_or_default();
        let voices = self.workflow.voices(&podcast.plan, std::slice::from_ref(&language), None, &self.speakers());
        let voices = voices.map(|(_, voices)| voices).unwrap_or_default();
        let candidates: Vec<_> = voices.into_iter().filter_map(|voice| self.candidate(voice, &language)).collect();
        speech::Speech {
            calls,
            candidates: &candidates,
            spool: self.neighbours.spool.as_ref(),
            cpu: &self.cpu,
            meters: &self.meters,
            concurrency: speech::CONCURRENCY,
            price_micro_usd: &|provider, engine, characters| {
                self.workflow.cost_micro_usd(provider, engine, "character", characters)
            },
        }
        .run()
        .await
    }

    /// The price of one upload, in millionths of a US dollar.
    fn put_cost(&self) -> i64 {
        let billed = u64::from(self.neighbours.storage_is_billed);
        self.workflow.cost_micro_usd(KEEPER, "put_object", "request", billed)
    }

    /// The one who has this voice.
    fn candidate(&self, choice: VoiceChoice, language: &str) -> Option<speech::Candidate<'_>> {
        let VoiceChoice { provider, voice, engine, gender } = choice;
        if provider != local::NAME {
            let speaker = self.neighbours.speakers.iter().find(|speaker| speaker.name() == provider)?;
            return Some(speech::Candidate { speaker: speaker.as_ref(), voice, engine, gender: Some(gender) });
        }
        let speaker = self.neighbours.local.as_deref()?;
        let (voice, engine) =
            if self.neighbours.tone { ("tone".to_owned(), "tone".to_owned()) } else { (voice, engine) };
        speaker.speaks(&voice, language).then_some(speech::Candidate { speaker, voice, engine, gender: Some(gender) })
    }
}

impl Work for Steps {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        let calls = Calls { podcast, attempt, gate: self.neighbours.gate.as_ref() };
        let (spool, store) = (self.neighbours.spool.as_ref(), self.neighbours.object_store.as_ref());
        match podcast.status {
            Status::Pending => self.write_script(calls).await,
            Status::ScriptGenerated | Status::AudioGenerating => self.speak(calls).await,
            Status::PendingUpload => upload::upload(&calls, spool, store, self.put_cost()).await,
            Status::Completed | Status::CompletedWithFallback | Status::Failed => Outcome::failed(Failure::new(
                FailureKind::Internal,
                format!("a podcast that is {} was claimed", podcast.status),
            )),
        }
    }

    fn retry_policy(&self, status: Status) -> RetryPolicy {
        self.workflow.retry(status).copied().unwrap_or(NO_STEP)
    }

    fn time_limit(&self, status: Status) -> Duration {
        self.workflow.step(status).map_or(Duration::ZERO, |step| step.time_limit)
    }

    async fn clean_up(&self, podcast_id: i64) {
        if let Err(failure) = self.neighbours.spool.forget(podcast_id).await {
            tracing::warn!(
                podcast.id = podcast_id,
                error.kind = failure.kind.as_str(),
                error.message = failure.message,
                "audio of a finished podcast is still in the spool; the sweep tries again"
            );
        }
    }

    async fn leftovers(&self) -> Vec<i64> {
        self.neighbours.spool.podcasts().await.unwrap_or_else(|failure| {
            tracing::warn!(
                error.kind = failure.kind.as_str(),
                error.message = failure.message,
                "the spool cannot be listed"
            );
            Vec::new()
        })
    }

    async fn delete_objects_of(&self, user_id: i64) -> Result<u64, Failure> {
        self.neighbours.object_store.delete_below(&upload::prefix_of(user_id)).await
    }
}
