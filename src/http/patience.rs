//! A connection whose other end may be slow, but not for ever: the head of its first request must
//! come within [`HEAD`] of the connection, that of a later one within [`HEAD`] of its first byte, and
//! an answer must be taken in pieces that are never further apart than [`STALL`].
//!
//! Between requests the server's own limit holds, unless all places are taken: then who sends
//! nothing for [`BRIEF`] gives up his to those who wait outside.

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

/// The longest wait for a head: of the first request from the start of the connection, of others
/// from their first byte.
pub(super) const HEAD: Duration = Duration::from_secs(10);

/// The longest wait for the other end to take more of an answer.
const STALL: Duration = Duration::from_secs(30);

/// The longest pause between two requests when no place is free. Also how often it is asked whether
/// one is.
const BRIEF: Duration = Duration::from_secs(5);

/// The line of one client.
pub(super) struct Patient {
    stream: TcpStream,
    is_answering: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
    is_in_head: bool,
    /// The end of the head, or of the pause between two requests.
    limit: Pin<Box<Sleep>>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Watches `stream`. The server says by `is_full` that all places are taken, and by the flag
    /// that comes back that it has got a head; the first byte of its answer says that it waits for
    /// the next one.
    pub fn new(stream: TcpStream, is_full: Arc<AtomicBool>) -> (Self, Arc<AtomicBool>) {
        let is_answering = Arc::new(AtomicBool::new(false));
        let patient = Self {
            stream,
            is_answering: Arc::clone(&is_answering),
            is_full,
            // Who says nothing at all is no better than who never comes to an end.
            is_in_head: true,
            limit: Box::pin(tokio::time::sleep(HEAD)),
            stall: None,
        };
        (patient, is_answering)
    }

    /// The outcome of a write, or the end of patience.
    fn taken(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            self.limit.as_mut().reset(Instant::now() + BRIEF);
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

    /// Ends when the pause between two requests has been too long for a full house.
    fn outstays(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.limit.as_mut().poll(context));
            // Who still takes an answer does not pause.
            if self.is_full.load(Ordering::Relaxed) && self.stall.is_none() {
                return Poll::Ready(());
            }
            self.limit.as_mut().reset(Instant::now() + BRIEF);
        }
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
        let is_over = if this.is_in_head {
            // Asked before the outcome is handed on, so that a byte now and then buys no time.
            this.limit.as_mut().poll(context)
        } else if buffer.filled().len() > before {
            this.is_in_head = true;
            this.limit.as_mut().reset(Instant::now() + HEAD);
            Poll::Pending
        } else if read.is_pending() {
            this.outstays(context)
        } else {
            Poll::Pending
        };
        if is_over.is_ready() {
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
