//! Google's Gemini.
//!
//! What would surprise: a key that is no good is answered with 400, not 401; a prompt that a filter
//! stopped has no candidates at all; thinking is billed as output but counted apart; and how long
//! to wait stands in the body.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    OfferedModel, ScriptRequest, ScriptWriter, Settings, WrittenScript,
    wire::{Ending, Line, MOST_PAGES, Page, code, escaped, joined, with_query},
};
use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::http::{self, Answer},
    workflow::Thinking,
};

const NAME: &str = "gemini";
const KEY: (&str, &str) = ("x-goog-api-key", "");

/// Lessons speak of wars and bodies; only what is plainly harmful is stopped.
const HARMS: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// Ends of an answer that declined or was stopped by a filter.
const REFUSED: [&str; 10] = [
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "OTHER",
    "MALFORMED_RESPONSE",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
];

/// Asks Gemini.
pub struct Gemini(Line);

impl Gemini {
    /// A writer with these settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`http::Error`] when TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, http::Error> {
        Ok(Self(Line::new(NAME, settings)?))
    }
}

#[async_trait]
impl ScriptWriter for Gemini {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn write(&self, request: &ScriptRequest) -> Result<WrittenScript, Failure> {
        let path = format!("/models/{}:generateContent", escaped(bare(&request.model.id)));
        let answer = self.0.send(self.0.post(&path, &body(request)), KEY).await?;
        read(&answer, &request.model.id)
    }

    async fn models(&self) -> Result<Vec<OfferedModel>, Failure> {
        let (mut models, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut query = vec![("pageSize", "1000")];
            if !token.is_empty() {
                query.push(("pageToken", &token));
            }
            let answer = self.0.send(self.0.get(&with_query("/models", &query)), KEY).await?;
            let page = page(&answer)?;
            page.usable()?;
            let names = page.list("/models").iter().filter_map(|model| model.get("name")?.as_str());
            models.extend(names.map(|name| OfferedModel { id: bare(name).to_owned(), ends_on: None }));
            token = page.text("/nextPageToken").unwrap_or_default().to_owned();
            if token.is_empty() {
                break;
            }
        }
        Ok(models)
    }
}

/// A model's id; in lists, and in what people copy from them, its kind stands before it.
fn bare(name: &str) -> &str {
    name.strip_prefix("models/").unwrap_or(name)
}

fn body(request: &ScriptRequest) -> Value {
    let settings = HARMS.map(|category| json!({"category": category, "threshold": "BLOCK_ONLY_HIGH"}));
    let mut generation = json!({"maxOutputTokens": request.max_output_tokens});
    match request.model.thinking {
        Some(Thinking::Level) => generation["thinkingConfig"] = json!({"thinkingLevel": "minimal"}),
        Some(Thinking::Budget) => generation["thinkingConfig"] = json!({"thinkingBudget": 0}),
        _ => {}
    }
    json!({
        "contents": [{"parts": [{"text": request.user}], "role": "user"}],
        "systemInstruction": {"parts": [{"text": request.system}], "role": "user"},
        "safetySettings": settings,
        "generationConfig": generation,
    })
}

/// What an answer to a generation means. `asked` is the model that was asked for.
///
/// # Errors
/// A [`Failure`] for everything but a whole script; it carries what was billed.
pub fn read(answer: &Answer, asked: &str) -> Result<WrittenScript, Failure> {
    let mut page = page(answer)?;
    page.answered_by("/modelVersion");
    page.billed.model = page.billed.model.map(|model| bare(&model).to_owned());
    page.billed.input_tokens = page.tokens(&["/usageMetadata/promptTokenCount"]);
    page.billed.output_tokens =
        page.tokens(&["/usageMetadata/candidatesTokenCount", "/usageMetadata/thoughtsTokenCount"]);
    let ending = match page.text("/candidates/0/finishReason") {
        Some("STOP") => Ending::Whole,
        Some("MAX_TOKENS") => Ending::CutOff,
        Some(reason) if REFUSED.contains(&reason) => Ending::Refused(reason.to_owned()),
        Some(reason) => Ending::Unknown(code(reason)),
        None => match page.text("/promptFeedback/blockReason") {
            Some(reason) => Ending::Refused(code(reason)),
            None => Ending::Unknown("no finishReason".to_owned()),
        },
    };
    let is_said = |part: &Value| part.get("thought") != Some(&Value::Bool(true));
    let text = joined(page.list("/candidates/0/content/parts"), is_said);
    page.script(asked, ending, text)
}

/// The page of a good status.
fn page(answer: &Answer) -> Result<Page<'_>, Failure> {
    let page = Page::new(NAME, answer, ("x-request-id", "/responseId"));
    if answer.status == 200 { Ok(page) } else { Err(page.refusal(known(&page), wait(&page))) }
}

/// What an error says, where it says more than its status.
fn known(page: &Page<'_>) -> Option<FailureKind> {
    if ["API key not valid", "API key expired"].iter().any(|words| page.code("/message").starts_with(words)) {
        return Some(FailureKind::KeyRefused);
    }
    let reasons = details(page).iter().filter_map(|detail| detail.get("reason")?.as_str());
    let codes = reasons.chain([page.code("/status")]);
    codes.into_iter().find_map(|code| match code {
        code if code.starts_with("API_KEY_") => Some(FailureKind::KeyRefused),
        // So are accounts answered that must pay first, for want of a free use in their country.
        "FAILED_PRECONDITION" => Some(FailureKind::OutOfCredit),
        _ => None,
    })
}

/// How long to wait: `RetryInfo.retryDelay`, in seconds with an `s`. A quota of the day comes back by
/// itself, hours later, whatever the delay says: it is asked about as rarely as a provider can be.
fn wait(page: &Page<'_>) -> Option<Duration> {
    let is_spent_today = details(page).iter().flat_map(|detail| list(detail, "violations")).any(|violation| {
        violation.get("quotaId").and_then(Value::as_str).is_some_and(|quota| quota.contains("PerDay"))
    });
    if is_spent_today {
        return Some(http::LONGEST_RETRY_AFTER);
    }
    let delay = details(page).iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

fn details<'p>(page: &'p Page<'_>) -> &'p [Value] {
    page.error().map_or(&[], |error| list(error, "details"))
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
