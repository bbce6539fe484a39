//! Which foreign pages may call, with the learner's credentials. A page of another origin gets an
//! answer without the headers that would let it read it; nothing is refused here.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

/// What a page may read of an answer, beside what it always may: whether it has it already, when to come
/// again, which part of the audio it is.
const EXPOSED: &str = "ETag, Retry-After, X-Request-Id, Content-Range, Accept-Ranges, Content-Length";

/// The origins that are let in.
pub(super) struct Cors(Arc<[String]>);

impl Cors {
    pub fn new(origins: &[String]) -> Self {
        Self(origins.into())
    }
}

impl<E: Endpoint> Middleware<E> for Cors {
    type Output = CorsEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        CorsEndpoint { inner, origins: self.0.clone() }
    }
}

/// An endpoint behind [`Cors`].
pub(super) struct CorsEndpoint<E> {
    inner: E,
    origins: Arc<[String]>,
}

impl<E: Endpoint> Endpoint for CorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if self.origins.is_empty() {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        }
        let origin = request.headers().get(header::ORIGIN).cloned();
        let origin = origin.filter(|origin| self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()));
        let asks_first = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = if asks_first && origin.is_some() {
            preflight()
        } else {
            match self.inner.call(request).await {
                Ok(response) => response.into_response(),
                Err(error) => super::shell::refused(error),
            }
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            let headers: &mut HeaderMap = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
        Ok(response)
    }
}

fn preflight() -> Response {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE")
        .header(header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-None-Match, Range")
        .header(header::ACCESS_CONTROL_MAX_AGE, "600")
        .finish()
}
