//! The speech step: from a stored script to a finished episode in the spool.
//!
//! It has two works. In `script_generated` it *chooses*: the first candidate of the learner's
//! chain and where the script is cut for it. In `audio_generating` it *speaks*: chunk by chunk,
//! each in the spool before it counts, then joined, tagged and measured.
//!
//! What would surprise: a failing provider is replaced by writing the plan of the next one into
//! the row, with a new round, and failing the attempt; the next attempt then finds it there. The
//! row alone says where in the chain it is, and why those before do not speak. A chunk's bytes are
//! dropped as soon as the spool has them and read again for the join, because hundreds of podcasts
//! wait for their speech at once.

mod assembly;
mod elsewhere;
mod split;

use std::{
    num::NonZeroUsize,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::{sync::Semaphore, time::sleep};

use super::call::{Answered, Calls, Missed, Wanted};
use crate::{
    audio::{self, Limits, SAMPLE_RATE},
    machine::{Event, FailureKind, Status},
    podcast::{Artefacts, Bill, ChunkPlan, Failure, Outcome, Podcast},
    provider::{
        spool::{ChunkName, Spool},
        tts::{SpeakRequest, Speaker, local, pace},
    },
};

pub use split::split;

/// Chunks of one podcast that are spoken at the same time, unless the caller says otherwise.
pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// Room that is set aside for a second of speech: 48 kbit/s, and a quarter more for slow voices.
const BYTES_PER_SECOND: u64 = 7_500;

/// How long a paid chunk is held for which the disk has no room, and how often it is tried.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(60);
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

/// A voice that could speak the podcast, at its provider.
pub struct Candidate<'a> {
    /// The provider.
    pub speaker: &'a dyn Speaker,
    /// Its name of the voice.
    pub voice: String,
    /// Its quality class.
    pub engine: String,
    /// `female` or `male`, where it is known.
    pub gender: Option<String>,
}

impl Candidate<'_> {
    /// True for a vendor, who stands behind the gate; our own voice costs nothing.
    fn is_vendor(&self) -> bool {
        self.speaker.name() != local::NAME
    }
}

/// Everything the speech step works with.
pub struct Speech<'a> {
    /// The claimed row, and how its calls are made.
    pub calls: Calls<'a>,
    /// Who may speak the podcast's language, best first; no two with the same provider and voice.
    pub candidates: &'a [Candidate<'a>],
    /// Where chunks and episode are kept.
    pub spool: &'a dyn Spool,
    /// Permits for joining an episode, which needs a core and the episode's memory twice.
    pub cpu: &'a Semaphore,
    /// Permits for measuring how loud an episode is. Without a free one it stays unknown.
    pub meters: &'a Semaphore,
    /// Chunks that are spoken at the same time.
    pub concurrency: NonZeroUsize,
    /// Price in millionths of a US dollar, from provider, engine and billed characters.
    pub price_micro_usd: &'a (dyn Fn(&str, &str, u64) -> i64 + Send + Sync),
}

/// What the row says about the speech, found fit to go on with.
struct Plan<'a> {
    podcast: &'a Podcast,
    script: &'a str,
    /// The chosen candidate's place in the chain.
    position: usize,
    candidate: &'a Candidate<'a>,
    /// Where each chunk stands in the script.
    chunks: Vec<Range<usize>>,
    round: u32,
    /// The attempt so far: a chunk failed, and no further call shall begin.
    stop: AtomicBool,
    /// A chunk is spoken already, now or before.
    has_begun: AtomicBool,
}

/// Why the chunks are not all there.
enum Trouble {
    /// The provider's fault: another one may do it.
    Provider(Failure),
    /// The gate lets no call to the provider begin.
    Refused(Failure),
    /// Not the provider's fault.
    Other(Failure),
}

impl Speech<'_> {
    /// Does the work of the podcast's status, `script_generated` or `audio_generating`.
    pub async fn run(&self) -> Outcome {
        let podcast = self.calls.podcast;
        match podcast.status {
            Status::ScriptGenerated => self.choose(),
            Status::AudioGenerating => self.speak().await,
            other => Outcome::failed(internal(format!("a podcast that is {other} has no speech to make"))),
        }
    }

    /// Chooses provider, voice and chunks. The row's own choice stays when the chain still has it:
    /// a failed attempt leaves there who is next, and after lost audio the same voice goes on.
    fn choose(&self) -> Outcome {
        let podcast = self.calls.podcast;
        let Some(script) = script(podcast) else { return Outcome::failed(no_script(podcast)) };
        let position = self.position(podcast).unwrap_or(0);
        match self.candidates.get(position) {
            Some(candidate) => Outcome::done(Event::SpeechStarted, planned(podcast, script, candidate)),
            None => Outcome::failed(no_voice(podcast)),
        }
    }

    /// Speaks what is missing and finishes the episode. A plan that does not fit the script, or a
    /// choice that the chain no longer has, is answered with `audio_lost`, so that it is made anew.
    async fn speak(&self) -> Outcome {
        let podcast = self.calls.podcast;
        let Some(script) = script(podcast) else { return Outcome::failed(no_script(podcast)) };
        let Some(plan) = self.plan(podcast, script) else {
            return Outcome::done(Event::AudioLost, Artefacts::default());
        };
        // What is paid for must find room, so the room is asked for first.
        let _room = match self.spool.reserve(podcast.id, plan.bytes()).await {
            Ok(room) => room,
            Err(failure) => return Outcome::failed(failure),
        };
        let made = match self.speak_chunks(&plan).await {
            Ok(()) => self.finish(&plan).await,
            Err(trouble) => Err(trouble),
        };
        match made {
            Ok(made) => Outcome::done(Event::AudioReady, made),
            Err(Trouble::Other(failure)) => Outcome::failed(failure),
            Err(Trouble::Provider(failure)) => self.failed(&plan, failure),
            Err(Trouble::Refused(refusal)) => self.refused(&plan, refusal),
        }
    }

    /// Where the row's provider and voice stand in the chain.
    fn position(&self, podcast: &Podcast) -> Option<usize> {
        self.candidates.iter().position(|candidate| is_chosen(podcast, candidate))
    }

    fn plan<'a>(&'a self, podcast: &'a Podcast, script: &'a str) -> Option<Plan<'a>> {
        let position = self.position(podcast)?;
        let candidate = self.candidates.get(position)?;
        let ChunkPlan { ends, round, .. } = podcast.made.chunk_plan.as_ref()?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let chunks: Vec<_> = starts.zip(ends).map(|(start, end)| start..*end).collect();
        let fits = ends.last() == Some(&script.len()) && chunks.iter().all(|chunk| script.get(chunk.clone()).is_some());
        fits.then(|| Plan {
            podcast,
            script,
            position,
            candidate,
            chunks,
            round: *round,
            stop: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        })
    }

    /// Speaks all chunks that the spool does not have. After a failure no further call is started,
    /// but those under way are waited for: they are paid for.
    async fn speak_chunks(&self, plan: &Plan<'_>) -> Result<(), Trouble> {
        let work: Vec<_> = (0..plan.chunks.len()).map(|index| self.chunk(plan, index)).collect();
        let mut spoken = stream::iter(work).buffer_unordered(self.concurrency.get());
        let mut worst = Ok(());
        while let Some(result) = spoken.next().await {
            // What is not the provider's fault must not cost it its place, and a refusal is less
            // than the failure that may have caused it.
            worst = match (worst, result) {
                (Err(Trouble::Other(failure)), _) | (_, Err(Trouble::Other(failure))) => Err(Trouble::Other(failure)),
                (Err(Trouble::Refused(_)) | Ok(()), Err(trouble)) => Err(trouble),
                (worst, _) => worst,
            };
        }
        worst
    }

    async fn chunk(&self, plan: &Plan<'_>, index: usize) -> Result<(), Trouble> {
        if plan.text(index).is_empty() || plan.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let result = self.keep(plan, index).await;
        let told = if result.is_ok() { &plan.has_begun } else { &plan.stop };
        told.store(true, Ordering::Relaxed);
        result
    }

    /// Sees that the spool has the chunk.
    async fn keep(&self, plan: &Plan<'_>, index: usize) -> Result<(), Trouble> {
        if !self.missing(plan, index).await.map_err(Trouble::Other)? {
            return Ok(());
        }
        let mp3 = self.call(plan, plan.text(index)).await.map_err(|missed| match missed {
            Missed::Failed(failure) => Trouble::Provider(failure),
            Missed::Refused(refusal) => Trouble::Refused(refusal),
            Missed::Barred => Trouble::Other(lease_in_doubt()),
        })?;
        self.put(plan.name(index), mp3).await.map_err(Trouble::Other)
    }

    /// Keeps a chunk. It is paid for: when somebody else has filled the disk, it is held for a while.
    async fn put(&self, name: ChunkName, mp3: Bytes) -> Result<(), Failure> {
        let mut waited = Duration::ZERO;
        loop {
            match self.spool.put_chunk(name, mp3.clone()).await {
                Err(failure) if failure.kind == FailureKind::SpoolFull && waited < WAIT_FOR_ROOM => {
                    sleep(LOOK_FOR_ROOM).await;
                    waited += LOOK_FOR_ROOM;
                }
                kept => return kept,
            }
        }
    }

    /// True when the spool does not have the chunk, or only a damaged one.
    async fn missing(&self, plan: &Plan<'_>, index: usize) -> Result<bool, Failure> {
        let kept = self.spool.chunk(plan.name(index)).await?;
        Ok(kept.is_none_or(|mp3| check(&mp3, plan.text(index), plan.candidate).is_err()))
    }

    /// One chunk by the provider, its answer checked. An answer that is no good is billed as well.
    async fn call(&self, plan: &Plan<'_>, text: &str) -> Result<Bytes, Missed> {
        let Candidate { speaker, voice, engine, .. } = plan.candidate;
        let language = plan.podcast.made.language.clone().unwrap_or_default();
        let request = SpeakRequest { text: text.to_owned(), language, voice: voice.clone(), engine: engine.clone() };
        let wanted = Wanted {
            provider: speaker.name(),
            model: engine,
            operation: "speech",
            units: &json!({ "characters": 0 }),
            is_gated: plan.candidate.is_vendor(),
            is_budgeted: !plan.has_begun.load(Ordering::Relaxed),
            is_still_wanted: &|| !plan.stop.load(Ordering::Relaxed),
        };
        let ask = || async {
            match speaker.speak(&request).await {
                Ok(spoken) => Answered {
                    bill: Bill {
                        model: None,
                        units: Some(json!({ "characters": spoken.billed_characters })),
                        cost_micro_usd: (self.price_micro_usd)(speaker.name(), engine, spoken.billed_characters),
                        request_id: spoken.request_id,
                    },
                    result: check(&spoken.mp3, text, plan.candidate).map(|()| spoken.mp3),
                },
                Err(failure) => Answered::failed(failure),
            }
        };
        self.calls.make(&wanted, ask).await
    }

    /// Joins the chunks, measures and keeps the episode.
    async fn finish(&self, plan: &Plan<'_>) -> Result<Artefacts, Trouble> {
        let mut episode = self.joined(plan).await?;
        episode.measure(self.meters).await;
        let (podcast_id, provider) = (plan.podcast.id, plan.candidate.speaker.name());
        if let Some(warning) = episode.warn() {
            tracing::warn!(podcast.id = podcast_id, provider, warning, "an odd episode");
        }
        let audio_bytes = i64::try_from(episode.mp3.len()).unwrap_or(i64::MAX);
        let spool_ref = self.spool.put_episode(podcast_id, episode.mp3).await.map_err(Trouble::Other)?;
        Ok(Artefacts {
            spool_ref: Some(spool_ref),
            audio_sha256: Some(episode.sha256),
            audio_bytes: Some(audio_bytes),
            duration_seconds: Some(episode.duration.as_secs_f64().round() as i32),
            loudness_lufs: episode.loudness_lufs,
            metadata: Some(episode.metadata),
            ..Artefacts::default()
        })
    }

    async fn joined(&self, plan: &Plan<'_>) -> Result<assembly::Episode, Trouble> {
        let _permit = self.cpu.acquire().await.map_err(|closed| Trouble::Other(internal(closed.to_string())))?;
        let mut chunks = Vec::with_capacity(plan.chunks.len());
        for index in (0..plan.chunks.len()).filter(|index| !plan.text(*index).is_empty()) {
            let chunk = self.spool.chunk(plan.name(index)).await.map_err(Trouble::Other)?;
            let gone = || {
                let message = format!("chunk {index} left the spool before the join; it is spoken again");
                Trouble::Other(Failure::new(FailureKind::Unavailable, message))
            };
            chunks.push((index, chunk.ok_or_else(gone)?));
        }
        assembly::assemble(plan, chunks).await
    }
}

impl Plan<'_> {
    /// What is spoken in a chunk; empty when it holds nothing but blanks.
    fn text(&self, index: usize) -> &str {
        self.chunks.get(index).and_then(|chunk| self.script.get(chunk.clone())).unwrap_or_default().trim()
    }

    /// About what chunks and episode will take in the spool.
    fn bytes(&self) -> u64 {
        let spoken: Duration = (0..self.chunks.len()).map(|index| pace::usual(self.text(index))).sum();
        2 * BYTES_PER_SECOND * (spoken.as_secs() + 1)
    }

    const fn name(&self, index: usize) -> ChunkName {
        ChunkName { podcast_id: self.podcast.id, round: self.round, index }
    }
}

/// The columns that say who speaks and how the script is cut. The round is a new one unless
/// nothing changes: chunks of another voice or cut are never met. Nobody is passed over yet.
fn planned(podcast: &Podcast, script: &str, candidate: &Candidate<'_>) -> Artefacts {
    let ends = split(script, candidate.speaker.limit());
    let old = podcast.made.chunk_plan.as_ref();
    let round = match old {
        Some(old) if old.ends == ends && is_chosen(podcast, candidate) => old.round,
        Some(old) => old.round + 1,
        None => 1,
    };
    Artefacts {
        tts_provider: Some(candidate.speaker.name().to_owned()),
        tts_voice: Some(candidate.voice.clone()),
        tts_voice_gender: candidate.gender.clone(),
        chunk_plan: Some(ChunkPlan { ends, round, losses: old.map_or(0, |old| old.losses), passed_over: Vec::new() }),
        ..Artefacts::default()
    }
}

fn is_chosen(podcast: &Podcast, candidate: &Candidate<'_>) -> bool {
    podcast.made.tts_provider.as_deref() == Some(candidate.speaker.name())
        && podcast.made.tts_voice.as_deref() == Some(candidate.voice.as_str())
}

/// Is this MP3 the text, at the rate that was ordered? What a provider cut off without a word
/// shows in its length, and some answer with silence.
fn check(mp3: &[u8], text: &str, candidate: &Candidate<'_>) -> Result<(), Failure> {
    let bad = |message: String| Failure::new(FailureKind::BadAnswer, message).at(candidate.speaker.name());
    let scan = audio::scan(mp3, Limits::rate(SAMPLE_RATE)).map_err(|error| bad(error.to_string()))?;
    let (lasts, plausible, characters) = (scan.duration(), pace::plausible(text), text.chars().count());
    if !plausible.contains(&lasts) {
        return Err(bad(format!(
            "{characters} characters were spoken in {:.1} s; plausible are {:.1} to {:.1} s",
            lasts.as_secs_f64(),
            plausible.start().as_secs_f64(),
            plausible.end().as_secs_f64(),
        )));
    }
    match audio::decode::is_silent(mp3, &scan) {
        Ok(false) => Ok(()),
        Ok(true) => Err(bad(format!("{characters} characters were answered with silence"))),
        Err(error) => Err(bad(error.to_string())),
    }
}

fn script(podcast: &Podcast) -> Option<&str> {
    podcast.made.script_text.as_deref().filter(|script| !script.trim().is_empty())
}

fn internal(message: String) -> Failure {
    Failure::new(FailureKind::Internal, message)
}

fn no_script(podcast: &Podcast) -> Failure {
    internal(format!("podcast {} is {} but has no script; requeue it from the beginning", podcast.id, podcast.status))
}

fn no_voice(podcast: &Podcast) -> Failure {
    let language = podcast.made.language.as_deref().unwrap_or("an unknown language");
    let mend = "give a provider its key, or add a voice for it to workflows/voices.toml";
    Failure::new(FailureKind::NoVoice, format!("no provider in the chain has a voice for {language}: {mend}"))
}

/// The caller drops it: who has lost the lease writes nothing.
fn lease_in_doubt() -> Failure {
    Failure::new(FailureKind::Unavailable, "the lease may be lost, so no provider was called")
}
