//! Puts a definition together from its files and checks what one file says of another.

use std::collections::BTreeMap;

use minijinja::Environment;

use super::phrases::{self, Phrases};
use super::plans::{Plans, TEMPLATE};
use super::prompt::{PROMPT_PLACEHOLDERS, Prompt, engine};
use super::read::{At, Report, Table, document, listed};
use super::source::Files;
use super::speakable::Speakable;
use super::steps::{DailyPodcast, LanguageEntry, ScriptRules};
use super::template::{self, Seed};
use super::{Error, Language, Workflow, models, plans, prices, prompt_context, providers, steps, voices};

const DAILY: &str = "daily_podcast.toml";

/// Dates and learners that the template is tried on with every sample.
const TRIAL_DAYS: usize = 4;

pub(super) fn assemble(files: &Files, report: Report) -> Result<Workflow, Error> {
    let daily = read_file(files, DAILY, &report, steps::read);
    let plans = read_file(files, "plans.toml", &report, plans::read);
    let voices = read_file(files, "voices.toml", &report, voices::read);
    let models = read_file(files, "models.toml", &report, models::read);
    let prices = read_file(files, "prices.toml", &report, prices::read);
    let limits = read_file(files, "providers.toml", &report, providers::read);
    let samples = read_samples(files, &report);
    let (Some(daily), Some(plans), Some(voices), Some(models), Some(prices), Some(limits)) =
        (daily, plans, voices, models, prices, limits)
    else {
        return Err(Error::Invalid(report.into_violations()));
    };
    check_voices(&daily, &plans, &voices, &report);
    check_prices(&voices, &models, &prices, &report);
    let languages = read_languages(files, &daily, &samples, &report);
    let prompt = |name: &At<String>| read_prompt(files, name, &report);
    let (system_prompt, user_prompt) = (prompt(&daily.system_prompt), prompt(&daily.user_prompt));
    let engine = engine(".");
    for prompt in [&system_prompt, &user_prompt] {
        check_prompt(prompt, &engine, &languages, &daily.script, &samples, &report);
    }
    let violations = report.into_violations();
    if !violations.is_empty() {
        return Err(Error::Invalid(violations));
    }
    let DailyPodcast { name, crash_limit, steps, script, .. } = daily;
    Ok(Workflow {
        name,
        crash_limit,
        script,
        steps,
        languages,
        plans,
        voices,
        models,
        prices,
        limits,
        system_prompt,
        user_prompt,
        engine,
    })
}

fn read_file<T>(files: &Files, name: &str, report: &Report, read: impl FnOnce(Table<'_>) -> T) -> Option<T> {
    document(name, files.get(name).unwrap_or_default(), report, read)
}

fn read_samples(files: &Files, report: &Report) -> Vec<(String, Speakable)> {
    let mut samples = Vec::new();
    for (name, text) in files.below("samples/").filter(|(name, _)| name.ends_with(".json")) {
        match serde_json::from_str(text) {
            Ok(sample) => samples.push((name.to_owned(), sample)),
            Err(error) => report.add(name, error.line(), format!("this is no sample: {error}")),
        }
    }
    samples
}

/// The file that `name` points to; a missing one is reported where it is named.
fn pointed<'f>(files: &'f Files, name: &At<String>, report: &Report) -> Option<&'f str> {
    let text = files.get(&name.value);
    if text.is_none() && !name.value.is_empty() {
        let known = listed(files.below("prompts/").map(|(name, _)| name));
        report.add(DAILY, name.line, format!("there is no file {:?}; known are {known}", name.value));
    }
    text
}

fn read_prompt(files: &Files, name: &At<String>, report: &Report) -> Prompt {
    let text = pointed(files, name, report).unwrap_or_default();
    Prompt { file: name.value.clone(), source: At { value: text.to_owned(), line: 1 } }
}

fn read_languages(
    files: &Files,
    daily: &DailyPodcast,
    samples: &[(String, Speakable)],
    report: &Report,
) -> BTreeMap<String, Language> {
    let mut languages = BTreeMap::new();
    for entry in &daily.languages {
        let Some(text) = pointed(files, &entry.template, report) else { continue };
        let file = &entry.template.value;
        let Some(phrases) = document(file, text, report, |root| phrases::read(file, root)) else { continue };
        phrases.check(samples, report);
        if report.is_empty() {
            check_length(entry, &daily.script, &phrases, samples, report);
        }
        let language = Language { name: entry.name.clone(), manner: entry.manner.clone(), pace: entry.pace, phrases };
        languages.insert(entry.tag.clone(), language);
    }
    languages
}

/// The template must keep within the bounds on every sample. Tried only when all else holds.
fn check_length(
    entry: &LanguageEntry,
    rules: &ScriptRules,
    phrases: &Phrases,
    samples: &[(String, Speakable)],
    report: &Report,
) {
    let first = chrono::NaiveDate::default();
    for (name, facts) in samples {
        for (user_id, date) in (1_i64..).zip(first.iter_days()).take(TRIAL_DAYS) {
            let Ok(script) = template::write(phrases, entry.pace, rules, facts, Seed { user_id, date }) else { return };
            let time = entry.pace.time(&script.text);
            if time < rules.shortest || time > rules.longest {
                let message = format!(
                    "makes an episode of {} s from {name}; allowed are {} to {} s",
                    time.as_secs(),
                    rules.shortest.as_secs(),
                    rules.longest.as_secs()
                );
                report.add(&entry.template.value, 0, message);
                break;
            }
        }
    }
}

fn check_prompt(
    prompt: &Prompt,
    engine: &Environment<'static>,
    languages: &BTreeMap<String, Language>,
    rules: &ScriptRules,
    samples: &[(String, Speakable)],
    report: &Report,
) {
    if !prompt.check(engine, &PROMPT_PLACEHOLDERS, report) {
        return;
    }
    for (tag, language) in languages {
        for (name, facts) in samples {
            prompt.check_render(engine, &prompt_context(tag, language, rules, facts, "X"), name, report);
        }
    }
}

fn check_voices(daily: &DailyPodcast, plans: &Plans, voices: &voices::Voices, report: &Report) {
    let known = |tag: &str| daily.languages.iter().any(|language| language.tag == tag);
    let tags = || listed(daily.languages.iter().map(|language| &language.tag));
    let default = &voices.default_language;
    if !default.value.is_empty() && !known(&default.value) {
        let message =
            format!("the default language {:?} has no section in {DAILY}; known are {}", default.value, tags());
        report.add("voices.toml", default.line, message);
    }
    for voice in voices.all.iter().filter(|voice| !voice.language.value.is_empty() && !known(&voice.language.value)) {
        let message = format!(
            "voice {:?} speaks {:?}, which has no section in {DAILY}; known are {}",
            voice.choice.voice,
            voice.language.value,
            tags()
        );
        report.add("voices.toml", voice.language.line, message);
    }
    for (name, plan) in plans.by_name.iter().filter(|(_, plan)| !plan.tier.is_empty()) {
        for provider in &plan.speech {
            if voices.find(provider, &plan.tier, &default.value, &voices.default_gender).is_none() {
                let message = format!(
                    "plan {name:?} names {provider:?}, which has no {} voice for {:?} in voices.toml",
                    plan.tier, default.value
                );
                report.add("plans.toml", plans.lines.get(name).copied().unwrap_or_default(), message);
            }
        }
    }
}

fn check_prices(voices: &voices::Voices, models: &models::Models, prices: &prices::Prices, report: &Report) {
    for (id, model) in models.by_id.iter().filter(|(_, model)| model.provider != TEMPLATE) {
        for unit in ["input_token", "output_token"] {
            if !prices.has(&model.provider, id, unit) {
                report.add("models.toml", model.line, format!("model {id:?} has no price for {unit} in prices.toml"));
            }
        }
    }
    for voice in &voices.all {
        let choice = &voice.choice;
        if !choice.provider.is_empty() && !prices.has(&choice.provider, &choice.engine, "character") {
            let message = format!(
                "voice {:?} has the engine {:?}, which has no price for character of {:?} in prices.toml",
                choice.voice, choice.engine, choice.provider
            );
            report.add("voices.toml", voice.line, message);
        }
    }
}
