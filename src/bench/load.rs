//! The load of `bench api`: clients that ask over HTTP/1.1 on connections that stay open, one
//! request at a time each. Threads and blocking sockets, because a runtime's timer knows only whole
//! milliseconds, and because this runs beside the server's own tasks and must not share their
//! queue. What the clients cost is measured with them.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer.
const LARGEST: usize = 1 << 20;

/// Whom to ask for what: `request` makes the request of a random number.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// Where the server listens.
    pub address: SocketAddr,
    /// A whole request, up to its empty line.
    pub request: &'a (dyn Fn(u64) -> String + Sync),
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// How long each took, in microseconds, in no order.
    pub latencies: Vec<u64>,
    /// Bytes of all answers.
    pub bytes: u64,
    /// Processor time of the clients.
    pub client_cpu_ms: f64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Answers {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Puts the answers of another time beside these.
    pub fn add(&mut self, mut other: Self) {
        self.latencies.append(&mut other.latencies);
        self.bytes += other.bytes;
        self.client_cpu_ms += other.client_cpu_ms;
        self.elapsed += other.elapsed;
    }
}

/// As many requests as can be answered: each client asks again as soon as it has its answer.
pub(super) fn closed(target: Target<'_>, clients: usize, span: Duration, seed: u64) -> io::Result<Answers> {
    let started = Instant::now();
    all(target, clients, seed, |client, answers| {
        while started.elapsed() < span {
            let asked = Instant::now();
            answers.bytes += client.ask()?;
            answers.latencies.push(micros(asked.elapsed()));
        }
        Ok(())
    })
}

/// `rate` requests a second, whether they are answered or not: a request that finds all clients
/// waiting is late, and its latency counts from when it should have been sent.
pub(super) fn open(target: Target<'_>, clients: usize, rate: f64, span: Duration, seed: u64) -> io::Result<Answers> {
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    all(target, clients, seed, |client, answers| {
        loop {
            let due = Duration::from_secs_f64(next.fetch_add(1, Ordering::Relaxed) as f64 / rate);
            if due >= span {
                return Ok(());
            }
            thread::sleep(due.saturating_sub(started.elapsed()));
            answers.bytes += client.ask()?;
            answers.latencies.push(micros(started.elapsed().saturating_sub(due)));
        }
    })
}

/// Runs every client on a thread of its own.
fn all(
    target: Target<'_>,
    clients: usize,
    seed: u64,
    work: impl Fn(&mut Client<'_>, &mut Answers) -> io::Result<()> + Sync,
) -> io::Result<Answers> {
    let started = Instant::now();
    let mut total = thread::scope(|scope| {
        let one = |number: u64| {
            let work = &work;
            scope.spawn(move || {
                let mut client = Client::connect(target, seed.wrapping_add(number))?;
                let mut answers = Answers::default();
                work(&mut client, &mut answers)?;
                answers.client_cpu_ms = super::meter::thread_cpu_ms();
                Ok(answers)
            })
        };
        let threads: Vec<_> = (1..=clients as u64).map(one).collect();
        let mut total = Answers::default();
        for thread in threads {
            total.add(thread.join().unwrap_or_else(|_| Err(io::Error::other("a client of the benchmark panicked")))?);
        }
        io::Result::Ok(total)
    })?;
    total.elapsed = started.elapsed();
    Ok(total)
}

/// One connection.
struct Client<'a> {
    target: Target<'a>,
    stream: TcpStream,
    buffer: Vec<u8>,
    random: u64,
}

impl<'a> Client<'a> {
    fn connect(target: Target<'a>, seed: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // An odd factor spreads neighbours; zero would stay zero.
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Ok(Self { target, stream, buffer: vec![0; LARGEST], random })
    }

    /// One request and its whole answer, which has to be 200; gives the length of the answer.
    fn ask(&mut self) -> io::Result<u64> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.stream.write_all((self.target.request)(self.random).as_bytes())?;
        let mut filled = 0;
        loop {
            match self.stream.read(&mut self.buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(length) = length(&self.buffer[..filled])?
                && filled >= length
            {
                return Ok(length as u64);
            }
        }
    }
}

/// The length of a whole answer, once its head is there.
fn length(answer: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|piece| piece == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..end]);
    if !head.starts_with("HTTP/1.1 200 ") {
        let status = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("the server under test answered {status:?}")));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.ok_or_else(|| io::Error::other("the server under test announced no length"))?;
    Ok(Some(end + 4 + length))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The latency that `share` of the sorted ones do not exceed, in milliseconds.
pub(super) fn percentile(sorted: &[u64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(0.0, |micros| *micros as f64 / 1000.0)
}
