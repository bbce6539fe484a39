//! The command line: every verb with its flags.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};

use crate::{
    config::Flag,
    ops::{filter, reason},
};

mod bench;
mod cost;
mod learner;
mod ops;

pub use bench::{Bench, BenchApi, BenchEngine, BenchEpisodes, BenchIdle, BenchNight, BenchPages, BenchReaders};
pub use cost::{By, Cost, CostCommand, CostEstimate};
pub use learner::{Learner, LearnerErase, LearnerLink};
pub use ops::{Audit, Ops, OpsLink, Worker};

/// A personal podcast for every learner, every night.
#[derive(Debug, Parser)]
#[command(name = "dailycast", version, about, max_term_width = 100)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file [default: dailycast.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory whose files replace those of the compiled-in workflow
    #[arg(long, global = true, value_name = "DIR")]
    pub workflows: Option<PathBuf>,
    /// Print one JSON document on standard output (one per line for streams)
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more; twice for even more
    #[arg(short, long = "verbose", global = true, action = clap::ArgAction::Count)]
    pub verbosity: u8,
    /// No colour
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole product on this machine, without keys: makes a night of podcasts and serves them
    Demo(Demo),
    /// Scheduler, worker and HTTP in one process
    Run(Serve),
    /// HTTP only
    Serve(Serve),
    /// Scheduler, worker and sweep only
    Work(Work),
    /// Apply the migrations; safe to run from many hosts
    Migrate,
    /// Start a night, or look at one
    #[command(subcommand)]
    Night(Night),
    /// Look at podcasts, or run them again
    #[command(subcommand)]
    Podcast(Podcast),
    /// Look at the providers, or open and close their breakers
    #[command(subcommand)]
    Provider(Provider),
    /// Look at the workers
    #[command(subcommand)]
    Worker(Worker),
    /// Look at alerts, take note of them, or try out who is told
    #[command(subcommand)]
    Alert(Alert),
    /// What operators did
    Audit(Audit),
    /// Let an operator into the dashboard
    #[command(subcommand)]
    Ops(Ops),
    /// Erase what is kept of learners
    #[command(subcommand)]
    Learner(Learner),
    /// What was spent, or what a month will cost
    Cost(Cost),
    /// Check the set-up and say how to mend it
    Doctor(Doctor),
    /// Make a sample academy, or check the real one
    #[command(subcommand)]
    Academy(Academy),
    /// Check or show the workflow definition
    #[command(subcommand)]
    Workflow(Workflow),
    /// Measure the engine
    #[command(subcommand)]
    Bench(Bench),
    /// The six providers, simulated
    #[command(subcommand)]
    Sim(Sim),
    /// Print what lets a shell complete these commands
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
}

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Also ask the providers: whether the keys are good, whether the models are there
    #[arg(long)]
    pub online: bool,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For this shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page for each command into this directory instead
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Learners of the sample academy
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub learners: u32,
    /// Where the demo keeps its database, audio and settings
    #[arg(long, value_name = "DIR", default_value = ".dailycast")]
    pub data: PathBuf,
    /// Address and port to listen on [default: http.listen]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Let simulated vendors do the work, with faults
    #[arg(long)]
    pub sim: bool,
    /// End after the night; exit 0 only if every podcast is finished and none failed
    #[arg(long)]
    pub once: bool,
}

/// Flags of `run` and `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port to listen on [default: http.listen]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// Flags of `work`.
#[derive(Debug, Args)]
pub struct Work {
    /// Also answer /healthz, /readyz and /metrics, and nothing else, at this address and port
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// `night …`
#[derive(Debug, Subcommand)]
pub enum Night {
    /// Enqueue a night now; doing it twice changes nothing
    Start(NightStart),
    /// How a night is going
    Status(NightStatus),
    /// Begin nothing new anywhere: workers finish the step in hand, no night starts
    Pause(NightPause),
    /// End the pause: everything goes on at once
    Resume,
    /// Let no night start by itself on a date
    Skip(NightSkip),
}

/// Flags of `night pause`.
#[derive(Debug, Args)]
pub struct NightPause {
    /// Why; shown to everybody
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason)]
    pub reason: String,
}

/// Flags of `night skip`.
#[derive(Debug, Args)]
pub struct NightSkip {
    /// The night's date [default: that of the next start]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// Skip it no longer
    #[arg(long, conflicts_with = "reason")]
    pub undo: bool,
    /// Why; shown to everybody
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = reason)]
    pub reason: String,
}

/// Flags of `night start`.
#[derive(Debug, Args)]
pub struct NightStart {
    /// The night's date [default: today in night.time_zone]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// Only these learners
    #[arg(long = "user", value_name = "ID")]
    pub users: Vec<i64>,
    /// Also run podcasts of that night again that have failed
    #[arg(long)]
    pub requeue_failed: bool,
}

/// Flags of `night status`.
#[derive(Debug, Args)]
pub struct NightStatus {
    /// The night's date [default: the newest]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// Go on until the night is over
    #[arg(long)]
    pub watch: bool,
}

/// `podcast …`
#[derive(Debug, Subcommand)]
pub enum Podcast {
    /// Podcasts, newest first
    List(PodcastList),
    /// One podcast with everything that happened to it
    Show(PodcastShow),
    /// Run podcasts again from where they stand
    Requeue(super::verbs::Requeue),
    /// End podcasts, also those that a worker is at
    Cancel(super::verbs::Cancel),
    /// Make new episodes in place of finished ones
    Regenerate(super::verbs::Regenerate),
}

/// Flags of `podcast list`.
#[derive(Debug, Args)]
pub struct PodcastList {
    /// Of this date
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// In this status
    #[arg(long)]
    pub status: Option<crate::machine::Status>,
    /// Of this learner
    #[arg(long, value_name = "ID")]
    pub user: Option<i64>,
    /// Only those that nothing will move
    #[arg(long)]
    pub stuck: bool,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// Flags of `podcast show`.
#[derive(Debug, Args)]
pub struct PodcastShow {
    /// The podcast
    pub id: i64,
}

/// `provider …`
#[derive(Debug, Subcommand)]
pub enum Provider {
    /// Every provider: whether it gets calls, and if not, why and until when
    List,
    /// Let no call go to a provider
    Open(ProviderOpen),
    /// Let calls go to a provider again
    Close(ProviderClose),
}

/// Flags of `provider open`.
#[derive(Debug, Args)]
pub struct ProviderOpen {
    /// The provider, like openai or polly
    pub name: String,
    /// For so long, like 90s, 30m or 2h [default: until it is closed]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
    /// Why, for those who find it open
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = reason)]
    pub reason: String,
}

/// Flags of `provider close`.
#[derive(Debug, Args)]
pub struct ProviderClose {
    /// The provider, like openai or polly
    pub name: String,
}

/// `alert …`
#[derive(Debug, Subcommand)]
pub enum Alert {
    /// Alerts whose cause is still there, newest first
    List(AlertList),
    /// Take note of alerts
    Ack(AlertAck),
    /// Send a trial message to every sink, and say what came of it
    Test,
}

/// Flags of `alert list`.
#[derive(Debug, Args)]
pub struct AlertList {
    /// Also those whose cause is gone
    #[arg(long)]
    pub all: bool,
}

/// Flags of `alert ack`.
#[derive(Debug, Args)]
pub struct AlertAck {
    /// The alerts
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<i64>,
}

/// `academy …`
#[derive(Debug, Subcommand)]
pub enum Academy {
    /// Fill the generated sample academy into the configured database, tokens included
    Sample(AcademySample),
    /// Name what the views of the academy lack
    Check,
}

/// Flags of `academy sample`.
#[derive(Debug, Args)]
pub struct AcademySample {
    /// How many learners
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub learners: u32,
    /// The same seed makes the same learners
    #[arg(long, default_value_t = 1)]
    pub seed: i64,
}

/// `workflow …`
#[derive(Debug, Subcommand)]
pub enum Workflow {
    /// Check it, and name everything that is wrong
    Check(WorkflowDir),
    /// Print it with everything filled in, as JSON
    Show(WorkflowDir),
    /// Draw it, as a Mermaid chart
    Graph(WorkflowDir),
}

impl Workflow {
    /// The directory that was named.
    pub fn dir(&self) -> Option<&PathBuf> {
        let (Self::Check(WorkflowDir { dir }) | Self::Show(WorkflowDir { dir }) | Self::Graph(WorkflowDir { dir })) =
            self;
        dir.as_ref()
    }
}

/// Flags of `workflow …`.
#[derive(Debug, Args)]
pub struct WorkflowDir {
    /// Directory of the definition [default: --workflows, or what is compiled in]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `sim …`
#[derive(Debug, Subcommand)]
pub enum Sim {
    /// Serve them on one port, with real MP3s and, if wished, with faults
    Serve(SimServe),
}

/// Flags of `sim serve`.
#[derive(Debug, Args)]
pub struct SimServe {
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "P", default_value_t = 8090)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub listen: std::net::IpAddr,
    /// What goes wrong, and how slow everything is: a fault file
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Multiplies the latencies of the fault file, in the place of its own scale
    #[arg(long, value_name = "X")]
    pub latency_scale: Option<f64>,
}

impl Command {
    /// Flags that stand for settings.
    pub fn settings(&self) -> Vec<Flag> {
        let listen = match self {
            Self::Demo(Demo { listen, .. }) | Self::Run(Serve { listen }) | Self::Serve(Serve { listen }) => listen,
            _ => &None,
        };
        let flag = |address: &SocketAddr| Flag { name: "--listen", key: "http.listen", value: address.to_string() };
        listen.iter().map(flag).collect()
    }
}

/// A date that a night can have.
pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    filter::date(text).ok_or_else(|| "write it like 2026-11-22".to_owned())
}

/// A reason that can be kept.
pub(super) fn reason(text: &str) -> Result<String, String> {
    reason::read(text).map(str::to_owned).map_err(str::to_owned)
}

pub(super) fn failure_kind(text: &str) -> Result<crate::machine::FailureKind, String> {
    let mut kinds = crate::machine::FailureKind::ALL.into_iter();
    kinds.clone().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let names: Vec<_> = kinds.by_ref().map(crate::machine::FailureKind::as_str).collect();
        format!("the causes are {}", names.join(", "))
    })
}

/// A time from one second to a year.
fn duration(text: &str) -> Result<Duration, String> {
    const YEAR: u64 = 365 * 24 * 3_600;
    let parts = text.char_indices().next_back().and_then(|(at, unit)| Some((text[..at].parse::<u64>().ok()?, unit)));
    let seconds = parts.and_then(|(amount, unit)| {
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        amount.checked_mul(factor).filter(|seconds| (1..=YEAR).contains(seconds))
    });
    seconds.map(Duration::from_secs).ok_or_else(|| "write a time like 90s, 30m, 2h or 1d".to_owned())
}
