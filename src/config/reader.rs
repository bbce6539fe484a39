//! Reads the settings of one section and notes what is wrong. A reading method answers `None`
//! after it has noted a problem, so that a section reads all its keys before it gives up.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    layers::{Setting, Settings},
    problem::{Fault, Place, Problems},
    secret::Secret,
    value,
};

/// The shortest secret that may guard something of ours, in characters.
const SHORTEST_SECRET: usize = 32;

pub(super) struct Reader<'a> {
    settings: &'a Settings,
    problems: &'a mut Problems,
    section: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(settings: &'a Settings, problems: &'a mut Problems) -> Self {
        Self { settings, problems, section: "" }
    }

    pub fn section(&mut self, section: &'static str) -> Reader<'_> {
        Reader { settings: self.settings, problems: self.problems, section }
    }

    /// Reads one key with `parse`.
    fn read<T>(&mut self, name: &'static str, parse: impl FnOnce(&Setting) -> Result<T, Fault>) -> Option<T> {
        let key = format!("{}.{name}", self.section);
        let Some(setting) = self.settings.get(&key) else {
            let fault = Fault::new("the key lacks its default", "add it to `src/config/default.toml`");
            self.problems.add(Place::Default, key, fault);
            return None;
        };
        parse(setting).map_err(|fault| self.problems.add(setting.place.clone(), key, fault)).ok()
    }

    /// A text that `parse` understands.
    pub fn parsed<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        self.read(name, |setting| parse(setting.value.text()?))
    }

    /// As [`Reader::parsed`], but an empty text means not set.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Option<T>> {
        self.parsed(name, |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) })
    }

    /// A text that must not be empty.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.parsed(name, |text| match text {
            "" => Err(Fault::new("it must not be empty", "write a text, or leave the key out for its default")),
            text => Ok(text.to_owned()),
        })
    }

    pub fn optional_text(&mut self, name: &'static str) -> Option<Option<String>> {
        self.optional(name, |text| Ok(text.to_owned()))
    }

    /// A secret that comes from elsewhere.
    pub fn secret(&mut self, name: &'static str) -> Option<Option<Secret>> {
        self.optional(name, |text| Ok(Secret::new(text)))
    }

    /// A secret that guards something of ours, so it must be long.
    pub fn strong_secret(&mut self, name: &'static str) -> Option<Option<Secret>> {
        self.optional(name, |text| {
            if text.chars().count() < SHORTEST_SECRET {
                let what = format!("it is shorter than {SHORTEST_SECRET} characters");
                return Err(Fault::new(what, "make one with `openssl rand -hex 32`"));
            }
            Ok(Secret::new(text))
        })
    }

    /// A secret address of one of these schemes.
    pub fn secret_address(&mut self, name: &'static str, schemes: &[&str]) -> Option<Option<Secret>> {
        self.optional(name, |text| {
            let fits = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
            if !fits {
                let mend = format!("write an address that begins with {}", schemes.join(" or "));
                return Err(Fault::new("this is not such an address", mend));
            }
            Ok(Secret::new(text))
        })
    }

    /// A file that must be there, or nothing.
    pub fn optional_file(&mut self, name: &'static str) -> Option<Option<PathBuf>> {
        self.optional(name, |text| {
            let path = PathBuf::from(text);
            if !path.is_file() {
                return Err(Fault::new(format!("there is no file {text:?}"), "name a file that is there"));
            }
            Ok(path)
        })
    }

    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, |setting| setting.value.boolean())
    }

    pub fn texts<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Vec<T>> {
        self.read(name, |setting| setting.value.texts()?.iter().map(|text| parse(text)).collect())
    }

    /// A whole number within bounds.
    pub fn count(&mut self, name: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        self.read(name, |setting| {
            let number = setting.value.integer()?;
            u32::try_from(number).ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
                let mend = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
                Fault::new(format!("{number} is out of bounds"), mend)
            })
        })
    }

    /// A share from 0 to 1.
    pub fn share(&mut self, name: &'static str) -> Option<f64> {
        self.read(name, |setting| setting.value.share())
    }

    /// An amount in millionths of a dollar; an empty text means not set.
    pub fn optional_micro_usd(&mut self, name: &'static str) -> Option<Option<i64>> {
        self.read(name, |setting| match setting.value.text() {
            Ok("") => Ok(None),
            _ => setting.value.micro_usd().map(Some),
        })
    }

    /// A size of at least `least` bytes.
    pub fn bytes(&mut self, name: &'static str, least: u64) -> Option<u64> {
        self.read(name, |setting| {
            let bytes = setting.value.bytes()?;
            if bytes < least {
                let mend = format!("write at least {least} bytes");
                return Err(Fault::new(format!("{bytes} bytes are too few"), mend));
            }
            Ok(bytes)
        })
    }

    /// A duration within bounds.
    pub fn duration(&mut self, name: &'static str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        self.parsed(name, |text| {
            let length = value::duration(text)?;
            if !bounds.contains(&length) {
                let mend = format!("write from {} to {}", value::shown(*bounds.start()), value::shown(*bounds.end()));
                return Err(Fault::new(format!("{text} is out of bounds"), mend));
            }
            Ok(length)
        })
    }

    /// Whether a key is in force as this variable says.
    pub fn is_from(&self, name: &str, variable: &str) -> bool {
        let setting = self.settings.get(&format!("{}.{name}", self.section));
        setting.is_some_and(|setting| setting.place == Place::Variable(variable.to_owned()))
    }

    /// Where a text is set, if it is not empty.
    fn set(&self, name: &str) -> Option<Place> {
        let setting = self.settings.get(&format!("{}.{name}", self.section))?;
        (!matches!(setting.value.text(), Ok(""))).then(|| setting.place.clone())
    }

    /// Notes a problem if an optional text is set but none of these others, one of which it needs.
    pub fn needs_one_of(&mut self, name: &'static str, others: &[&'static str]) {
        let Some(place) = self.set(name).filter(|_| others.iter().all(|other| self.set(other).is_none())) else {
            return;
        };
        let others = others.join(" or ");
        let fault = Fault::new(format!("it is set, but not {others}"), format!("set {others}, too"));
        self.problems.add(place, format!("{}.{name}", self.section), fault);
    }

    /// Notes a problem if some of these optional texts are set and others are not: they only make
    /// sense together.
    pub fn together(&mut self, names: &[&'static str]) {
        let Some(place) = names.iter().find_map(|name| self.set(name)) else { return };
        let missing: Vec<_> = names.iter().filter(|name| self.set(name).is_none()).collect();
        for missing in missing {
            let key = format!("{}.{missing}", self.section);
            let what = format!("it is not set, but the rest of {} is", names.join(", "));
            self.problems.add(place.clone(), key, Fault::new(what, "set all of them, or none"));
        }
    }
}

/// A choice by name.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Fault> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Fault::new(format!("{text:?} is not a choice"), format!("write {}", names.join(" or ")))
    })
}

pub(super) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}
