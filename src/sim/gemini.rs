//! Google Gemini: generateContent and models, on `/v1` and `/v1beta`. Thoughts are billed as
//! output and told apart; Gemini 3 takes a level for them and 2.5 a budget, never both.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    faults::{Spoil, Trouble},
    routes::{Context, Told, text_of, tokens},
    script::{Draft, Ending, count},
    vendor::{Ask, Operation},
};

/// A model: id, whether it thinks by levels, tokens of its thoughts by default, the day it ends.
type Model = (&'static str, bool, u64, Option<(i32, u32, u32)>);

const MODELS: [Model; 7] = [
    ("gemini-2.5-flash-lite", false, 0, None),
    ("gemini-3.1-flash-lite", true, 0, Some((2027, 5, 7))),
    ("gemini-3.5-flash-lite", true, 0, None),
    ("gemini-3.8-flash", true, 192, None),
    ("gemini-2.5-flash", false, 192, Some((2026, 12, 1))),
    ("gemini-2.0-flash", false, 0, Some((2026, 6, 1))),
    ("gemini-1.5-flash", false, 0, Some((2025, 9, 24))),
];

const KEYS: [&str; 9] = [
    "contents",
    "systemInstruction",
    "generationConfig",
    "safetySettings",
    "tools",
    "toolConfig",
    "cachedContent",
    "labels",
    "model",
];

const CONFIG_KEYS: [&str; 12] = [
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "stopSequences",
    "thinkingConfig",
    "responseMimeType",
    "responseModalities",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
];

const MOST_OUTPUT: u64 = 65_536;

/// Tokens of thoughts at a level above the least.
const THOUGHT_TOKENS: u64 = 192;

pub(super) fn let_in(ask: &Ask<'_>) -> Result<(), Box<Answer>> {
    match ask.header("x-goog-api-key").or_else(|| ask.parameter("key")).or_else(|| ask.bearer()) {
        None => Err(Box::new(unregistered())),
        Some(key) if key.starts_with("refused") => Err(Box::new(bad_key("generativelanguage.googleapis.com"))),
        Some(_) => Ok(()),
    }
}

/// A request without any key, at every Google service.
pub(super) fn unregistered() -> Answer {
    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API \
                   Key or other form of API consumer identity to call this API.";
    error(403, "PERMISSION_DENIED", message, &[])
}

/// A key that no Google service knows: 400, not 401.
pub(super) fn bad_key(service: &str) -> Answer {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": service},
    });
    error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", &[info])
}

pub(super) fn answer(ask: &Ask<'_>, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let version = if ask.path.starts_with("/v1beta/") { "v1beta" } else { "v1" };
    let name = ask.path.split("/models/").nth(1).unwrap_or_default();
    if context.operation == Operation::List {
        return list(name, version, context);
    }
    let (name, verb) = name.split_once(':').unwrap_or((name, ""));
    let model = model(name, version, context)?;
    if verb != "generateContent" {
        let message = format!("models/{name} does not support {verb} in the simulator.");
        return Err(Box::new(error(404, "NOT_FOUND", &message, &[])));
    }
    let body = read(ask.body);
    let thoughts = check(ask, &body, &model)?;
    let budget = match &body["generationConfig"]["maxOutputTokens"] {
        Value::Null => MOST_OUTPUT,
        given => given.as_u64().filter(|given| (1..=MOST_OUTPUT).contains(given)).ok_or_else(|| {
            wrong(&format!("Unable to submit request because it has a maxOutputTokens value of {given}."))
        })?,
    };
    let input = contents(&body) + &text_of(&body["systemInstruction"]["parts"]);
    let draft = Draft::write(context, &prompt(&body), budget, thoughts, count);
    Ok(generated(name, count(&input) + 4, &draft, context))
}

fn generated(name: &str, input_tokens: u64, draft: &Draft, context: &Context<'_>) -> Answer {
    let mut parts = Vec::new();
    if context.spoil == Some(Spoil::ThinkingOnly) {
        parts.push(json!({"text": "How shall I begin?", "thought": true}));
    }
    if !draft.text.is_empty() {
        parts.push(json!({"text": draft.text}));
    }
    let finish = match draft.ending {
        Ending::Normal => "STOP",
        Ending::CutOff => "MAX_TOKENS",
        Ending::Refused => "SAFETY",
    };
    // Candidates without any part have no content.
    let content = if parts.is_empty() { json!({"role": "model"}) } else { json!({"parts": parts, "role": "model"}) };
    let mut answer = json!({
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": input_tokens,
            "candidatesTokenCount": draft.tokens,
            "thoughtsTokenCount": draft.thought_tokens,
            "totalTokenCount": input_tokens + draft.tokens + draft.thought_tokens,
        },
        "modelVersion": name,
        "responseId": format!("sim{:08}", context.number),
    });
    let blocked = draft.ending == Ending::Refused && context.number.is_multiple_of(2);
    if let Some(fields) = answer.as_object_mut().filter(|_| blocked) {
        // Half of the refusals are of the prompt, and then there is no candidate at all.
        fields.remove("candidates");
        fields.insert("promptFeedback".to_owned(), json!({"blockReason": "PROHIBITED_CONTENT"}));
    }
    for (key, tokens) in [("candidatesTokenCount", draft.tokens), ("thoughtsTokenCount", draft.thought_tokens)] {
        if let Some(usage) = answer["usageMetadata"].as_object_mut().filter(|_| tokens == 0) {
            usage.remove(key);
        }
    }
    Answer::json(200, &answer).billing(tokens(input_tokens, draft.tokens + draft.thought_tokens))
}

/// Refuses what is wrong; the tokens that the model will think.
fn check(ask: &Ask<'_>, body: &Value, model: &Model) -> Result<u64, Box<Answer>> {
    let Some(fields) = body.as_object().filter(|_| ask.content_type() == "application/json") else {
        return Err(wrong("Invalid JSON payload received. Unexpected token."));
    };
    let config = &body["generationConfig"];
    let unknown = |at: &str, key: &str| {
        wrong(&format!("Invalid JSON payload received. Unknown name \"{key}\"{at}: Cannot find field."))
    };
    if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown("", key));
    }
    if let Some(key) =
        config.as_object().into_iter().flat_map(|config| config.keys()).find(|key| !CONFIG_KEYS.contains(&key.as_str()))
    {
        return Err(unknown(" at 'generation_config'", key));
    }
    let turns = body["contents"].as_array().into_iter().flatten();
    let parts: Vec<&Value> = turns.filter_map(|turn| turn["parts"].as_array()).flatten().collect();
    if parts.is_empty() || parts.iter().any(|part| !part["text"].is_string()) {
        return Err(wrong("* GenerateContentRequest.contents: contents is not specified"));
    }
    for setting in body["safetySettings"].as_array().into_iter().flatten() {
        if !setting["category"].as_str().is_some_and(|category| category.starts_with("HARM_CATEGORY_")) {
            return Err(wrong("Invalid value at 'safety_settings[0].category' (type.googleapis.com/HarmCategory)"));
        }
    }
    let (_, by_level, usual, _) = *model;
    let thinking = &config["thinkingConfig"];
    match (&thinking["thinkingLevel"], &thinking["thinkingBudget"]) {
        (Value::Null, Value::Null) => Ok(usual),
        (Value::String(level), Value::Null) if by_level => match level.to_ascii_uppercase().as_str() {
            "MINIMAL" => Ok(0),
            "LOW" | "MEDIUM" | "HIGH" => Ok(THOUGHT_TOKENS),
            _ => Err(wrong(&format!("Invalid value at 'generation_config.thinking_config.thinking_level': {level}"))),
        },
        (Value::Null, budget) if !by_level && budget.is_i64() => {
            Ok(if budget.as_i64() == Some(0) { 0 } else { THOUGHT_TOKENS })
        }
        (Value::Null, _) => Err(wrong("Thinking budget is not supported for this model. Please use thinking level.")),
        (_, Value::Null) => Err(wrong("Thinking level is not supported for this model.")),
        _ => Err(wrong("You can only set only one of thinking budget and thinking level.")),
    }
}

/// The JSON of a body as every Google service reads it: names in camel case, or as they stand in
/// the protocol, where words are parted by underscores. Null when it is no JSON.
pub(super) fn read(body: &[u8]) -> Value {
    fn named(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (camel(&name), named(value))).collect(),
            Value::Array(items) => items.into_iter().map(named).collect(),
            other => other,
        }
    }
    serde_json::from_slice(body).map(named).unwrap_or_default()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn contents(body: &Value) -> String {
    let turns = body["contents"].as_array().into_iter().flatten();
    turns.map(|turn| text_of(&turn["parts"])).collect::<Vec<_>>().join("\n")
}

/// What a writer is asked: all turns of the user.
pub(super) fn prompt(body: &Value) -> String {
    let turns = body["contents"].as_array().into_iter().flatten().filter(|turn| turn["role"] != "model");
    turns.map(|turn| text_of(&turn["parts"])).collect::<Vec<_>>().join("\n")
}

fn model(name: &str, version: &str, context: &Context<'_>) -> Result<Model, Box<Answer>> {
    let today = (context.world.now)().date_naive();
    let found = MODELS.into_iter().find(|(id, ..)| *id == name);
    found.filter(|model| is_alive(model, today)).ok_or_else(|| {
        let message = format!(
            "models/{name} is not found for API version {version}, or is not supported for generateContent. Call \
             ListModels to see the list of available models and their supported methods."
        );
        Box::new(error(404, "NOT_FOUND", &message, &[]))
    })
}

fn is_alive((.., end): &Model, today: NaiveDate) -> bool {
    !end.is_some_and(|(year, month, day)| NaiveDate::from_ymd_opt(year, month, day).is_some_and(|end| end <= today))
}

fn list(name: &str, version: &str, context: &Context<'_>) -> Result<Answer, Box<Answer>> {
    let entry = |id: &str| {
        json!({
            "name": format!("models/{id}"),
            "version": "001",
            "displayName": id,
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": MOST_OUTPUT,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    };
    if !name.is_empty() {
        return model(name, version, context).map(|(id, ..)| Answer::json(200, &entry(id)));
    }
    let today = (context.world.now)().date_naive();
    let alive = MODELS.iter().filter(|model| is_alive(model, today)).map(|(id, ..)| entry(id));
    Ok(Answer::json(200, &json!({"models": alive.collect::<Vec<_>>()})))
}

pub(super) fn trouble(told: &Told) -> Answer {
    if told.trouble == Trouble::KeyRefused {
        return bad_key("generativelanguage.googleapis.com");
    }
    let (status, name, message) = usual(told.trouble);
    error(told.status.unwrap_or(status), name, message, &details(told))
}

/// What Google's services say, all of them alike.
pub(super) fn usual(trouble: Trouble) -> (u16, &'static str, &'static str) {
    match trouble {
        Trouble::RateLimited | Trouble::DailyQuota | Trouble::SpendLimit => {
            (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.")
        }
        Trouble::OutOfCredit => (402, "RESOURCE_EXHAUSTED", "Your prepayment credits are used up."),
        Trouble::KeyRefused => (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        Trouble::Forbidden => (403, "PERMISSION_DENIED", "The caller does not have permission."),
        Trouble::ModelRetired => (404, "NOT_FOUND", "The model is not found, or is not supported for this method."),
        Trouble::BadRequest => (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
        Trouble::TooLarge => (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
        Trouble::Timeout => (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        Trouble::ServerError => (500, "INTERNAL", "An internal error has occurred. Please retry."),
        Trouble::Unavailable => (503, "UNAVAILABLE", "The service is currently unavailable."),
        Trouble::Overloaded => (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    }
}

/// What a quota error says beside its words: which quota, and how long to wait.
pub(super) fn details(told: &Told) -> Vec<Value> {
    let mut details = Vec::new();
    let quota = match told.trouble {
        Trouble::RateLimited => Some("GenerateRequestsPerMinutePerProjectPerModel"),
        Trouble::DailyQuota => Some("GenerateRequestsPerDayPerProjectPerModel"),
        _ => None,
    };
    if let Some(id) = quota {
        let violation = json!({"quotaMetric": "generativelanguage.googleapis.com/requests", "quotaId": id});
        details.push(json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}));
    }
    let wait = told
        .retry_after
        .or_else(|| (told.trouble == Trouble::RateLimited).then_some(std::time::Duration::from_secs(1)));
    if let Some(wait) = wait {
        let delay = format!("{}s", wait.as_secs_f64());
        details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}));
    }
    details
}

fn wrong(message: &str) -> Box<Answer> {
    Box::new(error(400, "INVALID_ARGUMENT", message, &[]))
}

/// An error as every Google service tells it.
pub(super) fn error(status: u16, name: &str, message: &str, details: &[Value]) -> Answer {
    let mut error = json!({"code": status, "message": message, "status": name});
    if let Some(fields) = error.as_object_mut().filter(|_| !details.is_empty()) {
        fields.insert("details".to_owned(), details.into());
    }
    Answer::json(status, &json!({"error": error}))
}
