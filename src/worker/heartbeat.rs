//! The heartbeat: keeps the claims of this worker alive, on the connection whose lock proves that
//! the process lives.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use crate::store::{
    self, Store, chain,
    workers::{self, Beat, Session},
};

use super::{Settings, host, liveness::Liveness, shutdown::Shutdown};

/// The pause between two tries to open a session.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a registration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    Stopped,
    /// Others had to think this worker dead.
    DeclaredDead,
}

/// Registers the worker and opens its session, waiting while the database is away. `None` when a
/// stop was asked for meanwhile.
///
/// # Errors
/// When the database refuses for good.
pub async fn begin(
    store: &Store,
    settings: &Settings,
    shutdown: &Shutdown,
) -> Result<Option<(i32, Session)>, store::Error> {
    let registration = host::registration(settings);
    let mut worker_id = None;
    while !shutdown.is_asked() {
        let begun = async {
            let id = match worker_id {
                Some(id) => id,
                None => *worker_id.insert(workers::register(store, &registration).await?),
            };
            Ok((id, Session::open(store, id).await?))
        };
        match begun.await {
            Err(error) if store::Error::is_passing(&error) => {
                tracing::warn!(error = chain(&error), "the database is away, trying again");
                tokio::time::sleep(PAUSE).await;
            }
            result => return result.map(Some),
        }
    }
    Ok(None)
}

/// Beats until the worker has handed everything back, or is declared dead. A lost session is
/// opened again; until then no paid work begins.
pub async fn run(store: Store, session: Session, worker_id: i32, live: Arc<Liveness>) -> Ended {
    let mut session = Some(session);
    let mut tick = tokio::time::interval(live.beat());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = live.finished() => break,
            _ = tick.tick() => {}
        }
        let Some(open) = session.as_mut() else {
            let opened = tokio::select! {
                opened = Session::open(&store, worker_id) => opened,
                () = live.finished() => break,
            };
            match opened {
                Ok(new) => session = Some(new),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "cannot open the worker's session, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tick.reset_immediately();
            continue;
        };
        let sent = Instant::now();
        match tokio::time::timeout(live.beat() * 2, beat(open, &live)).await {
            Ok(Ok(heard @ (Beat::Alive | Beat::Paused))) => {
                live.set_paused(heard == Beat::Paused);
                live.heard_at(sent);
            }
            Ok(Ok(Beat::DeclaredDead)) => {
                live.declare_dead();
                break;
            }
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "a heartbeat failed, opening a new session");
                live.missed();
                session = None;
            }
            Err(_) => {
                tracing::warn!(
                    timeout_ms = live.beat().as_millis() * 2,
                    "a heartbeat was not answered, opening a new session"
                );
                live.missed();
                session = None;
            }
        }
    }
    if let Some(session) = session {
        session.close().await;
    }
    if live.is_dead() { Ended::DeclaredDead } else { Ended::Stopped }
}

/// One heartbeat, and a try to lead for who does not.
async fn beat(session: &mut Session, live: &Liveness) -> Result<Beat, store::Error> {
    let beat = session.beat().await?;
    if beat != Beat::DeclaredDead && !live.leads() {
        live.set_leads(session.lead().await?);
    }
    Ok(beat)
}
