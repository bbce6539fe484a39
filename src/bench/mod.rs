//! The benchmarks: each measures the engine against a floor in the same run, because absolute
//! figures of a shared machine mean little. Nothing here asserts; it prints. One measures what is
//! made instead of how fast: [`episodes`].

mod api;
mod audio;
mod crew;
mod engine;
mod episodes;
mod idle;
mod instantly;
mod load;
mod meter;
mod night;
mod pages;
mod readers;
mod slow;

pub use api::{ApiArgs, ApiReport, api};
pub use audio::Shelves;
pub use engine::{EngineArgs, EngineReport, Figures, engine};
pub use episodes::{Check, Column, EpisodesArgs, EpisodesReport, Flaw, Made, Offline, Sound, Worst, episodes};
pub use idle::{IdleArgs, IdleReport, Spread, idle};
pub use night::{Drain, NightArgs, NightReport, night};
pub use pages::{PageReport, PagesArgs, PagesReport, World, pages};
pub use readers::{Moment, ReadersArgs, ReadersReport, readers};
pub use slow::{SlowArgs, SlowReport, slow};

/// How this was built.
const BUILD: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Why a benchmark could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("the benchmark's database failed")]
    Store(#[from] crate::store::Error),
    /// The worker.
    #[error("the worker under test failed")]
    Worker(#[from] crate::worker::Error),
    /// The audio that is spoken could not be made.
    #[error("the audio of the benchmark could not be made")]
    Audio(#[from] crate::audio::Error),
    /// A client of the benchmark, or what it was answered.
    #[error("the server under test did not answer")]
    Client(#[from] std::io::Error),
    /// The server.
    #[error("the server under test could not be started")]
    Http(#[from] crate::http::Error),
    /// A task of the benchmark ended early.
    #[error("a task of the benchmark panicked")]
    Task(#[from] tokio::task::JoinError),
    /// The spool.
    #[error("the benchmark's spool could not be opened")]
    Spool(#[source] std::io::Error),
}
