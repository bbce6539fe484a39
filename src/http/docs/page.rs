//! The page for people: the document through one template, `dashboards/pages/docs.html`.
//!
//! References within the document are followed by the template (`whole`), so a test that renders the
//! page also finds one that leads nowhere.

use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, HtmlEscape, Value, context};

use crate::http::html;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

fn engine() -> Environment<'static> {
    let mut engine = html::engine();
    engine.add_filter("whole", whole);
    engine.add_filter("name", |part: Value| text(&part, "$ref").rsplit('/').next().unwrap_or_default().to_owned());
    engine.add_filter("prose", |words: &str| Value::from_safe_string(prose(words)));
    engine.add_filter("pretty", |value: Value| serde_json::to_string_pretty(&value).unwrap_or_default());
    engine.add_filter("short", |value: Value| serde_json::to_string(&value).unwrap_or_default());
    engine.add_filter("filled", filled);
    engine.add_filter("kind", |schema: Value| kind(&schema));
    #[expect(clippy::expect_used, reason = "the template is compiled in, and a test renders it")]
    engine.add_template("docs", include_str!("../../../dashboards/pages/docs.html")).expect("a template that is one");
    engine
}

/// The page of a document, for a server at `base`.
///
/// # Errors
/// When the document is no JSON, or is not what the template expects: a defect.
pub(super) fn render(document: &str, base: &str) -> Result<String, Error> {
    let unreadable = |error| Error::new(ErrorKind::BadSerialization, "the document is no JSON").with_source(error);
    let document: Value = serde_json::from_str(document).map_err(unreadable)?;
    ENGINE.get_template("docs")?.render(context! { document, base })
}

/// A part of the document itself, where there is only a reference to it.
fn whole(part: Value, document: Value) -> Result<Value, Error> {
    let reference = text(&part, "$ref");
    if reference.is_empty() {
        return Ok(part);
    }
    let steps = reference.trim_start_matches("#/").split('/');
    let found = steps.fold(document, |place, step| place.get_attr(step).unwrap_or_default());
    if found.is_undefined() {
        let words = format!("{reference} leads nowhere");
        return Err(Error::new(ErrorKind::InvalidOperation, words));
    }
    Ok(found)
}

/// A text of the document, or nothing.
fn text(part: &Value, key: &str) -> String {
    part.get_attr(key).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Prose as HTML: an empty line parts paragraphs, backticks set off code.
fn prose(words: &str) -> String {
    let paragraph = |text: &str| {
        let pieces = text.split('`').enumerate().map(|(at, piece)| match at % 2 {
            0 => HtmlEscape(piece).to_string(),
            _ => format!("<code>{}</code>", HtmlEscape(piece)),
        });
        format!("<p>{}</p>", pieces.collect::<String>())
    };
    words.split("\n\n").map(paragraph).collect()
}

/// A path with the examples of its parameters in their places.
fn filled(path: String, parameters: Vec<Value>) -> String {
    parameters.iter().fold(path, |path, parameter| {
        let place = format!("{{{}}}", text(parameter, "name"));
        let example = parameter.get_attr("example").unwrap_or_default();
        path.replace(&place, &example.to_string())
    })
}

/// What a value may be, in a few words.
fn kind(schema: &Value) -> String {
    let any = |key: &str| schema.get_attr(key).ok().filter(|value| !value.is_undefined());
    let each = |list: &Value, of: &dyn Fn(&Value) -> String| {
        list.try_iter().map(|items| items.map(|item| of(&item)).collect::<Vec<_>>().join(" or ")).unwrap_or_default()
    };
    if let Some(reference) = any("$ref") {
        return reference.to_string().rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(choices) = any("anyOf") {
        return each(&choices, &kind);
    }
    if let Some(choices) = any("enum") {
        return each(&choices, &|choice| format!("\"{choice}\""));
    }
    if let Some(only) = any("const") {
        return format!("\"{only}\"");
    }
    let Some(of) = any("type") else { return String::new() };
    match (of.as_str(), any("items"), any("format")) {
        (Some("array"), Some(items), _) => format!("list of {}", kind(&items)),
        (Some("string"), _, Some(format)) => format!("string ({format})"),
        (Some(name), ..) => name.to_owned(),
        _ => each(&of, &|name| name.to_string()),
    }
}
