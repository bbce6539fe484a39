//! Prompts and phrases: small minijinja templates. Every placeholder of every one of them is
//! checked when the workflow is read, so that none can be left over at night.

use minijinja::{Environment, UndefinedBehavior, Value};

use super::read::{At, Report, listed};

/// What the user prompt may name.
pub(super) const PROMPT_PLACEHOLDERS: [&str; 12] = [
    "language",
    "language_name",
    "manner",
    "least",
    "most",
    "aim",
    "unit",
    "name_token",
    "weakest",
    "answered",
    "correct",
    "facts",
];

/// What a phrase of the template may name.
pub(super) const PHRASE_PLACEHOLDERS: [&str; 16] = [
    "name",
    "answered",
    "correct",
    "answered_before",
    "correct_before",
    "weakest",
    "strongest",
    "reviews",
    "review_count",
    "question",
    "question_subject",
    "answer",
    "quiz",
    "quiz_subject",
    "interest",
    "topic",
];

/// A template and where it stands, for messages.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub(super) file: String,
    pub(super) source: At<String>,
}

/// An engine that knows the filter `sentence`, which closes a text with `stop` unless it is closed.
pub(super) fn engine(stop: &str) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let stop = stop.to_owned();
    engine.add_filter("sentence", move |text: String| {
        let closed = text.trim_end().ends_with(['.', '?', '!', '…', '。', '？', '！']);
        if closed { text } else { format!("{}{stop}", text.trim_end()) }
    });
    engine
}

impl Prompt {
    /// Reports a template that cannot be parsed or names an unknown placeholder; true when it is
    /// sound.
    pub(super) fn check(&self, engine: &Environment<'static>, known: &[&str], report: &Report) -> bool {
        let template = match engine.template_from_str(&self.source.value) {
            Ok(template) => template,
            Err(error) => {
                report.add(&self.file, self.line(&error), fault(&error));
                return false;
            }
        };
        let mut unknown = template.undeclared_variables(false);
        unknown.retain(|name| !known.contains(&name.as_str()));
        for name in &unknown {
            let below = self.source.value.lines().position(|line| names(line, name)).unwrap_or_default();
            let message = format!("unknown placeholder {name:?}; known are {}", listed(known));
            report.add(&self.file, self.source.line + below, message);
        }
        unknown.is_empty()
    }

    /// The text with its placeholders filled in, without white space around it.
    pub(super) fn render(&self, engine: &Environment<'static>, context: &Value) -> Result<String, minijinja::Error> {
        Ok(engine.render_str(&self.source.value, context.clone())?.trim().to_owned())
    }

    /// Reports a template that cannot be rendered with `context`.
    pub(super) fn check_render(&self, engine: &Environment<'static>, context: &Value, sample: &str, report: &Report) {
        if let Err(error) = self.render(engine, context) {
            report.add(&self.file, self.line(&error), format!("fails on {sample}: {}", fault(&error)));
        }
    }

    fn line(&self, error: &minijinja::Error) -> usize {
        self.source.line + error.line().unwrap_or(1).saturating_sub(1)
    }
}

fn fault(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// True when `line` has `name` as a whole word within a tag.
fn names(line: &str, name: &str) -> bool {
    let inside = |at: usize| line[..at].contains("{{") || line[..at].contains("{%");
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name)
        .any(|(at, _)| inside(at) && !line[..at].ends_with(word) && !line[at + name.len()..].starts_with(word))
}
