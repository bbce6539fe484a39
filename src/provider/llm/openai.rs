//! OpenAI's chat completions, and any server that speaks them (Ollama, vLLM, llama.cpp).
//!
//! What would surprise: such servers know only the role `system`, OpenAI's own models prefer
//! `developer`. A model that `models.toml` does not have is asked with `system`, which both take.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use super::{
    OfferedModel, ScriptRequest, ScriptWriter, Settings, WrittenScript,
    wire::{Ending, Line, Page, code},
};
use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::http::{self, Answer},
    workflow::Thinking,
};

const NAME: &str = "openai";
const KEY: (&str, &str) = ("authorization", "Bearer ");

/// Codes and types of an account that cannot pay. They come with status 429 and pass only when
/// somebody pays.
const OUT_OF_CREDIT: [&str; 7] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// Asks OpenAI.
pub struct OpenAi(Line);

impl OpenAi {
    /// A writer with these settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`http::Error`] when TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, http::Error> {
        Ok(Self(Line::new(NAME, settings)?))
    }
}

#[async_trait]
impl ScriptWriter for OpenAi {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn write(&self, request: &ScriptRequest) -> Result<WrittenScript, Failure> {
        let asked = self.0.post("/chat/completions", &body(request));
        read(&self.0.send(asked, KEY).await?, &request.model.id)
    }

    async fn models(&self) -> Result<Vec<OfferedModel>, Failure> {
        let answer = self.0.send(self.0.get("/models"), KEY).await?;
        let page = page(&answer)?;
        page.usable()?;
        let offered = |model: &Value| {
            let id = model.get("id")?.as_str()?.to_owned();
            Some(OfferedModel { id, ends_on: model.get("shutdown_date").and_then(day) })
        };
        Ok(page.list("/data").iter().filter_map(offered).collect())
    }
}

fn body(request: &ScriptRequest) -> Value {
    let role = if request.model.is_listed { "developer" } else { "system" };
    let mut body = json!({
        "model": request.model.id,
        "messages": [
            {"role": role, "content": request.system},
            {"role": "user", "content": request.user},
        ],
        "max_completion_tokens": request.max_output_tokens,
    });
    if request.model.thinking == Some(Thinking::Effort) {
        body["reasoning_effort"] = json!("none");
    }
    body
}

/// What an answer to a chat completion means. `asked` is the model that was asked for.
///
/// # Errors
/// A [`Failure`] for everything but a whole script; it carries what was billed.
pub fn read(answer: &Answer, asked: &str) -> Result<WrittenScript, Failure> {
    let mut page = page(answer)?;
    page.answered_by("/model");
    page.billed.input_tokens = page.tokens(&["/usage/prompt_tokens"]);
    page.billed.output_tokens = page.tokens(&["/usage/completion_tokens"]);
    let ending = match page.text("/choices/0/finish_reason") {
        _ if page.text("/choices/0/message/refusal").is_some_and(|refusal| !refusal.is_empty()) => {
            Ending::Refused("refusal".to_owned())
        }
        Some("stop") => Ending::Whole,
        Some("length") => Ending::CutOff,
        Some(reason @ "content_filter") => Ending::Refused(reason.to_owned()),
        Some(reason) => Ending::Unknown(code(reason)),
        None => Ending::Unknown("no finish_reason".to_owned()),
    };
    let text = page.text("/choices/0/message/content").unwrap_or_default().to_owned();
    page.script(asked, ending, text)
}

/// The page of a good status.
fn page(answer: &Answer) -> Result<Page<'_>, Failure> {
    let page = Page::new(NAME, answer, ("x-request-id", "/request_id"));
    if answer.status == 200 { Ok(page) } else { Err(page.refusal(known(&page), None)) }
}

/// What the codes of an error say, where they say more than its status.
fn known(page: &Page<'_>) -> Option<FailureKind> {
    [page.code("/code"), page.code("/type")].into_iter().find_map(|code| match code {
        code if OUT_OF_CREDIT.contains(&code) => Some(FailureKind::OutOfCredit),
        "invalid_api_key" | "account_deactivated" => Some(FailureKind::KeyRefused),
        "model_not_found" => Some(FailureKind::ModelRetired),
        "content_filter" | "content_policy_violation" => Some(FailureKind::ContentRefused),
        "unknown_url" => Some(FailureKind::BadRequest),
        _ => None,
    })
}

/// A day, written as one or as seconds since 1970.
fn day(value: &Value) -> Option<NaiveDate> {
    match value {
        Value::String(text) => text.get(..10)?.parse().ok(),
        _ => Some(DateTime::from_timestamp(value.as_i64()?, 0)?.date_naive()),
    }
}
