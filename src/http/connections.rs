//! Connections: how many, how patient, and how they end. Requests and answers are poem's,
//! connections are not: its server bounds neither their number nor the time for a head, and polls
//! one that has failed again.
//!
//! HTTP/1.1 only, since a proxy in front speaks the rest. Who comes when all places are taken waits
//! in the system's queue; so nobody is refused, and nothing here grows. Meanwhile connections that
//! are only kept are closed sooner, so that those who wait get a place.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::patience::Patient;

/// A connection on which nothing happens for this long is closed: longer than proxies keep theirs,
/// so that it is the proxy that closes it.
const IDLE: Duration = Duration::from_secs(75);

/// After the signal to stop, requests under way have this long to end.
const GRACE: Duration = Duration::from_secs(10);

/// Bytes of one connection's buffer, and so of a request's head.
const BUFFER: usize = 32 << 10;

/// How long it waits after a connection that could not be taken: too many open files stay too many
/// until others end.
const AGAIN: Duration = Duration::from_millis(50);

/// Failures that are no further apart than this are told once.
const SPELL: Duration = Duration::from_secs(60);

/// Takes at most `most` connections at a time until told to stop, then lets requests under way end.
pub(super) async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    most: usize,
    stop: CancellationToken,
) {
    let (endpoint, places) = (Arc::new(endpoint), Arc::new(Semaphore::new(most)));
    let (mut connections, mut failed_at) = (JoinSet::new(), None);
    let is_full = Arc::new(AtomicBool::new(false));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = next(&listener, &places, &is_full) => match accepted {
                Ok((stream, client)) => {
                    stream.set_nodelay(true).ok();
                    let line = Patient::new(stream, Arc::clone(&is_full));
                    connections.spawn(connection(line, client, Arc::clone(&endpoint), stop.clone(), place));
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    if failed_at.replace(Instant::now()).is_none_or(|last| last.elapsed() > SPELL) {
                        tracing::warn!(%error, "a connection could not be taken");
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    // Those that are left are closed with the set.
    tokio::time::timeout(GRACE, rest).await.ok();
}

/// A place, and then who is to have it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    is_full: &AtomicBool,
) -> (Option<OwnedSemaphorePermit>, io::Result<(TcpStream, SocketAddr)>) {
    is_full.store(places.available_permits() == 0, Ordering::Relaxed);
    let place = Arc::clone(places).acquire_owned().await.ok();
    is_full.store(false, Ordering::Relaxed);
    (place, listener.accept().await)
}

/// True when a client hung up before it was taken; the next one may come at once.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection<E: Endpoint<Output = Response> + 'static>(
    (line, is_answering): (Patient, Arc<AtomicBool>),
    client: SocketAddr,
    endpoint: Arc<E>,
    stop: CancellationToken,
    _place: Option<OwnedSemaphorePermit>,
) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        is_answering.store(true, Ordering::Relaxed);
        let request = Request::from((request, LocalAddr::default(), RemoteAddr(client.into()), Scheme::HTTP));
        async {
            let response: hyper::Response<_> = endpoint.get_response(request).await.into();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(line), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that hung up, or was too slow.
        _ = &mut connection => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}
