//! Anthropic's messages.
//!
//! What would surprise: the first block of an answer may be thinking, so blocks are chosen by their
//! type; and an account that has spent what it may says so with status 400 or 429, not 402.

use async_trait::async_trait;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{
    OfferedModel, ScriptRequest, ScriptWriter, Settings, WrittenScript,
    wire::{Ending, Line, MOST_PAGES, Page, code, joined, with_query},
};
use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::http::{self, Answer},
    workflow::Thinking,
};

const NAME: &str = "anthropic";
const KEY: (&str, &str) = ("authorization", "Bearer ");

/// The protocol. Under it sampling parameters are refused, which we never send.
const VERSION: (&str, &str) = ("anthropic-version", "2026-10-21");

/// Asks Anthropic.
pub struct Anthropic(Line);

impl Anthropic {
    /// A writer with these settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`http::Error`] when TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, http::Error> {
        Ok(Self(Line::new(NAME, settings)?))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        self.0.send(request.header(VERSION.0, VERSION.1), KEY).await
    }
}

#[async_trait]
impl ScriptWriter for Anthropic {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn write(&self, request: &ScriptRequest) -> Result<WrittenScript, Failure> {
        let answer = self.send(self.0.post("/messages", &body(request))).await?;
        read(&answer, &request.model.id)
    }

    async fn models(&self) -> Result<Vec<OfferedModel>, Failure> {
        let (mut models, mut after) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", "1000")];
            if !after.is_empty() {
                query.push(("after_id", &after));
            }
            let answer = self.send(self.0.get(&with_query("/models", &query))).await?;
            let page = page(&answer)?;
            page.usable()?;
            let ids = page.list("/data").iter().filter_map(|model| model.get("id")?.as_str());
            models.extend(ids.map(|id| OfferedModel { id: id.to_owned(), ends_on: None }));
            after = page.text("/last_id").unwrap_or_default().to_owned();
            if page.at("/has_more") != &Value::Bool(true) || after.is_empty() {
                break;
            }
        }
        Ok(models)
    }
}

fn body(request: &ScriptRequest) -> Value {
    let mut body = json!({
        "model": request.model.id,
        "max_tokens": request.max_output_tokens,
        "system": request.system,
        "messages": [{"role": "user", "content": request.user}],
    });
    if request.model.thinking == Some(Thinking::Switch) {
        body["thinking"] = json!({"type": "disabled"});
    }
    body
}

/// What an answer to a message means. `asked` is the model that was asked for.
///
/// # Errors
/// A [`Failure`] for everything but a whole script; it carries what was billed.
pub fn read(answer: &Answer, asked: &str) -> Result<WrittenScript, Failure> {
    let mut page = page(answer)?;
    page.answered_by("/model");
    page.billed.input_tokens =
        page.tokens(&["/usage/input_tokens", "/usage/cache_creation_input_tokens", "/usage/cache_read_input_tokens"]);
    page.billed.output_tokens = page.tokens(&["/usage/output_tokens"]);
    let ending = match page.text("/stop_reason") {
        Some("end_turn" | "stop_sequence") => Ending::Whole,
        Some("max_tokens" | "model_context_window_exceeded") => Ending::CutOff,
        Some("refusal") => {
            Ending::Refused(page.text("/stop_details/category").map_or_else(|| "refusal".to_owned(), code))
        }
        Some(reason) => Ending::Unknown(code(reason)),
        None => Ending::Unknown("no stop_reason".to_owned()),
    };
    let text = joined(page.list("/content"), |block| block.get("type").and_then(Value::as_str) == Some("text"));
    page.script(asked, ending, text)
}

/// The page of a good status.
fn page(answer: &Answer) -> Result<Page<'_>, Failure> {
    let page = Page::new(NAME, answer, ("request-id", "/request_id"));
    if answer.status == 200 { Ok(page) } else { Err(page.refusal(known(&page), None)) }
}

/// What an error says, where it says more than its status.
fn known(page: &Page<'_>) -> Option<FailureKind> {
    if page.code("/details/error_code").contains("spend_limit") {
        return Some(FailureKind::OutOfCredit);
    }
    match page.code("/type") {
        "billing_error" => Some(FailureKind::OutOfCredit),
        // A limit that the account set itself, or a prepaid credit that is used up, has no code.
        "invalid_request_error" if is_about_money(page.code("/message")) => Some(FailureKind::OutOfCredit),
        _ => None,
    }
}

fn is_about_money(message: &str) -> bool {
    let message = message.to_lowercase();
    ["usage limit", "spend limit", "spending limit", "credit balance"].iter().any(|words| message.contains(words))
}
