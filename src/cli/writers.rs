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

/// What an operator should know of a model that `prices.toml` does not have.
pub fn unpriced(workflow: &Workflow, provider: &str, model: &str) -> Option<String> {
    let has_price = ["input_token", "output_token"].iter().all(|unit| workflow.has_price(provider, model, unit));
    let what =
        || format!("prices.toml has no price of {model}: it is charged like the dearest listed model of {provider}");
    (!has_price).then(what)
}

/// Says of the writers' models what an operator should know: one ends soon, has ended, or has no price.
pub fn tell_of_models(writers: &[Arc<dyn ScriptWriter>], workflow: &Workflow, today: NaiveDate) {
    for writer in writers {
        let Some(model) = workflow.model(writer.name(), today) else { continue };
        if let Some(notice) = model.notice {
            tracing::warn!(provider.name = writer.name(), model.notice = notice, "a model ends");
        }
        if let Some(notice) = unpriced(workflow, writer.name(), &model.id) {
            tracing::warn!(provider.name = writer.name(), model.notice = notice, "a model has no price");
        }
    }
}
