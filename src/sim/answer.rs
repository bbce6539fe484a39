//! What the simulator sends: status, headers and a body that is never built whole. A body is a few
//! parts; its pieces are cut while they are sent, so that thousands of answers at once cost little.

use std::{collections::VecDeque, io, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::Value;

use super::{
    speech::Speech,
    usage::{Billed, Charge},
};

/// The most bytes of a piece. A multiple of three, so that pieces of base64 need no padding.
const PIECE: usize = 48 * 1024;

/// The most bytes of an answer without an end; by then every client should have gone.
const ENDLESS: u64 = 1 << 30;

/// Pieces a second of a body that drips.
const DRIPS_PER_SECOND: u32 = 10;

/// How long a broken answer waits for its beginning to go out.
const FLUSH: Duration = Duration::from_millis(20);

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<Part>,
    pub(super) billed: Billed,
}

/// A part of a body.
pub(super) enum Part {
    Bytes(Bytes),
    Speech(Speech),
    SpeechInBase64(Speech),
    /// The same letters over and over.
    Endless,
}

impl Answer {
    /// JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Text of any kind.
    pub(super) fn text(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: vec![Part::Bytes(body.into())], billed: Billed::default() }
    }

    /// With one more header.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// With what it costs the client.
    pub(super) fn billing(mut self, billed: Billed) -> Self {
        self.billed = billed;
        self
    }

    /// Bytes of the body.
    pub(super) fn len(&self) -> u64 {
        self.body.iter().map(Part::len).sum()
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Speech(speech) => speech.len(),
            Self::SpeechInBase64(speech) => speech.len().div_ceil(3) * 4,
            Self::Endless => ENDLESS,
        }
    }

    /// The next piece of at most [`PIECE`] bytes before encoding; `None` at the end.
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Some(piece).filter(|piece| !piece.is_empty())
            }
            Self::Speech(speech) => speech.next(PIECE),
            Self::SpeechInBase64(speech) => {
                let mut raw = Vec::with_capacity(PIECE);
                while let Some(more) = speech.next(PIECE - raw.len()) {
                    raw.extend_from_slice(&more);
                }
                let piece = base64::engine::general_purpose::STANDARD.encode(raw);
                Some(piece.into()).filter(|piece: &Bytes| !piece.is_empty())
            }
            Self::Endless => Some(Bytes::from_static(&[b'a'; PIECE])),
        }
    }
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    /// Only so many bytes.
    pub(super) most: Option<u64>,
    /// The connection breaks at the end.
    pub(super) breaks: bool,
    /// Bytes a second.
    pub(super) drip: Option<u32>,
}

/// A body on its way.
struct Sending {
    parts: VecDeque<Part>,
    /// Cut off, but not sent yet.
    rest: Bytes,
    left: u64,
    manner: Manner,
    charge: Option<Charge>,
}

/// The pieces of a body. The charge is settled when all of them are gone; it is lost with a client
/// that goes before.
pub(super) fn pieces(body: Vec<Part>, manner: Manner, charge: Charge) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let left = manner.most.unwrap_or(ENDLESS);
    let sending = Sending { parts: body.into(), rest: Bytes::new(), left, manner, charge: Some(charge) };
    stream::unfold(sending, |mut sending| async move {
        let piece = sending.next().await?;
        Some((piece, sending))
    })
}

impl Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.rest.is_empty() {
            self.rest = self.cut();
        }
        let mut most = self.left.min(self.rest.len() as u64) as usize;
        if let Some(rate) = self.manner.drip {
            most = most.min((rate / DRIPS_PER_SECOND).max(1) as usize);
            tokio::time::sleep(Duration::from_secs(1) / DRIPS_PER_SECOND.min(rate.max(1))).await;
        }
        let piece = self.rest.split_to(most);
        self.left -= piece.len() as u64;
        if !piece.is_empty() {
            return Some(Ok(piece));
        }
        let charge = self.charge.take()?;
        if self.manner.breaks {
            // What was handed over goes out first: the client has the beginning of an answer.
            tokio::time::sleep(FLUSH).await;
            return Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "a fault of the simulator")));
        }
        charge.settle();
        None
    }

    fn cut(&mut self) -> Bytes {
        while let Some(part) = self.parts.front_mut() {
            match part.next() {
                Some(piece) => return piece,
                None => drop(self.parts.pop_front()),
            }
        }
        Bytes::new()
    }
}
