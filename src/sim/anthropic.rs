//! Anthropic: messages and models. The version of the API decides what is taken: since 2026-10-21
//! no sampling parameter is, and Haiku 5.5 takes none under any version. Its thoughts are on unless
//! they are switched off, and count as output.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    faults::{Spoil, Trouble},
    routes::{Context, Told, text_of, tokens},
    script::{Draft, Ending, count},
    vendor::{Ask, Operation},
};

/// A model: id, name, whether it thinks unless told otherwise, the most tokens of an answer.
type Model = (&'static str, &'static str, bool, u64);

const MODELS: [Model; 3] = [
    ("claude-haiku-5-5", "Claude Haiku 5.5", true, 128_000),
    ("claude-haiku-4-5", "Claude Haiku 4.5", false, 64_000),
    ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", false, 64_000),
];

const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];

const KEYS: [&str; 16] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "thinking",
    "output_config",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
    "tools",
    "tool_choice",
    "container",
    "temperature",
    "top_p",
    "top_k",
];

const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// Tokens of thoughts that nobody switched off.
const THOUGHT_TOKENS: u64 = 192;

pub(super) fn let_in(ask: &Ask<'_>) -> Result<(), Box<Answer>> {
    match ask.header("x-api-key").or_else(|| ask.bearer()) {
        None => Err(Box::new(error(401, "authentication_error", "x-api-key header is required", 0))),
        Some(key) if key.starts_with("refused") => {
            Err(Box::new(error(401, "authentication_error", "invalid x-api-key", 0)))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let wrong = |message: &str| Box::new(error(400, "invalid_request_error", message, context.number));
    let version = ask.header("anthropic-version").ok_or_else(|| wrong("anthropic-version: header is required"))?;
    if !VERSIONS.contains(&version) {
        return Err(wrong(&format!("anthropic-version: \"{version}\" is not a valid version")));
    }
    if context.operation == Operation::List {
        return list(ask, context).map(|answer| dressed(answer, context));
    }
    let body: Value = serde_json::from_slice(ask.body).unwrap_or_default();
    if ask.content_type() != "application/json" || !body.is_object() {
        return Err(wrong("The request body is not valid JSON"));
    }
    let name = body["model"].as_str().ok_or_else(|| wrong("model: Field required"))?;
    let (id, _, thinks, most) = model(name, context)?;
    check(&body, version, id).map_err(|message| wrong(&message))?;
    let budget = body["max_tokens"].as_u64().filter(|budget| *budget > 0);
    let budget = budget.ok_or_else(|| wrong("max_tokens: Field required"))?;
    if budget > most {
        return Err(wrong(&format!(
            "max_tokens: {budget} > {most}, which is the maximum allowed number of output tokens"
        )));
    }
    let thinks = match body["thinking"]["type"].as_str() {
        None => thinks,
        Some(kind) => kind != "disabled",
    };
    let draft = Draft::write(context, &prompt(&body), budget, if thinks { THOUGHT_TOKENS } else { 0 }, tokenized);
    let messages = body["messages"].as_array().into_iter().flatten();
    let input: u64 = messages.map(|message| 4 + tokenized(&text_of(&message["content"]))).sum();
    let input = input + tokenized(&text_of(&body["system"]));
    Ok(dressed(message(id, input, &draft, context), context))
}

fn message(model: &str, input_tokens: u64, draft: &Draft, context: &Context<'_>) -> Answer {
    let mut content = Vec::new();
    if draft.thought_tokens > 0 || context.spoil == Some(Spoil::ThinkingOnly) {
        content.push(json!({"type": "thinking", "thinking": "How shall I begin?", "signature": "c2ltdWxhdG9y"}));
    }
    if !draft.text.is_empty() {
        content.push(json!({"type": "text", "text": draft.text}));
    }
    let (reason, details) = match draft.ending {
        Ending::Normal => ("end_turn", Value::Null),
        Ending::CutOff => ("max_tokens", Value::Null),
        Ending::Refused => ("refusal", json!({"type": "refusal", "category": null, "explanation": null})),
    };
    let output_tokens = draft.tokens + draft.thought_tokens;
    let body = json!({
        "id": format!("msg_sim{:08}", context.number),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": null,
        "stop_details": details,
        "usage": {
            "input_tokens": input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    });
    Answer::json(200, &body).billing(tokens(input_tokens, output_tokens))
}

/// What is wrong with a body, in the vendor's words.
fn check(body: &Value, version: &str, model: &str) -> Result<(), String> {
    let fields = body.as_object().into_iter().flat_map(|fields| fields.keys());
    let forbids = version == VERSIONS[1] || model == "claude-haiku-5-5";
    for key in fields.map(String::as_str) {
        if !KEYS.contains(&key) || forbids && SAMPLING.contains(&key) {
            return Err(format!("{key}: Extra inputs are not permitted"));
        }
    }
    if body["stream"] == true {
        return Err("stream: the simulator does not stream".to_owned());
    }
    let thinking = &body["thinking"];
    let kinds = ["disabled", "adaptive", "enabled"];
    if !thinking.is_null() && !thinking["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
        return Err("thinking: Input tag does not match any of the expected tags".to_owned());
    }
    let messages = body["messages"].as_array().ok_or("messages: Field required")?;
    let last = messages.last().ok_or("messages: at least one message is required")?;
    for (message, at) in messages.iter().zip(0..) {
        if !["user", "assistant"].contains(&message["role"].as_str().unwrap_or_default()) {
            return Err(format!("messages.{at}.role: Input should be 'user' or 'assistant'"));
        }
        if text_of(&message["content"]).trim().is_empty() {
            return Err(format!("messages.{at}: all messages must have non-empty content"));
        }
    }
    let is_users = last["role"] == "user";
    is_users.then_some(()).ok_or_else(|| "messages: the final message must be of the user".to_owned())
}

/// What a writer is asked: the messages of the user.
pub(super) fn prompt(body: &Value) -> String {
    let messages = body["messages"].as_array().into_iter().flatten().filter(|message| message["role"] == "user");
    messages.map(|message| text_of(&message["content"])).collect::<Vec<_>>().join("\n")
}

/// Its tokens are smaller than those of the others.
fn tokenized(text: &str) -> u64 {
    (count(text) * 13).div_ceil(10)
}

fn model(name: &str, context: &Context<'_>) -> Result<Model, Box<Answer>> {
    let found = MODELS.into_iter().find(|(id, ..)| *id == name);
    found.ok_or_else(|| Box::new(error(404, "not_found_error", &format!("model: {name}"), context.number)))
}

fn list(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let entry = |(id, name, ..): Model| json!({"type": "model", "id": id, "display_name": name, "created_at": "2025-10-01T00:00:00Z"});
    if let Some(name) = ask.path.strip_prefix("/v1/models/") {
        return model(name, context).map(|found| Answer::json(200, &entry(found)));
    }
    let data: Vec<Value> = MODELS.into_iter().map(entry).collect();
    let (first, last) = (MODELS[0].0, MODELS[MODELS.len() - 1].0);
    Ok(Answer::json(200, &json!({"data": data, "has_more": false, "first_id": first, "last_id": last})))
}

pub(super) fn trouble(context: &Context<'_>, told: &Told) -> Answer {
    let (status, kind, message) = match told.trouble {
        Trouble::RateLimited | Trouble::DailyQuota => {
            (429, "rate_limit_error", "This request would exceed your organization's rate limit.")
        }
        Trouble::OutOfCredit => (402, "billing_error", "Your credit balance is too low to access the API."),
        Trouble::SpendLimit => (429, "rate_limit_error", "Your organization has reached its enforced spend limit."),
        Trouble::KeyRefused => (401, "authentication_error", "invalid x-api-key"),
        Trouble::Forbidden => (403, "permission_error", "Your API key does not have permission to use this resource."),
        Trouble::ModelRetired => (404, "not_found_error", "model: it is not there any more"),
        Trouble::BadRequest => (400, "invalid_request_error", "The request is invalid."),
        Trouble::TooLarge => (413, "request_too_large", "Request exceeds the maximum size"),
        Trouble::Timeout => (504, "timeout_error", "The request timed out."),
        Trouble::ServerError => (500, "api_error", "Internal server error"),
        Trouble::Unavailable => (503, "api_error", "Service unavailable"),
        Trouble::Overloaded => (529, "overloaded_error", "Overloaded"),
    };
    let status = told.status.unwrap_or(status);
    let mut answer = error(status, kind, message, context.number);
    if told.trouble == Trouble::SpendLimit {
        let details = json!({"error_code": "enforced_spend_limit_reached"});
        answer = shaped(status, &json!({"type": kind, "message": message, "details": details}), context.number);
    }
    let usual = (told.trouble == Trouble::RateLimited).then_some(1);
    match told.seconds().or(usual) {
        Some(seconds) => dressed(answer.with("retry-after", seconds), context),
        None => dressed(answer, context),
    }
}

fn error(status: u16, kind: &str, message: &str, number: u64) -> Answer {
    shaped(status, &json!({"type": kind, "message": message}), number)
}

fn shaped(status: u16, error: &Value, number: u64) -> Answer {
    let id = format!("req_sim{number:08}");
    Answer::json(status, &json!({"type": "error", "error": error, "request_id": id}))
}

/// With the headers that every answer to a known key has.
fn dressed(answer: Answer, context: &Context<'_>) -> Answer {
    let allowance = &context.allowance;
    let reset = (context.world.now)() + allowance.reset;
    answer
        .with("request-id", format_args!("req_sim{:08}", context.number))
        .with("anthropic-ratelimit-requests-limit", allowance.limit)
        .with("anthropic-ratelimit-requests-remaining", allowance.remaining)
        .with("anthropic-ratelimit-requests-reset", reset.format("%Y-%m-%dT%H:%M:%SZ"))
}
