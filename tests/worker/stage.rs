//! A stage for the speech step: a chain of providers that beep, a spool in memory, and a row that
//! the outcomes are written to.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use dailycast::{
    machine::{Event, FailureKind, Status},
    podcast::{Artefacts, Call, Failure, Outcome, Podcast, StepResult},
    provider::{
        spool::{ChunkName, Spool},
        tts::{
            SpeakRequest, Speaker, Spoken, TextLimit,
            local::{Local, LocalVoices},
        },
    },
    step::{
        call::Calls,
        speech::{Candidate, Speech},
    },
};
use tokio::sync::Semaphore;

use super::{
    samples::{self, Ground},
    sound,
};

/// A spool in memory.
#[derive(Default)]
pub struct Shelf {
    pub chunks: Mutex<HashMap<ChunkName, Bytes>>,
    pub episode: Mutex<Option<Bytes>>,
    pub is_full: AtomicBool,
}

#[async_trait]
impl Spool for Shelf {
    async fn put_chunk(&self, name: ChunkName, mp3: Bytes) -> Result<(), Failure> {
        self.chunks.lock().unwrap().insert(name, mp3);
        Ok(())
    }
    async fn chunk(&self, name: ChunkName) -> Result<Option<Bytes>, Failure> {
        Ok(self.chunks.lock().unwrap().get(&name).cloned())
    }
    async fn put_episode(&self, podcast_id: i64, mp3: Bytes) -> Result<String, Failure> {
        *self.episode.lock().unwrap() = Some(mp3);
        Ok(format!("shelf:{podcast_id}"))
    }
    async fn episode(&self, _: &str) -> Result<Option<Bytes>, Failure> {
        Ok(self.episode.lock().unwrap().clone())
    }
    async fn forget(&self, _: i64) -> Result<(), Failure> {
        self.chunks.lock().unwrap().clear();
        Ok(())
    }
    async fn podcasts(&self) -> Result<Vec<i64>, Failure> {
        Ok(Vec::new())
    }
    async fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }
}

/// What a provider does with a text that holds a certain word.
#[derive(Clone, Copy, PartialEq)]
pub enum Whim {
    /// Fails with this kind.
    Fail(FailureKind),
    /// Speaks the first third.
    CutOff,
    /// Is heard through the wall: this much of the amplitude is left.
    Damped(f64),
    /// Speaks in two channels.
    Stereo,
}

/// A provider that beeps, remembers every text it was asked for, and has whims.
pub struct Beeper {
    name: &'static str,
    limit: usize,
    local: Local,
    /// Which of the local voices.
    pub voice: &'static str,
    pub asked: Mutex<Vec<String>>,
    whims: Mutex<HashMap<&'static str, Whim>>,
}

impl Beeper {
    pub fn new(name: &'static str, limit: usize) -> Self {
        let local = Local::new(LocalVoices { tone: true, ..LocalVoices::default() });
        Self { name, limit, local, voice: "tone", asked: Mutex::default(), whims: Mutex::default() }
    }

    pub fn with(self, word: &'static str, whim: Whim) -> Self {
        self.whims.lock().unwrap().insert(word, whim);
        self
    }

    pub fn behave(&self) {
        self.whims.lock().unwrap().clear();
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Speaker for Beeper {
    fn name(&self) -> &'static str {
        self.name
    }
    fn limit(&self) -> TextLimit {
        TextLimit::Characters(self.limit)
    }
    async fn speak(&self, request: &SpeakRequest) -> Result<Spoken, Failure> {
        assert_eq!(request.text, request.text.trim());
        self.asked.lock().unwrap().push(request.text.clone());
        let whim = {
            let whims = self.whims.lock().unwrap();
            whims.iter().find(|(word, _)| request.text.contains(*word)).map(|(_, whim)| *whim)
        };
        let mut request = SpeakRequest { voice: self.voice.to_owned(), ..request.clone() };
        match whim {
            Some(Whim::Fail(kind)) => return Err(Failure::new(kind, "a whim")),
            Some(Whim::CutOff) => request.text.truncate(request.text.len() / 3),
            _ => {}
        }
        let spoken = self.local.speak(&request).await?;
        let mp3 = match whim {
            Some(Whim::Damped(left)) => sound::damped(&spoken.mp3, left).into(),
            Some(Whim::Stereo) => sound::stereo(&spoken.mp3).into(),
            _ => spoken.mp3,
        };
        Ok(Spoken { mp3, ..spoken })
    }
}

/// Five paragraphs, each with its number, some 3,700 characters in all.
pub fn script() -> String {
    let paragraph = |number: &str| {
        let sentence = format!("Paragraph {number} says something about organic chemistry, slowly and with care. ");
        sentence.repeat(9).trim_end().to_owned()
    };
    ["one", "two", "three", "four", "five"].map(paragraph).join("\n\n")
}

fn podcast() -> Podcast {
    Podcast {
        made: Artefacts {
            script_text: Some(script()),
            language: Some("en".to_owned()),
            title: Some("Chemistry".to_owned()),
            metadata: Some(serde_json::json!({ "kept": true })),
            ..Artefacts::default()
        },
        ..samples::podcast(Status::ScriptGenerated)
    }
}

/// A chain of providers, a spool, and a row that the outcomes are written to.
pub struct Stage {
    pub chain: Vec<Beeper>,
    pub shelf: Shelf,
    pub podcast: Podcast,
    pub ground: Ground,
    pub calls: Vec<Call>,
    /// Permits for measuring.
    pub meters: usize,
}

impl Stage {
    pub fn new(chain: Vec<Beeper>) -> Self {
        Self {
            chain,
            shelf: Shelf::default(),
            podcast: podcast(),
            ground: Ground::default(),
            calls: Vec::new(),
            meters: 1,
        }
    }

    /// Runs the step once and writes down what it made, as the store would.
    pub async fn run(&mut self) -> Outcome {
        let candidate = |speaker| Candidate {
            speaker,
            voice: "Joanna".to_owned(),
            engine: "neural".to_owned(),
            gender: Some("female".to_owned()),
        };
        let candidates: Vec<_> = self.chain.iter().map(|speaker| candidate(speaker as &dyn Speaker)).collect();
        let step = async |calls: Calls<'_>| {
            let speech = Speech {
                calls,
                candidates: &candidates,
                spool: &self.shelf,
                cpu: &Semaphore::new(1),
                meters: &Semaphore::new(self.meters),
                concurrency: NonZeroUsize::new(2).unwrap(),
                price_micro_usd: &|_, _, characters| i64::try_from(characters).unwrap() * 16,
            };
            sendable(speech.run()).await
        };
        let (outcome, calls) = self.ground.attempt(&self.podcast, step).await;
        self.calls = calls;
        let (made, new) = (&mut self.podcast.made, outcome.made.clone());
        made.tts_provider = new.tts_provider.or(made.tts_provider.take());
        made.tts_voice = new.tts_voice.or(made.tts_voice.take());
        made.chunk_plan = new.chunk_plan.or(made.chunk_plan.take());
        match outcome.result {
            StepResult::Done(Event::SpeechStarted) => self.podcast.status = Status::AudioGenerating,
            StepResult::Done(Event::AudioLost) => self.podcast.status = Status::ScriptGenerated,
            _ => {}
        }
        outcome
    }

    pub async fn started(chain: Vec<Beeper>) -> Self {
        let mut stage = Self::new(chain);
        assert_eq!(stage.run().await.result, StepResult::Done(Event::SpeechStarted));
        stage
    }

    pub fn episode(&self) -> Bytes {
        self.shelf.episode.lock().unwrap().clone().unwrap()
    }

    /// True when the spool has this chunk.
    pub fn keeps(&self, round: u32, index: usize) -> bool {
        self.shelf.chunks.lock().unwrap().contains_key(&ChunkName { podcast_id: self.podcast.id, round, index })
    }

    pub fn round(&self) -> u32 {
        self.podcast.made.chunk_plan.as_ref().unwrap().round
    }

    pub fn provider(&self) -> &str {
        self.podcast.made.tts_provider.as_deref().unwrap()
    }
}

/// A worker moves its steps between threads.
fn sendable<T: Send>(work: T) -> T {
    work
}

pub fn failure(outcome: &Outcome) -> &Failure {
    match &outcome.result {
        StepResult::Failed(failure) => failure,
        done => panic!("it should have failed, but {done:?}"),
    }
}

pub const READY: StepResult = StepResult::Done(Event::AudioReady);
