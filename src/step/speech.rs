//! The speech step: from a stored script to a finished episode in the spool.
//!
//! It has two works. In `script_generated` it *chooses*: the first candidate of the learner's
//! chain and where the script is cut for it. In `audio_generating` it *speaks*: chunk by chunk,
//! each in the spool before it counts, then joined, tagged and measured.
//!
//! What would surprise: a failing provider is replaced by writing the plan of the next one into
//! the row, with a new round, and failing the attempt; the next attempt then finds it there. The
//! row alone says where in the chain it is. A chunk's bytes are dropped as soon as the spool has
//! them and read again for the join, because hundreds of podcasts wait for their speech at once.

mod assembly;
mod split;

use std::{
    num::NonZeroUsize,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    audio::{self, Limits},
    machine::{Event, FailureKind, Remedy, Status},
    podcast::{Artefacts, Call, ChunkPlan, Failure, Outcome, Podcast},
    provider::{
        spool::{ChunkName, Spool},
        tts::{SpeakRequest, Speaker, pace},
    },
};

pub use split::split;

/// Chunks of one podcast that are spoken at the same time, unless the caller says otherwise.
pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

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

/// Everything the speech step works with.
pub struct Speech<'a> {
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
    /// False as soon as the lease may be lost; asked before every call.
    pub may_call: &'a (dyn Fn() -> bool + Send + Sync),
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
}

/// Why the chunks are not all there.
enum Trouble {
    /// The provider's fault: another one may do it.
    Provider(Failure),
    /// Not the provider's fault.
    Other(Failure),
}

impl Speech<'_> {
    /// Does the work of the podcast's status, `script_generated` or `audio_generating`.
    pub async fn run(&self, podcast: &Podcast) -> Outcome {
        match podcast.status {
            Status::ScriptGenerated => self.choose(podcast),
            Status::AudioGenerating => self.speak(podcast).await,
            other => Outcome::failed(internal(format!("a podcast that is {other} has no speech to make"))),
        }
    }

    /// Chooses provider, voice and chunks. The row's own choice stays when the chain still has it:
    /// a failed attempt leaves there who is next, and after lost audio the same voice goes on.
    pub fn choose(&self, podcast: &Podcast) -> Outcome {
        let Some(script) = script(podcast) else { return Outcome::failed(no_script(podcast)) };
        let position = self.position(podcast).unwrap_or(0);
        match self.candidates.get(position) {
            Some(candidate) => Outcome::done(Event::SpeechStarted, planned(podcast, script, candidate)),
            None => Outcome::failed(no_voice(podcast)),
        }
    }

    /// Speaks what is missing and finishes the episode. A plan that does not fit the script, or a
    /// choice that the chain no longer has, is answered with `audio_lost`, so that it is made anew.
    pub async fn speak(&self, podcast: &Podcast) -> Outcome {
        let Some(script) = script(podcast) else { return Outcome::failed(no_script(podcast)) };
        let Some(plan) = self.plan(podcast, script) else {
            return Outcome::done(Event::AudioLost, Artefacts::default());
        };
        let mut calls = Vec::new();
        let made = match self.speak_chunks(&plan, &mut calls).await {
            Ok(()) => self.finish(&plan).await,
            Err(trouble) => Err(trouble),
        };
        let outcome = match made {
            Ok(made) => Outcome::done(Event::AudioReady, made),
            Err(Trouble::Other(failure)) => Outcome::failed(failure),
            Err(Trouble::Provider(failure)) => self.go_on_elsewhere(&plan, failure),
        };
        outcome.with_calls(calls)
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
        fits.then_some(Plan { podcast, script, position, candidate, chunks, round: *round })
    }

    /// Speaks all chunks that the spool does not have. After a failure no further call is started,
    /// but those under way are waited for: they are paid for.
    async fn speak_chunks(&self, plan: &Plan<'_>, calls: &mut Vec<Call>) -> Result<(), Trouble> {
        let stop = AtomicBool::new(false);
        let work: Vec<_> = (0..plan.chunks.len()).map(|index| self.chunk(plan, index, &stop)).collect();
        let mut spoken = stream::iter(work).buffer_unordered(self.concurrency.get());
        let mut trouble = Ok(());
        while let Some((call, result)) = spoken.next().await {
            calls.extend(call);
            // What is not the provider's fault must not cost it its place.
            match result {
                Err(Trouble::Provider(_)) if trouble.is_err() => {}
                Err(worse) => trouble = Err(worse),
                Ok(()) => {}
            }
        }
        trouble
    }

    async fn chunk(&self, plan: &Plan<'_>, index: usize, stop: &AtomicBool) -> (Option<Call>, Result<(), Trouble>) {
        let text = plan.text(index);
        if text.is_empty() || stop.load(Ordering::Relaxed) {
            return (None, Ok(()));
        }
        let (call, result) = match self.missing(plan, index).await {
            Ok(false) => (None, Ok(())),
            Ok(true) if !(self.may_call)() => (None, Err(Trouble::Other(lease_in_doubt()))),
            Ok(true) => {
                let (call, spoken) = self.call(plan, text).await;
                let kept = match spoken {
                    Ok(mp3) => self.spool.put_chunk(plan.name(index), mp3).await.map_err(Trouble::Other),
                    Err(failure) => Err(Trouble::Provider(failure)),
                };
                (Some(call), kept)
            }
            Err(failure) => (None, Err(Trouble::Other(failure))),
        };
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        (call, result)
    }

    /// True when the spool does not have the chunk, or only a damaged one. Whether there is room for
    /// speech is asked before a podcast's first chunk; what was begun may be finished.
    async fn missing(&self, plan: &Plan<'_>, index: usize) -> Result<bool, Failure> {
        let kept = self.spool.chunk(plan.name(index)).await?;
        Ok(kept.is_none_or(|mp3| check(&mp3, plan.text(index), plan.candidate).is_err()))
    }

    /// One call to the provider, its answer checked.
    async fn call(&self, plan: &Plan<'_>, text: &str) -> (Call, Result<Bytes, Failure>) {
        let Candidate { speaker, voice, engine, .. } = plan.candidate;
        let language = plan.podcast.made.language.clone().unwrap_or_default();
        let request = SpeakRequest { text: text.to_owned(), language, voice: voice.clone(), engine: engine.clone() };
        let begun = Instant::now();
        let answer = speaker.speak(&request).await;
        let latency_ms = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX);
        let (characters, request_id, result) = match answer {
            Ok(spoken) => {
                let checked = check(&spoken.mp3, text, plan.candidate).map(|()| spoken.mp3);
                (spoken.billed_characters, spoken.request_id, checked)
            }
            Err(failure) => (0, None, Err(failure)),
        };
        let call = Call {
            provider: speaker.name().to_owned(),
            model: engine.clone(),
            operation: "speech",
            units: json!({ "characters": characters }),
            cost_micro_usd: (self.price_micro_usd)(speaker.name(), engine, characters),
            latency_ms,
            outcome: result.as_ref().map_or_else(|failure| failure.kind.as_str(), |_| "ok"),
            request_id,
        };
        (call, result)
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

    /// Fails the attempt and leaves in the row who is next: the next candidate at once, or after
    /// the last one the first again, after the usual delay. With a single candidate its plan stays,
    /// and the chunks that are already spoken.
    fn go_on_elsewhere(&self, plan: &Plan<'_>, mut failure: Failure) -> Outcome {
        let failed = plan.candidate.speaker.name();
        failure.provider.get_or_insert_with(|| failed.to_owned());
        let is_last = plan.position + 1 >= self.candidates.len();
        let next = if is_last { 0 } else { plan.position + 1 };
        failure.at_once = !is_last;
        if next == plan.position {
            return Outcome::failed(failure);
        }
        // The wait was asked for by the one that failed, and that only it has no voice is no
        // reason to give up.
        failure.retry_after = None;
        if failure.kind.remedy() == Remedy::GiveUp {
            failure.kind = FailureKind::ModelRetired;
        }
        let made = self.candidates.get(next).map(|next| planned(plan.podcast, plan.script, next));
        Outcome { made: made.unwrap_or_default(), ..Outcome::failed(failure) }
    }
}

impl Plan<'_> {
    /// What is spoken in a chunk; empty when it holds nothing but blanks.
    fn text(&self, index: usize) -> &str {
        self.chunks.get(index).and_then(|chunk| self.script.get(chunk.clone())).unwrap_or_default().trim()
    }

    const fn name(&self, index: usize) -> ChunkName {
        ChunkName { podcast_id: self.podcast.id, round: self.round, index }
    }
}

/// The columns that say who speaks and how the script is cut. The round is a new one unless
/// nothing changes: chunks of another voice or cut are never met.
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
        chunk_plan: Some(ChunkPlan { ends, round, losses: old.map_or(0, |old| old.losses) }),
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
    let scan =
        audio::scan(mp3, Limits::rate(candidate.speaker.sample_rate())).map_err(|error| bad(error.to_string()))?;
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
