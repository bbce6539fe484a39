//! The engine: takes due podcasts, lets their steps do the work, writes down what came of it.
//!
//! One process is one worker with one registration in the database. Around it run, each a task of
//! its own: the [`queue`], which claims due podcasts for free slots and hands them to
//! apalis; the [`executor`], which walks each claimed podcast from status to status; the writer
//! (in `store`), through which all their moves share commits; the [`heartbeat`], which keeps the
//! claims alive and proves that the process is; and, in the one worker that leads, the
//! [`scheduler`], the [`sweeper`], the [`keeper`] and those who look after alerts. Before the vendors
//! stands one gate for the whole [`fleet`].
//!
//! A worker that was declared dead (it was stopped, or cut off, for longer than its lease) drops
//! what it has in hand, whose rows others hold by now, and begins anew under a new registration.

pub mod executor;
pub mod fleet;
pub mod heartbeat;
pub mod held;
pub mod host;
pub mod keeper;
pub mod liveness;
pub mod operator;
pub mod queue;
pub mod scheduler;
pub mod shutdown;
pub mod spool;
pub mod steps;
pub mod sweeper;

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    alert,
    machine::{RetryPolicy, Status},
    podcast::{Attempt, Failure, Outcome, Podcast},
    store::{
        self, Store, chain, claim, workers,
        writer::{Supervision, Writer},
    },
};

use executor::Executor;
use heartbeat::Ended;
use held::Held;
use liveness::Liveness;
use scheduler::Schedule;
use shutdown::Shutdown;
use sweeper::Sweep;

/// How often a worker compares what it holds with what the database says it holds.
const AUDIT: Duration = Duration::from_secs(5);

/// The longest wait for each of the last things a worker does.
const PARTING: Duration = Duration::from_secs(5);

/// What can end a worker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not be used at start.
    #[error("the worker could not start")]
    Start(#[source] store::Error),
    /// The worker ended though nobody asked it to.
    #[error("the worker ended by itself; the log says why")]
    Ended,
    /// apalis ended the worker.
    #[error("the job worker stopped by itself")]
    Apalis(#[source] queue::WorkerError),
}

/// What each state's work is. The engine knows nothing else about steps.
pub trait Work: Send + Sync + 'static {
    /// Does the work of the podcast's status, once. The attempt is asked before every call that
    /// costs money; when it says no, the work ends and what it returns is thrown away.
    fn advance(&self, podcast: &Podcast, attempt: &Attempt<'_>) -> impl Future<Output = Outcome> + Send;

    /// How patiently the work of a status is retried.
    fn retry_policy(&self, status: Status) -> RetryPolicy;

    /// The longest the work of a status may take.
    fn time_limit(&self, status: Status) -> Duration;

    /// Throws away what a finished podcast no longer needs. May be called again, or never.
    fn clean_up(&self, podcast_id: i64) -> impl Future<Output = ()> + Send;

    /// Podcasts of which something is left that [`Work::clean_up`] would throw away. Where nothing is
    /// kept outside the database there are none.
    fn leftovers(&self) -> impl Future<Output = Vec<i64>> + Send {
        std::future::ready(Vec::new())
    }

    /// Deletes every object that is kept of a learner and says how many those were. May be called
    /// again. Where nothing is kept outside the database there is nothing to do.
    fn delete_objects_of(&self, _user_id: i64) -> impl Future<Output = Result<u64, Failure>> + Send {
        std::future::ready(Ok(0))
    }
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call it.
    pub name: String,
    /// Podcasts in flight at once.
    pub concurrency: usize,
    /// How long its claims hold when it can no longer be heard.
    pub lease: Duration,
    /// How long a stop waits for steps that are being worked on.
    pub grace: Duration,
    /// How often it looks for due podcasts when nobody tells it. The guarantee; a notification
    /// only makes it sooner.
    pub poll: Duration,
    /// Deaths of its worker after which a podcast is no longer trusted.
    pub crash_limit: u32,
    /// The nights; `None` when this worker starts none.
    pub schedule: Option<Schedule>,
    /// How long finished podcasts are kept, in days.
    pub retention_days: i32,
    /// What is watched for and who is told; `None` when this worker does neither.
    pub alerts: Option<alert::Settings>,
}

impl Settings {
    /// The time between two heartbeats: five in a lease, and often enough that a death is proved
    /// within three seconds.
    pub fn beat(&self) -> Duration {
        (self.lease / 5).min(Duration::from_millis(800))
    }
}

/// Works until it is told to stop, then hands everything back.
///
/// # Errors
/// [`Error::Start`] when the database cannot be used at all; once it has worked, a database that
/// is away is waited out.
pub async fn run<W: Work>(store: Store, settings: Settings, work: Arc<W>, shutdown: Shutdown) -> Result<(), Error> {
    let _grace = AbortOnDropHandle::new(tokio::spawn(end_grace(shutdown.clone(), settings.grace)));
    while let Ended::DeclaredDead = live(&store, &settings, &work, &shutdown).await? {
        if shutdown.is_asked() {
            break;
        }
        tracing::warn!(worker.name = settings.name, "this worker was declared dead, registering anew");
    }
    Ok(())
}

/// Ends the grace when its time is over, whoever asked for the stop.
async fn end_grace(shutdown: Shutdown, grace: Duration) {
    shutdown.asked().await;
    tokio::time::sleep(grace).await;
    shutdown.end_grace();
}

/// One registration, from its first heartbeat to its last.
async fn live<W: Work>(store: &Store, settings: &Settings, work: &Arc<W>, shutdown: &Shutdown) -> Result<Ended, Error> {
    let Some((worker_id, session)) = heartbeat::begin(store, settings, shutdown).await.map_err(Error::Start)? else {
        return Ok(Ended::Stopped);
    };
    let supervision = Supervision { failing: Arc::new(AtomicUsize::new(0)), give_up: shutdown.grace_token() };
    let live = Arc::new(Liveness::new(settings.beat(), Arc::clone(&supervision.failing)));
    tracing::info!(
        worker.id = worker_id,
        worker.name = settings.name,
        worker.concurrency = settings.concurrency,
        "worker started"
    );

    let (writer, mut writing) = Writer::start(store, worker_id, settings.concurrency, &supervision);
    let ending = live.ending(shutdown);
    // Dropping this future ends everything that belongs to the worker, its heartbeat above all.
    let beating =
        AbortOnDropHandle::new(tokio::spawn(heartbeat::run(store.clone(), session, worker_id, Arc::clone(&live))));
    let held = Held::default();
    let mut helpers = JoinSet::new();
    let sweep = Sweep { store: store.clone(), settings: settings.clone(), worker_id, live: Arc::clone(&live) };
    helpers.spawn(sweep.clone().mend(ending.clone()));
    helpers.spawn(sweep.tidy(Arc::clone(work), ending.clone()));
    helpers.spawn(scheduler::run(store.clone(), settings.clone(), Arc::clone(&live), ending.clone()));
    helpers.spawn(operator::run(store.clone(), Arc::clone(&live), ending.clone()));
    look_after_alerts(&mut helpers, store, settings, &live, &ending);
    helpers.spawn(sweeper::audit(store.clone(), worker_id, AUDIT, held.clone(), ending.clone()));

    let chance = || rand::random_range(0.0..1.0);
    let executor =
        Arc::new(Executor::new(worker_id, Arc::clone(work), writer, Arc::clone(&live), shutdown.clone(), chance));
    let serving = queue::serve(store, worker_id, settings, executor, &live, &held, ending.clone());
    let ended = watch(serving, &mut helpers, &ending).await;

    // What they do is done again by anyone; a statement that is never answered must not hold us.
    let _ = tokio::time::timeout(PARTING, async { while helpers.join_next().await.is_some() {} }).await;
    helpers.shutdown().await;
    // The executor was the last to hold the writer's handle, so this ends when all is written.
    while writing.join_next().await.is_some() {}
    let handed = tokio::time::timeout(PARTING, hand_back(store, worker_id)).await;
    live.finish();
    let verdict = beating.await.unwrap_or(Ended::Stopped);
    let signed_off = tokio::time::timeout(PARTING, workers::stop(store, worker_id, "stopped in order")).await;
    if !matches!((handed, signed_off), (Ok(()), Ok(Ok(())))) {
        tracing::warn!("could not hand back or sign off; the others will notice");
    }
    ended?;
    if !live.is_dead() && !shutdown.is_asked() {
        return Err(Error::Ended);
    }
    tracing::info!(worker.id = worker_id, "worker stopped");
    Ok(verdict)
}

/// Watches for alerts and sends them, in the worker that leads.
fn look_after_alerts(
    helpers: &mut JoinSet<()>,
    store: &Store,
    settings: &Settings,
    live: &Arc<Liveness>,
    ending: &CancellationToken,
) {
    let Some(alerts) = &settings.alerts else { return };
    let leads = || {
        let live = Arc::clone(live);
        move || live.leads() && live.may_call()
    };
    let schedule = settings.schedule.clone();
    let last_night = move |now| schedule.as_ref()?.over(now);
    helpers.spawn(alert::deliver(store.clone(), alerts.clone(), leads(), ending.clone()));
    helpers.spawn(alert::watch(store.clone(), alerts.clone(), last_night, leads(), ending.clone()));
}

/// Serves until it is over, and ends it when one of the tasks beside it breaks: a worker that does
/// not sweep, or does not audit itself, must not look alive.
async fn watch(
    serving: impl Future<Output = Result<(), Error>>,
    helpers: &mut JoinSet<()>,
    ending: &CancellationToken,
) -> Result<(), Error> {
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => {
                ending.cancel();
                return ended;
            }
            Some(Err(panic)) = helpers.join_next(), if !helpers.is_empty() => {
                tracing::error!(error = %panic, "a task of the worker broke, the worker ends");
                ending.cancel();
            }
        }
    }
}

/// Makes everything this worker still holds due for the others.
async fn hand_back(store: &Store, worker_id: i32) {
    let handed = async {
        let held = claim::held_by(store, worker_id, Duration::ZERO).await?;
        if held.is_empty() { Ok(0) } else { claim::let_go(store, &held, Duration::ZERO).await }
    };
    match handed.await {
        Ok(0) => {}
        Ok(podcasts) => tracing::info!(podcasts, "handed back what was not finished"),
        Err(error) => {
            tracing::warn!(error = chain(&error), "could not hand back; the others take it when the lease runs out");
        }
    }
}
