//! How vendors are called over HTTP: one request, a bounded answer, and what a broken connection
//! means. What an answer means is each vendor's own room.
//!
//! What would surprise: no redirect is followed (a key must not travel to an address nobody
//! configured), and an answer is read only up to the caller's bound, however long it says it is.

use std::{error::Error as _, net::IpAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, Response, Url, header::HeaderMap, redirect};

use crate::{machine::FailureKind, podcast::Failure};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection that nobody used for this long is closed, before a vendor's balancer does so.
const IDLE: Duration = Duration::from_secs(30);

/// The longest that a vendor may ask us to wait; more is taken as this much.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TLS of this program does not fit together.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client does not take its settings.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// Calls one vendor. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
    /// Past any proxy, for addresses of this machine.
    direct: Client,
    provider: &'static str,
}

/// What a vendor answered, whatever it means.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Caller {
    /// A caller for `provider`, each of whose calls lasts at most `timeout`, from connecting to the
    /// last byte.
    ///
    /// # Errors
    /// [`Error`] when TLS or the client cannot be set up.
    pub fn new(provider: &'static str, timeout: Duration) -> Result<Self, Error> {
        let tls = tls()?;
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT)
                .timeout(timeout)
                .pool_idle_timeout(IDLE)
                .user_agent(concat!("dailycast/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self { client: builder().build()?, direct: builder().no_proxy().build()?, provider })
    }

    /// Begins a request. `address` is absolute.
    pub fn get(&self, address: &str) -> RequestBuilder {
        self.client_for(address).get(address)
    }

    /// Begins a request. `address` is absolute.
    pub fn post(&self, address: &str) -> RequestBuilder {
        self.client_for(address).post(address)
    }

    fn client_for(&self, address: &str) -> &Client {
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(Url::host_str).map(|host| host.trim_matches(['[', ']']));
        let is_here = host.is_some_and(|host| {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        if is_here { &self.direct } else { &self.client }
    }

    /// Sends a request and reads at most `most` bytes of its answer.
    ///
    /// # Errors
    /// A [`Failure`] of kind `timeout`, `unavailable` (no connection, or one that broke),
    /// `bad_answer` (more than `most` bytes, or no HTTP) or `bad_request` (a request that cannot be
    /// sent). Its words have neither the address nor anything that was sent.
    pub async fn send(&self, request: RequestBuilder, most: usize) -> Result<Answer, Failure> {
        let (mut answer, mut response) = self.begin(request).await?;
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if body.len() + part.len() > most {
                let message = format!("the answer (status {}) is longer than {most} bytes", answer.status);
                return Err(Failure::new(FailureKind::BadAnswer, message).at(self.provider));
            }
            body.extend_from_slice(&part);
        }
        answer.body = body.freeze();
        Ok(answer)
    }

    /// Sends a request to somebody whose status says it all. The body of the answer is not waited
    /// for, and is empty here.
    ///
    /// # Errors
    /// As [`Caller::send`], but never for the sake of a body.
    pub async fn tell(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        self.begin(request).await.map(|(answer, _)| answer)
    }

    /// The head of an answer, and where its body will come from.
    async fn begin(&self, request: RequestBuilder) -> Result<(Answer, Response), Failure> {
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        Ok((Answer { status, headers, body: Bytes::new() }, response))
    }

    /// What a request that got no whole answer means.
    fn failure(&self, error: &reqwest::Error) -> Failure {
        // Asked first: a connection that could not be made in time has sent nothing.
        let (kind, what) = if error.is_connect() {
            (FailureKind::Unavailable, "cannot be reached")
        } else if error.is_timeout() {
            (FailureKind::Timeout, "did not answer in time")
        } else if error.is_builder() {
            (FailureKind::BadRequest, "cannot be asked: the request or its address is wrong")
        } else if is_malformed(error) {
            (FailureKind::BadAnswer, "answered something that is no HTTP")
        } else {
            (FailureKind::Unavailable, "broke the connection off")
        };
        // The innermost cause names the system's or the protocol's error; the outer ones repeat the address.
        let mut cause: Option<&dyn std::error::Error> = error.source();
        while let Some(inner) = cause.and_then(std::error::Error::source) {
            cause = Some(inner);
        }
        let why = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(kind, format!("{} {what}{why}", self.provider)).at(self.provider)
    }
}

/// True when the other side does not speak HTTP.
fn is_malformed(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// TLS with the certificates of this machine, or Mozilla's where it has none.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The wait that the answer asks for: `retry-after-ms`, else `Retry-After` in seconds or as a
    /// date, which is compared with the answer's own `Date` since clocks disagree. At most
    /// [`LONGEST_RETRY_AFTER`].
    pub fn retry_after(&self) -> Option<Duration> {
        let wait = self.retry_after_ms().or_else(|| self.retry_after_seconds()).or_else(|| self.retry_after_date())?;
        Some(wait.min(LONGEST_RETRY_AFTER))
    }

    fn retry_after_ms(&self) -> Option<Duration> {
        let ms: f64 = self.header("retry-after-ms")?.trim().parse().ok()?;
        Duration::try_from_secs_f64(ms / 1000.0).ok()
    }

    fn retry_after_seconds(&self) -> Option<Duration> {
        let seconds: f64 = self.header("retry-after")?.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn retry_after_date(&self) -> Option<Duration> {
        let until = httpdate::parse_http_date(self.header("retry-after")?).ok()?;
        let now = httpdate::parse_http_date(self.header("date")?).ok()?;
        Some(until.duration_since(now).unwrap_or_default())
    }
}
