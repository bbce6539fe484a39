//! A connection whose other end may be slow, but not for ever: the head of a request must come
//! within [`HEAD`] of its first byte, and an answer must be taken in pieces that are never further
//! apart than [`STALL`]. Between requests the server's own limit holds.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// The longest time between the first and the last byte of a request's head.
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// The longest wait for the other end to take more of an answer.
const STALL: Duration = Duration::from_secs(30);

/// The line of one client.
pub(super) struct Patient {
    stream: TcpStream,
    is_answering: Arc<AtomicBool>,
    head: Pin<Box<Sleep>>,
    is_in_head: bool,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Watches `stream`. The server says by the flag that it has got a head; the first byte of its
    /// answer says that it waits for the next one.
    pub fn new(stream: TcpStream) -> (Self, Arc<AtomicBool>) {
        let is_answering = Arc::new(AtomicBool::new(false));
        let head = Box::pin(tokio::time::sleep(HEAD));
        let patient = Self { stream, is_answering: Arc::clone(&is_answering), head, is_in_head: false, stall: None };
        (patient, is_answering)
    }

    /// The outcome of a write, or the end of patience.
    fn taken(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn answers(&mut self) {
        self.is_answering.store(false, Ordering::Relaxed);
        self.is_in_head = false;
    }
}

impl AsyncRead for Patient {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.is_answering.load(Ordering::Relaxed) {
            return read;
        }
        if !this.is_in_head {
            if buffer.filled().len() > before {
                this.is_in_head = true;
                this.head.as_mut().reset(Instant::now() + HEAD);
            }
            return read;
        }
        // Asked before the outcome is handed on, so that a byte now and then buys no time.
        if this.head.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answers();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.taken(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answers();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.taken(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
