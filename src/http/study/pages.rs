//! Pages from `dashboards/pages/study/`, in the reader's language: data goes in, HTML comes out, as
//! `html.rs` says. The words are in `words.toml`, the same for each language.

use std::{collections::BTreeMap, sync::LazyLock};

use chrono::{Datelike as _, NaiveDate};
use minijinja::{Environment, Value, context, value::Serde};
use poem::{Request, Response, http::header};
use serde::{Deserialize, Serialize};

use super::assets;
use crate::http::{html, site};

/// A language that the pages speak; a place in [`LANGUAGES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language(usize);

/// BCP 47 primary tags. The first one is for everybody whose own is not among them.
const LANGUAGES: [&str; 5] = ["en", "ja", "es", "fr", "de"];

/// Wishes of a header that are looked at.
const MOST_WISHES: usize = 20;

/// What is said in one language.
#[derive(Debug, Serialize, Deserialize)]
struct Words {
    weekdays: [String; 7],
    months: [String; 12],
    /// With `{weekday}`, `{day}` and `{month}`.
    date: String,
    /// Sentences by name.
    say: BTreeMap<String, String>,
}

static WORDS: LazyLock<BTreeMap<String, Words>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "compiled in, and a test reads it")]
    toml::from_str(include_str!("../../../dashboards/pages/study/words.toml")).expect("words in each language")
});

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = html::engine();
    engine.add_function("asset", assets::address);
    for (name, text) in [
        ("base", include_str!("../../../dashboards/pages/study/base.html")),
        ("dashboard", include_str!("../../../dashboards/pages/study/dashboard.html")),
        ("enter", include_str!("../../../dashboards/pages/study/enter.html")),
        ("listen", include_str!("../../../dashboards/pages/study/listen.html")),
        ("login", include_str!("../../../dashboards/pages/study/login.html")),
        ("plain", include_str!("../../../dashboards/pages/study/plain.html")),
        ("message", include_str!("../../../dashboards/pages/study/message.html")),
    ] {
        #[expect(clippy::expect_used, reason = "templates are compiled in, and a test renders each of them")]
        engine.add_template(name, text).expect("a template that is one");
    }
    engine
});

impl Language {
    /// The first of `wished` that is spoken here, else the one that the browser likes best.
    pub fn of(request: &Request, wished: &[String]) -> Self {
        let header = request.header(header::ACCEPT_LANGUAGE).unwrap_or_default();
        let mut accepted: Vec<(f32, &str)> = header.split(',').take(MOST_WISHES).map(wish).collect();
        accepted.sort_by(|one, other| other.0.total_cmp(&one.0));
        let accepted = accepted.into_iter().filter(|(weight, _)| *weight > 0.0).map(|(_, tag)| tag);
        let place = wished.iter().map(String::as_str).chain(accepted).find_map(spoken);
        Self(place.unwrap_or_default())
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        LANGUAGES[self.0]
    }

    fn words(self) -> &'static Words {
        &WORDS[self.tag()]
    }

    /// A sentence.
    pub fn say(self, name: &str) -> &'static str {
        self.words().say.get(name).map_or("", String::as_str)
    }

    /// A date as people write it: `Monday, 23 November`.
    pub fn date(self, date: NaiveDate) -> String {
        let words = self.words();
        let weekday = &words.weekdays[date.weekday().num_days_from_monday() as usize];
        let month = &words.months[date.month0() as usize];
        words.date.replace("{weekday}", weekday).replace("{day}", &date.day().to_string()).replace("{month}", month)
    }

    /// The length of an episode in whole minutes, at least one.
    pub fn minutes(self, seconds: i32) -> String {
        self.say("minutes").replace("{n}", &((seconds + 30) / 60).max(1).to_string())
    }
}

/// A wish of `Accept-Language`: its weight and its tag.
fn wish(part: &str) -> (f32, &str) {
    let (tag, rest) = part.split_once(';').unwrap_or((part, "q=1"));
    let weight = rest.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok()).unwrap_or(0.0);
    (weight, tag.trim())
}

/// The place of the language of a tag, whatever its region.
fn spoken(tag: &str) -> Option<usize> {
    let primary = tag.split(['-', '_']).next()?;
    LANGUAGES.iter().position(|known| primary.eq_ignore_ascii_case(known))
}

/// A page, with what every page needs.
pub(super) fn page(language: Language, template: &str, data: Value) -> Response {
    let around = context! { lang => language.tag(), say => Value::from(Serde(&language.words().say)), ..data };
    let text = ENGINE.get_template(template).and_then(|template| template.render(around));
    let text = text.unwrap_or_else(|error| {
        tracing::error!(template, error = crate::store::chain(&error), "a page cannot be rendered");
        language.say("away").to_owned()
    });
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::VARY, "Cookie, Accept-Language, Accept-Encoding")
        .header(header::CONTENT_SECURITY_POLICY, site::POLICY)
        // Else a browser does not say that our forms are ours.
        .header(header::REFERRER_POLICY, "same-origin")
        .header("X-Robots-Tag", "noindex")
        .body(text)
}

/// The log-in, with the reason why the last one was refused, if it was, and where it leads.
pub(super) fn log_in(language: Language, why: &str, next: &str) -> Response {
    // Another reason says nothing about what was typed.
    let is_wrong = matches!(why, "why_no_token" | "why_unknown" | "why_closed");
    let why = if why.is_empty() { "" } else { language.say(why) };
    page(language, "login", context! { why, is_wrong, next })
}

/// The button that uses a link, and where that leads.
pub(super) fn enter(language: Language, link: &str, next: &str) -> Response {
    page(language, "enter", context! { link, next })
}

/// A page that says why there is nothing: `missing`, `gone`, `spent`, `busy` or `away`; with a way to the
/// dashboard, if `home` is one.
pub(super) fn message(language: Language, what: &str, home: Option<&str>) -> Response {
    let (heading, words) = (language.say(&format!("{what}_heading")), language.say(what));
    page(language, "message", context! { heading, words, home })
}
