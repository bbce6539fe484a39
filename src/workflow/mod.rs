//! What `workflows/` says, parsed and checked as a whole: how patiently each status is retried,
//! who writes and speaks for each plan, voices, models, prices, limits, prompts and the template's phrases.
//!
//! Either all of it holds or none: [`Workflow::load`] tells every [`Violation`] at once. After
//! that nothing here fails for the files' sake; every prompt and phrase has been rendered on every
//! sample of `workflows/samples/`.

mod check;
mod estimate;
mod models;
mod phrases;
mod plans;
mod prices;
mod prompt;
mod providers;
mod read;
mod show;
mod source;
mod speakable;
mod steps;
mod template;
mod voices;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use minijinja::context;

pub use estimate::{Assumptions, Item};
pub use models::{ModelChoice, Thinking};
pub use plans::{Plan, SPEAKERS, TEMPLATE, TIERS, WRITERS};
pub use prices::{KEEPER, UNITS};
pub use providers::{BreakerRules, Limits};
pub use read::Violation;
pub use speakable::{Level, Speakable, Topic, Trend};
pub use steps::{Pace, ScriptRules, Step, Unit, step_name};
pub use template::{NAME_COUNT, Seed, TemplateScript, name_count};
pub use voices::{GENDERS, VoiceChoice};

use crate::machine::{RetryPolicy, Status};

/// A workflow that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory of the definition cannot be read.
    #[error("the workflow directory {} cannot be read", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in the files is wrong; nothing of them is used.
    #[error("the workflow definition is refused:\n{}", list(.0))]
    Invalid(Vec<Violation>),
    /// A prompt or phrase failed on facts that no sample has.
    #[error("a prompt of the workflow cannot be rendered")]
    Render(#[from] minijinja::Error),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("  {violation}")).collect::<Vec<_>>().join("\n")
}

/// A language that episodes are made in.
#[derive(Debug, Clone)]
pub struct Language {
    /// Its name in English.
    pub name: String,
    /// How its listeners are addressed, for the writers; may be empty.
    pub manner: String,
    /// How much of it is spoken in a minute.
    pub pace: Pace,
    phrases: phrases::Phrases,
}

/// A checked workflow definition.
#[derive(Debug)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// A podcast that brought down its worker this often is given up.
    pub crash_limit: u32,
    /// What holds for every script.
    pub script: ScriptRules,
    steps: BTreeMap<Status, Step>,
    languages: BTreeMap<String, Language>,
    plans: plans::Plans,
    voices: voices::Voices,
    models: models::Models,
    prices: prices::Prices,
    limits: BTreeMap<String, Limits>,
    system_prompt: prompt::Prompt,
    user_prompt: prompt::Prompt,
    engine: minijinja::Environment<'static>,
}

impl Workflow {
    /// The compiled-in definition.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the files in the source tree are wrong, which a test rules out.
    pub fn builtin() -> Result<Self, Error> {
        check::assemble(&source::Files::builtin(), read::Report::default())
    }

    /// The compiled-in definition with the files of `dir` in place of those of the same name.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when `dir` cannot be listed, [`Error::Invalid`] with every violation.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let report = read::Report::default();
        let files = source::Files::with_dir(dir, &report)?;
        check::assemble(&files, report)
    }

    /// The work of `status`; `None` for a final one.
    pub fn step(&self, status: Status) -> Option<&Step> {
        self.steps.get(&status)
    }

    /// How failures in `status` are retried; `None` for a final one.
    pub fn retry(&self, status: Status) -> Option<&RetryPolicy> {
        self.step(status).map(|step| &step.retry)
    }

    /// What the plan gets; a plan that is not listed gets what the default plan gets.
    pub fn plan(&self, plan: &str) -> &Plan {
        let plans = &self.plans.by_name;
        plans.get(plan).unwrap_or_else(|| &plans[&self.plans.default])
    }

    /// The writers of a plan in order, the template last.
    pub fn script_chain(&self, plan: &str) -> &[String] {
        &self.plan(plan).script
    }

    /// The language with this tag, if episodes are made in it.
    pub fn language(&self, tag: &str) -> Option<&Language> {
        self.languages.get(tag)
    }

    /// The tags of all languages that episodes are made in.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// The first of the learner's `languages` (tags, best first) that an available provider of the
    /// plan's chain has a voice for, and one voice per such provider in the order of the chain.
    ///
    /// `gender` is the learner's wish. A learner without any language hears the default one. `None`
    /// when there is no voice for any of the languages.
    pub fn voices(
        &self,
        plan: &str,
        languages: &[String],
        gender: Option<&str>,
        available: &[&str],
    ) -> Option<(String, Vec<VoiceChoice>)> {
        let plan = self.plan(plan);
        let gender = gender.filter(|gender| GENDERS.contains(gender)).unwrap_or(&self.voices.default_gender);
        let default = [self.voices.default_language.value.clone()];
        let wished = if languages.is_empty() { &default[..] } else { languages };
        wished.iter().find_map(|language| {
            self.languages.contains_key(language).then_some(())?;
            let chain = self.voices.chain(plan, language, gender, available);
            (!chain.is_empty()).then(|| (language.clone(), chain))
        })
    }

    /// Every voice of `provider`, whoever hears it, with the language that it is to speak.
    pub fn spoken_by(&self, provider: &str) -> impl Iterator<Item = (&str, &VoiceChoice)> {
        let own = self.voices.all.iter().filter(move |voice| voice.choice.provider == provider);
        own.map(|voice| (voice.language.value.as_str(), &voice.choice))
    }

    /// The model that `provider` is asked for on `date`; `None` for a provider that writes nothing.
    pub fn model(&self, provider: &str, date: NaiveDate) -> Option<ModelChoice> {
        self.models.choose(provider, date)
    }

    /// Asks `provider` for this model on every date, whatever `models.toml` says.
    pub fn prefer_model(&mut self, provider: &str, id: &str) {
        self.models.preferred.insert(provider.to_owned(), id.to_owned());
    }

    /// Lets every voice of `provider` speak with this engine, whatever `voices.toml` says.
    pub fn prefer_engine(&mut self, provider: &str, engine: &str) {
        self.voices.prefer_engine(provider, engine);
    }

    /// Lets learners hear the voices of `provider` that are `only_if_installed`, where `is_there` says
    /// so of a language and a voice. Before, [`Workflow::voices`] passes over them.
    pub fn install_voices(&mut self, provider: &str, is_there: impl Fn(&str, &str) -> bool) {
        for voice in self.voices.all.iter_mut().filter(|voice| voice.choice.provider == provider) {
            voice.is_missing &= !is_there(&voice.language.value, &voice.choice.voice);
        }
    }

    /// Says that nobody bills what this provider does: it is a server of one's own.
    pub fn bill_nothing(&mut self, provider: &str) {
        self.prices.free.insert(provider.to_owned());
    }

    /// False for a provider of which [`Workflow::bill_nothing`] was said.
    pub fn is_billed(&self, provider: &str) -> bool {
        !self.prices.free.contains(provider)
    }

    /// True when `model` of `provider` stands in `models.toml`.
    pub fn lists_model(&self, provider: &str, model: &str) -> bool {
        self.models.by_id.get(model).is_some_and(|listed| listed.provider == provider)
    }

    /// The price of `amount` units in millionths of a dollar. `unit` is one of [`UNITS`]; `model`
    /// is a model or, for characters, a voice engine. A dated model id (`gpt-4o-mini-2024-07-18`)
    /// costs what its listed beginning costs; an unlisted model what the dearest of the provider
    /// costs; a provider without prices nothing.
    pub fn cost_micro_usd(&self, provider: &str, model: &str, unit: &str, amount: u64) -> i64 {
        self.prices.cost(provider, model, unit, amount)
    }

    /// Whether `prices.toml` says what this model costs, as itself or as a dated one.
    pub fn has_price(&self, provider: &str, model: &str, unit: &str) -> bool {
        let beginnings = model.match_indices('-').map(|(end, _)| &model[..end]);
        beginnings.chain([model]).any(|id| self.prices.has(provider, id, unit))
    }

    /// What each provider may be asked for by the whole fleet; who is not in it has no limit.
    pub fn limits(&self) -> &BTreeMap<String, Limits> {
        &self.limits
    }

    /// Writes an episode from phrases alone.
    ///
    /// # Errors
    /// [`Error::Render`]; [`Error::Invalid`] when `language` is not among [`Workflow::languages`].
    pub fn write_template(&self, language: &str, facts: &Speakable, seed: Seed) -> Result<TemplateScript, Error> {
        let language = self.known_language(language)?;
        Ok(template::write(&language.phrases, language.pace, &self.script, facts, seed)?)
    }

    /// Title and topic of an episode, whoever writes its script.
    ///
    /// # Errors
    /// As [`Workflow::write_template`].
    pub fn title_and_topic(&self, language: &str, facts: &Speakable, seed: Seed) -> Result<(String, String), Error> {
        let phrases = &self.known_language(language)?.phrases;
        Ok((template::title(phrases, facts, seed)?, phrases.topic(facts)))
    }

    /// System and user prompt for a writer. `name_token` stands for the learner's name, which no
    /// writer is told.
    ///
    /// # Errors
    /// As [`Workflow::write_template`].
    pub fn prompts(&self, tag: &str, facts: &Speakable, name_token: &str) -> Result<(String, String), Error> {
        let language = self.known_language(tag)?;
        let context = prompt_context(tag, language, &self.script, facts, name_token);
        Ok((self.system_prompt.render(&self.engine, &context)?, self.user_prompt.render(&self.engine, &context)?))
    }

    fn known_language(&self, tag: &str) -> Result<&Language, Error> {
        self.languages.get(tag).ok_or_else(|| {
            let message = format!("episodes are not made in {tag:?}; known are {}", read::listed(self.languages()));
            Error::Invalid(vec![Violation { file: "daily_podcast.toml".to_owned(), line: 0, message }])
        })
    }
}

fn prompt_context(
    tag: &str,
    language: &Language,
    rules: &ScriptRules,
    facts: &Speakable,
    name_token: &str,
) -> minijinja::Value {
    context! {
        language => tag,
        language_name => &language.name,
        manner => &language.manner,
        least => language.pace.amount(rules.shortest) + 20,
        most => language.pace.amount(rules.longest) - 20,
        aim => language.pace.amount(rules.target),
        unit => language.pace.unit.as_str(),
        name_token => facts.name.as_ref().map(|_| name_token),
        weakest => facts.weakest.as_ref(),
        answered => facts.week.answered,
        correct => facts.week.correct,
        facts => facts.for_provider(),
    }
}
