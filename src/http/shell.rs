//! What every request passes through: an id, a limit of size and time, errors as JSON, security
//! headers, and one wide line in the log, counted for the metrics and a span for the traces. The
//! limits are further in ([`limited`]), so that a foreign page may read that it met one.
//!
//! The line and the span name the pattern of the route, never the path or the query: those hold signatures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    http::{HeaderName, HeaderValue, StatusCode, header},
};

use tracing::{Span, field::Empty};

use super::error::Refusal;
use crate::{
    clock::Clock,
    telemetry::{count, metrics},
};

/// A request that is not answered by then is refused. Sending the answer is not counted.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The largest body of a request, in bytes.
const SIZE_LIMIT: u64 = 64 << 10;

/// The longest id of a request that we take over.
const LONGEST_ID: usize = 64;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every answer that does not bring its own. What is no page may load nothing, and nothing
/// may be framed.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
];

/// Names requests, and wraps an endpoint.
#[derive(Clone)]
pub(super) struct Shell {
    ids: Arc<Ids>,
}

/// Ids that no other request of this process has, and hardly one of another process.
struct Ids {
    process: i64,
    next: AtomicU64,
}

impl Shell {
    /// A shell whose request ids begin with the time at which it was made.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { ids: Arc::new(Ids { process: clock.now().timestamp_micros(), next: AtomicU64::new(1) }) }
    }
}

impl Ids {
    /// The caller's id, if it is one, or a new one.
    fn of(&self, request: &Request) -> String {
        let is_plain = |id: &&str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
        };
        request.header(REQUEST_ID).filter(is_plain).map_or_else(
            || format!("{:x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed)),
            str::to_owned,
        )
    }
}

impl<E: Endpoint> Middleware<E> for Shell {
    type Output = ShellEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ShellEndpoint { inner, ids: self.ids.clone() }
    }
}

/// An endpoint in its [`Shell`].
pub(super) struct ShellEndpoint<E> {
    inner: E,
    ids: Arc<Ids>,
}

/// An answer within the limits.
///
/// # Errors
/// Those of the endpoint, [`Refusal::TooLarge`], [`Refusal::Away`].
pub(super) async fn limited<E: Endpoint>(endpoint: Arc<E>, request: Request) -> Result<Response> {
    let announced = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > SIZE_LIMIT) {
        return Err(Refusal::TooLarge.into());
    }
    let answer = tokio::time::timeout(TIME_LIMIT, endpoint.call(request)).await;
    let late = |_| Err(Refusal::Away("The service did not answer in time.").into());
    answer.unwrap_or_else(late).map(IntoResponse::into_response)
}

impl<E: Endpoint> Endpoint for ShellEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let started = Instant::now();
        let id = self.ids.of(&request);
        let (method, span) = (request.method().clone(), span());
        let mut response = match self.inner.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => refused(error),
        };

        let route = response.data::<PathPattern>().map_or("none", |pattern| &pattern.0);
        let status = response.status();
        let took = started.elapsed();
        count::request(route, method.as_str(), status.as_u16(), took);
        end(&span, response.data::<PathPattern>(), method.as_str(), status);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                request.id = id, http.method = %method, http.route = route, http.status = status.as_u16(), duration_ms,
                "request met a defect"
            );
        } else {
            tracing::info!(
                request.id = id, http.method = %method, http.route = route, http.status = status.as_u16(), duration_ms,
                "request"
            );
        }

        let headers = response.headers_mut();
        for (name, value) in SECURITY {
            headers.entry(name).or_insert(value);
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        Ok(response)
    }
}

/// The span of a request; it is a trace of its own.
fn span() -> Span {
    tracing::info_span!(
        parent: None,
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// Adds what the request was and how it was answered. The caller made up the name of a method that
/// we do not know.
fn end(span: &Span, route: Option<&PathPattern>, method: &str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    let method = metrics::METHODS.iter().find(|known| **known == method).copied();
    span.record("http.request.method", method.unwrap_or("_OTHER"));
    let method = method.unwrap_or("HTTP");
    if let Some(PathPattern(route)) = route {
        span.record("http.route", &**route);
        span.record("otel.name", format!("{method} {route}"));
    } else {
        span.record("otel.name", method);
    }
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

/// An error as the response it stands for; the framework's own become ours.
pub(super) fn refused(error: poem::Error) -> Response {
    let pattern = error.data::<PathPattern>().cloned();
    let mut response = if error.is::<Refusal>() || error.is_from_response() {
        error.into_response()
    } else {
        Refusal::from_framework(&error).into_response()
    };
    if let Some(pattern) = pattern {
        response.set_data(pattern);
    }
    response
}
