//! The audio form of `bench engine`: the script is instant, the rest is the real work with real
//! MP3s: checked, joined and tagged, kept in a spool on disk, brought to an S3 server.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    audio::{self, SAMPLE_RATE, encode::BITRATE_KBPS},
    machine::{RetryPolicy, Status},
    podcast::{Attempt, Failure, Outcome, Podcast},
    provider::{
        gate::Open,
        object_store::ObjectStore,
        spool::Spool,
        tts::{SpeakRequest, Speaker, Spoken, TextLimit, local},
    },
    step::{call::Calls, speech, upload},
    worker::Work,
};

use super::{
    Error,
    instantly::{Instantly, SCRIPT_CHARACTERS},
};

/// What a minute of speech has, so that the script fits the length of its audio.
const CHARACTERS_PER_SECOND: usize = 15;

/// What the tone is said to have, in LUFS; measuring it is no part of the hot path.
const LUFS: f64 = -16.0;

/// Where the audio goes.
pub struct Shelves {
    /// A spool on disk.
    pub spool: Arc<dyn Spool>,
    /// A client of an S3 server.
    pub object_store: Arc<dyn ObjectStore>,
}

/// Steps with real audio.
pub(super) struct WithAudio {
    script: Instantly,
    speaker: Tone,
    shelves: Shelves,
    cpu: Semaphore,
    meters: Semaphore,
}

/// Says the same to everyone, at once.
struct Tone(Bytes);

impl WithAudio {
    /// Steps whose episodes have about `bytes`.
    pub(super) fn new(bytes: usize, shelves: Shelves) -> Result<Self, Error> {
        let seconds = bytes * 8 / (BITRATE_KBPS as usize * 1000);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            script: Instantly::new((seconds * CHARACTERS_PER_SECOND).clamp(1, SCRIPT_CHARACTERS), 0.0),
            speaker: Tone(tone(seconds)?.into()),
            shelves,
            cpu: Semaphore::new(cores),
            meters: Semaphore::new(0),
        })
    }

    /// Tells how many podcasts are finished.
    pub(super) fn finished(&self) -> tokio::sync::watch::Receiver<u32> {
        self.script.finished()
    }
}

/// An MP3 of a quiet tone, as our own voices make them.
fn tone(seconds: usize) -> Result<Vec<u8>, audio::Error> {
    let wave = |n: usize| ((n % 100) as i16 - 50) * 40;
    let samples: Vec<i16> = (0..seconds.max(1) * SAMPLE_RATE as usize).map(wave).collect();
    let mut mp3 = audio::tag::chunk(LUFS)?;
    mp3.extend(audio::encode(&samples, SAMPLE_RATE)?);
    Ok(mp3)
}

#[async_trait]
impl Speaker for Tone {
    /// Our own voice: it stands behind no gate and brings its loudness.
    fn name(&self) -> &'static str {
        local::NAME
    }

    fn limit(&self) -> TextLimit {
        TextLimit::Bytes(SCRIPT_CHARACTERS)
    }

    async fn speak(&self, _: &SpeakRequest) -> Result<Spoken, Failure> {
        Ok(Spoken { mp3: self.0.clone(), billed_characters: 0, request_id: None })
    }
}

impl Work for WithAudio {
    async fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> Outcome {
        let calls = Calls { podcast, attempt, gate: &Open };
        let spool = self.shelves.spool.as_ref();
        match podcast.status {
            Status::ScriptGenerated | Status::AudioGenerating => {
                let tone = speech::Candidate {
                    speaker: &self.speaker,
                    voice: "tone".to_owned(),
                    engine: "tone".to_owned(),
                    gender: Some("female".to_owned()),
                };
                speech::Speech {
                    calls,
                    candidates: &[tone],
                    spool,
                    cpu: &self.cpu,
                    meters: &self.meters,
                    concurrency: speech::CONCURRENCY,
                    price_micro_usd: &|_, _, _| 0,
                }
                .run()
                .await
            }
            Status::PendingUpload => upload::upload(&calls, spool, self.shelves.object_store.as_ref(), 0).await,
            _ => self.script.advance(podcast, attempt).await,
        }
    }

    fn retry_policy(&self, status: Status) -> RetryPolicy {
        self.script.retry_policy(status)
    }

    fn time_limit(&self, status: Status) -> Duration {
        self.script.time_limit(status)
    }

    async fn clean_up(&self, podcast_id: i64) {
        // What stays behind goes with the folder.
        let _ = self.shelves.spool.forget(podcast_id).await;
        self.script.clean_up(podcast_id).await;
    }
}
