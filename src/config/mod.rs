//! Settings: what they are, where they come from, and what is wrong with them.
//!
//! `default.toml` is the reference: every key with its meaning, unit and default. It is compiled
//! in as the lowest layer, so a key that is not in it does not exist. Above it lie names that
//! people already set, the configuration file, our own variables and flags (see [`Sources`]).
//!
//! All problems are found in one go and reported together; a wrong value is shown only where it
//! cannot be a secret. This is the only room that looks at the process environment.

mod academy;
mod alerts;
mod budget;
mod database;
mod http;
mod layers;
mod near;
mod night;
mod ops;
mod problem;
mod process;
mod providers;
mod reader;
mod secret;
mod spool;
mod storage;
mod value;
mod worker;

pub use academy::Academy;
pub use alerts::Alerts;
pub use budget::Budget;
pub use database::Database;
pub use http::Http;
pub use layers::{ConfigFile, Flag, Sources};
pub use night::Night;
pub use ops::{LogFormat, Ops};
pub use problem::{Place, Problem, Problems};
pub use process::{environment, installed_voice};
pub use providers::{Azure, Google, LocalSpeech, LocalVoice, Polly, Providers, Writer};
pub use secret::Secret;
pub use spool::{Spool, SpoolKind};
pub use storage::{CloudFront, S3, Storage};
pub use value::is_exposed;
pub use worker::Worker;

use reader::Reader;

/// The compiled-in defaults: the reference of all settings.
pub const DEFAULTS: &str = include_str!("default.toml");

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Postgres.
    pub database: Database,
    /// The HTTP server.
    pub http: Http,
    /// The worker.
    pub worker: Worker,
    /// When a night starts and whom it serves.
    pub night: Night,
    /// Who writes and who speaks.
    pub providers: Providers,
    /// Where episodes are kept.
    pub storage: Storage,
    /// Where audio waits for its upload.
    pub spool: Spool,
    /// Where learners are read.
    pub academy: Academy,
    /// Who is told when something goes wrong.
    pub alerts: Alerts,
    /// What a night may cost.
    pub budget: Budget,
    /// The operator's side, logs among it.
    pub ops: Ops,
}

impl Config {
    /// Reads and checks all settings. Does no more with the outside than read the named files.
    ///
    /// # Errors
    /// Every problem there is, in the order of the layers and then of the sections.
    pub fn load(sources: Sources) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let settings = layers::settings(sources, &mut problems);
        let config = Self::read(&mut Reader::new(&settings, &mut problems));
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let database = Database::read(&mut reader.section("database"));
        let http = Http::read(&mut reader.section("http"));
        let worker = Worker::read(&mut reader.section("worker"));
        let night = Night::read(&mut reader.section("night"));
        let providers = Providers::read(reader);
        let storage = Storage::read(reader);
        let spool = Spool::read(&mut reader.section("spool"));
        let academy = Academy::read(&mut reader.section("academy"));
        let alerts = Alerts::read(&mut reader.section("alerts"));
        let budget = Budget::read(&mut reader.section("budget"));
        let ops = Ops::read(&mut reader.section("ops"));
        Some(Self {
            database: database?,
            http: http?,
            worker: worker?,
            night: night?,
            providers: providers?,
            storage: storage?,
            spool: spool?,
            academy: academy?,
            alerts: alerts?,
            budget: budget?,
            ops: ops?,
        })
    }
}
