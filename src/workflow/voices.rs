//! `voices.toml`: which voice of a provider speaks a language for a quality class.

use super::plans::{Plan, SPEAKERS, TIERS};
use super::read::{At, Table, listed};

/// The two genders of voices.
pub const GENDERS: [&str; 2] = ["female", "male"];

/// One link of a speech chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceChoice {
    /// `polly`, `google`, `azure` or `local`.
    pub provider: String,
    /// The provider's name of the voice.
    pub voice: String,
    /// The provider's quality class; also names the price.
    pub engine: String,
    /// `female` or `male`.
    pub gender: String,
}

#[derive(Debug, Clone)]
pub(super) struct Voice {
    pub(super) language: At<String>,
    pub(super) tiers: Vec<String>,
    pub(super) choice: VoiceChoice,
    /// Not every machine has it, and nobody has said that this one does.
    pub(super) is_missing: bool,
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) struct Voices {
    pub(super) all: Vec<Voice>,
    pub(super) default_gender: String,
    pub(super) default_language: At<String>,
}

pub(super) fn read(mut root: Table<'_>) -> Voices {
    let default_gender = root.one_of("default_gender", &GENDERS).value;
    let default_language = root.text("default_language");
    let mut all: Vec<Voice> = Vec::new();
    for mut table in root.listed_tables("voice") {
        let voice = read_voice(&mut table);
        if let Some(first) = all.iter().find(|other| other.clashes(&voice)) {
            let message =
                format!("the voice {:?} has the same place as the one in line {}", voice.choice.voice, first.line);
            table.fault(voice.line, message);
        }
        table.finish();
        all.push(voice);
    }
    root.finish();
    Voices { all, default_gender, default_language }
}

fn read_voice(table: &mut Table<'_>) -> Voice {
    let choice = VoiceChoice {
        provider: table.one_of("provider", &SPEAKERS).value,
        voice: table.text("voice").value,
        engine: table.text("engine").value,
        gender: table.one_of("gender", &GENDERS).value,
    };
    let language = table.text("language");
    let is_missing = table.maybe_boolean("only_if_installed").unwrap_or_default();
    let mut tiers = Vec::new();
    for At { value, line } in table.texts("tiers") {
        if TIERS.contains(&value.as_str()) {
            tiers.push(value);
        } else {
            let known = listed(TIERS);
            table.fault(line, format!("voice {:?} names the unknown tier {value:?}; known are {known}", choice.voice));
        }
    }
    Voice { language, tiers, choice, is_missing, line: table.line() }
}

impl Voice {
    fn fits(&self, provider: &str, tier: &str, language: &str) -> bool {
        self.choice.provider == provider && self.language.value == language && self.tiers.iter().any(|own| own == tier)
    }

    fn clashes(&self, other: &Self) -> bool {
        self.choice.gender == other.choice.gender
            && other.tiers.iter().any(|tier| self.fits(&other.choice.provider, tier, &other.language.value))
    }
}

impl Voices {
    /// The voice of `provider` for a tier and language: of the wished gender if there is one.
    pub(super) fn find(&self, provider: &str, tier: &str, language: &str, gender: &str) -> Option<&VoiceChoice> {
        let mut fit = self
            .all
            .iter()
            .filter(|voice| !voice.is_missing && voice.fits(provider, tier, language))
            .map(|voice| &voice.choice);
        let first = fit.next()?;
        if first.gender == gender { Some(first) } else { fit.find(|voice| voice.gender == gender).or(Some(first)) }
    }

    pub(super) fn prefer_engine(&mut self, provider: &str, engine: &str) {
        for voice in self.all.iter_mut().filter(|voice| voice.choice.provider == provider) {
            engine.clone_into(&mut voice.choice.engine);
        }
    }

    /// One voice for each available provider of the plan's chain that has one.
    pub(super) fn chain(&self, plan: &Plan, language: &str, gender: &str, available: &[&str]) -> Vec<VoiceChoice> {
        plan.speech
            .iter()
            .filter(|provider| available.contains(&provider.as_str()))
            .filter_map(|provider| self.find(provider, &plan.tier, language, gender).cloned())
            .collect()
    }
}
