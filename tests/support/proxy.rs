//! A way to the database that a test can cut, stall, lead elsewhere and restore: TCP in front of
//! the cluster's Unix socket. The same in front of a vendor, whose answers a test can hold back.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of bytes and of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections are closed, and new ones as soon as they are made.
    Cut,
    /// Connections stay and are taken, but nothing gets through.
    Stalled,
    /// Requests get through, answers do not.
    Mute,
}

/// Where a way leads.
#[derive(Debug, Clone)]
pub enum Target {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Target {
    /// The Postgres cluster with its socket in a folder.
    pub fn cluster(dir: impl Into<PathBuf>) -> Self {
        Self::Unix(dir.into().join(".s.PGSQL.5432"))
    }
}

#[derive(Debug, Clone)]
struct State {
    way: Way,
    /// Where connections lead that are made from now on.
    target: Target,
    /// Connections with a smaller number are dead without anyone's being told.
    first_living: usize,
}

/// The way, open at first.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A way to a server.
    pub async fn to(target: Target) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = watch::Sender::new(State { way: Way::Open, target, first_living: 0 });
        let (watched, taken) = (state.subscribe(), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(serve(listener, watched, Arc::clone(&taken)));
        Self { port, state, taken, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, and each new one at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.way = Way::Cut);
    }

    /// Keeps all connections and lets nothing through.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.way = Way::Stalled);
    }

    /// Keeps all connections and lets requests through, but no answer.
    pub fn mute(&self) {
        self.state.send_modify(|state| state.way = Way::Mute);
    }

    /// Leads the connections that are made from now on to another server.
    pub fn lead_to(&self, target: Target) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Lets everything through again; what was stalled goes on.
    pub fn restore(&self) {
        self.state.send_modify(|state| state.way = Way::Open);
    }

    /// What a failed router does: connections made so far never hear anything again, nor are they
    /// closed. New ones work.
    pub fn forget_connections(&self) {
        let taken = self.taken.load(Ordering::SeqCst);
        self.state.send_modify(|state| state.first_living = taken);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: watch::Receiver<State>, taken: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = taken.fetch_add(1, Ordering::SeqCst);
        let target = state.borrow().target.clone();
        let state = state.clone();
        tokio::spawn(async move {
            match target {
                Target::Unix(socket) => match UnixStream::connect(socket).await {
                    Ok(server) => carry(stream.into_split(), server.into_split(), number, state).await,
                    Err(_) => drop(stream),
                },
                Target::Tcp(address) => match TcpStream::connect(address).await {
                    Ok(server) => carry(stream.into_split(), server.into_split(), number, state).await,
                    Err(_) => drop(stream),
                },
            }
        });
    }
}

/// Carries bytes both ways until either end closes, or the way is cut.
async fn carry(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    number: usize,
    state: watch::Receiver<State>,
) {
    let mut cut = state.clone();
    tokio::select! {
        () = pump(from_client, to_server, &[Way::Open, Way::Mute], number, state.clone()) => {}
        () = pump(from_server, to_client, &[Way::Open], number, state) => {}
        _ = cut.wait_for(|state| state.way == Way::Cut) => {}
    }
}

/// Carries bytes one way, while the way is one of `open`, until either end closes or the test is
/// over.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    open: &[Way],
    number: usize,
    mut state: watch::Receiver<State>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut piece).await else { return };
        let is_open = state.wait_for(|state| open.contains(&state.way) && number >= state.first_living);
        if is_open.await.is_err() || to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
}
