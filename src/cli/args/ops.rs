//! `worker …`, `audit` and `ops …`: what concerns operators themselves.

use chrono::NaiveDate;
use clap::{Args, Subcommand};

/// `worker …`
#[derive(Debug, Subcommand)]
pub enum Worker {
    /// Who works, what each holds, and who stopped in the last day
    List,
}

/// Flags of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Of this actor, like 'user 7' or root@host
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Of this kind, like provider_open or log_in
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Of this day, in UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = super::date)]
    pub day: Option<NaiveDate>,
}

/// `ops …`
#[derive(Debug, Subcommand)]
pub enum Ops {
    /// Make a link that lets somebody of the staff into the dashboard once, without a token
    Link(OpsLink),
}

/// Flags of `ops link`.
#[derive(Debug, Args)]
pub struct OpsLink {
    /// For this account of the academy [default: its first superuser]
    #[arg(long, value_name = "ID")]
    pub user: Option<i64>,
    /// For the first account that may look and not change anything
    #[arg(long, conflicts_with = "user")]
    pub viewer: bool,
}
