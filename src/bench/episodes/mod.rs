//! `bench episodes`: a hundred learners in five languages, from nothing known to ten years of
//! history, each episode made by the real steps and then checked from outside.
//!
//! The template writes: what it makes is what a bad night sounds like. Speech is that of the offline
//! voices. A learner whose language none of them speaks is heard in the next one, as on a real
//! night; the text in the learner's own language is checked all the same.
//!
//! What would surprise: no database takes part. The learners come with what should be heard of them
//! (see [`learners`]), so the checks need not believe the steps in anything.

mod checks;
mod learners;
mod sound;

use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};

pub use self::{checks::Check, sound::Sound};

use self::{
    checks::{Episode, Verdicts},
    learners::{LANGUAGES, Learner},
};
use crate::{
    machine::{Event, Lease, Status},
    podcast::{Artefacts, Attempt, Ledger, Outcome, Podcast, StepResult},
    provider::{
        gate::Open,
        spool::Spool,
        tts::local::{self, Local},
    },
    step::{call::Calls, script, speech},
    workflow::{SPEAKERS, Workflow},
};

/// Longer than any attempt of an episode takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Progress is told so often.
const TOLD: usize = 10;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct EpisodesArgs {
    /// Learners; languages take turns.
    pub learners: u32,
    /// Other learners for another seed.
    pub seed: u64,
    /// The date of the episodes: the template says other words on other days.
    pub date: NaiveDate,
}

/// Who speaks, and where chunks and episodes are kept until they are checked.
#[derive(Clone, Copy)]
pub struct Offline<'o> {
    /// The offline voices.
    pub local: &'o Local,
    /// A spool of one's own.
    pub spool: &'o dyn Spool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct EpisodesReport {
    /// Learners.
    pub learners: u32,
    /// The seed.
    pub seed: u64,
    /// The date.
    pub date: NaiveDate,
    /// Whether the episodes were spoken.
    pub is_spoken: bool,
    /// The columns of the table.
    pub columns: Vec<Column>,
    /// The worst figures of the spoken ones.
    pub worst: Option<Worst>,
    /// Everything that failed.
    pub failures: Vec<Flaw>,
    /// Every episode, to be read and compared.
    pub episodes: Vec<Made>,
    /// How long it took.
    pub seconds: f64,
}

/// The episodes of one language.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// What the learners asked for first.
    pub asked: String,
    /// What the episodes are in.
    pub language: String,
    /// How many there are.
    pub episodes: u32,
    /// How many of them are spoken.
    pub spoken: u32,
    /// For each check, how many passed and how many were checked.
    pub checks: BTreeMap<Check, (u32, u32)>,
}

/// The worst figures, each with its learner's number.
#[derive(Debug, Clone, Serialize)]
pub struct Worst {
    /// Seconds of the shortest episode.
    pub shortest: (f64, u32),
    /// Seconds of the longest.
    pub longest: (f64, u32),
    /// LUFS of the quietest.
    pub quietest: (f64, u32),
    /// LUFS of the loudest.
    pub loudest: (f64, u32),
    /// The highest true peak in dBTP.
    pub peak: (f64, u32),
    /// The longest stretch without speech in seconds.
    pub silence: (f64, u32),
}

/// An episode.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The learner's number, from 1.
    pub learner: u32,
    /// The language it is in.
    pub language: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub script: String,
    /// What was heard, where it is spoken.
    pub sound: Option<Sound>,
}

/// A failed check.
#[derive(Debug, Clone, Serialize)]
pub struct Flaw {
    /// The learner's number, from 1.
    pub learner: u32,
    /// The language of the episode.
    pub language: String,
    /// The check.
    pub check: Check,
    /// What was found.
    pub why: String,
}

impl Check {
    /// True for what is checked in sound only.
    const fn is_of_sound(self) -> bool {
        matches!(self, Self::Loudness | Self::Peak | Self::Speech | Self::Tags)
    }
}

impl EpisodesReport {
    /// The lines of the table: what is checked here.
    pub fn checks(&self) -> impl Iterator<Item = (Check, &'static str)> {
        let is_spoken = self.is_spoken;
        let shown = Check::ALL.into_iter().filter(move |check| is_spoken || !check.is_of_sound());
        shown.map(|check| (check, check.as_str()))
    }

    fn take(&mut self, judged: Judged) {
        let Judged { asked, made, verdicts } = judged;
        let (learner, language, sound) = (made.learner, made.language.clone(), made.sound);
        let known = self.columns.iter().position(|column| column.asked == asked && column.language == language);
        let at = known.unwrap_or_else(|| {
            let (episodes, spoken, checks) = (0, 0, BTreeMap::new());
            self.columns.push(Column { asked, language: language.clone(), episodes, spoken, checks });
            self.columns.len() - 1
        });
        let column = &mut self.columns[at];
        column.episodes += 1;
        column.spoken += u32::from(sound.is_some());
        for (check, flaw) in verdicts {
            let (passed, all) = column.checks.entry(check).or_default();
            *passed += u32::from(flaw.is_none());
            *all += 1;
            let told = |why| Flaw { learner, language: language.clone(), check, why };
            self.failures.extend(flaw.map(told));
        }
        if let Some(sound) = sound {
            self.worst = Some(Worst::with(self.worst.take(), &sound, learner));
        }
        self.episodes.push(made);
    }
}

impl Worst {
    fn with(so_far: Option<Self>, sound: &Sound, learner: u32) -> Self {
        let of = |figure: f64| (figure, learner);
        let Some(so_far) = so_far else {
            return Self {
                shortest: of(sound.seconds),
                longest: of(sound.seconds),
                quietest: of(sound.lufs),
                loudest: of(sound.lufs),
                peak: of(sound.peak_dbtp),
                silence: of(sound.longest_silence),
            };
        };
        let most = |old: (f64, u32), new: f64| if new > old.0 { of(new) } else { old };
        let least = |old: (f64, u32), new: f64| if new < old.0 { of(new) } else { old };
        Self {
            shortest: least(so_far.shortest, sound.seconds),
            longest: most(so_far.longest, sound.seconds),
            quietest: least(so_far.quietest, sound.lufs),
            loudest: most(so_far.loudest, sound.lufs),
            peak: most(so_far.peak, sound.peak_dbtp),
            silence: most(so_far.silence, sound.longest_silence),
        }
    }
}

/// One episode with its verdicts.
struct Judged {
    asked: String,
    made: Made,
    verdicts: Verdicts,
}

/// Makes the episodes and judges them; with no voice, only their texts. What goes wrong is in the
/// report, never an error.
pub async fn episodes(
    workflow: &Workflow,
    args: EpisodesArgs,
    offline: Option<Offline<'_>>,
    mut progress: impl FnMut(&str),
) -> EpisodesReport {
    let started = Instant::now();
    let mut report = EpisodesReport {
        learners: args.learners,
        seed: args.seed,
        date: args.date,
        is_spoken: offline.is_some(),
        columns: LANGUAGES.map(column).into(),
        worst: None,
        failures: Vec::new(),
        episodes: Vec::new(),
        seconds: 0.0,
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let studio = Studio { workflow, date: args.date, offline, cpu: Semaphore::new(cores), meters: Semaphore::new(0) };
    let work: Vec<_> =
        (0..args.learners).map(|index| studio.episodes_of(learners::learner(index, args.seed))).collect();
    let mut made = stream::iter(work).buffer_unordered(cores);
    let mut done = 0;
    while let Some(judged) = made.next().await {
        judged.into_iter().for_each(|judged| report.take(judged));
        done += 1;
        if done % TOLD == 0 && report.is_spoken {
            progress(&format!("{done} of {} learners, {:.0} s", args.learners, started.elapsed().as_secs_f64()));
        }
    }
    report.columns.retain(|column| column.episodes > 0);
    report.failures.sort_by_key(|flaw| (flaw.learner, flaw.check));
    report.episodes.sort_by_key(|episode| episode.learner);
    report.seconds = started.elapsed().as_secs_f64();
    report
}

fn column(language: &str) -> Column {
    let language = language.to_owned();
    Column { asked: language.clone(), language, episodes: 0, spoken: 0, checks: BTreeMap::new() }
}

/// The steps with all they need.
struct Studio<'s> {
    workflow: &'s Workflow,
    date: NaiveDate,
    offline: Option<Offline<'s>>,
    cpu: Semaphore,
    meters: Semaphore,
}

impl Studio<'_> {
    /// The episode that is spoken, and where that is in another language, the text in the learner's own.
    async fn episodes_of(&self, learner: Learner) -> Vec<Judged> {
        let asked = learner.facts.languages.first().cloned().unwrap_or_default();
        let Some(offline) = self.offline else {
            return vec![self.judge(&learner, &asked, &SPEAKERS, None).await];
        };
        let spoken = learner.facts.languages.iter().find(|language| self.speaks(&learner, offline.local, language));
        let spoken = spoken.cloned().unwrap_or_else(|| asked.clone());
        let mut judged = vec![self.judge(&learner, &spoken, &[local::NAME], Some(offline)).await];
        if spoken != asked {
            judged.push(self.judge(&learner, &asked, &SPEAKERS, None).await);
        }
        judged
    }

    /// True when an offline voice is fit for the language and learners may hear it.
    fn speaks(&self, learner: &Learner, local: &Local, language: &String) -> bool {
        let own = std::slice::from_ref(language);
        let found = self.workflow.voices(&learner.facts.plan, own, None, &[local::NAME]);
        found.is_some_and(|(_, voices)| voices.iter().any(|choice| local.speaks(&choice.voice, language)))
    }

    /// Makes one episode and judges it.
    async fn judge(&self, learner: &Learner, wanted: &str, speakers: &[&str], offline: Option<Offline<'_>>) -> Judged {
        let mut judged = Judged {
            asked: learner.facts.languages.first().cloned().unwrap_or_default(),
            made: Made {
                learner: learner.number,
                language: wanted.to_owned(),
                title: String::new(),
                script: String::new(),
                sound: None,
            },
            verdicts: Vec::new(),
        };
        let podcast = match self.write(learner, speakers).await {
            Ok(podcast) => podcast,
            Err(why) => {
                judged.verdicts.push((Check::Made, Some(why)));
                return judged;
            }
        };
        let made = &podcast.made;
        let episode = Episode {
            learner,
            wanted,
            language: made.language.as_deref().unwrap_or_default(),
            title: made.title.as_deref().unwrap_or_default(),
            script: made.script_text.as_deref().unwrap_or_default(),
        };
        episode.title.clone_into(&mut judged.made.title);
        episode.script.clone_into(&mut judged.made.script);
        judged.verdicts = checks::of_text(&episode);
        let heard = match offline {
            None => Ok(None),
            Some(offline) => self.heard(podcast.clone(), offline).await.map(Some),
        };
        match heard {
            Ok(heard) => {
                judged.verdicts.push((Check::Made, None));
                if let Some((mp3, sound)) = heard {
                    // What lasts so and so long needs no estimate.
                    judged.verdicts.retain(|(check, _)| *check != Check::Minutes);
                    judged.verdicts.extend(checks::of_sound(&episode, self.date, &sound, sound::tag(&mp3)));
                    judged.made.sound = Some(sound);
                }
            }
            Err(why) => judged.verdicts.push((Check::Made, Some(why))),
        }
        judged
    }

    /// The script step.
    async fn write(&self, learner: &Learner, speakers: &[&str]) -> Result<Podcast, String> {
        let mut podcast = podcast(learner, self.date);
        let made = attempt(&podcast, async |calls| {
            let job = script::Job { calls, facts: &learner.facts, workflow: self.workflow, writers: &[], speakers };
            script::run(&job).await
        });
        podcast.made = done(made.await, Event::ScriptReady)?;
        podcast.status = Status::ScriptGenerated;
        Ok(podcast)
    }

    /// The speech step, and what its episode sounds like.
    async fn heard(&self, mut podcast: Podcast, offline: Offline<'_>) -> Result<(Bytes, Sound), String> {
        for (event, next) in
            [(Event::SpeechStarted, Status::AudioGenerating), (Event::AudioReady, Status::PendingUpload)]
        {
            let outcome = attempt(&podcast, async |calls| self.speech(calls, offline).await).await;
            podcast.made.take_over(done(outcome, event)?);
            podcast.status = next;
        }
        let at = podcast.made.spool_ref.clone().unwrap_or_default();
        let mp3 = offline.spool.episode(&at).await.map_err(|failure| failure.message)?;
        let mp3 = mp3.ok_or("the finished episode is not in the spool")?;
        offline.spool.forget(podcast.id).await.map_err(|failure| failure.message)?;
        let listened = mp3.clone();
        let sound = tokio::task::spawn_blocking(move || sound::listen(&listened)).await;
        let sound = sound.map_err(|error| error.to_string())??;
        Ok((mp3, sound))
    }

    async fn speech(&self, calls: Calls<'_>, offline: Offline<'_>) -> Outcome {
        let podcast = calls.podcast;
        let language = podcast.made.language.clone().unwrap_or_default();
        let voices = self.workflow.voices(&podcast.plan, std::slice::from_ref(&language), None, &[local::NAME]);
        let fit = voices.map(|(_, voices)| voices).unwrap_or_default().into_iter();
        let candidates: Vec<_> = fit
            .filter(|voice| offline.local.speaks(&voice.voice, &language))
            .map(|voice| speech::Candidate {
                speaker: offline.local,
                voice: voice.voice,
                engine: voice.engine,
                gender: Some(voice.gender),
            })
            .collect();
        speech::Speech {
            calls,
            candidates: &candidates,
            spool: offline.spool,
            cpu: &self.cpu,
            meters: &self.meters,
            concurrency: speech::CONCURRENCY,
            price_micro_usd: &|_, _, _| 0,
        }
        .run()
        .await
    }
}

/// The learner's row, as the night makes it.
fn podcast(learner: &Learner, date: NaiveDate) -> Podcast {
    let id = i64::from(learner.number);
    let now = date.and_time(chrono::NaiveTime::MIN).and_utc();
    Podcast {
        lease: Lease { podcast_id: id, token: 1 },
        id,
        user_id: learner.facts.user_id,
        date,
        status: Status::Pending,
        attempt: 0,
        moves: 0,
        deadline_at: now + chrono::Duration::days(1),
        now,
        plan: learner.facts.plan.clone(),
        made: Artefacts::default(),
    }
}

/// Runs a step once.
async fn attempt(podcast: &Podcast, step: impl AsyncFnOnce(Calls<'_>) -> Outcome) -> Outcome {
    let ledger = Ledger::of(podcast.id);
    let ends_at = Instant::now() + PATIENCE;
    let attempt = Attempt { ledger: &ledger, may_call: &|| true, chance: || 0.0, ends_at, deadline: ends_at };
    step(Calls { podcast, attempt: &attempt, gate: &Open }).await
}

fn done(outcome: Outcome, wanted: Event) -> Result<Artefacts, String> {
    match outcome.result {
        StepResult::Done(event) if event == wanted => Ok(outcome.made),
        StepResult::Done(event) => Err(format!("{event:?} came where {wanted:?} should have")),
        StepResult::Failed(failure) => Err(failure.message),
    }
}
