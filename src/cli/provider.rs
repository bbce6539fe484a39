//! `provider list`, `open` and `close`.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    neighbours,
    output::{self, Side, Table},
};
use crate::{
    ops::{actor::Actor, providers},
    worker::fleet::{self, Provider},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Provider, context: Context) -> anyhow::Result<Exit> {
    let limits = neighbours::limits(&context.config, &context.workflow()?);
    let (args::Provider::Open(args::ProviderOpen { name, .. }) | args::Provider::Close(args::ProviderClose { name })) =
        &args
    else {
        let store = context.migrated_database().await?;
        return show(&fleet::list(&store, &limits).await?, &context);
    };
    if !limits.contains_key(name) {
        let known = limits.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Advice::usage(format!("there is no provider {name:?}"), format!("name one of {known}")).into());
    }
    let store = context.migrated_database().await?;
    let (desk, actor) = (neighbours::desk(&context, &store)?, Actor::at_the_command_line());
    let done = match &args {
        args::Provider::Open(open) => {
            providers::open(&desk, &actor, name, open.time, open.reason.trim()).await?;
            format!("{name} gets no more calls")
        }
        _ => match providers::close(&desk, &actor, name).await? {
            Some(closed) if closed.has_moved => format!("{name} gets calls again{}", closed.words()),
            _ => format!("{name} gets calls, nothing was to be done"),
        },
    };
    if context.json {
        let all = fleet::list(&store, &limits).await?;
        output::json(&all.iter().find(|provider| provider.provider == *name))?;
    } else {
        output::line(done)?;
    }
    Ok(Exit::Done)
}

/// Prints them. An operator is needed where a breaker waits for one that no operator opened.
fn show(providers: &[Provider], context: &Context) -> anyhow::Result<Exit> {
    if context.json {
        output::json(&json!(providers))?;
    } else {
        let mut table = Table::new([
            ("provider", Side::Left),
            ("may begin", Side::Right),
            ("calls", Side::Right),
            ("failed", Side::Right),
            ("takes", Side::Right),
            ("state", Side::Left),
        ]);
        for provider in providers {
            table.row([
                provider.provider.clone(),
                format!("{}/{}", provider.headroom, provider.burst),
                provider.calls.to_string(),
                provider.failures.to_string(),
                provider.latency_ms.map(|ms| format!("{:.1} s", ms / 1000.0)).unwrap_or_default(),
                words(provider),
            ]);
        }
        output::line(table.to_string().trim_end())?;
    }
    let waits = |provider: &Provider| {
        provider.state == "open" && provider.until.is_none() && provider.cause.as_deref() != Some("operator")
    };
    Ok(if providers.iter().any(waits) { Exit::Attention } else { Exit::Done })
}

/// The state of a provider in words.
fn words(provider: &Provider) -> String {
    let time = |time: DateTime<Utc>| time.format("%m-%d %H:%M:%S UTC").to_string();
    let mut text = match (provider.state, provider.until) {
        ("closed", _) if provider.failures_in_a_row > 0 => {
            format!("closed, {} failed in a row", provider.failures_in_a_row)
        }
        ("closed", _) => "closed".to_owned(),
        ("half_open", _) if provider.probe_by.is_some() => "half-open, a call tries it out".to_owned(),
        ("half_open", _) => "half-open, the next call tries it out".to_owned(),
        ("paused", Some(until)) => format!("asked for a pause until {}", time(until)),
        (_, Some(until)) => format!("open until {}", time(until)),
        (_, None) => "open until an operator closes it".to_owned(),
    };
    if let Some(since) = provider.since {
        text.push_str(&format!(", since {}", time(since)));
        if let Some(by) = &provider.changed_by {
            text.push_str(&format!(" by {by}"));
        }
        let is_by_hand = provider.cause.as_deref() == Some("operator");
        if let Some(message) = provider.message.as_ref().filter(|_| !is_by_hand) {
            text.push_str(&format!(": {message}"));
        }
    }
    text
}
