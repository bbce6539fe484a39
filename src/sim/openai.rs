//! OpenAI: chat completions, responses, models. What is checked is what the API is known to
//! refuse: reasoning models take no `max_tokens`, and no sampling unless they do not reason.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::{
    answer::Answer,
    faults::Trouble,
    routes::{Context, Told, text_of, tokens},
    script::{Draft, Ending, count},
    vendor::{Ask, Operation},
};

/// A model: id, whether it reasons, the most tokens of an answer, the day it ends.
type Model = (&'static str, bool, u64, Option<(i32, u32, u32)>);

const MODELS: [Model; 4] = [
    ("gpt-4o-mini", false, 16_384, Some((2027, 1, 14))),
    ("gpt-6-luna", true, 128_000, None),
    ("gpt-6-luna-2026-06-18", true, 128_000, None),
    ("gpt-3.5-turbo", false, 4096, Some((2026, 10, 23))),
];

const CHAT_KEYS: [&str; 24] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "temperature",
    "top_p",
    "n",
    "stop",
    "stream",
    "stream_options",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "response_format",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "modalities",
    "verbosity",
];

const RESPONSE_KEYS: [&str; 16] = [
    "model",
    "input",
    "instructions",
    "max_output_tokens",
    "reasoning",
    "store",
    "stream",
    "temperature",
    "top_p",
    "text",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "truncation",
];

const SAMPLING: [&str; 5] = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs"];

const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

/// Tokens of the thoughts of a model that may reason.
const THOUGHT_TOKENS: u64 = 192;

/// A request that is well made.
struct Wanted {
    model: String,
    budget: u64,
    reasons: bool,
    prompt: String,
    input_tokens: u64,
}

pub(super) fn let_in(ask: &Ask<'_>) -> Result<(), Box<Answer>> {
    let Some(key) = ask.bearer() else {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                       using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return Err(Box::new(error(401, message, "invalid_request_error", None, None)));
    };
    if key.starts_with("refused") {
        return Err(Box::new(key_refused(401)));
    }
    Ok(())
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    if context.operation == Operation::List {
        return list(ask, context).map(|answer| dressed(answer, context));
    }
    let is_chat = ask.path.ends_with("/completions");
    let wanted = wanted(ask, context, is_chat).map_err(|wrong| Box::new(dressed(*wrong, context)))?;
    let thoughts = if wanted.reasons { THOUGHT_TOKENS } else { 0 };
    let draft = Draft::write(context, &wanted.prompt, wanted.budget, thoughts, count);
    let output_tokens = draft.tokens + draft.thought_tokens;
    let body = if is_chat { chat(&wanted, &draft, context) } else { response(&wanted, &draft, context) };
    let answer = Answer::json(200, &body).billing(tokens(wanted.input_tokens, output_tokens));
    Ok(dressed(answer, context))
}

fn chat(wanted: &Wanted, draft: &Draft, context: &Context<'_>) -> Value {
    // Two ways to refuse are on the wire: the filter's, and the model's own.
    let by_filter = context.number.is_multiple_of(2);
    let finish = match draft.ending {
        Ending::Normal => "stop",
        Ending::CutOff => "length",
        Ending::Refused => ["stop", "content_filter"][usize::from(by_filter)],
    };
    let refused = draft.ending == Ending::Refused;
    let refusal = (refused && !by_filter).then_some("I'm sorry, but I can't help with that.");
    let content = if refused { None } else { Some(&draft.text) };
    let output_tokens = draft.tokens + draft.thought_tokens;
    json!({
        "id": format!("chatcmpl-sim{:08}", context.number),
        "object": "chat.completion",
        "created": (context.world.now)().timestamp(),
        "model": wanted.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": content, "refusal": refusal, "annotations": []},
            "logprobs": null,
            "finish_reason": finish,
        }],
        "usage": {
            "prompt_tokens": wanted.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": wanted.input_tokens + output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": draft.thought_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    })
}

fn response(wanted: &Wanted, draft: &Draft, context: &Context<'_>) -> Value {
    let part = match draft.ending {
        Ending::Refused => json!({"type": "refusal", "refusal": "I'm sorry, but I can't help with that."}),
        _ => json!({"type": "output_text", "text": draft.text, "annotations": []}),
    };
    let (status, details) = match draft.ending {
        Ending::CutOff => ("incomplete", json!({"reason": "max_output_tokens"})),
        _ => ("completed", Value::Null),
    };
    let mut output = Vec::new();
    if draft.thought_tokens > 0 {
        output.push(json!({"id": format!("rs_sim{:08}", context.number), "type": "reasoning", "summary": []}));
    }
    if !draft.text.is_empty() || draft.ending == Ending::Refused {
        let id = format!("msg_sim{:08}", context.number);
        output.push(json!({"id": id, "type": "message", "role": "assistant", "status": status, "content": [part]}));
    }
    let output_tokens = draft.tokens + draft.thought_tokens;
    json!({
        "id": format!("resp_sim{:08}", context.number),
        "object": "response",
        "created_at": (context.world.now)().timestamp(),
        "status": status,
        "error": null,
        "incomplete_details": details,
        "instructions": null,
        "metadata": {},
        "model": wanted.model,
        "output": output,
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": wanted.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": draft.thought_tokens},
            "total_tokens": wanted.input_tokens + output_tokens,
        },
    })
}

/// What a writer is asked: the messages of the user, or the input.
pub(super) fn prompt(body: &Value) -> String {
    let texts = |messages: &Value| {
        let messages = messages.as_array().into_iter().flatten();
        let texts: Vec<String> =
            messages.filter(|message| message["role"] == "user").map(|message| text_of(&message["content"])).collect();
        texts.join("\n")
    };
    match (&body["messages"], &body["input"]) {
        (Value::Null, Value::String(text)) => text.clone(),
        (Value::Null, input) => texts(input),
        (messages, _) => texts(messages),
    }
}

fn wanted(ask: &Ask<'_>, context: &Context<'_>, is_chat: bool) -> Result<Wanted, Box<Answer>> {
    if ask.content_type() != "application/json" {
        return Err(wrong("Invalid Content-Type header: expected application/json.", None, None));
    }
    let body: Value = serde_json::from_slice(ask.body).unwrap_or_default();
    let Some(fields) = body.as_object() else {
        return Err(wrong("We could not parse the JSON body of your request.", None, None));
    };
    let known: &[&str] = if is_chat { &CHAT_KEYS } else { &RESPONSE_KEYS };
    if let Some(key) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(wrong(&format!("Unknown parameter: '{key}'."), Some(key), Some("unknown_parameter")));
    }
    let Some(name) = body["model"].as_str().filter(|name| !name.is_empty()) else {
        return Err(wrong("you must provide a model parameter", Some("model"), None));
    };
    let (model, reasons, most, _) = model(name, context)?;
    if body["stream"] == true {
        return Err(wrong("The simulator does not stream.", Some("stream"), Some("unsupported_value")));
    }
    let effort = if is_chat { &body["reasoning_effort"] } else { &body["reasoning"]["effort"] };
    let reasons = check_reasoning(fields, effort, reasons, is_chat)?;
    let budget = budget(fields, is_chat, most)?;
    let (list, key) = if is_chat { (&body["messages"], "messages") } else { (&body["input"], "input") };
    if is_chat || list.is_array() {
        check_messages(list, key)?;
    }
    let instructions = body["instructions"].as_str().unwrap_or_default();
    let all: u64 = list.as_array().into_iter().flatten().map(|message| 4 + count(&text_of(&message["content"]))).sum();
    let input_tokens = all + count(list.as_str().unwrap_or_default()) + count(instructions) + 3;
    Ok(Wanted { model: model.to_owned(), budget, reasons, prompt: prompt(&body), input_tokens })
}

fn model(name: &str, context: &Context<'_>) -> Result<Model, Box<Answer>> {
    let today = (context.world.now)().date_naive();
    match MODELS.into_iter().find(|(id, ..)| *id == name) {
        Some((.., Some(end))) if has_ended(end, today) => {
            let message = format!("The model `{name}` has been deprecated, learn more in the list of deprecations.");
            Err(Box::new(error(404, &message, "invalid_request_error", None, Some("model_not_found"))))
        }
        Some(model) => Ok(model),
        None => {
            let message = format!("The model `{name}` does not exist or you do not have access to it.");
            Err(Box::new(error(404, &message, "invalid_request_error", None, Some("model_not_found"))))
        }
    }
}

fn has_ended((year, month, day): (i32, u32, u32), today: NaiveDate) -> bool {
    NaiveDate::from_ymd_opt(year, month, day).is_some_and(|end| end <= today)
}

/// Whether the model will reason; refuses what does not go together.
fn check_reasoning(fields: &Map<String, Value>, effort: &Value, can: bool, is_chat: bool) -> Result<bool, Box<Answer>> {
    let key = if is_chat { "reasoning_effort" } else { "reasoning.effort" };
    let effort = match effort {
        Value::Null => None,
        Value::String(effort) if EFFORTS.contains(&effort.as_str()) => Some(effort.as_str()),
        other => {
            let message = format!("Invalid value: {other}. Supported values are: {}.", EFFORTS.join(", "));
            return Err(wrong(&message, Some(key), Some("invalid_value")));
        }
    };
    if effort.is_some() && !can {
        let message = format!("Unrecognized request argument supplied: {key}");
        return Err(wrong(&message, Some(key), Some("unsupported_parameter")));
    }
    if can && fields.contains_key("max_tokens") {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        return Err(wrong(message, Some("max_tokens"), Some("unsupported_parameter")));
    }
    let reasons = can && effort != Some("none");
    if let Some(key) = SAMPLING.into_iter().find(|key| reasons && fields.contains_key(*key)) {
        let message = format!("Unsupported parameter: '{key}' is not supported with this model.");
        return Err(wrong(&message, Some(key), Some("unsupported_parameter")));
    }
    Ok(reasons)
}

/// The most tokens of the answer.
fn budget(fields: &Map<String, Value>, is_chat: bool, most: u64) -> Result<u64, Box<Answer>> {
    let keys: &[&str] = if is_chat { &["max_completion_tokens", "max_tokens"] } else { &["max_output_tokens"] };
    let given: Vec<&str> =
        keys.iter().copied().filter(|key| fields.get(*key).is_some_and(|value| !value.is_null())).collect();
    let Some(key) = given.first().copied() else { return Ok(most) };
    if given.len() > 1 {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(wrong(message, Some(key), Some("invalid_parameter_combination")));
    }
    let least = if is_chat { 1 } else { 16 };
    match fields.get(key).and_then(Value::as_u64) {
        Some(budget) if (least..=most).contains(&budget) => Ok(budget),
        _ => {
            let message = format!("Invalid '{key}': expected an integer from {least} to {most}.");
            Err(wrong(&message, Some(key), Some("invalid_value")))
        }
    }
}

fn check_messages(list: &Value, key: &str) -> Result<(), Box<Answer>> {
    let Some(messages) = list.as_array().filter(|messages| !messages.is_empty()) else {
        let message = format!("Invalid '{key}': empty array. Expected an array with minimum length 1.");
        return Err(wrong(&message, Some(key), Some("empty_array")));
    };
    for (message, at) in messages.iter().zip(0..) {
        let role = message["role"].as_str().unwrap_or_default();
        if !["system", "developer", "user", "assistant", "tool"].contains(&role) {
            let place = format!("{key}[{at}].role");
            let message = format!("Invalid value: '{role}'. Supported values are: 'system', 'developer', 'user'.");
            return Err(wrong(&message, Some(&place), Some("invalid_value")));
        }
        if !message["content"].is_string() && !message["content"].is_array() {
            let place = format!("{key}[{at}].content");
            let message = format!("Invalid type for '{place}': expected one of a string or array of objects.");
            return Err(wrong(&message, Some(&place), Some("invalid_type")));
        }
    }
    Ok(())
}

fn list(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let entry = |(id, _, _, end): Model| {
        let shutdown = end.map(|(year, month, day)| format!("{year}-{month:02}-{day:02}"));
        json!({"id": id, "object": "model", "created": 1_750_000_000, "owned_by": "system", "shutdown_date": shutdown})
    };
    if let Some(name) = ask.path.strip_prefix("/v1/models/") {
        return model(name, context).map(|found| Answer::json(200, &entry(found)));
    }
    let today = (context.world.now)().date_naive();
    let alive = MODELS.into_iter().filter(|(.., end)| !end.is_some_and(|end| has_ended(end, today)));
    Ok(Answer::json(200, &json!({"object": "list", "data": alive.map(entry).collect::<Vec<_>>()})))
}

pub(super) fn trouble(context: &Context<'_>, told: &Told) -> Answer {
    let usual = Duration::from_secs(1);
    let limited = |per: &str, context: &Context<'_>| {
        let limit = context.allowance.limit;
        let wait = told.retry_after.unwrap_or(usual).as_millis();
        format!(
            "Rate limit reached on requests per {per}: Limit {limit}, Used {limit}, Requested 1. Please try again in {wait}ms."
        )
    };
    let (status, message, kind, code) = match told.trouble {
        Trouble::RateLimited => (429, limited("min (RPM)", context), "requests", Some("rate_limit_exceeded")),
        Trouble::DailyQuota => (429, limited("day (RPD)", context), "requests", Some("rate_limit_exceeded")),
        Trouble::OutOfCredit => {
            let words = "You exceeded your current quota, please check your plan and billing details.";
            (429, words.to_owned(), "insufficient_quota", Some("insufficient_quota"))
        }
        Trouble::SpendLimit => {
            let words = "Your organization has reached its spend limit.";
            (429, words.to_owned(), "billing_error", Some("organization_spend_limit_exceeded"))
        }
        Trouble::KeyRefused => return dressed(key_refused(told.status.unwrap_or(401)), context),
        Trouble::Forbidden => {
            let words = "Country, region, or territory not supported";
            (403, words.to_owned(), "request_forbidden", Some("unsupported_country_region_territory"))
        }
        Trouble::ModelRetired => {
            let words = "The model has been deprecated, learn more in the list of deprecations.";
            (404, words.to_owned(), "invalid_request_error", Some("model_not_found"))
        }
        Trouble::BadRequest => (400, "Invalid request.".to_owned(), "invalid_request_error", None),
        Trouble::TooLarge => (413, "Request too large.".to_owned(), "invalid_request_error", None),
        Trouble::Timeout => (504, "Gateway timeout.".to_owned(), "server_error", None),
        Trouble::ServerError => {
            let words = "The server had an error while processing your request. Sorry about that!";
            (500, words.to_owned(), "server_error", None)
        }
        Trouble::Unavailable => (503, "Service Unavailable.".to_owned(), "server_error", None),
        Trouble::Overloaded => {
            (503, "The engine is currently overloaded, please try again later.".to_owned(), "server_error", None)
        }
    };
    let answer = error(told.status.unwrap_or(status), &message, kind, None, code);
    let is_limit = told.trouble == Trouble::RateLimited;
    let answer = match told.retry_after.or_else(|| is_limit.then_some(usual)) {
        Some(wait) => {
            answer.with("retry-after", wait.as_millis().div_ceil(1000)).with("retry-after-ms", wait.as_millis())
        }
        None => answer,
    };
    dressed(answer, context)
}

fn key_refused(status: u16) -> Answer {
    let message = "Incorrect API key provided. You can find your API key in the settings of your account.";
    error(status, message, "invalid_request_error", None, Some("invalid_api_key"))
}

fn wrong(message: &str, param: Option<&str>, code: Option<&str>) -> Box<Answer> {
    Box::new(error(400, message, "invalid_request_error", param, code))
}

fn error(status: u16, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Answer {
    Answer::json(status, &json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}

/// With the headers that every answer to a known key has.
fn dressed(answer: Answer, context: &Context<'_>) -> Answer {
    let allowance = &context.allowance;
    answer
        .with("x-request-id", format_args!("req_sim{:08}", context.number))
        .with("openai-version", "2020-10-01")
        .with("openai-processing-ms", 1)
        .with("x-ratelimit-limit-requests", allowance.limit)
        .with("x-ratelimit-remaining-requests", allowance.remaining)
        .with("x-ratelimit-reset-requests", format_args!("{}ms", allowance.reset.as_millis()))
}
