//! What `doctor --online` asks the vendors of speech: is the key good, and is every voice that the
//! workflow names on offer, in its engine? Costs nothing.

use futures_util::future::join_all;

use super::speakers;
use crate::{
    config::Config,
    provider::tts::{OfferedVoice, Speaker, polly},
    workflow::Workflow,
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
/// [`super::exit::Advice`] when a key is there but cannot be used.
pub async fn check(config: &Config, workflow: &Workflow) -> anyhow::Result<Vec<Found>> {
    let speakers = speakers::of(config)?;
    let engine = config.providers.polly.engine.as_deref();
    let asked = speakers.iter().map(|speaker| one(speaker.as_ref(), workflow, engine));
    Ok(join_all(asked).await.into_iter().flatten().collect())
}

/// One vendor: a line that it is well, or one for each voice that is not.
async fn one(speaker: &dyn Speaker, workflow: &Workflow, polly_engine: Option<&str>) -> Vec<Found> {
    let provider = speaker.name();
    let bad = |what: String, mend: String| Found { provider, what, mend: Some(mend) };
    let offered = match speaker.voices().await {
        Ok(offered) => offered,
        Err(failure) => {
            let mend = format!("see its section in the settings: {}", failure.kind.words());
            return vec![bad(failure.message, mend)];
        }
    };
    let mut found = Vec::new();
    let mut good = 0;
    for choice in workflow.voices_of(provider) {
        let engine = polly_engine.filter(|_| provider == polly::NAME).unwrap_or(&choice.engine);
        let speaks = |voice: &OfferedVoice| voice.engines.is_empty() || voice.engines.iter().any(|own| own == engine);
        let what = match offered.iter().find(|voice| voice.voice == choice.voice) {
            Some(voice) if speaks(voice) => {
                good += 1;
                continue;
            }
            Some(_) => format!("the voice {} does not speak in the engine {engine}", choice.voice),
            None => format!("the voice {} is not on offer", choice.voice),
        };
        found.push(bad(what, "choose another one in workflows/voices.toml".to_owned()));
    }
    if found.is_empty() {
        let what = format!("the key is good, and all {good} voices of the workflow are on offer");
        found.push(Found { provider, what, mend: None });
    }
    found
}
