//! `bench …`: each on a database of its own, made for it and left behind no longer than it runs;
//! `bench episodes` needs none.

mod api;
mod engine;
mod episodes;
mod idle;
mod night;
mod pages;
mod readers;

use std::path::Path;

use serde::Serialize;

use super::{args, context::Context, exit::Exit, output};
use crate::{
    local::postgres::{Cluster, Durability},
    store::{self, Address, Store},
};

/// Where the private cluster of the benchmarks is kept.
const CLUSTER: &str = ".dailycast/bench";

/// Connections of the process under test, as `database.max_connections` has them by default.
const CONNECTIONS: u32 = 20;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Bench, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Bench::Api(args) => api::run(args, &context).await,
        args::Bench::Engine(args) => engine::run(args, &context).await,
        args::Bench::Episodes(args) => episodes::run(args, &context).await,
        args::Bench::Idle(args) => idle::run(args, &context).await,
        args::Bench::Night(args) => night::run(args, &context).await,
        args::Bench::Pages(args) => pages::run(args, &context).await,
        args::Bench::Readers(args) => readers::run(args, &context).await,
    }
}

/// Measures on a migrated database that nobody else uses, durable as in production.
async fn on_own_database<T>(measure: impl AsyncFnOnce(&Store) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let cluster = tokio::task::spawn_blocking(|| Cluster::open(Path::new(CLUSTER), Durability::On)).await??;
    let database = format!("bench_{}", std::process::id());
    cluster.create_database(&database, None).await?;
    let store = Store::new(&Address {
        url: cluster.url(&database),
        academy_schema: "academy".to_owned(),
        max_connections: CONNECTIONS,
    })?;
    let measured = match store::migrate(store.pool()).await {
        Ok(()) => measure(&store).await,
        Err(error) => Err(error.into()),
    };
    store.close().await;
    cluster.drop_database(&database).await?;
    measured
}

/// Prints a report: as JSON when that is asked for, else by `print`.
fn tell<R: Serialize>(
    context: &Context,
    report: &R,
    print: impl FnOnce(&R) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    if context.json {
        output::json(report)?;
    } else {
        print(report)?;
    }
    Ok(Exit::Done)
}

/// A table of figures, one a line.
struct Figures(output::Table);

impl Figures {
    fn new() -> Self {
        Self(output::Table::new([("figure", output::Side::Left), ("value", output::Side::Right)]))
    }

    fn add(&mut self, figure: &str, value: String) {
        self.0.row([figure.to_owned(), value]);
    }

    fn print(&self) -> anyhow::Result<()> {
        Ok(output::line(self.0.to_string().trim_end())?)
    }
}

/// A figure that may not be known, as with a database on another host.
fn or_unknown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// Bytes as whole mebibytes.
fn mib(bytes: u64) -> String {
    (bytes >> 20).to_string()
}
