//! What an operator sees and does: the same facts, words and verbs for the pages, the command line
//! and the JSON API. No SQL and no HTML here.
//!
//! [`Desk`] is where an operator sits: what every view and verb needs to know. [`actor`] says who it
//! is and what he may do, [`filter`] which podcasts are meant, in words, [`listing`] how they are
//! listed, [`situation`] where they stand and why, [`operations`] what is to be done to them,
//! [`failures`] what ended them, by cause, [`audit`] what was done and [`reason`] why. [`board`] is a night in figures,
//! [`costs`] what was spent; both are counted by [`snapshot`]; [`figures`] is what the whole fleet looks
//! like, for metrics. [`schedule`] says when nights start and what holds them back.

pub mod actor;
pub mod alerts;
pub mod audit;
pub mod board;
pub mod costs;
pub mod entrance;
pub mod failures;
pub mod figures;
pub mod filter;
pub mod listing;
pub mod operations;
pub mod providers;
pub mod reason;
pub mod schedule;
pub mod situation;
pub mod snapshot;
pub mod story;
pub mod workers;

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;
use tokio::sync::Semaphore;

use crate::{
    config::{Config, Secret},
    explain::Pace,
    machine::Status,
    store::{self, Store},
    worker::scheduler::Schedule,
    workflow::{Limits, Workflow},
};

use snapshot::Snapshots;

/// What every view and verb of an operator needs.
#[derive(Debug)]
pub struct Desk {
    /// The database. Views use its own few connections ([`Store::desk`]), so that no page takes one
    /// from the engine.
    pub store: Store,
    /// When nights start and end.
    pub schedule: Schedule,
    /// Every provider and what it may be asked for.
    pub limits: BTreeMap<String, Limits>,
    /// Who is asked in which order.
    pub chains: Vec<providers::Chain>,
    /// How long the work of each status takes.
    pub paces: BTreeMap<Status, Pace>,
    /// Who is asked for what, in which order, at which price.
    pub workflow: Arc<Workflow>,
    /// The figures of dates.
    pub boards: Snapshots<NaiveDate, store::board::Tally>,
    /// The calls of dates.
    pub ledgers: Snapshots<NaiveDate, store::costs::Ledger>,
    /// Stuck podcasts of dates; those of all dates under [`listing::EVERY_DATE`].
    pub stuck: Snapshots<NaiveDate, Vec<i64>>,
    /// What is set.
    pub settings: Settings,
    /// Failures by cause, of ranges of time.
    pub failures: Snapshots<failures::Since, failures::Failures>,
    /// One operation is carried out at a time for those who do not wait for it.
    pub carrying: Semaphore,
}

/// What is set for operators.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Token of machines.
    pub token: Option<Secret>,
    /// What a night may cost, in micro-dollars.
    pub budget_micro_usd: Option<i64>,
    /// Share of failed podcasts that raises an alert while a night runs, from 0 to 1.
    pub failure_rate_running: f64,
    /// The same at its end.
    pub failure_rate_night: f64,
    /// Days that podcasts are kept.
    pub retention_days: u32,
}

impl Settings {
    /// From the configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            token: config.ops.token.clone(),
            budget_micro_usd: config.budget.micro_usd_per_night,
            failure_rate_running: config.alerts.failure_rate_running,
            failure_rate_night: config.alerts.failure_rate_night,
            retention_days: config.storage.retention_days,
        }
    }
}
