//! A vendor that a test plays: it answers what the test wrote down and keeps what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it came over the wire; header names in small letters.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How an answer comes over the wire.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// At once.
    Whole,
    /// Nothing ever comes.
    Never,
    /// One byte of the body each time this has passed.
    Drip(Duration),
    /// The connection is closed after so many bytes of the body, of which more were promised.
    CutAfter(usize),
    /// The body alone, without status and headers.
    Bare,
    /// So many bytes of blanks follow the body, sent as long as somebody reads.
    Padded(usize),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub pace: Pace,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub fn text(status: u16, kind: &str, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec(), pace: Pace::Whole }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn at(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }
}

/// The server. It gives one reply after the other, then the last one again and again.
pub struct Vendor {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Vendor {
    pub async fn playing(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, replies, Arc::clone(&asked)));
        Self { port, asked, task }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, replies: Vec<Reply>, asked: Arc<Mutex<Vec<Asked>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (replies, asked) = (replies.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let Some(request) = read(&mut stream).await else { return };
            let reply = {
                let mut asked = asked.lock().unwrap();
                asked.push(request);
                replies[(asked.len() - 1).min(replies.len() - 1)].clone()
            };
            // Whoever asked may have gone by now, which is a part of some tests.
            let _ = answer(stream.into_inner(), &reply).await;
        });
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut asked = Asked { method: words.next()?, path: words.next()?, ..Asked::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}

async fn answer(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    if let Pace::Never = reply.pace {
        // Until the other side gives up.
        stream.read_u8().await?;
    }
    let extra = if let Pace::Padded(extra) = reply.pace { extra } else { 0 };
    let mut head = format!("HTTP/1.1 {} Played\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len() + extra));
    if !matches!(reply.pace, Pace::Bare) {
        stream.write_all(head.as_bytes()).await?;
    }
    match reply.pace {
        Pace::Drip(each) => {
            let mut beat = tokio::time::interval(each);
            for byte in &reply.body {
                beat.tick().await;
                stream.write_all(&[*byte]).await?;
            }
        }
        Pace::CutAfter(bytes) => stream.write_all(&reply.body[..bytes]).await?,
        _ => stream.write_all(&reply.body).await?,
    }
    let blanks = vec![b' '; 64 * 1024];
    let mut left = extra;
    while left > 0 {
        let part = left.min(blanks.len());
        stream.write_all(&blanks[..part]).await?;
        left -= part;
    }
    stream.shutdown().await
}
