//! How spans travel to a collector of traces: by the same way as a vendor's calls.
//!
//! What would surprise: the exporter runs on a thread of its own, so each request is handed to the
//! runtime. And it is silent about failures; we tell once that the collector is away, and once that
//! it is back, instead of every few seconds.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use super::http::{Answer, Caller, Error};
use crate::podcast::Failure;

/// The longest that a collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: it says at most how much was not taken.
const LONGEST_ANSWER: usize = 64 << 10;

/// Sends what the exporter wrote.
#[derive(Debug)]
pub struct Sender {
    caller: Caller,
    runtime: Handle,
    is_away: AtomicBool,
}

impl Sender {
    /// A sender that works on `runtime`.
    ///
    /// # Errors
    /// [`Error`] when TLS or the client cannot be set up.
    pub fn new(runtime: Handle) -> Result<Self, Error> {
        Ok(Self { caller: Caller::new("the collector", TIMEOUT)?, runtime, is_away: AtomicBool::new(false) })
    }

    /// Tells when it went away, and when it is back.
    fn tell(&self, answered: &Result<Answer, Failure>) {
        let why = match answered {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status)),
            Err(failure) => Some(failure.message.clone()),
        };
        let was_away = self.is_away.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !was_away => {
                tracing::warn!(error.message = why, "traces are dropped until the collector takes them");
            }
            None if was_away => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let caller = self.caller.clone();
        let request = caller.post(&head.uri.to_string()).headers(head.headers).body(body);
        let sent = self.runtime.spawn(async move { caller.send(request, LONGEST_ANSWER).await });
        let answered = sent.await?;
        self.tell(&answered);
        let answer = answered.map_err(|failure| failure.message)?;
        let mut response = Response::builder().status(answer.status).body(answer.body)?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
