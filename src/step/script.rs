//! The script step: asks one writer after the other, checks every answer, and lets the template
//! fill in. It makes calls and texts; whoever runs it writes them down.
//!
//! The learner's name, e-mail address and ids never leave the house: a writer is given
//! [`NAME_TOKEN`], and the name takes its place in the answer.
//!
//! When every writer failed, what the failures have in common decides. The template writes at once
//! when time would mend none of them. It writes after a few rounds when time might. And when no
//! writer was even called, because it is not our turn at one of them yet, the podcast waits for
//! that turn without counting a round. Where the deadline leaves no time to wait, the template
//! writes, so that no podcast fails for want of a writer.

mod check;

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

pub use check::{Flaw, check};

use super::call::{Answered, Calls, LONGEST_CALL, Missed, Wanted};
use super::collect;
use crate::learner::Facts;
use crate::machine::{Event, FailureKind, Remedy, Status};
use crate::podcast::{Artefacts, Bill, Billed, Failure, Outcome};
use crate::provider::llm::{ScriptRequest, ScriptWriter, WrittenScript};
use crate::workflow::{self, Seed, Speakable, TEMPLATE, Workflow};

/// Stands for the learner's name in what a writer sees. No clean fact can contain it.
pub const NAME_TOKEN: &str = "LISTENER_NAME";

/// The last of an attempt's time, in which no writer is asked: the template still has to write.
const TO_FINISH: Duration = Duration::from_secs(10);

/// The longest that a message is which repeats what the writers said, in characters.
const LONGEST_TOLD: usize = 200;

/// Everything that a script is made from.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// The claimed row, and how its calls are made.
    pub calls: Calls<'j>,
    /// What the academy says about the learner.
    pub facts: &'j Facts,
    /// Chains, prompts, models and prices.
    pub workflow: &'j Workflow,
    /// The writers that are set up, in any order; the plan orders them. May be empty.
    pub writers: &'j [&'j dyn ScriptWriter],
    /// The speakers that are set up, by name: they decide which languages are possible.
    pub speakers: &'j [&'j str],
}

/// An answer that may be spoken.
struct Accepted {
    text: String,
    model: String,
    input_tokens: u64,
    output_tokens: u64,
}

/// Why a chain of writers gave nothing.
enum Unwritten {
    /// Each of them failed, or was not called.
    AllFailed(Vec<Failure>),
    /// The lease is not certain.
    Barred,
    /// A prompt cannot be rendered.
    Broken(workflow::Error),
}

/// Makes the script of a podcast: [`Event::ScriptReady`] with all script columns, or a failure.
///
/// Failures: `no_voice` when no available speaker has a voice for any of the learner's languages;
/// a passing kind when another round is due; `own_limit` when the podcast waits for its turn;
/// `internal` when a prompt cannot be rendered; `unavailable` when the lease is no longer certain.
pub async fn run(job: &Job<'_>) -> Outcome {
    let podcast = job.calls.podcast;
    let facts = collect::speakable(job.facts);
    let wished = collect::languages(job.facts);
    let Some((language, _)) = job.workflow.voices(&podcast.plan, &wished, None, job.speakers) else {
        let message = format!(
            "none of the speakers ({}) has a voice for the learner's languages ({}); add one to voices.toml or set up a provider that speaks them",
            job.speakers.join(", "),
            wished.join(", ")
        );
        return Outcome::failed(Failure::new(FailureKind::NoVoice, message));
    };
    let accepted = match ask_in_time(job, &facts, &language).await {
        Ok(accepted) => Some(accepted),
        Err(Unwritten::Barred) => {
            let message = "the lease is not certain; no further call was made";
            return Outcome::failed(Failure::new(FailureKind::Unavailable, message));
        }
        Err(Unwritten::Broken(error)) => return Outcome::failed(broken(&error)),
        Err(Unwritten::AllFailed(failures)) => {
            if let Some(failure) = worth_waiting(job, &failures) {
                return Outcome::failed(failure);
            }
            if !failures.is_empty() {
                tracing::warn!(
                    podcast.id = podcast.id,
                    error.message = told(&failures),
                    "no writer wrote the script, the template does"
                );
            }
            None
        }
    };
    match artefacts(job, &facts, language, accepted) {
        Ok(made) => Outcome::done(Event::ScriptReady, made),
        Err(error) => Outcome::failed(broken(&error)),
    }
}

fn broken(error: &workflow::Error) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(FailureKind::Internal, format!("{error}{cause}"))
}

/// Asks the writers, but breaks off while there is time to write without them.
async fn ask_in_time(job: &Job<'_>, facts: &Speakable, language: &str) -> Result<Accepted, Unwritten> {
    let mut failures = Vec::new();
    let time_left = job.calls.attempt.time_left();
    let time = time_left.saturating_sub(TO_FINISH.min(time_left / 4));
    let asked = timeout(time, ask_all(job, facts, language, &mut failures)).await;
    asked.unwrap_or_else(|_| {
        failures.push(Failure::new(FailureKind::Timeout, "the writers took longer than an attempt may"));
        Err(Unwritten::AllFailed(failures))
    })
}

/// Asks one writer after the other. `failures` outlives this, which may be broken off.
async fn ask_all(
    job: &Job<'_>,
    facts: &Speakable,
    language: &str,
    failures: &mut Vec<Failure>,
) -> Result<Accepted, Unwritten> {
    let podcast = job.calls.podcast;
    let (system, user) = job.workflow.prompts(language, facts, NAME_TOKEN).map_err(Unwritten::Broken)?;
    let chain = job.workflow.script_chain(&podcast.plan);
    let writers = chain.iter().filter_map(|name| job.writers.iter().find(|writer| writer.name() == name));
    for (place, writer) in writers.enumerate() {
        let name = writer.name();
        let Some(model) = job.workflow.model(name, podcast.date) else { continue };
        if place > 0 && job.calls.attempt.time_left() < LONGEST_CALL + TO_FINISH {
            failures.push(Failure::new(FailureKind::Timeout, "no time was left to ask").at(name));
            break;
        }
        let request = ScriptRequest {
            model,
            system: system.clone(),
            user: user.clone(),
            max_output_tokens: job.workflow.script.max_output_tokens,
        };
        match ask(job, *writer, &request, facts, language).await {
            Ok(accepted) => return Ok(accepted),
            Err(Missed::Barred) => return Err(Unwritten::Barred),
            Err(Missed::Refused(failure) | Missed::Failed(failure)) => failures.push(failure),
        }
    }
    Err(Unwritten::AllFailed(std::mem::take(failures)))
}

/// Asks one writer and judges its answer.
async fn ask(
    job: &Job<'_>,
    writer: &dyn ScriptWriter,
    request: &ScriptRequest,
    facts: &Speakable,
    language: &str,
) -> Result<Accepted, Missed> {
    let name = writer.name();
    let wanted = Wanted {
        provider: name,
        model: &request.model.id,
        operation: "script",
        units: &json!({"input_tokens": 0, "output_tokens": 0}),
        is_gated: true,
        is_budgeted: job.workflow.is_billed(name),
        is_still_wanted: &|| true,
    };
    let ask = || async {
        let answer = writer.write(request).await;
        let billed = match &answer {
            Ok(written) => Some(billed(written)),
            Err(failure) => failure.billed.as_deref().cloned(),
        };
        let judged = |written| {
            judge(job, &written, facts, language).map_err(|flaw| Failure::new(FailureKind::BadAnswer, flaw.to_string()))
        };
        Answered {
            bill: billed.map(|billed| bill(job.workflow, name, &request.model.id, billed)).unwrap_or_default(),
            result: answer.and_then(judged),
        }
    };
    job.calls.make(&wanted, ask).await
}

fn billed(written: &WrittenScript) -> Billed {
    Billed {
        model: Some(written.model.clone()),
        input_tokens: written.input_tokens,
        output_tokens: written.output_tokens,
        request_id: written.request_id.clone(),
    }
}

/// The bill of an answer from `provider`, which was asked for the model `asked`.
fn bill(workflow: &Workflow, provider: &str, asked: &str, billed: Billed) -> Bill {
    let Billed { model, input_tokens, output_tokens, request_id } = billed;
    let price = |unit, amount| workflow.cost_micro_usd(provider, model.as_deref().unwrap_or(asked), unit, amount);
    Bill {
        cost_micro_usd: price("input_token", input_tokens).saturating_add(price("output_token", output_tokens)),
        units: Some(json!({"input_tokens": input_tokens, "output_tokens": output_tokens})),
        model,
        request_id,
    }
}

/// Puts the name in its place and checks the answer.
fn judge(job: &Job<'_>, written: &WrittenScript, facts: &Speakable, language: &str) -> Result<Accepted, Flaw> {
    let mut text = tidy(&written.text);
    if let Some(name) = &facts.name {
        text = text.replace(NAME_TOKEN, name);
    }
    check(&text, language, facts, job.calls.podcast.user_id, job.workflow)?;
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

/// The failure with which the podcast waits; `None` when the template writes now.
///
/// Who was called and failed for a passing reason, or has a breaker that opens and closes by time,
/// is worth another round; `own_limit` alone is worth waiting for without counting rounds.
fn worth_waiting(job: &Job<'_>, failures: &[Failure]) -> Option<Failure> {
    let is_turn = |failure: &&Failure| failure.kind == FailureKind::OwnLimit;
    let is_passing = |failure: &&Failure| match failure.kind {
        FailureKind::BudgetReached => false,
        FailureKind::BreakerOpen => failure.retry_after.is_some(),
        kind => matches!(kind.remedy(), Remedy::RetryLater | Remedy::Snooze),
    };
    let first = failures.iter().find(is_passing)?;
    let nobody_was_called = failures.iter().all(|failure| failure.kind.remedy() == Remedy::Snooze);
    let snoozes = nobody_was_called && failures.iter().any(|failure| is_turn(&failure));
    // Who was never asked has not failed: for its turn there are as many rounds as attempts.
    let attempts = job.workflow.retry(Status::Pending).map_or(0, |policy| policy.max_attempts);
    let rounds = job.workflow.script.rounds;
    let rounds = if failures.iter().any(|failure| is_turn(&failure)) { rounds.max(attempts) } else { rounds };
    let is_last_round = job.calls.podcast.attempt.saturating_add(1) >= rounds;
    let of_them = |failure: &&Failure| if snoozes { is_turn(failure) } else { is_passing(failure) };
    // Who named no wait may be asked again soon, whatever the others want.
    let asked = failures.iter().filter(of_them).map(|failure| failure.retry_after.unwrap_or_default()).min();
    let retry_after = asked.filter(|wait| !wait.is_zero());
    if is_last_round && !snoozes || !leaves_time(job, retry_after.unwrap_or_default()) {
        return None;
    }
    let kind = match first.kind {
        _ if snoozes => FailureKind::OwnLimit,
        // A round counts, whoever refused whom.
        FailureKind::BreakerOpen | FailureKind::OwnLimit => FailureKind::Unavailable,
        kind => kind,
    };
    let failure = Failure::new(kind, told(failures));
    Some(Failure { provider: first.provider.clone(), retry_after, ..failure })
}

/// What each writer said, in the order in which they were asked.
fn told(failures: &[Failure]) -> String {
    let one = |failure: &Failure| {
        let provider = failure.provider.as_deref().unwrap_or("the chain");
        format!("{provider}: {}", failure.message.chars().take(LONGEST_TOLD).collect::<String>())
    };
    failures.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// True when a wait as long as `asked`, or as our own longest, leaves the time that a usual night
/// needs to write, speak and upload.
fn leaves_time(job: &Job<'_>, asked: Duration) -> bool {
    let steps = Status::ALL.into_iter().filter_map(|status| job.workflow.step(status));
    let usual: Duration = steps.map(|step| step.usual_time).sum();
    let longest = job.workflow.retry(Status::Pending).map(|policy| policy.max_delay).unwrap_or_default();
    job.calls.attempt.time_to_deadline() > longest.max(asked) + usual
}

fn artefacts(
    job: &Job<'_>,
    facts: &Speakable,
    language: String,
    accepted: Option<Accepted>,
) -> Result<Artefacts, workflow::Error> {
    let seed = Seed { user_id: job.calls.podcast.user_id, date: job.calls.podcast.date };
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
