//! The life of one request: whose it is, whether its key is good, whether it comes too often, what
//! goes wrong with it on purpose, whether it is well made; then the answer, in its own time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use poem::{
    Body, Request, Response,
    http::{StatusCode, Uri},
};
use serde_json::{Value, json};

use super::{
    World,
    answer::{Answer, Manner, Part, pieces},
    anthropic, azure,
    faults::{Effect, Spoil, Trouble},
    gemini, google,
    inject::{Allowance, Fate, mix, number_of},
    openai, polly,
    usage::{Billed, Charge},
    vendor::{Ask, Operation, Vendor, find},
};

/// The most bytes of a request.
const LARGEST_REQUEST: usize = 1 << 20;

/// A page that something between client and vendor may answer with.
const PAGE: &str = "<!DOCTYPE html><html><head><title>Please wait</title></head><body>One moment.</body></html>\n";

/// What a vendor knows beside the request.
pub(super) struct Context<'w> {
    pub(super) world: &'w World,
    pub(super) operation: Operation,
    /// Which call of its kind it is, from 1; names the request.
    pub(super) number: u64,
    /// What becomes of a good answer.
    pub(super) spoil: Option<Spoil>,
    pub(super) allowance: Allowance,
}

/// An error that a vendor is to tell in its own way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) trouble: Trouble,
    /// Another status than the usual one.
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    fn plain(trouble: Trouble) -> Self {
        Self { trouble, status: None, retry_after: None }
    }

    /// Seconds to wait, as headers have them.
    pub(super) fn seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
    }
}

/// Answers a request, whatever it is.
pub(super) async fn respond(world: Arc<World>, mut request: Request) -> Response {
    let body = request.take_body().into_bytes_limit(LARGEST_REQUEST).await;
    let uri: &Uri = request.original_uri();
    let mut ask = Ask {
        method: request.method(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: request.headers(),
        body: &[],
    };
    let Some((vendor, operation)) = find(&ask) else { return own(&world, &ask) };
    world.usage.arrives(vendor, operation);
    if let Ok(body) = &body {
        ask.body = body;
    }
    let prompt = mix(number_of(&String::from_utf8_lossy(ask.body)));
    let prompt =
        if vendor.writes() { prompt_of(vendor, ask.body).map_or(prompt, |text| number_of(&text)) } else { prompt };
    let fate = world.injector.meet(vendor, operation, prompt, Instant::now());
    let answer = judge(&world, vendor, operation, &fate, &ask, body.is_err());
    send(&world, vendor, operation, fate, answer).await
}

/// What a vendor answers before anything of it is spoiled on the way.
fn judge(world: &World, vendor: Vendor, operation: Operation, fate: &Fate, ask: &Ask<'_>, too_large: bool) -> Answer {
    let Fate { number, effect, allowance, .. } = *fate;
    let context = Context { world, operation, number, spoil: effect.spoil, allowance };
    let told = |told: Told| tell(vendor, &context, &told);
    if too_large {
        return told(Told::plain(Trouble::TooLarge));
    }
    let allowed = match vendor {
        Vendor::OpenAi => openai::let_in(ask),
        Vendor::Gemini => gemini::let_in(ask),
        Vendor::Anthropic => anthropic::let_in(ask),
        Vendor::Polly => polly::let_in(ask, world),
        Vendor::Google => google::let_in(ask),
        Vendor::Azure => azure::let_in(ask),
    };
    if let Err(refused) = allowed {
        return *refused;
    }
    if allowance.wait.is_some() {
        return told(Told { retry_after: allowance.wait, ..Told::plain(Trouble::RateLimited) });
    }
    if effect.error.is_some() || effect.status.is_some() {
        let Effect { error, status, retry_after, .. } = effect;
        let trouble = error.unwrap_or_else(|| Trouble::of_status(status.unwrap_or_default()));
        return told(Told { trouble, status, retry_after });
    }
    let answered = match vendor {
        Vendor::OpenAi => openai::answer(ask, &context),
        Vendor::Gemini => gemini::answer(ask, &context),
        Vendor::Anthropic => anthropic::answer(ask, &context),
        Vendor::Polly => polly::answer(ask, &context),
        Vendor::Google => google::answer(ask, &context),
        Vendor::Azure => azure::answer(ask, &context),
    };
    answered.unwrap_or_else(|wrong| *wrong)
}

/// An error in the vendor's shape.
fn tell(vendor: Vendor, context: &Context<'_>, told: &Told) -> Answer {
    match vendor {
        Vendor::OpenAi => openai::trouble(context, told),
        Vendor::Gemini => gemini::trouble(told),
        Vendor::Anthropic => anthropic::trouble(context, told),
        Vendor::Polly => polly::trouble(context, told),
        Vendor::Google => google::trouble(told),
        Vendor::Azure => azure::trouble(told),
    }
}

/// Spoils an answer, waits, and lets it go. What a vendor has worked for is charged even when the
/// client hangs up while it waits.
async fn send(world: &World, vendor: Vendor, operation: Operation, fate: Fate, mut answer: Answer) -> Response {
    let Fate { latency, effect, .. } = fate;
    let is_json =
        answer.headers.iter().any(|(name, value)| *name == "content-type" && value.starts_with("application/json"));
    let mut manner = Manner { drip: effect.drip, ..Manner::default() };
    let mut is_told = true;
    if answer.status == 200 && operation != Operation::List {
        let half = Some((answer.len() / 2).max(1));
        match effect.spoil {
            Some(Spoil::Malformed) => {
                answer.body.truncate(0);
                answer.body.push(Part::Bytes(Bytes::from_static(b"{\"id\": \"sim\", oops, this is no answer")));
                is_told = !is_json;
            }
            Some(Spoil::Truncated) => (manner.most, is_told) = (half, !is_json),
            Some(Spoil::Reset) => (manner.most, manner.breaks, is_told) = (half, true, false),
            Some(Spoil::WrongType) => answer = Answer::text(200, "text/html; charset=utf-8", PAGE),
            Some(Spoil::Huge) => {
                answer.body.truncate(0);
                answer.body.extend([Part::Bytes(Bytes::from_static(b"{\"id\": \"")), Part::Endless]);
                is_told = false;
            }
            _ => {}
        }
    }
    let charge = Charge::new(world.usage.clone(), vendor, answer.billed, is_told);
    let wait = latency + effect.delay;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    world.usage.answers(vendor, answer.status);
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap_or_default());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response.body(Body::from_bytes_stream(pieces(answer.body, manner, charge)))
}

/// The simulator's own addresses.
fn own(world: &World, ask: &Ask<'_>) -> Response {
    let (status, answer) = match (ask.method.as_str(), ask.path) {
        ("GET", "/sim/usage") => (200, serde_json::to_value(world.usage.all()).unwrap_or_default()),
        ("POST", "/sim/reset") => {
            world.usage.reset();
            world.injector.reset(Instant::now());
            (200, json!({}))
        }
        _ => (404, json!({"detail": "no simulated vendor has this address"})),
    };
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Response::builder().status(status).content_type("application/json").body(answer.to_string())
}

/// What a writer is asked, whichever vendor's request it stands in.
fn prompt_of(vendor: Vendor, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(match vendor {
        Vendor::OpenAi => openai::prompt(&body),
        Vendor::Gemini => gemini::prompt(&body),
        _ => anthropic::prompt(&body),
    })
}

/// The text of a content that is a string or a list of parts with a text.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Units of a written answer.
pub(super) fn tokens(input_tokens: u64, output_tokens: u64) -> Billed {
    Billed { input_tokens, output_tokens, characters: 0 }
}
