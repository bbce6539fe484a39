//! From a written value to a typed one. Each function says what it wanted.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chrono::{DateTime, NaiveTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use toml::de::DeValue;

use super::problem::Fault;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text of TOML.
    Text(String),
    /// A whole number of TOML.
    Integer(i64),
    /// A number of TOML.
    Float(f64),
    /// `true` or `false` of TOML.
    Boolean(bool),
    /// A list of TOML whose members are texts.
    Texts(Vec<String>),
    /// From a variable or a flag: a text that may stand for any type.
    Untyped(String),
    /// A section without keys.
    Section,
    /// Something of TOML that no setting is.
    Other(&'static str),
}

impl Value {
    pub fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                .map_or(Self::Other("a number out of range"), Self::Integer),
            DeValue::Float(number) => {
                number.as_str().replace('_', "").parse().map_or(Self::Other("a number out of range"), Self::Float)
            }
            DeValue::Boolean(truth) => Self::Boolean(*truth),
            DeValue::Array(members) => members
                .iter()
                .map(|member| member.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map_or(Self::Other("a list with members that are no texts"), Self::Texts),
            DeValue::Table(_) => Self::Section,
            DeValue::Datetime(_) => Self::Other("a date or time without quotes"),
        }
    }

    /// What kind of value it is, in words.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Untyped(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::Texts(_) => "a list",
            Self::Section => "a section",
            Self::Other(kind) => kind,
        }
    }

    fn wrong(&self, wanted: &str, example: &str) -> Fault {
        Fault::new(format!("{wanted} is wanted here, not {}", self.kind()), format!("write it like {example}"))
    }

    pub fn text(&self) -> Result<&str, Fault> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Ok(text),
            other => Err(other.wrong("a text", "\"text\", in double quotes")),
        }
    }

    pub fn texts(&self) -> Result<Vec<String>, Fault> {
        match self {
            Self::Texts(texts) => Ok(texts.clone()),
            // As it is written in TOML, or in JSON.
            Self::Untyped(text) if text.trim_start().starts_with('[') => {
                let listed = DeValue::parse(text.trim()).ok().map(|value| Self::from_toml(value.get_ref()));
                match listed {
                    Some(Self::Texts(texts)) => Ok(texts),
                    _ => Err(Fault::new(
                        "this begins like a list, and is none of texts",
                        "write one,two or [\"one\", \"two\"], with each text in double quotes",
                    )),
                }
            }
            Self::Untyped(text) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
            other => Err(other.wrong("a list of texts", "[\"one\", \"two\"]")),
        }
    }

    pub fn boolean(&self) -> Result<bool, Fault> {
        match self {
            Self::Boolean(truth) => Ok(*truth),
            Self::Untyped(text) if text == "true" || text == "1" => Ok(true),
            Self::Untyped(text) if text == "false" || text == "0" => Ok(false),
            other => Err(other.wrong("true or false", "true")),
        }
    }

    pub fn integer(&self) -> Result<i64, Fault> {
        match self {
            Self::Integer(number) => Ok(*number),
            Self::Untyped(text) => text.trim().parse().map_err(|_| self.wrong("a whole number", "100")),
            other => Err(other.wrong("a whole number", "100, without quotes")),
        }
    }

    pub fn share(&self) -> Result<f64, Fault> {
        let share = match self {
            Self::Integer(number) => *number as f64,
            Self::Float(number) => *number,
            Self::Untyped(text) => text.trim().parse().map_err(|_| self.wrong("a number from 0 to 1", "0.05"))?,
            other => return Err(other.wrong("a number from 0 to 1", "0.05, without quotes")),
        };
        if (0.0..=1.0).contains(&share) {
            Ok(share)
        } else {
            Err(Fault::new(format!("{share} is not a share"), "write a number from 0 to 1, like 0.05"))
        }
    }

    /// Millionths of a dollar from dollars with at most six decimals.
    pub fn micro_usd(&self) -> Result<i64, Fault> {
        let text = match self {
            Self::Text(text) | Self::Untyped(text) => text.trim().to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            other => return Err(other.wrong("an amount in US dollars", "25.00")),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let amount = format!("{whole}{fraction:0<6}").parse::<i64>().ok();
        amount
            .filter(|_| !whole.is_empty() && digits(whole) && digits(fraction) && fraction.len() <= 6)
            .ok_or_else(|| Fault::new(format!("{text:?} is not an amount in US dollars"), "write it like 25.00"))
    }

    /// Bytes from a whole number, or a text with a unit.
    pub fn bytes(&self) -> Result<u64, Fault> {
        let text = match self {
            Self::Integer(number) => number.to_string(),
            Self::Text(text) | Self::Untyped(text) => text.trim().to_owned(),
            other => return Err(other.wrong("a size", "\"8GiB\"")),
        };
        let (number, unit) = split_unit(&text);
        let factor: Option<u64> = match unit {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "TiB" => Some(1 << 40),
            _ => None,
        };
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).ok_or_else(
            || {
                Fault::new(
                    format!("{text:?} is not a size"),
                    "write a whole number and KiB, MiB, GiB or TiB, like \"8GiB\"",
                )
            },
        )
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `250ms`, `30s`, `5m`, `1h`, `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let (number, unit) = split_unit(text);
    let milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let length = number.parse::<u64>().ok().zip(milliseconds).and_then(|(number, unit)| number.checked_mul(unit));
    length.map(Duration::from_millis).ok_or_else(|| {
        Fault::new(format!("{text:?} is not a duration"), "write a whole number and ms, s, m, h or d, like \"30s\"")
    })
}

/// A duration as it is written in a setting: in the largest unit that leaves no rest.
pub(super) fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(length, _)| milliseconds > 0 && milliseconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{milliseconds}ms"), |(length, name)| format!("{}{name}", milliseconds / length))
}

/// Five fields of cron.
pub(super) fn cron(text: &str) -> Result<Cron, Fault> {
    let mend = "write minute, hour, day of month, month and day of week, like \"0 3 * * *\"";
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    if text.split_whitespace().count() != 5 {
        return Err(Fault::new(format!("{text:?} does not have the five fields of cron"), mend));
    }
    parser.parse(text).map_err(|error| Fault::new(format!("{text:?} is not a cron expression: {error}"), mend))
}

/// A name of the IANA database.
pub(super) fn zone(text: &str) -> Result<chrono_tz::Tz, Fault> {
    text.parse().map_err(|_| {
        Fault::new(format!("{text:?} is not a time zone"), "write an IANA name, like \"Europe/Berlin\" or \"UTC\"")
    })
}

/// `HH:MM`.
pub(super) fn time_of_day(text: &str) -> Result<NaiveTime, Fault> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| {
        Fault::new(
            format!("{text:?} is not a time of day"),
            "write hours and minutes from 00:00 to 23:59, like \"09:00\"",
        )
    })
}

/// Address and port.
pub(super) fn socket(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            format!("{text:?} is not an address with a port"),
            "write a number, not a name: \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for every interface",
        )
    })
}

/// `http://…` or `https://…` with a host, without a slash at the end.
pub(super) fn web(text: &str) -> Result<String, Fault> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    if host.is_some_and(|host| host.contains('@')) {
        // Addresses are told in errors and logs; secrets have keys of their own.
        let mend = "leave out what comes before the @: keys have their own settings";
        return Err(Fault::new("this address carries credentials", mend));
    }
    if host.is_none_or(str::is_empty) || text.contains(|c: char| c.is_whitespace() || c == '?' || c == '#') {
        return Err(Fault::new("this is not a web address", "write it like \"https://academy.example\""));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether what is sent to this address can be read on its way: plain `http://` to a host that is
/// neither this one nor in a private network. A name without a dot is one of a private network.
pub fn is_exposed(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => !(address.is_loopback() || address.is_private() || address.is_link_local()),
        Ok(IpAddr::V6(address)) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
        Err(_) => {
            let ending = host.to_ascii_lowercase().rsplit_once('.').map(|(_, ending)| ending.to_owned());
            ending.is_some_and(|ending| !["internal", "local", "localhost"].contains(&ending.as_str()))
        }
    }
}

/// Scheme, host and port, and nothing else.
pub(super) fn origin(text: &str) -> Result<String, Fault> {
    let address = web(text)?;
    match address.matches('/').count() {
        2 => Ok(address),
        _ => Err(Fault::new(
            "an origin has no path",
            "write scheme, host and port only, like \"https://academy.example\"",
        )),
    }
}

/// The name of a vendor's region; it becomes part of a host's name.
pub(super) fn region(text: &str) -> Result<String, Fault> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.starts_with('-') || !text.bytes().all(is_name) {
        return Err(Fault::new(
            format!("{text:?} is not the name of a region"),
            "write it like \"us-east-1\" or \"westeurope\"",
        ));
    }
    Ok(text.to_owned())
}

/// The name of a bucket; it becomes part of a host's name, too.
pub(super) fn bucket(text: &str) -> Result<String, Fault> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let fits = (3..=63).contains(&bytes.len()) && bytes.iter().all(|byte| is_name(*byte)) && !text.contains("..");
    if !fits || !is_end(bytes.first()) || !is_end(bytes.last()) {
        return Err(Fault::new(
            format!("{text:?} is not the name of a bucket"),
            "write 3 to 63 small letters, digits, dots and hyphens, like \"zporta-podcasts\"",
        ));
    }
    Ok(text.to_owned())
}

/// The name of a host, and nothing else.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !text.bytes().all(is_of_name) || !text.contains('.') {
        let mend = "write the name alone, without https:// and path, like \"d111.cloudfront.net\"";
        return Err(Fault::new(format!("{text:?} is not the name of a host"), mend));
    }
    Ok(text.to_owned())
}

/// A moment as RFC 3339 writes it.
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, Fault> {
    let moment = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    moment.map_err(|_| Fault::new(format!("{text:?} is not a moment"), "write it like \"2026-11-22T15:04:05Z\""))
}
