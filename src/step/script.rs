//! The script step: asks one writer after the other, checks every answer, and lets the template
//! fill in. It makes calls and texts; whoever runs it writes them down.
//!
//! The learner's name, e-mail address and ids never leave the house: a writer is given
//! [`NAME_TOKEN`], and the name takes its place in the answer.
//!
//! When every writer failed and at least one of them for a passing reason, the attempt fails and
//! the podcast waits for another round. After the last round, or when there is no time for
//! another, the template writes.

mod check;

use std::time::Instant;

use serde_json::json;

pub use check::{Flaw, check};

use super::collect;
use crate::learner::Facts;
use crate::machine::{Event, FailureKind, Remedy, Status};
use crate::podcast::{Artefacts, Billed, Call, Failure, Outcome, Podcast};
use crate::provider::llm::{ScriptRequest, ScriptWriter, WrittenScript};
use crate::workflow::{self, Seed, Speakable, TEMPLATE, Workflow};

/// Stands for the learner's name in what a writer sees. No clean fact can contain it.
pub const NAME_TOKEN: &str = "LISTENER_NAME";

/// Everything that a script is made from.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// The claimed row.
    pub podcast: &'j Podcast,
    /// What the academy says about the learner.
    pub facts: &'j Facts,
    /// Chains, prompts, models and prices.
    pub workflow: &'j Workflow,
    /// The writers that are set up, in any order; the plan orders them. May be empty.
    pub writers: &'j [&'j dyn ScriptWriter],
    /// The speakers that are set up, by name: they decide which languages are possible.
    pub speakers: &'j [&'j str],
    /// Asked before every call: false when the lease is no longer certain.
    pub may_call: &'j (dyn Fn() -> bool + Sync),
}

/// An answer that may be spoken.
struct Accepted {
    text: String,
    model: String,
    input_tokens: u64,
    output_tokens: u64,
}

/// What the writers of a chain came to.
enum Asked {
    Accepted(Accepted),
    AllFailed(Vec<Failure>),
    Stopped,
}

/// Makes the script of a podcast: [`Event::ScriptReady`] with all script columns, or a failure.
///
/// Failures: `no_voice` when no available speaker has a voice for any of the learner's languages;
/// a passing kind of a writer when another round is due; `internal` when a prompt cannot be
/// rendered; `unavailable` when the lease is no longer certain.
pub async fn run(job: &Job<'_>) -> Outcome {
    let facts = collect::speakable(job.facts);
    let wished = collect::languages(job.facts);
    let Some((language, _)) = job.workflow.voices(&job.podcast.plan, &wished, None, job.speakers) else {
        let message = format!(
            "none of the speakers ({}) has a voice for the learner's languages ({}); add one to voices.toml or set up a provider that speaks them",
            job.speakers.join(", "),
            wished.join(", ")
        );
        return Outcome::failed(Failure::new(FailureKind::NoVoice, message));
    };
    let mut calls = Vec::new();
    let asked = match ask_all(job, &facts, &language, &mut calls).await {
        Ok(asked) => asked,
        Err(error) => return Outcome::failed(broken(&error)).with_calls(calls),
    };
    let accepted = match asked {
        Asked::Accepted(accepted) => Some(accepted),
        Asked::Stopped => {
            let failure = Failure::new(FailureKind::Unavailable, "the lease is not certain; no further call was made");
            return Outcome::failed(failure).with_calls(calls);
        }
        Asked::AllFailed(failures) => match another_round(job, &failures) {
            Some(failure) => return Outcome::failed(failure).with_calls(calls),
            None => None,
        },
    };
    match artefacts(job, &facts, language, accepted) {
        Ok(made) => Outcome::done(Event::ScriptReady, made).with_calls(calls),
        Err(error) => Outcome::failed(broken(&error)).with_calls(calls),
    }
}

fn broken(error: &workflow::Error) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(FailureKind::Internal, format!("{error}{cause}"))
}

async fn ask_all(
    job: &Job<'_>,
    facts: &Speakable,
    language: &str,
    calls: &mut Vec<Call>,
) -> Result<Asked, workflow::Error> {
    let (system, user) = job.workflow.prompts(language, facts, NAME_TOKEN)?;
    let chain = job.workflow.script_chain(&job.podcast.plan);
    let writers = chain.iter().filter_map(|name| job.writers.iter().find(|writer| writer.name() == name));
    let mut failures = Vec::new();
    for writer in writers {
        if !(job.may_call)() {
            return Ok(Asked::Stopped);
        }
        let name = writer.name();
        let Some(model) = job.workflow.model(name, job.podcast.date) else { continue };
        let request = ScriptRequest {
            model,
            system: system.clone(),
            user: user.clone(),
            max_output_tokens: job.workflow.script.max_output_tokens,
        };
        let started = Instant::now();
        let answer = writer.write(&request).await;
        let latency_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let judged = match &answer {
            Ok(written) => judge(written, facts, language, job.workflow)
                .map_err(|flaw| Failure::new(FailureKind::BadAnswer, flaw.to_string()).at(name)),
            Err(failure) => Err(failure.clone()),
        };
        calls.push(call(job, name, billed(&answer), judged.as_ref().err(), latency_ms));
        match judged {
            Ok(accepted) => return Ok(Asked::Accepted(accepted)),
            Err(failure) => failures.push(failure.at(name)),
        }
    }
    Ok(Asked::AllFailed(failures))
}

/// Puts the name in its place and checks the answer.
fn judge(written: &WrittenScript, facts: &Speakable, language: &str, workflow: &Workflow) -> Result<Accepted, Flaw> {
    let mut text = tidy(&written.text);
    if let Some(name) = &facts.name {
        text = text.replace(NAME_TOKEN, name);
    }
    check(&text, language, facts, workflow)?;
    Ok(Accepted {
        text,
        model: written.model.clone(),
        input_tokens: written.input_tokens,
        output_tokens: written.output_tokens,
    })
}

/// One line per paragraph, paragraphs parted by one blank line.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What was billed, for an answer as for a failure that the provider told of.
fn billed(answer: &Result<WrittenScript, Failure>) -> Billed {
    match answer {
        Ok(written) => Billed {
            model: Some(written.model.clone()),
            input_tokens: written.input_tokens,
            output_tokens: written.output_tokens,
            request_id: written.request_id.clone(),
        },
        Err(failure) => failure.billed.as_deref().cloned().unwrap_or_default(),
    }
}

fn call(job: &Job<'_>, provider: &str, billed: Billed, failure: Option<&Failure>, latency_ms: i32) -> Call {
    let Billed { model, input_tokens, output_tokens, request_id } = billed;
    let asked = || job.workflow.model(provider, job.podcast.date).map(|model| model.id).unwrap_or_default();
    let model = model.unwrap_or_else(asked);
    let cost = |unit, amount| job.workflow.cost_micro_usd(provider, &model, unit, amount);
    Call {
        provider: provider.to_owned(),
        operation: "script",
        units: json!({"input_tokens": input_tokens, "output_tokens": output_tokens}),
        cost_micro_usd: cost("input_token", input_tokens).saturating_add(cost("output_token", output_tokens)),
        latency_ms,
        outcome: failure.map_or("ok", |failure| failure.kind.as_str()),
        request_id,
        model,
    }
}

/// The failure with which the podcast waits for another round; `None` when the template writes now.
fn another_round(job: &Job<'_>, failures: &[Failure]) -> Option<Failure> {
    let passing = |failure: &&Failure| matches!(failure.kind.remedy(), Remedy::RetryLater | Remedy::Snooze);
    let first = failures.iter().find(passing)?;
    let longest_wait = job.workflow.retry(Status::Pending).map(|policy| policy.max_delay).unwrap_or_default();
    if job.podcast.attempt.saturating_add(1) >= job.workflow.script.rounds || job.podcast.time_left() <= longest_wait {
        return None;
    }
    let told = failures.iter().map(|failure| {
        let provider = failure.provider.as_deref().unwrap_or("a writer");
        format!("{provider}: {}", failure.message)
    });
    let mut failure = Failure::new(first.kind, told.collect::<Vec<_>>().join("; "));
    failure.provider.clone_from(&first.provider);
    failure.retry_after = failures.iter().filter(passing).filter_map(|failure| failure.retry_after).min();
    Some(failure)
}

fn artefacts(
    job: &Job<'_>,
    facts: &Speakable,
    language: String,
    accepted: Option<Accepted>,
) -> Result<Artefacts, workflow::Error> {
    let seed = Seed { user_id: job.podcast.user_id, date: job.podcast.date };
    let (title, topic) = job.workflow.title_and_topic(&language, facts, seed)?;
    let is_fallback = accepted.is_none();
    let script = match accepted {
        Some(accepted) => accepted,
        None => Accepted {
            text: job.workflow.write_template(&language, facts, seed)?.text,
            model: TEMPLATE.to_owned(),
            input_tokens: 0,
            output_tokens: 0,
        },
    };
    Ok(Artefacts {
        script_text: Some(script.text),
        language: Some(language),
        title: Some(title),
        topic: Some(topic),
        ai_model_used: Some(script.model),
        script_usage: Some(json!({"input": script.input_tokens, "output": script.output_tokens})),
        is_fallback: Some(is_fallback),
        ..Artefacts::default()
    })
}
