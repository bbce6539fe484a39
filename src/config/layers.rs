//! From files, variables and flags to one flat list of settings.
//!
//! What would surprise: an empty variable counts as absent, because composed environments pass
//! them along. A variable `DAILYCAST_…` without a double underscore is none of ours (Kubernetes
//! makes such names for a service called dailycast), unless it is a setting but for the underscore.

use std::{collections::BTreeMap, io, path::PathBuf};

use toml::de::{DeTable, DeValue};

use super::{
    DEFAULTS,
    near::nearest,
    problem::{Fault, Place, Problems},
    value::Value,
};

/// The layers above the defaults.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The configuration file.
    pub file: ConfigFile,
    /// Variables, names and values.
    pub env: Vec<(String, String)>,
    /// Flags that stand for settings.
    pub flags: Vec<Flag>,
}

/// Which file to read.
#[derive(Debug, Clone)]
pub enum ConfigFile {
    /// This one, and it has to be there.
    Given(PathBuf),
    /// This one, if it is there.
    IfThere(PathBuf),
}

/// A flag of the command line that sets a key.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As it was written: `--listen`.
    pub name: &'static str,
    /// What it sets: `http.listen`.
    pub key: &'static str,
    /// To what.
    pub value: String,
}

impl Sources {
    /// `--config FILE` or else `dailycast.toml` in the working directory, the variables of this
    /// process, and flags.
    pub fn of_process(file: Option<PathBuf>, env: Vec<(String, String)>, flags: Vec<Flag>) -> Self {
        let file = file.map_or_else(|| ConfigFile::IfThere("dailycast.toml".into()), ConfigFile::Given);
        Self { file, env, flags }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub value: Value,
    pub place: Place,
}

/// The setting in force for every key there is.
pub(super) type Settings = BTreeMap<String, Setting>;

/// Names that people already set, and the keys they stand for. For one key the first name wins.
const HONOURED: [(&str, &[&str]); 20] = [
    ("database.url", &["DATABASE_URL"]),
    ("ops.log", &["RUST_LOG"]),
    ("ops.otlp_endpoint", &["OTEL_EXPORTER_OTLP_ENDPOINT"]),
    ("providers.anthropic.api_key", &["ANTHROPIC_API_KEY"]),
    ("providers.azure_tts.key", &["AZURE_SPEECH_KEY"]),
    ("providers.azure_tts.region", &["AZURE_SPEECH_REGION"]),
    ("providers.gemini.api_key", &["GEMINI_API_KEY"]),
    ("providers.google_tts.credentials_file", &["GOOGLE_APPLICATION_CREDENTIALS"]),
    ("providers.openai.api_key", &["OPENAI_API_KEY"]),
    ("providers.polly.access_key_id", &["AWS_ACCESS_KEY_ID"]),
    ("providers.polly.endpoint_url", &["AWS_ENDPOINT_URL_POLLY"]),
    ("providers.polly.region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("providers.polly.secret_access_key", &["AWS_SECRET_ACCESS_KEY"]),
    ("providers.polly.session_token", &["AWS_SESSION_TOKEN"]),
    ("storage.s3.access_key_id", &["AWS_ACCESS_KEY_ID"]),
    ("storage.s3.credentials_expire_at", &["AWS_CREDENTIAL_EXPIRATION"]),
    ("storage.s3.endpoint_url", &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
    ("storage.s3.region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("storage.s3.secret_access_key", &["AWS_SECRET_ACCESS_KEY"]),
    ("storage.s3.session_token", &["AWS_SESSION_TOKEN"]),
];

/// What belongs to a key from the environment and to no other: where it came from, and the key.
const COMES_WITH: [(&str, &str, &str); 3] = [
    ("providers.polly.session_token", "AWS_SESSION_TOKEN", "providers.polly.access_key_id"),
    ("storage.s3.credentials_expire_at", "AWS_CREDENTIAL_EXPIRATION", "storage.s3.access_key_id"),
    ("storage.s3.session_token", "AWS_SESSION_TOKEN", "storage.s3.access_key_id"),
];

/// Lays the layers over each other. What is wrong with a layer goes to `problems`; the rest holds.
pub(super) fn settings(sources: Sources, problems: &mut Problems) -> Settings {
    let mut settings = Settings::new();
    for (key, value, _) in parse(DEFAULTS, |_| Place::Default, problems) {
        settings.insert(key, Setting { value, place: Place::Default });
    }
    let variables: BTreeMap<_, _> = sources.env.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    honoured(&variables, &mut settings);
    file(&sources.file, &mut settings, problems);
    own_variables(&variables, &mut settings, problems);
    for flag in sources.flags {
        set(&mut settings, problems, flag.key.to_owned(), Value::Untyped(flag.value), Place::Flag(flag.name));
    }
    part_strangers(&mut settings);
    keep_from_polly(&mut settings);
    settings
}

/// Takes back the token of the environment's credentials where another key is in force: together
/// they would be refused, and nobody would see why.
fn part_strangers(settings: &mut Settings) {
    let is_from = |settings: &Settings, key: &str, variable: &str| {
        settings.get(key).is_some_and(|setting| setting.place == Place::Variable(variable.to_owned()))
    };
    for (key, variable, owner) in COMES_WITH {
        if is_from(settings, key, variable) && !is_from(settings, owner, "AWS_ACCESS_KEY_ID") {
            let nothing = Setting { value: Value::Text(String::new()), place: Place::Default };
            settings.insert(key.to_owned(), nothing);
        }
    }
}

/// Takes AWS's keys of the environment back from Polly where they are another store's: AWS would
/// refuse them every night.
fn keep_from_polly(settings: &mut Settings) {
    let text = |key: &str| settings.get(key).and_then(|setting| setting.value.text().ok()).unwrap_or_default();
    let store = text("storage.s3.endpoint_url");
    let is_foreign = !store.is_empty() && !store.contains(".amazonaws.com");
    if !is_foreign || !text("providers.polly.endpoint_url").is_empty() {
        return;
    }
    let is_from_aws = |key: &str| {
        let place = settings.get(key).map(|setting| &setting.place);
        matches!(place, Some(Place::Variable(name)) if name.starts_with("AWS_"))
    };
    if !is_from_aws("storage.s3.endpoint_url") && !is_from_aws("storage.s3.access_key_id") {
        return;
    }
    let keys = ["access_key_id", "secret_access_key", "session_token"].map(|name| format!("providers.polly.{name}"));
    let lent: Vec<_> = keys.into_iter().filter(|key| is_from_aws(key)).collect();
    for key in lent {
        settings.insert(key, Setting { value: Value::Text(String::new()), place: Place::Default });
    }
}

fn honoured(variables: &BTreeMap<String, String>, settings: &mut Settings) {
    for (key, names) in HONOURED {
        let found = names.iter().find_map(|name| variables.get_key_value(*name));
        if let Some((name, value)) = found {
            let setting = Setting { value: Value::Untyped(value.clone()), place: Place::Variable(name.clone()) };
            settings.insert(key.to_owned(), setting);
        }
    }
}

fn own_variables(variables: &BTreeMap<String, String>, settings: &mut Settings, problems: &mut Problems) {
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix("DAILYCAST_") else { continue };
        let place = Place::Variable(name.clone());
        if rest.contains("__") {
            let key = rest.to_ascii_lowercase().replace("__", ".");
            set(settings, problems, key, Value::Untyped(value.clone()), place);
        } else if let Some(key) = settings.keys().find(|key| variable_rest(key, "_") == rest) {
            let right = format!("DAILYCAST_{}", variable_rest(key, "__"));
            problems.add(place, key.clone(), Fault::new("the variable is not read", format!("name it {right}")));
        }
    }
}

fn variable_rest(key: &str, joint: &str) -> String {
    key.to_ascii_uppercase().replace('.', joint)
}

fn file(file: &ConfigFile, settings: &mut Settings, problems: &mut Problems) {
    let (ConfigFile::Given(path) | ConfigFile::IfThere(path)) = file;
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(file, ConfigFile::IfThere(_)) => return,
        Err(error) => {
            let mend = "name a readable file of UTF-8 text with --config, or leave the flag out";
            problems.add(
                Place::File(path.clone(), None),
                "",
                Fault::new(format!("the file cannot be read: {error}"), mend),
            );
            return;
        }
    };
    let place = |line| Place::File(path.clone(), Some(line));
    for (key, value, line) in parse(&text, place, problems) {
        set(settings, problems, key, value, place(line));
    }
}

/// Puts a value in force, if there is such a key. A value of an unknown key is never shown: it
/// may be a secret under a misspelt name.
fn set(settings: &mut Settings, problems: &mut Problems, key: String, value: Value, place: Place) {
    if let Some(setting) = settings.get_mut(&key) {
        *setting = Setting { value, place };
        return;
    }
    let within = format!("{key}.");
    let fault = if settings.keys().any(|known| known.starts_with(&within)) {
        if matches!(value, Value::Section) {
            return;
        }
        Fault::new("this is a section, not a setting", format!("write its keys under [{key}]"))
    } else {
        let mend = match nearest(&key, settings.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "take it out; `src/config/default.toml` has every key there is".to_owned(),
        };
        Fault::new("there is no such setting", mend)
    };
    problems.add(place, key, fault);
}

/// Every value of a TOML text by its dotted key, with its line from 1.
fn parse(text: &str, place: impl Fn(usize) -> Place, problems: &mut Problems) -> Vec<(String, Value, usize)> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // Only the message: the error's own text would quote the line, and with it a secret.
        let what = format!("not valid TOML: {}", error.message());
        problems.add(
            place(error.span().map_or(1, |span| line(span.start))),
            "",
            Fault::new(what, "write `key = value`, with texts in double quotes"),
        );
    }
    let mut found = Vec::new();
    if errors.is_empty() {
        flatten("", table.get_ref(), &line, &mut found);
    }
    found
}

fn flatten(prefix: &str, table: &DeTable<'_>, line: &impl Fn(usize) -> usize, found: &mut Vec<(String, Value, usize)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => flatten(&key, inner, line, found),
            other => found.push((key, Value::from_toml(other), line(name.span().start))),
        }
    }
}
