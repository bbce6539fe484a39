//! A way to an HTTP server that a test can spoil: requests that meet a fault are refused, held,
//! cut or changed; all others pass as they are.
//!
//! One request per connection, so that a fault strikes exactly one. Bodies need a length, which
//! those of the program have. What is held is held until the way is clear again.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::until;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before anything is read.
    Refuse,
    /// Taken, never answered, and the server does not hear of it.
    Hold,
    /// The server does what was asked; its answer is held.
    HoldAnswer,
    /// 503, with the code of a store that is asked too often.
    SlowDown,
    /// 500.
    InternalError,
    /// Half of the body is taken, then the connection is closed.
    CutRequest,
    /// The server does what was asked; the connection is closed instead of an answer.
    LoseAnswer,
    /// The answer ends in the middle of its first line.
    CutAnswer,
    /// One bit of the body is another one when it arrives.
    Corrupt,
    /// The server puts what it was given; the ETag that it answers is another one.
    WrongTag,
    /// 400: the server found another checksum than the one it was told.
    BadDigest,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Refuse,
        Self::Hold,
        Self::HoldAnswer,
        Self::SlowDown,
        Self::InternalError,
        Self::CutRequest,
        Self::LoseAnswer,
        Self::CutAnswer,
        Self::Corrupt,
        Self::WrongTag,
        Self::BadDigest,
    ];

    /// True when whoever asks hears nothing.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Hold | Self::HoldAnswer)
    }
}

/// Who is struck, and by what.
#[derive(Debug, Clone)]
struct Storm {
    faults: Vec<Fault>,
    /// Of the requests.
    share: f64,
    /// Requests whose first line has this in it.
    first_line: &'static str,
    /// Requests that fit and pass before any is struck.
    spared: usize,
}

#[derive(Debug)]
struct State {
    storm: watch::Sender<Option<Storm>>,
    chance: Mutex<StdRng>,
    fitting: AtomicUsize,
    met: AtomicUsize,
    /// Connections that are not over.
    open: AtomicUsize,
}

/// The way, clear at first.
pub struct Filter {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Filter {
    /// A way to `server`; `seed` decides whom a share strikes.
    pub async fn to(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            storm: watch::Sender::new(None),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            fitting: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                state.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move { state.carry(stream, server).await });
            }
        });
        Self { address, state, task }
    }

    /// Its address for clients, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Strikes this share of all requests, each with one of the faults.
    pub fn strike(&self, faults: &[Fault], share: f64) {
        self.begin(Storm { faults: faults.to_vec(), share, first_line: "", spared: 0 });
    }

    /// Strikes the requests whose first line has `first_line` in it, all but the first `spared`.
    pub fn strike_at(&self, fault: Fault, first_line: &'static str, spared: usize) {
        self.begin(Storm { faults: vec![fault], share: 1.0, first_line, spared });
    }

    fn begin(&self, storm: Storm) {
        self.state.fitting.store(0, Ordering::SeqCst);
        self.state.storm.send_replace(Some(storm));
    }

    /// The way is clear again, and who was held goes on.
    pub fn clear(&self) {
        self.state.storm.send_replace(None);
    }

    /// All that was asked by somebody who is dead now has reached the server, or never will.
    pub async fn until_idle(&self) {
        // Connections are taken in their order: those before this one are counted when it ends.
        let mut last = TcpStream::connect(self.address).await.unwrap();
        last.shutdown().await.unwrap();
        last.read_to_end(&mut Vec::new()).await.unwrap();
        until("nobody is on the way", async || self.state.open.load(Ordering::SeqCst) == 0).await;
    }

    /// Requests that met a fault so far.
    pub fn met(&self) -> usize {
        self.state.met.load(Ordering::SeqCst)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request as it came, and where its body begins.
struct Request {
    bytes: Vec<u8>,
    body: usize,
}

impl State {
    async fn carry(&self, stream: TcpStream, server: SocketAddr) {
        // Either side may go at any moment, which is a part of the tests.
        let _ = self.try_carry(stream, server).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn try_carry(&self, stream: TcpStream, server: SocketAddr) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut first_line = String::new();
        if stream.read_line(&mut first_line).await? == 0 {
            return Ok(());
        }
        let fate = self.fate(&first_line);
        if fate == Some(Fault::Refuse) {
            return Ok(());
        }
        let mut request = read(&mut stream, first_line, fate == Some(Fault::CutRequest)).await?;
        match fate {
            Some(Fault::CutRequest) => return Ok(()),
            Some(Fault::SlowDown) => return answer(stream, "503 Slow Down", "SlowDown").await,
            Some(Fault::InternalError) => return answer(stream, "500 Internal Server Error", "InternalError").await,
            Some(Fault::BadDigest) => return answer(stream, "400 Bad Request", "BadDigest").await,
            Some(Fault::Hold) => {
                self.until_clear(&mut stream).await?;
            }
            Some(Fault::Corrupt) => {
                let middle = usize::midpoint(request.body, request.bytes.len());
                request.bytes.get_mut(middle).into_iter().for_each(|byte| *byte ^= 1);
            }
            _ => {}
        }
        let mut answer = ask(server, &request.bytes).await?;
        // Another tag when it is asked for would be another object, not a wrong answer.
        let is_put = request.bytes.starts_with(b"PUT");
        match fate {
            Some(Fault::HoldAnswer) => self.until_clear(&mut stream).await?,
            Some(Fault::LoseAnswer) => return Ok(()),
            Some(Fault::CutAnswer) => answer.truncate(9),
            Some(Fault::WrongTag) if is_put => spoil_tag(&mut answer),
            _ => {}
        }
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    /// Decides what becomes of a request with this first line.
    fn fate(&self, first_line: &str) -> Option<Fault> {
        let storm = self.storm.borrow().clone()?;
        if !first_line.contains(storm.first_line) || self.fitting.fetch_add(1, Ordering::SeqCst) < storm.spared {
            return None;
        }
        let mut chance = self.chance.lock().unwrap();
        if !chance.random_bool(storm.share) {
            return None;
        }
        let fault = storm.faults[chance.random_range(0..storm.faults.len())];
        self.met.fetch_add(1, Ordering::SeqCst);
        Some(fault)
    }

    /// Waits until nobody is held any more; an error when the client goes before.
    async fn until_clear(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        let mut storm = self.storm.subscribe();
        let is_clear =
            |storm: &Option<Storm>| storm.as_ref().is_none_or(|storm| !storm.faults.iter().any(|fault| fault.holds()));
        tokio::select! {
            _ = storm.wait_for(is_clear) => Ok(()),
            gone = stream.read_u8() => gone.map(drop),
        }
    }
}

/// The whole request, or half of its body. The server is asked to close the connection at its end.
async fn read(stream: &mut BufReader<TcpStream>, first_line: String, half: bool) -> std::io::Result<Request> {
    let (mut bytes, mut length, mut waits) = (first_line.into_bytes(), 0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "connection" => continue,
            "content-length" => length = value.trim().parse().unwrap(),
            "expect" => {
                waits = true;
                continue;
            }
            _ => {}
        }
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    if waits {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = bytes.len();
    bytes.resize(body + if half { length / 2 } else { length }, 0);
    stream.read_exact(&mut bytes[body..]).await?;
    Ok(Request { bytes, body })
}

/// The whole answer of the server.
async fn ask(server: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(server).await?;
    server.write_all(request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// An error as S3 words it.
async fn answer(mut stream: BufReader<TcpStream>, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>On purpose</Message></Error>");
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/xml\r\n");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    stream.shutdown().await
}

/// Changes the ETag, if there is one.
fn spoil_tag(answer: &mut [u8]) {
    const NAME: &[u8] = b"\r\netag: \"";
    let found = answer.windows(NAME.len()).position(|bytes| bytes.eq_ignore_ascii_case(NAME));
    if let Some(at) = found {
        answer[at + NAME.len()..][..32].copy_from_slice(&[b'0'; 32]);
    }
}
