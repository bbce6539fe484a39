//! Pages from `dashboards/pages/ops/`: data goes in, HTML comes out, as `html.rs` says.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use minijinja::{Environment, Value, context, value::Serde};
use poem::Response;
use poem::error::ResponseError as _;

use super::{
    assets, door,
    sheet::{self, LIVE, Sheet, Visit},
};
use crate::{
    http::{error::Refusal, html},
    ops::actor::{Actor, Role},
};

macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../dashboards/pages/ops/", $name, ".html")))),*]
    };
}

/// Every template.
static PAGES: &[(&str, &str)] = &pages![
    "alerts",
    "audit",
    "base",
    "costs",
    "failures",
    "login",
    "nights",
    "operation",
    "operation_new",
    "operation_parts",
    "operations",
    "parts",
    "podcast",
    "podcasts",
    "providers",
    "refusal",
    "schedule",
    "stream",
    "tonight",
    "workers",
];

/// The links of the menu: address, name, icon of `parts.html`.
const MENU: [(&str, &str, &str); 11] = [
    ("/ops", "Tonight", "moon"),
    ("/ops/podcasts", "Podcasts", "list"),
    ("/ops/failures", "Failures", "alert"),
    ("/ops/nights", "Nights", "nights"),
    ("/ops/providers", "Providers", "plug"),
    ("/ops/workers", "Workers", "worker"),
    ("/ops/schedule", "Schedule", "clock"),
    ("/ops/costs", "Costs", "coin"),
    ("/ops/alerts", "Alerts", "bell"),
    ("/ops/operations", "Operations", "tasks"),
    ("/ops/audit", "Audit", "book"),
];

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(engine);

fn engine() -> Environment<'static> {
    let mut engine = html::engine();
    engine.add_filter("dollars", dollars);
    engine.add_filter("count", count);
    engine.add_filter("minutes", minutes);
    engine.add_filter("percent", percent);
    engine.add_filter("span", |seconds: f64| span(seconds as i64));
    engine.add_filter("words", |text: &str| text.replace('_', " "));
    engine.add_filter("clock", |time: &str| shown(time, "%H:%M"));
    engine.add_filter("moment", |time: &str| shown(time, "%-d %b %H:%M:%S"));
    engine.add_filter("day", |date: &str| {
        date.parse::<chrono::NaiveDate>()
            .map_or_else(|_| date.to_owned(), |date| date.format("%a %-d %b %Y").to_string())
    });
    engine.add_filter("day_short", |date: &str| {
        date.parse::<chrono::NaiveDate>().map_or_else(|_| date.to_owned(), |date| date.format("%-d %b").to_string())
    });
    engine.add_filter("month", |first: &str| {
        first.parse::<chrono::NaiveDate>().map_or_else(|_| first.to_owned(), |first| first.format("%B %Y").to_string())
    });
    engine.add_filter("ago", ago);
    engine.add_filter("pretty", |value: Value| serde_json::to_string_pretty(&value).unwrap_or_default());
    engine.add_filter("seconds", |ms: f64| seconds(ms));
    engine.add_function("asset", assets::address);
    for &(name, text) in PAGES {
        #[expect(clippy::expect_used, reason = "templates are compiled in, and a test renders each of them")]
        engine.add_template(name, text).expect("a template that is one");
    }
    engine
}

/// What every page shows around its own part.
#[derive(Debug)]
pub(super) struct Chrome {
    actor: Actor,
    csrf: String,
    path: String,
    live: String,
    theme: String,
    said: String,
    now: DateTime<Utc>,
}

impl Chrome {
    /// The surroundings of a visit.
    pub fn of(visit: &Visit) -> Self {
        let path = visit.uri.path().trim_end_matches('/').to_owned();
        let query = visit.uri.query().map(|query| format!("{query}&")).unwrap_or_default();
        let live = format!("{}?{query}{LIVE}", visit.uri.path());
        Self {
            actor: visit.actor.clone(),
            csrf: door::csrf(visit),
            path,
            live,
            theme: visit.theme.clone(),
            said: visit.said.clone(),
            now: visit.app.clock.now(),
        }
    }

    /// The same, with the address of the stream that the sheet wants.
    pub fn live_at(self, visit: &Visit, sheet: &Sheet) -> Self {
        let Some(query) = &sheet.live_query else { return self };
        Self { live: format!("{}?{query}&{LIVE}", visit.uri.path()), ..self }
    }

    fn value(&self, sheet: &Sheet, layout: &str) -> Value {
        let menu = MENU.map(|(address, name, icon)| {
            let is_here = self.path == address || address != "/ops" && self.path.starts_with(&format!("{address}/"));
            context! { address, name, icon, is_here }
        });
        context! {
            layout,
            page => Value::from(Serde(&sheet.data)),
            title => &*sheet.title,
            menu,
            may_operate => self.actor.role == Role::Operator,
            actor => Value::from(Serde(&self.actor)),
            live => &*self.live,
            theme => &*self.theme,
            said => &*self.said,
            now => self.now.to_rfc3339(),
            csrf => &*self.csrf,
        }
    }
}

/// How a view is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As a whole page.
    Page,
    /// Only the part that is kept up to date, as HTML that says where it belongs. What is around it
    /// stays as the reader holds it.
    Stream,
}

/// A view as HTML.
///
/// # Errors
/// [`Refusal::Defect`] when template and data do not fit.
pub(super) fn render(sheet: &Sheet, chrome: &Chrome, layout: Layout) -> Result<String, Refusal> {
    let layout = match layout {
        Layout::Page => "base",
        Layout::Stream => "stream",
    };
    let template = ENGINE.get_template(sheet.template);
    template.and_then(|template| template.render(chrome.value(sheet, layout))).map_err(|error| {
        tracing::error!(template = sheet.template, error = crate::store::chain(&error), "a page cannot be rendered");
        Refusal::Defect
    })
}

/// The log-in, with the reason why the last one was refused, if it was, and where it leads.
pub(super) fn log_in(words: &str, next: &str) -> Response {
    entry(words, "", next)
}

/// The button that uses a link, and where that leads.
pub(super) fn enter(link: &str, next: &str) -> Response {
    entry("", link, next)
}

fn entry(words: &str, link: &str, next: &str) -> Response {
    let data = context! { words, link, next, theme => "" };
    let text = ENGINE.get_template("login").and_then(|template| template.render(data));
    sheet::html(text.unwrap_or_else(|error| {
        tracing::error!(error = crate::store::chain(&error), "the log-in cannot be rendered");
        "The log-in cannot be shown.".to_owned()
    }))
}

/// A refusal as a page, with the way `back` if there is one.
pub(super) fn refusal(refusal: &Refusal, back: Option<&str>, theme: &str) -> Response {
    let words = match refusal {
        Refusal::Unmeant(_, words) => words.clone(),
        refusal => refusal.to_string(),
    };
    let text = ENGINE.get_template("refusal").and_then(|template| {
        template.render(context! { status => refusal.status().as_u16(), words, field => refusal.field(), back, theme })
    });
    let mut response = sheet::html(text.unwrap_or_else(|_| refusal.to_string()));
    response.set_status(refusal.status());
    response
}

/// Millionths of a dollar as people read them: cents where it is much, more digits where it is little.
fn dollars(micro_usd: i64) -> String {
    let dollars = micro_usd as f64 / 1e6;
    match micro_usd.abs() {
        // What was spent is never nothing.
        1..50 => "<\u{202f}$0.0001".to_owned(),
        0 | 1_000_000.. => format!("${dollars:.2}"),
        _ => format!("${dollars:.4}"),
    }
}

/// A whole number with a thin space between thousands.
fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "−".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share from 0 to 1: `1.7 %`; what is there is never `0 %`, and what is not all is never `100 %`.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 | 100.0 => format!("{percent:.0}\u{202f}%"),
        percent if percent < 0.05 => "< 0.1\u{202f}%".to_owned(),
        percent if percent >= 99.95 => "> 99.9\u{202f}%".to_owned(),
        percent => format!("{percent:.1}\u{202f}%"),
    }
}

/// Seconds of audio: `4:02`.
fn minutes(seconds: i64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A length of time in its largest unit or two: `45 s`, `12 min`, `3 h 5 min`, `2 d`.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Milliseconds as people read them: `0.4 s`, `12.5 s`, `3 min 4 s`.
fn seconds(ms: f64) -> String {
    match ms / 1000.0 {
        seconds @ ..60.0 => format!("{seconds:.1} s"),
        seconds => format!("{} min {} s", seconds as i64 / 60, seconds as i64 % 60),
    }
}

/// A time of the data in the format of a page, in UTC.
fn shown(time: &str, format: &str) -> String {
    DateTime::parse_from_rfc3339(time)
        .map_or_else(|_| time.to_owned(), |time| time.with_timezone(&Utc).format(format).to_string())
}

/// How long before `now` a time was, or how long after: `12 min ago`, `in 3 min`.
fn ago(time: &str, now: &str) -> String {
    let (Ok(time), Ok(now)) = (DateTime::parse_from_rfc3339(time), DateTime::parse_from_rfc3339(now)) else {
        return time.to_owned();
    };
    let seconds = (now - time).num_seconds();
    match seconds {
        // So that a page does not change with every second.
        -9..10 => "now".to_owned(),
        10..60 => "less than a minute ago".to_owned(),
        -59..-9 => "in less than a minute".to_owned(),
        60.. => format!("{} ago", span(seconds)),
        _ => format!("in {}", span(-seconds)),
    }
}
