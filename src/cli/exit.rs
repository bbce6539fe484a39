//! How a command ends, and how a failure is told.

use std::{fmt, process::ExitCode};

use crate::{config, workflow};

/// The code a command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// It failed, or a night ended with failures.
    Failed = 1,
    /// It was called wrongly, or the configuration is wrong. Nothing was started.
    Usage = 2,
    /// It is done, but something needs an operator.
    Attention = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong, and what to do about it. Wrap a cause with `.context(Advice::…)`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Advice {
    what: String,
    mend: String,
    exit: Exit,
}

impl Advice {
    /// The command was called wrongly, or lacks a setting.
    pub fn usage(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into(), exit: Exit::Usage }
    }

    /// What to do about it.
    pub fn mend(&self) -> &str {
        &self.mend
    }

    /// The command failed.
    pub fn failed(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into(), exit: Exit::Failed }
    }
}

impl Exit {
    /// The code an error ends with.
    pub fn of(error: &anyhow::Error) -> Self {
        if let Some(advice) = error.downcast_ref::<Advice>() {
            return advice.exit;
        }
        let is_set_wrongly = error.is::<config::Problems>() || error.is::<workflow::Error>();
        if is_set_wrongly { Self::Usage } else { Self::Failed }
    }
}

/// An error for people: what, its causes, and the mend.
pub struct Told<'a>(pub &'a anyhow::Error);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.0)?;
        let mut said = self.0.to_string();
        for cause in self.0.chain().skip(1) {
            // Some libraries repeat their source in their own words.
            let words = cause.to_string();
            if !said.ends_with(&words) {
                write!(f, "\n  because {words}")?;
            }
            said = words;
        }
        match self.0.downcast_ref::<Advice>() {
            Some(advice) => write!(f, "\n  mend: {}", advice.mend),
            None => Ok(()),
        }
    }
}
