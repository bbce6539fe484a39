//! What `doctor --online` asks the vendors of speech: is the key good, and is every voice that the
//! workflow names on offer, in its engine, language and gender? Costs nothing.
//!
//! What would surprise: Polly and Google call Mandarin and standard Arabic by the codes of ISO
//! 639-3 (`cmn`, `arb`), the workflow by those of BCP 47 (`zh`, `ar`).

use futures_util::future::join_all;

use super::online::PATIENCE;
use crate::{
    cli::speakers,
    config::Config,
    machine::FailureKind,
    podcast::Failure,
    provider::tts::{OfferedVoice, Speaker},
    workflow::{GENDERS, VoiceChoice, Workflow},
};

/// What came of asking one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `polly`, `google`, `azure`.
    pub provider: &'static str,
    /// What is the case.
    pub what: String,
    /// What to do about it, where it is not well.
    pub mend: Option<String>,
}

/// Asks every vendor that has its key, all at once. The workflow is the one in force.
///
/// # Errors
/// [`crate::cli::exit::Advice`] when a key is there but cannot be used.
pub async fn check(config: &Config, workflow: &Workflow) -> anyhow::Result<Vec<Found>> {
    let speakers = speakers::of(config)?;
    let asked = speakers.iter().map(|speaker| one(speaker.as_ref(), workflow));
    Ok(join_all(asked).await.into_iter().flatten().collect())
}

/// One vendor: a line that it is well, or one for each voice that is not.
async fn one(speaker: &dyn Speaker, workflow: &Workflow) -> Vec<Found> {
    let provider = speaker.name();
    let bad = |what: String, mend: String| Found { provider, what, mend: Some(mend) };
    let late = |_| Err(Failure::new(FailureKind::Timeout, format!("{provider} did not list its voices in time")));
    let offered = match tokio::time::timeout(PATIENCE, speaker.voices()).await.unwrap_or_else(late) {
        Ok(offered) => offered,
        Err(failure) => return vec![bad(failure.message, mend(provider, failure.kind))],
    };
    let wanted: Vec<_> = workflow.spoken_by(provider).collect();
    let flaws = wanted.iter().filter_map(|(language, choice)| flaw(&offered, language, choice));
    let mut found: Vec<_> =
        flaws.map(|what| bad(what, "choose another one in workflows/voices.toml".to_owned())).collect();
    if found.is_empty() {
        let what = format!("the key is good, and all {} voices of the workflow are on offer", wanted.len());
        found.push(Found { provider, what, mend: None });
    }
    found
}

/// What speaks against a voice, as far as the provider tells.
fn flaw(offered: &[OfferedVoice], language: &str, choice: &VoiceChoice) -> Option<String> {
    let VoiceChoice { voice, engine, gender, .. } = choice;
    let Some(found) = offered.iter().find(|offered| offered.voice == *voice) else {
        return Some(format!("the voice {voice} is not on offer"));
    };
    let is_of = |locale: &String| primary(locale) == language;
    if !found.engines.is_empty() && !found.engines.contains(engine) {
        Some(format!("the voice {voice} does not speak in the engine {engine}"))
    } else if !found.locales.is_empty() && !found.locales.iter().any(is_of) {
        Some(format!("the voice {voice} does not speak the language {language}"))
    } else {
        let other = found.gender.as_ref().filter(|found| *found != gender && GENDERS.contains(&found.as_str()))?;
        Some(format!("the voice {voice} is {other}, not {gender}"))
    }
}

/// The language of a locale, as the workflow calls it.
fn primary(locale: &str) -> &str {
    match locale.split('-').next().unwrap_or_default() {
        "cmn" => "zh",
        "arb" => "ar",
        language => language,
    }
}

/// What to do about a provider that does not list its voices: the settings by their names.
fn mend(provider: &str, kind: FailureKind) -> String {
    let (keys, way) = match provider {
        "polly" => (
            "providers.polly.access_key_id, secret_access_key and session_token (or AWS's variables)",
            "providers.polly.region and endpoint_url",
        ),
        "google" => {
            ("providers.google_tts.api_key or credentials_file, and what they may do", "providers.google_tts.base_url")
        }
        _ => ("providers.azure_tts.key, and whether it is of its region", "providers.azure_tts.region or base_url"),
    };
    match kind {
        FailureKind::KeyRefused => format!("correct {keys}"),
        FailureKind::OutOfCredit => "add credit or raise the limit at the provider".to_owned(),
        FailureKind::RateLimited => "ask again later".to_owned(),
        _ => format!("check {way} and the way there"),
    }
}
