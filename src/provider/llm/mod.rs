//! Who can write a script: three vendors behind one trait. `wire` is what their protocols have in
//! common; each vendor's room knows its own requests, endings and errors.

pub mod anthropic;
pub mod gemini;
pub mod openai;
mod wire;

use std::time::Duration;

use async_trait::async_trait;

use chrono::NaiveDate;

use crate::{podcast::Failure, workflow::ModelChoice};

/// How a vendor is reached.
#[derive(Clone)]
pub struct Settings {
    /// Key of the API.
    pub api_key: String,
    /// What comes before the vendor's own path.
    pub base_url: String,
    /// The longest time of one call, from connecting to the last byte.
    pub timeout: Duration,
}

/// A request for a script, without anything that tells who the learner is.
#[derive(Debug, Clone)]
pub struct ScriptRequest {
    /// The model to ask.
    pub model: ModelChoice,
    /// What the writer is and must obey.
    pub system: String,
    /// The facts and the task. The learner is called by a token, replaced after the answer.
    pub user: String,
    /// Upper bound of the answer, in tokens.
    pub max_output_tokens: u32,
}

/// An answer, not yet checked.
#[derive(Debug, Clone)]
pub struct WrittenScript {
    /// The words.
    pub text: String,
    /// The model that really answered.
    pub model: String,
    /// Billed input tokens.
    pub input_tokens: u64,
    /// Billed output tokens.
    pub output_tokens: u64,
    /// The provider's name of the request.
    pub request_id: Option<String>,
}

/// A model that a provider says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedModel {
    /// Its id.
    pub id: String,
    /// The day on which it ends, where the provider tells.
    pub ends_on: Option<NaiveDate>,
}

/// A language model that writes scripts.
#[async_trait]
pub trait ScriptWriter: Send + Sync {
    /// `openai`, `gemini`, `anthropic`.
    fn name(&self) -> &'static str;

    /// Writes one script.
    ///
    /// # Errors
    /// A [`Failure`] whose kind decides whether the next writer is asked.
    async fn write(&self, request: &ScriptRequest) -> Result<WrittenScript, Failure>;

    /// Asks which models there are; costs nothing, and shows whether the key is good. A writer
    /// without such a list has none.
    ///
    /// # Errors
    /// A [`Failure`] as of [`ScriptWriter::write`].
    async fn models(&self) -> Result<Vec<OfferedModel>, Failure> {
        Ok(Vec::new())
    }
}
