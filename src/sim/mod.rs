//! Our simulator of the six providers: one HTTP server that answers as OpenAI, Gemini, Anthropic,
//! Polly, Google Text-to-Speech and Azure Speech do, on their own paths, with their checks, their
//! errors and real MP3s. For tests, the demo and load; it costs nothing and knows nobody.
//!
//! Read `routes.rs` first: the life of one request. Each vendor has a file that checks a request,
//! answers it, and knows its errors. `faults.rs` says what can go wrong on purpose. The writers'
//! texts are put together by `script.rs`, speech by `speech.rs`.
//!
//! What would surprise: the same seed, prompts and order of calls give the same bytes. Every key
//! is good that does not begin with `refused`; only signatures of Polly are really verified, with
//! [`ACCESS_KEY_ID`] and a known secret. `GET /sim/usage` tells what all of it would have cost,
//! `POST /sim/reset` begins anew.

use std::{collections::BTreeMap, convert::Infallible, io, net::SocketAddr, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use poem::{
    Request,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

mod answer;
mod anthropic;
mod azure;
mod faults;
mod gemini;
mod google;
mod inject;
mod openai;
mod polly;
mod routes;
mod script;
mod sigv4;
mod speech;
mod ssml;
mod usage;
mod vendor;
mod voices;

pub use faults::{Faults, Problems, Spoil, Trouble};
pub use usage::{Billed, Count};
pub use vendor::{Operation, Vendor};

/// The only access key that signatures are accepted of.
pub const ACCESS_KEY_ID: &str = "AKIDSIMULATOR";

/// The secret that belongs to it, unless the settings say another.
pub const SECRET_ACCESS_KEY: &str = "simulator-secret";

/// Requests under way when the server stops have this long to end.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// How long it waits after a connection that could not be taken: too many open files stay too many
/// until others end.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// What a simulator is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What goes wrong.
    pub faults: Faults,
    /// The secret of [`ACCESS_KEY_ID`].
    pub secret_access_key: String,
    /// Tells the time: models end on a day, signatures grow old.
    pub now: fn() -> DateTime<Utc>,
}

impl Settings {
    /// A free port of this machine, no faults, the known secret.
    pub fn new(now: fn() -> DateTime<Utc>) -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            faults: Faults::default(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            now,
        }
    }
}

/// Why there is no simulator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("the simulator cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The texts of the writers cannot be read.
    #[error("the words of the simulator are wrong")]
    Words(#[source] toml::de::Error),
}

/// A running simulator; it stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    world: Arc<World>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What all requests share.
#[derive(Debug)]
struct World {
    injector: inject::Injector,
    usage: Arc<usage::Usage>,
    clips: speech::Clips,
    words: script::Words,
    secret_access_key: String,
    now: fn() -> DateTime<Utc>,
}

impl Server {
    /// Begins to serve.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address is taken or not ours.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let world = Arc::new(World {
            injector: inject::Injector::new(settings.faults, Instant::now()),
            usage: Arc::default(),
            clips: speech::Clips::default(),
            words: script::Words::read().map_err(Error::Words)?,
            secret_access_key: settings.secret_access_key,
            now: settings.now,
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, world.clone(), stop.clone()));
        Ok(Self { address, world, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for clients, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was called and would have been billed so far.
    pub fn usage(&self) -> BTreeMap<Vendor, Count> {
        self.world.usage.all()
    }

    /// Takes no new connection and waits until requests under way end, a second at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes connections until told to stop. Requests and answers are poem's, connections are not: its
/// server ends a broken answer as if it were whole, and goes on with requests whose client hung up.
async fn serve(listener: TcpListener, world: Arc<World>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, world.clone(), stop.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "the simulator could not take a connection");
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(GRACE, rest).await.ok();
}

async fn connection(stream: TcpStream, world: Arc<World>, stop: CancellationToken) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let world = world.clone();
        async move {
            let (here, there) = (LocalAddr::default(), RemoteAddr::default());
            let request = Request::from((request, here, there, Scheme::HTTP));
            let response: hyper::Response<_> = routes::respond(world, request).await.into();
            Ok::<_, Infallible>(response)
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that hung up, or an answer that was to break.
        _ = &mut connection => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}
