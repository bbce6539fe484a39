//! From settings to the language models that write. One without its key is left out.

use std::sync::Arc;

use chrono::NaiveDate;

use crate::{
    config::{Config, Writer},
    provider::llm::{ScriptWriter, Settings, anthropic::Anthropic, gemini::Gemini, openai::OpenAi},
    workflow::Workflow,
};

/// Every writer that has its key, in no order: the plans have it. Nothing is asked yet.
///
/// # Errors
/// When TLS cannot be set up.
pub fn of(config: &Config) -> anyhow::Result<Vec<Arc<dyn ScriptWriter>>> {
    let providers = &config.providers;
    let mut writers: Vec<Arc<dyn ScriptWriter>> = Vec::new();
    if let Some(settings) = settings(&providers.openai) {
        writers.push(Arc::new(OpenAi::new(settings)?));
    }
    if let Some(settings) = settings(&providers.gemini) {
        writers.push(Arc::new(Gemini::new(settings)?));
    }
    if let Some(settings) = settings(&providers.anthropic) {
        writers.push(Arc::new(Anthropic::new(settings)?));
    }
    Ok(writers)
}

fn settings(writer: &Writer) -> Option<Settings> {
    let api_key = writer.api_key.as_ref()?.expose().to_owned();
    Some(Settings { api_key, base_url: writer.base_url.clone(), timeout: writer.timeout })
}

/// Says of the writers' models what an operator should know: one ends soon, or has ended.
pub fn tell_of_models(writers: &[Arc<dyn ScriptWriter>], workflow: &Workflow, today: NaiveDate) {
    for writer in writers {
        if let Some(notice) = workflow.model(writer.name(), today).and_then(|model| model.notice) {
            tracing::warn!(provider.name = writer.name(), model.notice = notice, "a model ends");
        }
    }
}
