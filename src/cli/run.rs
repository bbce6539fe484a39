//! The long-lived processes: `run`, `serve` and `work`.
//!
//! Everything that can be wrong is found before anything starts: the port is taken first, then the
//! database, its migrations, the academy's views and the neighbours' settings are looked at. Only
//! the store of episodes is asked while podcasts are made already.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    neighbours, sinks,
};
use crate::{
    clock::SystemClock,
    config::Config,
    http::{self, App, Bound, SigningKey},
    provider::object_store::ObjectStore,
    store::{Store, academy, listeners},
    worker::{self, fleet::Fleet, shutdown::Shutdown, steps::Steps},
};

/// The pause between two looks at a store that is not in order: at first, and at most.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_LATEST: Duration = Duration::from_secs(60 * 60);

/// Scheduler, worker and HTTP in one process.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run(context: Context) -> anyhow::Result<Exit> {
    let bound = bind(&context).await?;
    let store = ready(&context).await?;
    let (settings, steps, fleet) = worker_of(&context, &store).await?;
    let shutdown = stop_on_signals()?;
    let app = app(&context, &store, &bound, shutdown.token()).await?;
    let ran = both(bound, app, worker::run(store.clone(), settings, steps, shutdown.clone()), &shutdown).await;
    fleet.end().await;
    store.close().await;
    ran.map(|()| Exit::Done)
}

/// HTTP only.
///
/// # Errors
/// As [`run`].
pub async fn serve(context: Context) -> anyhow::Result<Exit> {
    let bound = bind(&context).await?;
    let store = ready(&context).await?;
    let shutdown = stop_on_signals()?;
    let app = app(&context, &store, &bound, shutdown.token()).await?;
    tracing::info!(http.address = %bound.address(), "serving");
    http::serve(bound, app, shutdown.token()).await;
    store.close().await;
    Ok(Exit::Done)
}

/// Scheduler, worker and sweep only; with an address, also whether they are well, and metrics.
///
/// # Errors
/// As [`run`].
pub async fn work(args: args::Work, mut context: Context) -> anyhow::Result<Exit> {
    let bound = match args.listen {
        Some(address) => {
            context.config.http.listen = address;
            // Nobody asks for an address of this kind who does not want them.
            context.config.http.metrics = true;
            Some(bind(&context).await?)
        }
        None => None,
    };
    let store = ready(&context).await?;
    let (settings, steps, fleet) = worker_of(&context, &store).await?;
    let shutdown = stop_on_signals()?;
    let working = worker::run(store.clone(), settings, steps, shutdown.clone());
    let worked = match bound {
        Some(bound) => {
            let app = app(&context, &store, &bound, shutdown.token()).await?;
            tracing::info!(http.address = %bound.address(), "serving health and metrics");
            beside(http::serve_probes(bound, app, shutdown.token()), working, &shutdown).await
        }
        None => working.await.map_err(Into::into),
    };
    fleet.end().await;
    store.close().await;
    worked.map(|()| Exit::Done)
}

async fn bind(context: &Context) -> anyhow::Result<Bound> {
    let address = context.config.http.listen;
    let mend = "stop what listens there, or choose another address with --listen or http.listen";
    http::bind(address).await.context(Advice::usage(format!("nothing can be served on {address}"), mend))
}

/// The database, at the level of this program and with an academy.
async fn ready(context: &Context) -> anyhow::Result<Store> {
    let store = context.migrated_database().await?;
    let missing = academy::check(store.pool(), &context.config.academy.schema).await?;
    if !missing.is_empty() {
        let what = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let mend = "create the learner views (see migrations/academy/), or name their schema with academy.schema";
        return Err(Advice::usage(format!("the academy cannot be read: {what}"), mend).into());
    }
    Ok(store)
}

async fn worker_of(context: &Context, store: &Store) -> anyhow::Result<(worker::Settings, Arc<Steps>, Arc<Fleet>)> {
    let workflow = context.workflow()?;
    // What is wrong with its settings is told at once. The store itself may be away or not answer:
    // that must hold up no podcast.
    let episodes = neighbours::object_store(&context.config)?;
    tokio::spawn(look_at_the_store(episodes, context.config.clone()));
    let mut settings = neighbours::worker_settings(&context.config, &workflow);
    settings.alerts = Some(sinks::settings(&context.config)?);
    let fleet = neighbours::fleet(&context.config, store.clone(), &workflow);
    let steps = neighbours::steps(&context.config, store.clone(), workflow, Arc::<Fleet>::clone(&fleet)).await?;
    Ok((settings, Arc::new(steps), fleet))
}

/// Looks at the store until old episodes expire there, for as long as the process lives. It may be
/// back before the first upload, and until then the audio is safe in the spool.
async fn look_at_the_store(episodes: Arc<dyn ObjectStore>, config: Config) {
    let mut pause = LOOK_AGAIN;
    while !is_in_order(episodes.as_ref(), &config).await {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN_LATEST);
    }
}

/// One look: tells what is wrong with the store, and makes its rule if there is none.
async fn is_in_order(episodes: &dyn ObjectStore, config: &Config) -> bool {
    if let Err(failure) = episodes.ready().await {
        tracing::warn!(
            error.kind = failure.kind.as_str(),
            error.message = failure.message,
            "the store of episodes is not ready"
        );
        return false;
    }
    neighbours::expire_episodes(config).await.unwrap_or_else(|error| {
        tracing::warn!(error = format!("{error:#}"), "old episodes may not expire in the bucket");
        false
    })
}

fn stop_on_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("cannot listen for signals")?;
    Ok(shutdown)
}

/// What the HTTP handlers know.
///
/// # Errors
/// When the signing secret, the spool or the store cannot be had.
pub async fn app(
    context: &Context,
    store: &Store,
    bound: &Bound,
    ending: CancellationToken,
) -> anyhow::Result<Arc<App>> {
    let config = &context.config;
    let secret = match &config.http.signing_secret {
        Some(secret) => secret.expose().as_bytes().to_vec(),
        None => listeners::signing_secret(store.pool(), rand::rng().random()).await?,
    };
    let settings = http::Settings::new(config, bound.address());
    Ok(Arc::new(App {
        reads: store.reads().clone(),
        tokens: http::Tokens::default(),
        door: http::Door::default(),
        rates: http::Rates::new(settings.rate_per_minute, Arc::new(SystemClock)),
        store: neighbours::object_store(config)?,
        spool: neighbours::spool(config, store).await?,
        clock: Arc::new(SystemClock),
        signing_key: SigningKey::new(&secret),
        desk: Arc::new(neighbours::desk(context, store)?),
        ending,
        settings,
    }))
}

/// Serves while the worker works. Whichever ends by itself ends the other.
///
/// # Errors
/// What ended the one or the other.
pub async fn both(
    bound: Bound,
    app: Arc<App>,
    worker: impl Future<Output = Result<(), worker::Error>> + Send + 'static,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    tracing::info!(http.address = %bound.address(), "serving");
    beside(http::serve(bound, app, shutdown.token()), worker, shutdown).await
}

/// As [`both`], with a server that is made already.
async fn beside(
    serving: impl Future<Output = ()>,
    worker: impl Future<Output = Result<(), worker::Error>> + Send + 'static,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut working = tokio::spawn(worker);
    tokio::pin!(serving);
    tokio::select! {
        worked = &mut working => {
            shutdown.ask();
            serving.await;
            worked??;
        }
        () = &mut serving => {
            shutdown.ask();
            working.await??;
        }
    }
    Ok(())
}
