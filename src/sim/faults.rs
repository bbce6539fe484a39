//! The fault file: what goes wrong, when, and how slow everything is. TOML; `faults.toml` beside
//! this file is an example with every part of it, and what the demo uses.
//!
//! ```toml
//! seed = 1                    # the same seed and the same order of calls have the same faults
//!
//! [latency]                   # what an answer takes, half to one and a half times of it
//! scale = 1.0                 # multiplies all three; 0 answers at once
//! script = 15.0               # seconds
//! speech = 6.0
//! list = 0.2
//!
//! [[rate_limit]]              # as many calls at once as `burst`, refilled by `per_minute`
//! provider = "polly"
//! per_minute = 480            # more are refused in the vendor's way, with Retry-After where it
//! burst = 10                  # has one
//!
//! [[fault]]                   # of several that fit a call, the first is taken
//! provider = "openai"         # not set: every one
//! operation = "script"        # script, speech or list; not set: every one
//! share = 0.1                 # of the calls; not set: all
//! by = "prompt"               # dice per prompt, the same at every provider; else "call"
//! from = 30.0                 # seconds since the start
//! until = 90.0
//! most = 5                    # so many times at most
//! error = "rate_limited"      # an error in the vendor's shape, see [`Trouble`]
//! status = 503                # with this status; alone: the error that fits it
//! retry_after = 2.0           # seconds that the error asks for
//! spoil = "truncated"         # or a good answer spoiled, see [`Spoil`]
//! delay = 5.0                 # seconds before the answer
//! drip = 200                  # bytes a second
//! ```
//!
//! A fault needs at least one of `error`, `status`, `spoil`, `delay` and `drip`. Whatever is wrong
//! in a file is told at once, and unknown keys are wrong.

use std::time::Duration;

use toml::{Table, Value};

use super::vendor::{Operation, Vendor};

/// The longest time in a file.
const LONGEST_SECONDS: f64 = 86_400.0;

/// What goes wrong and how slow everything is. The default: nothing, at once.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) latency: Latency,
    pub(super) limits: Vec<RateLimit>,
    pub(super) rules: Vec<Rule>,
}

/// Everything that is wrong with a fault file, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fault file is wrong:\n  {}", .0.join("\n  "))]
pub struct Problems(pub Vec<String>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    scale: f64,
    script: f64,
    speech: f64,
    list: f64,
}

#[derive(Debug, Clone)]
pub(super) struct RateLimit {
    pub(super) vendor: Vendor,
    pub(super) per_minute: u32,
    pub(super) burst: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) vendor: Option<Vendor>,
    pub(super) operation: Option<Operation>,
    pub(super) share: f64,
    pub(super) by_prompt: bool,
    pub(super) from: Duration,
    pub(super) until: Option<Duration>,
    pub(super) most: Option<u64>,
    pub(super) effect: Effect,
}

/// What a fault does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    pub(super) error: Option<Trouble>,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    pub(super) spoil: Option<Spoil>,
    pub(super) delay: Duration,
    pub(super) drip: Option<u32>,
}

/// Implements the names of an enum without fields, for files and messages.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$variant_doc])* $variant,)* }

        impl $type {
            /// Every one with its name in the file.
            pub const ALL: &[(&str, Self)] = &[$(($name, Self::$variant),)*];
        }
    };
}

named! {
    /// An error that every vendor has, each in its own shape.
    Trouble {
        /// Too many calls.
        RateLimited = "rate_limited",
        /// The requests of a day are used up.
        DailyQuota = "daily_quota",
        /// Nothing is paid for any more.
        OutOfCredit = "out_of_credit",
        /// The limit that the customer set is reached.
        SpendLimit = "spend_limit",
        /// The key is not known.
        KeyRefused = "key_refused",
        /// The key may not do this.
        Forbidden = "forbidden",
        /// The model, or the address, is not there any more.
        ModelRetired = "model_retired",
        /// The request is wrong.
        BadRequest = "bad_request",
        /// The request is too large.
        TooLarge = "too_large",
        /// The vendor did not finish in its own time.
        Timeout = "timeout",
        /// The vendor broke.
        ServerError = "server_error",
        /// The vendor is away.
        Unavailable = "unavailable",
        /// The vendor has too much to do.
        Overloaded = "overloaded",
    }
}

named! {
    /// What becomes of a good answer.
    Spoil {
        /// Text that is not the JSON, or not the MP3, that it says it is.
        Malformed = "malformed",
        /// Half of the bytes, ended as if they were all.
        Truncated = "truncated",
        /// Half of the bytes, then the connection breaks.
        Reset = "reset",
        /// A page of HTML with status 200.
        WrongType = "wrong_type",
        /// A body that goes on for a gigabyte.
        Huge = "huge",
        /// A writer does not want to.
        Refused = "refused",
        /// A writer ran out of tokens.
        CutOff = "cut_off",
        /// A writer wrote nothing.
        Empty = "empty",
        /// A writer thought, and wrote nothing.
        ThinkingOnly = "thinking_only",
        /// A speaker sends eight zeros, or nothing at all.
        Silent = "silent",
    }
}

impl Trouble {
    /// The one that a status stands for.
    pub(super) const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::KeyRefused,
            402 => Self::OutOfCredit,
            403 => Self::Forbidden,
            404 => Self::ModelRetired,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            502 | 503 => Self::Unavailable,
            529 => Self::Overloaded,
            400..=499 => Self::BadRequest,
            _ => Self::ServerError,
        }
    }
}

impl Latency {
    /// The usual time of an operation.
    pub(super) fn of(&self, operation: Operation) -> Duration {
        let seconds = match operation {
            Operation::Script => self.script,
            Operation::Speech => self.speech,
            Operation::List => self.list,
        };
        Duration::from_secs_f64((seconds * self.scale).min(LONGEST_SECONDS))
    }
}

impl Faults {
    /// Reads a fault file.
    ///
    /// # Errors
    /// [`Problems`], all of them.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut root = match text.parse::<Table>() {
            Ok(table) => Reader::new("", table),
            Err(error) => return Err(Problems(vec![error.to_string().trim_end().to_owned()])),
        };
        let seed = root.whole("seed", 0..=i64::MAX as u64).unwrap_or_default();
        let latency = root.section("latency");
        let limits: Vec<_> = root.list("rate_limit").into_iter().map(|mut reader| rate_limit(&mut reader)).collect();
        let rules: Vec<_> = root.list("fault").into_iter().map(|mut reader| rule(&mut reader)).collect();
        let mut problems = root.end();
        let mut keep = |read: (_, Vec<String>)| {
            problems.extend(read.1);
            read.0
        };
        let limits = limits.into_iter().filter_map(&mut keep).collect();
        let mut keep = |read: (_, Vec<String>)| {
            problems.extend(read.1);
            read.0
        };
        let rules = rules.into_iter().filter_map(&mut keep).collect();
        let mut faults = Self { seed, limits, rules, ..Self::default() };
        if let Some(mut reader) = latency {
            let mut seconds = |key| reader.number(key, 0.0..=LONGEST_SECONDS);
            let (script, speech, list) = (seconds("script"), seconds("speech"), seconds("list"));
            let or_none = Option::unwrap_or_default;
            faults.latency = Latency {
                scale: reader.number("scale", 0.0..=1000.0).unwrap_or(1.0),
                script: or_none(script),
                speech: or_none(speech),
                list: or_none(list),
            };
            problems.extend(reader.end());
        }
        if problems.is_empty() { Ok(faults) } else { Err(Problems(problems)) }
    }

    /// What the demo uses: some of everything, and a night that ends well.
    ///
    /// # Errors
    /// [`Problems`]; the compiled-in file has none.
    pub fn demo() -> Result<Self, Problems> {
        Self::parse(include_str!("faults.toml"))
    }

    /// The same faults in another time: multiplies what answers take. Not below nothing.
    #[must_use]
    pub fn with_latency_scale(mut self, scale: f64) -> Self {
        self.latency.scale = if scale.is_finite() { scale.max(0.0) } else { 0.0 };
        self
    }
}

fn rate_limit(reader: &mut Reader) -> (Option<RateLimit>, Vec<String>) {
    let vendor = reader.one_of("provider", &Vendor::ALL.map(|vendor| (vendor.as_str(), vendor)));
    let per_minute = reader.whole("per_minute", 1..=10_000_000);
    let burst = reader.whole("burst", 1..=1_000_000);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    if let (Some(vendor), Some(per_minute)) = (vendor, per_minute) {
        let limit = RateLimit { vendor, per_minute: small(per_minute), burst: small(burst.unwrap_or(1)) };
        return (Some(limit), reader.end());
    }
    let mut problems = reader.end();
    if problems.is_empty() {
        problems.push(format!("{}: needs provider and per_minute", reader.place));
    }
    (None, problems)
}

fn rule(reader: &mut Reader) -> (Option<Rule>, Vec<String>) {
    let seconds = |reader: &mut Reader, key| reader.number(key, 0.0..=LONGEST_SECONDS).map(Duration::from_secs_f64);
    let vendor = reader.one_of("provider", &Vendor::ALL.map(|vendor| (vendor.as_str(), vendor)));
    let operation = reader.one_of("operation", &Operation::ALL.map(|operation| (operation.as_str(), operation)));
    let share = reader.number("share", 0.0..=1.0).unwrap_or(1.0);
    let by_prompt = reader.one_of("by", &[("call", false), ("prompt", true)]).unwrap_or(false);
    let (from, until) = (seconds(reader, "from").unwrap_or_default(), seconds(reader, "until"));
    let most = reader.whole("most", 1..=1_000_000_000);
    let effect = Effect {
        error: reader.one_of("error", Trouble::ALL),
        status: reader.whole("status", 400..=599).and_then(|status| u16::try_from(status).ok()),
        retry_after: seconds(reader, "retry_after"),
        spoil: reader.one_of("spoil", Spoil::ALL),
        delay: seconds(reader, "delay").unwrap_or_default(),
        drip: reader.whole("drip", 1..=1_000_000_000).and_then(|rate| u32::try_from(rate).ok()),
    };
    let mut problems = reader.end();
    let is_error = effect.error.is_some() || effect.status.is_some();
    let mut says = |wrong: bool, what: &str| {
        if wrong {
            problems.push(format!("{}: {what}", reader.place));
        }
    };
    let has_effect = is_error || effect.spoil.is_some() || !effect.delay.is_zero() || effect.drip.is_some();
    says(!has_effect && !reader.is_wrong, "does nothing: it needs error, status, spoil, delay or drip");
    says(is_error && effect.spoil.is_some(), "has an error and a spoiled answer, of which only one can be");
    says(effect.retry_after.is_some() && !is_error, "retry_after belongs to an error");
    says(until.is_some_and(|until| until <= from), "is over before it begins: until is not after from");
    (Some(Rule { vendor, operation, share, by_prompt, from, until, most, effect }), problems)
}

/// Takes what is known out of a table and keeps what is wrong.
struct Reader {
    place: String,
    table: Table,
    problems: Vec<String>,
    is_wrong: bool,
}

impl Reader {
    fn new(place: &str, table: Table) -> Self {
        Self { place: place.to_owned(), table, problems: Vec::new(), is_wrong: false }
    }

    fn wrong(&mut self, key: &str, what: impl std::fmt::Display) {
        let at = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) };
        self.problems.push(format!("{at}{key} {what}"));
        self.is_wrong = true;
    }

    fn number(&mut self, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let value = self.table.remove(key)?;
        let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(key, format_args!("is {value}, not a number from {} to {}", range.start(), range.end()));
        }
        number
    }

    fn whole(&mut self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.table.remove(key)?;
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(key, format_args!("is {value}, not a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    fn one_of<T: Copy>(&mut self, key: &str, known: &[(&str, T)]) -> Option<T> {
        let value = self.table.remove(key)?;
        let found = known.iter().find(|(name, _)| value.as_str() == Some(name));
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.wrong(key, format_args!("is {value}; known are {}", names.join(", ")));
        }
        found.map(|(_, found)| *found)
    }

    fn section(&mut self, key: &str) -> Option<Self> {
        match self.table.remove(key)? {
            Value::Table(table) => Some(Self::new(key, table)),
            other => {
                self.wrong(key, format_args!("is {other}, not a section [{key}]"));
                None
            }
        }
    }

    fn list(&mut self, key: &str) -> Vec<Self> {
        let value = self.table.remove(key);
        let Some(Value::Array(items)) = value else {
            if value.is_some() {
                self.wrong(key, format_args!("is no list: write [[{key}]]"));
            }
            return Vec::new();
        };
        let mut readers = Vec::new();
        for (item, number) in items.into_iter().zip(1..) {
            match item {
                Value::Table(table) => readers.push(Self::new(&format!("{key} {number}"), table)),
                other => self.wrong(key, format_args!("has {other}, which is no [[{key}]]")),
            }
        }
        readers
    }

    /// What was wrong, with the keys that nobody asked for.
    fn end(&mut self) -> Vec<String> {
        let unknown: Vec<String> = std::mem::take(&mut self.table).into_iter().map(|(key, _)| key).collect();
        for key in unknown {
            self.wrong(&key, "is not known here");
        }
        std::mem::take(&mut self.problems)
    }
}
