//! Section `ops`: the operator's side.

use super::{
    problem::Fault,
    reader::{Reader, one_of},
    secret::Secret,
};

/// The operator's side.
#[derive(Debug, Clone)]
pub struct Ops {
    /// Token of machines; `None`: staff of the academy only.
    pub token: Option<Secret>,
    /// What is logged: a filter of tracing, checked.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Where traces are sent, without `/v1/traces`; `None`: nowhere.
    pub otlp_endpoint: Option<String>,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Ops {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let token = reader.strong_secret("token");
        let log = reader.parsed("log", |text| match text.parse::<tracing_subscriber::filter::EnvFilter>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Fault::new(
                format!("{text:?} is not a filter"),
                "write a level (error, warn, info, debug, trace), or module=level, with commas between",
            )),
        });
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = reader.parsed("log_format", |text| one_of(text, &formats));
        let otlp_endpoint = reader.optional("otlp_endpoint", |text| {
            let is_http =
                ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
            if !is_http {
                let mend = "write the address of a collector that takes OTLP over HTTP, like http://127.0.0.1:4318";
                return Err(Fault::new("this is no http:// or https:// address", mend));
            }
            Ok(text.to_owned())
        });
        Some(Self { token: token?, log: log?, log_format: log_format?, otlp_endpoint: otlp_endpoint? })
    }
}
