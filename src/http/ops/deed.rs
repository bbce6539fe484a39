//! Changes: what an operator does. A page posts a form and is sent on; a program sends a form or
//! JSON and gets JSON. Only operators may, never from a page of somebody else;
//! what was done is one line of the log.

use std::future::Future;

use poem::{
    Endpoint, PathPattern, Request, RequestBody, Response,
    http::{Method, StatusCode, header},
};

use super::{
    door,
    sheet::{self, Form, Sheet, Visit, check_plain},
};
use crate::{
    http::{body, error::Refusal, site},
    ops::actor::Role,
    telemetry::count,
};

/// The largest body, in bytes.
const LARGEST: usize = 64 << 10;

/// What was done.
pub(super) struct Done {
    /// The page to go on with, within this server.
    pub go_to: String,
    /// What to tell there, in a sentence; may be empty.
    pub said: String,
    /// The answer for programs.
    pub data: serde_json::Value,
    /// 200, or 202 when it goes on.
    pub status: StatusCode,
    /// That page itself, where what is said is for no cookie.
    pub sheet: Option<Sheet>,
}

impl Done {
    /// Done, to be seen at `go_to`.
    pub fn new(go_to: impl Into<String>, said: impl Into<String>, data: serde_json::Value) -> Self {
        Self { go_to: go_to.into(), said: said.into(), data, status: StatusCode::OK, sheet: None }
    }
}

/// What was sent along: pairs of a form, or the fields of a JSON object.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Vec<(String, String)>);

impl Sent {
    /// The first value of a field that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// All pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Reads what came with a request.
    ///
    /// # Errors
    /// [`Refusal::Parameter`] when it is neither a form nor a JSON object, [`Refusal::Unmeant`] for a
    /// value of more than a line.
    pub async fn read(request: &Request, mut body: RequestBody) -> Result<Self, Refusal> {
        let wrong = |what| Refusal::Parameter("body", what);
        let is_json = request.content_type().is_some_and(|kind| kind.starts_with("application/json"));
        let sent = body.take().map_err(|_| wrong("The body cannot be read."))?;
        let bytes = body::bytes(sent, LARGEST).await?;
        let sent = match is_json {
            true => Self::from_json(&bytes)?,
            false => Self(serde_urlencoded::from_bytes(&bytes).map_err(|_| wrong("Send a form, or a JSON object."))?),
        };
        check_plain(sent.pairs())?;
        Ok(sent)
    }

    fn from_json(bytes: &[u8]) -> Result<Self, Refusal> {
        let fields: serde_json::Map<String, serde_json::Value> = match bytes.is_empty() {
            true => serde_json::Map::new(),
            false => serde_json::from_slice(bytes).map_err(|_| Refusal::Parameter("body", "Send a JSON object."))?,
        };
        let text = |value: serde_json::Value| match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text,
            serde_json::Value::Array(values) => {
                let texts = values.into_iter().map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
                texts.collect::<Vec<_>>().join(",")
            }
            value => value.to_string(),
        };
        Ok(Self(fields.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }
}

/// A change's endpoint.
pub(super) fn deed<F, R>(make: F) -> impl Endpoint<Output = Response>
where
    F: Fn(Visit, Sent) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Done, Refusal>> + Send + 'static,
{
    Deed(make)
}

struct Deed<F>(F);

impl<F, R> Endpoint for Deed<F>
where
    F: Fn(Visit, Sent) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Done, Refusal>> + Send + 'static,
{
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if request.method() != Method::POST {
            return Err(Refusal::Method("POST").into());
        }
        let body = RequestBody::new(request.take_body());
        let form = Form::of(&request);
        let route = request.data::<PathPattern>().map_or_else(String::new, |pattern| pattern.0.to_string());
        let done = async {
            let visit = door::visit(&request).await?;
            let actor = visit.actor.name.clone();
            if visit.actor.role < Role::Operator {
                return Err(Refusal::Forbidden(
                    "not_operator",
                    "Only a superuser of the academy may change anything here.",
                ));
            }
            let mut sent = Sent::read(&request, body).await?;
            door::check_origin(&visit, &request, &sent)?;
            if let Some(key) = request.header("idempotency-key") {
                sent.0.insert(0, ("idempotency_key".to_owned(), key.to_owned()));
            }
            let done = (self.0)(visit.clone(), sent).await?;
            tracing::info!(actor, action = route, subject = done.go_to.split('?').next(), "operator");
            Ok((visit, done))
        };
        let done = done.await;
        count::action(done.is_ok());
        Ok(match done {
            Ok((visit, done)) => answer(visit, done, form),
            Err(refusal) => form.refuse(refusal, &request),
        })
    }
}

/// What was done, for a program or a browser.
fn answer(visit: Visit, done: Done, form: Form) -> Response {
    let cookie = visit.cookie.as_deref().and_then(site::set_cookie);
    let response = Response::builder().status(done.status).header(header::CACHE_CONTROL, "no-store");
    let mut response = match (form, &done.sheet) {
        (Form::Json, _) => {
            let response = match done.status {
                StatusCode::ACCEPTED => response.header(header::LOCATION, format!("/api{}", done.go_to)),
                _ => response,
            };
            response.content_type("application/json").body(done.data.to_string())
        }
        (_, Some(sheet)) => sheet::answer(visit, sheet, &done.go_to, &done.said),
        (_, None) => {
            let mut response = response.status(StatusCode::SEE_OTHER).header(header::LOCATION, done.go_to).body(());
            response.headers_mut().extend(door::saying(&visit.app, &done.said));
            response
        }
    };
    response.headers_mut().extend(cookie);
    response
}

/// A view and a change at the same address.
pub(super) fn view_or_deed(
    view: impl Endpoint<Output = Response>,
    deed: impl Endpoint<Output = Response>,
) -> impl Endpoint<Output = Response> {
    Either(view, deed)
}

struct Either<V, D>(V, D);

impl<V: Endpoint<Output = Response>, D: Endpoint<Output = Response>> Endpoint for Either<V, D> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        match *request.method() {
            Method::GET | Method::HEAD => self.0.call(request).await,
            Method::POST => self.1.call(request).await,
            _ => Err(Refusal::Method("GET, HEAD, POST").into()),
        }
    }
}
