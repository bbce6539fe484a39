//! The files of a workflow definition: those compiled in, and those of a directory that replaces
//! some or all of them. A file that the directory does not have is the compiled-in one; a TOML
//! file with a name that no workflow has is refused, because it is most likely misspelt.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use super::read::Report;

/// The most bytes of one file.
const MAX_FILE_BYTES: u64 = 1 << 20;

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        /// The compiled-in files: name and text.
        const BUILTIN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/", $name)))),*];
    };
}

builtin! {
    "daily_podcast.toml",
    "models.toml",
    "plans.toml",
    "prices.toml",
    "providers.toml",
    "voices.toml",
    "prompts/system.txt",
    "prompts/user.txt",
    "prompts/template.de.toml",
    "prompts/template.en.toml",
    "prompts/template.es.toml",
    "prompts/template.fr.toml",
    "prompts/template.ja.toml",
    "samples/nothing_known.json",
    "samples/one_answer.json",
    "samples/everything_known.json",
    "samples/japanese.json",
}

/// All files of a definition by their names, with `/` between directories.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<String, String>);

impl Files {
    pub(super) fn builtin() -> Self {
        Self(BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    /// The compiled-in files with those of `dir` over them.
    pub(super) fn with_dir(dir: &Path, report: &Report) -> Result<Self, Error> {
        let mut files = Self::builtin();
        files.read_dir(dir, "", report)?;
        for inner in ["prompts", "samples"] {
            let path = dir.join(inner);
            if path.is_dir() {
                files.read_dir(&path, &format!("{inner}/"), report)?;
            }
        }
        Ok(files)
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str, report: &Report) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable { path: dir.to_owned(), source };
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file_name = entry.file_name();
            let name = format!("{prefix}{}", file_name.to_string_lossy());
            let wanted = [".toml", ".txt", ".json"].iter().any(|ending| name.ends_with(ending));
            if !wanted || !entry.path().is_file() {
                continue;
            }
            if prefix.is_empty() && !self.0.contains_key(&name) {
                let known = BUILTIN.iter().map(|(name, _)| *name).filter(|name| !name.contains('/'));
                report.add(&name, 0, format!("no workflow has this file; known are {}", super::read::listed(known)));
                continue;
            }
            match read_text(&entry.path()) {
                Ok(text) => drop(self.0.insert(name, text)),
                Err(message) => report.add(&name, 0, message),
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The files below `prefix`, with their names.
    pub(super) fn below<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.0
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("is {size} bytes long; at most {MAX_FILE_BYTES} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}
