//! `bench engine`: the figures as a table, or as JSON.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::{Figures, on_own_database, or_unknown, tell};
use crate::{
    bench::{self, EngineArgs, EngineReport, Shelves},
    cli::{args, context::Context, exit::Exit, output},
    local::s3_server::S3Server,
    provider::{
        object_store::{
            ObjectStore as _,
            s3::{S3Store, Settings},
        },
        spool::DiskSpool,
    },
};

/// Where spool and S3 server of the benchmark keep their audio, as long as it runs.
const AUDIO: &str = ".dailycast/bench-audio";

/// The most audio that waits in the spool.
const SPOOL_BYTES: u64 = 4 << 30;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::BenchEngine, context: &Context) -> anyhow::Result<Exit> {
    let wanted = EngineArgs {
        podcasts: args.podcasts,
        concurrency: usize::try_from(args.concurrency.unwrap_or(context.config.worker.concurrency))?,
        workers: usize::try_from(args.workers)?,
        latency: args.latency.unwrap_or(0.0),
        finished: args.finished,
        audio_bytes: args.audio_bytes.map(usize::try_from).transpose()?,
    };
    let (server, shelves) = match wanted.audio_bytes {
        Some(_) => shelves().await.map(|(server, shelves)| (Some(server), Some(shelves)))?,
        None => (None, None),
    };
    let report = on_own_database(async |store| {
        bench::engine(store, wanted, shelves, |step| eprintln!("{step}")).await.map_err(anyhow::Error::from)
    })
    .await;
    if let Some(server) = server {
        server.stop().await;
        fs::remove_dir_all(AUDIO).with_context(|| format!("cannot remove {AUDIO}"))?;
    }
    let report = report?;
    tell(context, &report, print)
}

/// An S3 server with its client, and a spool.
async fn shelves() -> anyhow::Result<(S3Server, Shelves)> {
    let dir = Path::new(AUDIO);
    let server = S3Server::start(&dir.join("s3"), ([127, 0, 0, 1], 0).into()).await?;
    let keys = server.keys();
    let object_store = S3Store::new(Settings {
        bucket: "bench".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint_url: Some(server.endpoint_url()),
        force_path_style: true,
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        session_token: None,
        credentials_expire_at: None,
        create_bucket: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(60),
    });
    object_store.ready().await?;
    let spool = dir.join("spool");
    let spool = DiskSpool::open(&spool, SPOOL_BYTES).with_context(|| format!("cannot use {}", spool.display()))?;
    Ok((server, Shelves { spool: Arc::new(spool), object_store: Arc::new(object_store) }))
}

fn print(report: &EngineReport) -> anyhow::Result<()> {
    let mut figures = Figures::new();
    add_night(&mut figures, "", &report.engine);
    figures.add(
        &format!("floor: one commit per move, {} connections", report.floor_connections),
        format!("{:.0}", report.floor_per_second),
    );
    figures.add("ratio to the floor", format!("{:.2}", report.ratio_to_floor));
    if let Some(share) = report.share_of_possible {
        figures.add("share of concurrency by latency", format!("{share:.3}"));
    }
    figures.add("most memory of this process, MiB", (report.max_rss_bytes >> 20).to_string());
    if let Some(growth) = &report.growth {
        let form = format!("with {} finished: ", growth.finished);
        add_night(&mut figures, &form, &growth.engine);
        figures.add(&format!("{form}rate by that of empty tables"), format!("{:.2}", growth.ratio_to_empty));
        figures.add(&format!("{form}database, MiB"), (growth.database_bytes >> 20).to_string());
        figures.add(&format!("{form}seconds to fill it"), format!("{:.0}", growth.fill_seconds));
    }
    if let Some(audio) = &report.audio {
        let form = format!("with {} bytes of audio: ", audio.bytes);
        add_night(&mut figures, &form, &audio.engine);
        figures.add(&format!("{form}most memory, MiB"), (audio.max_rss_bytes >> 20).to_string());
    }
    figures.print()?;
    let engine = &report.engine;
    output::line(format!(
        "as others count it (one podcast = four durable steps, instant calls, the row updated in each): {:.0} a second, \
         {:.3} CPU ms each here and {} in Postgres",
        engine.podcasts_per_second,
        engine.cpu_ms_per_podcast,
        or_unknown(engine.postgres_cpu_ms_per_podcast, 3),
    ))?;
    let settings: Vec<_> = report.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    output::line(format!(
        "{} podcasts, {} workers with {} in flight each, {} build on {}; {}",
        engine.podcasts,
        report.workers,
        report.concurrency,
        report.build,
        report.machine,
        settings.join(", "),
    ))?;
    Ok(())
}

/// The figures of one night.
fn add_night(figures: &mut Figures, form: &str, night: &bench::Figures) {
    figures.add(&format!("{form}podcasts a second"), format!("{:.0}", night.podcasts_per_second));
    figures.add(&format!("{form}CPU ms per podcast, this process"), format!("{:.3}", night.cpu_ms_per_podcast));
    figures.add(&format!("{form}CPU ms per podcast, Postgres"), or_unknown(night.postgres_cpu_ms_per_podcast, 3));
    figures.add(&format!("{form}commits per podcast"), format!("{:.3}", night.commits_per_podcast));
    figures.add(&format!("{form}statements per podcast"), or_unknown(night.statements_per_podcast, 3));
    figures.add(&format!("{form}bytes of write-ahead log per podcast"), format!("{:.0}", night.wal_bytes_per_podcast));
    figures.add(&format!("{form}updates that touched no index"), format!("{:.0} %", night.hot_share * 100.0));
}
