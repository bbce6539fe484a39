//! A way to the database that a test can cut, stall and restore: TCP in front of the cluster's
//! Unix socket.

use std::{
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
}

#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
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
    /// A way to the server whose Unix socket is `socket`.
    pub async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = watch::Sender::new(State { way: Way::Open, first_living: 0 });
        let (watched, taken) = (state.subscribe(), Arc::new(AtomicUsize::new(0)));
        let task = tokio::spawn(serve(listener, socket, watched, Arc::clone(&taken)));
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

async fn serve(listener: TcpListener, socket: PathBuf, state: watch::Receiver<State>, taken: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = taken.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(carry(stream, socket.clone(), number, state.clone()));
    }
}

async fn carry(client: TcpStream, socket: PathBuf, number: usize, state: watch::Receiver<State>) {
    let mut cut = state.clone();
    let both = async {
        let Ok(server) = UnixStream::connect(socket).await else { return };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::select! {
            () = pump(from_client, to_server, number, state.clone()) => {}
            () = pump(from_server, to_client, number, state) => {}
        }
    };
    tokio::select! {
        () = both => {}
        _ = cut.wait_for(|state| state.way == Way::Cut) => {}
    }
}

/// Carries bytes one way until either end closes, or the test is over.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: usize,
    mut state: watch::Receiver<State>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut piece).await else { return };
        let open = state.wait_for(|state| state.way == Way::Open && number >= state.first_living);
        if open.await.is_err() || to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
}
