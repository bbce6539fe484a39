//! The flags of `bench …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;

/// `bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Podcasts per second against hand-written SQL in the same run
    Engine(BenchEngine),
    /// Today's podcast over HTTP against a bare select behind the same server in the same run
    Api(BenchApi),
    /// A hundred learners in five languages: every episode made, listened to and checked
    Episodes(BenchEpisodes),
    /// What an idle worker costs, how soon it begins and takes over
    Idle(BenchIdle),
    /// A night of very many learners, or one as slow as a real one
    Night(BenchNight),
    /// How long the operators' pages take, with a million podcasts
    Pages(BenchPages),
    /// Half of what the engine can do, while long transactions read
    Readers(BenchReaders),
}

/// Flags of `bench engine`.
#[derive(Debug, Args)]
pub struct BenchEngine {
    /// Podcasts to make
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub podcasts: u32,
    /// Podcasts in flight [default: worker.concurrency]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: Option<u32>,
    /// Workers on the one database
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub workers: u32,
    /// As slow as a real night (script 15 s, speech 20 s, upload 3 s), times this
    #[arg(long, value_name = "X", value_parser = latency)]
    pub latency: Option<f64>,
    /// Then once more with so many finished podcasts in the tables; ten million need 18 GB of disk
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub finished: u32,
    /// Then once more with real MP3s of so many bytes, a spool on disk and an S3 server
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(8_000..=8_000_000))]
    pub audio_bytes: Option<u32>,
}

/// Flags of `bench api`.
#[derive(Debug, Args)]
pub struct BenchApi {
    /// Podcasts in the table
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(3..=10_000_000))]
    pub rows: u32,
    /// How long each part is measured: the floor, saturation, half of saturation
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
}

/// Flags of `bench episodes`.
#[derive(Debug, Args)]
pub struct BenchEpisodes {
    /// Learners; languages take turns
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub learners: u32,
    /// Another seed makes other learners
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Check the texts and leave them unspoken: seconds instead of minutes
    #[arg(long)]
    pub only_text: bool,
}

/// Flags of `bench idle`.
#[derive(Debug, Args)]
pub struct BenchIdle {
    /// How long the idle worker is watched
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub watch: Duration,
    /// Podcasts that come one by one, with and without a notification
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub nudges: u32,
    /// Workers that vanish
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub take_overs: u32,
}

/// Flags of `bench night`.
#[derive(Debug, Args)]
pub struct BenchNight {
    /// Learners of the night [default: 1000000; with --latency four for each in flight]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..))]
    pub learners: Option<u32>,
    /// Podcasts in flight [default: worker.concurrency; with --latency 2000]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: Option<u32>,
    /// Leave the night undone
    #[arg(long, conflicts_with = "latency")]
    pub only_enqueue: bool,
    /// As slow as a real night, times this, with audio
    #[arg(long, value_name = "X", value_parser = latency)]
    pub latency: Option<f64>,
}

/// A factor for waits.
fn latency(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (0.001..=100.0).contains(factor));
    factor.ok_or_else(|| "give a number from 0.001 to 100".to_owned())
}

/// Flags of `bench pages`.
#[derive(Debug, Args)]
pub struct BenchPages {
    /// Podcasts in the table
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub rows: u32,
    /// Nights over which they are spread
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub nights: u32,
    /// Then once more with so many that wait in a night that has just begun
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(..=10_000_000))]
    pub waiting: u32,
    /// How long each page is asked
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub each: Duration,
}

/// Flags of `bench readers`.
#[derive(Debug, Args)]
pub struct BenchReaders {
    /// How long the others read
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub time: Duration,
    /// How long each transaction reads
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration)]
    pub reading: Duration,
    /// Podcasts by which the saturation rate is measured
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    pub podcasts: u32,
}
