//! A workflow for people and scripts: as JSON and as a Mermaid flow chart.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Step, Thinking, Workflow, step_name};
use crate::machine::Status;

impl Workflow {
    /// Everything that was read, resolved; times in seconds.
    pub fn to_json(&self) -> Value {
        let steps: serde_json::Map<_, _> =
            self.steps.iter().map(|(status, step)| (status.to_string(), step_json(*status, step))).collect();
        let languages: serde_json::Map<_, _> = self
            .languages
            .iter()
            .map(|(tag, language)| {
                let pace = json!({"unit": language.pace.unit.as_str(), "per_minute": language.pace.per_minute});
                (tag.clone(), json!({"name": language.name, "pace": pace}))
            })
            .collect();
        let plans: serde_json::Map<_, _> = self
            .plans
            .by_name
            .iter()
            .map(|(name, plan)| {
                (name.clone(), json!({"script": plan.script, "speech": plan.speech, "tier": plan.tier}))
            })
            .collect();
        let models = self.models.by_id.iter().map(|(id, model)| {
            let successor = model.successor.as_ref().map(|successor| &successor.value);
            json!({
                "id": id,
                "provider": model.provider,
                "retires_on": model.retires_on,
                "successor": successor,
                "thinking": model.thinking.map(Thinking::name),
            })
        });
        let models: Vec<_> = models.collect();
        json!({
            "name": self.name,
            "crash_limit": self.crash_limit,
            "script": {
                "rounds": self.script.rounds,
                "shortest_s": self.script.shortest.as_secs(),
                "target_s": self.script.target.as_secs(),
                "longest_s": self.script.longest.as_secs(),
                "max_output_tokens": self.script.max_output_tokens,
            },
            "status": steps,
            "languages": languages,
            "plans": plans,
            "default_plan": self.plans.default,
            "models": models,
            "preferred_models": self.models.preferred,
            "voices": self.voices_json(),
            "providers": self.limits_json(),
        })
    }

    fn limits_json(&self) -> serde_json::Map<String, Value> {
        let limits = self.limits.iter().map(|(name, limits)| {
            let breaker = json!({
                "open_after": limits.breaker.open_after,
                "first_rest_s": limits.breaker.first_rest.as_secs(),
                "longest_rest_s": limits.breaker.longest_rest.as_secs(),
            });
            let value = json!({
                "calls_per_minute": limits.calls_per_minute,
                "burst": limits.burst,
                "at_once": limits.at_once,
                "breaker": breaker,
            });
            (name.clone(), value)
        });
        limits.collect()
    }

    fn voices_json(&self) -> Vec<Value> {
        let voice = |voice: &super::voices::Voice| {
            json!({
                "provider": voice.choice.provider,
                "language": voice.language.value,
                "gender": voice.choice.gender,
                "voice": voice.choice.voice,
                "engine": voice.choice.engine,
                "tiers": voice.tiers,
            })
        };
        self.voices.all.iter().map(voice).collect()
    }

    /// The way of a podcast with its retries, and the chains of every plan.
    pub fn to_mermaid(&self) -> String {
        let mut chart = String::from("flowchart LR\n");
        for (status, step) in &self.steps {
            let name = step_name(*status).unwrap_or_default();
            let (attempts, limit) = (step.retry.max_attempts, step.time_limit.as_secs());
            let _ = writeln!(chart, "    {status}[\"{status}<br/>{name}: {attempts} attempts of at most {limit} s\"]");
        }
        for pair in Status::ALL[..5].windows(2) {
            let _ = writeln!(chart, "    {} --> {}", pair[0], pair[1]);
        }
        let _ = writeln!(chart, "    {} --> {}", Status::PendingUpload, Status::CompletedWithFallback);
        for (name, plan) in &self.plans.by_name {
            let _ = writeln!(chart, "    subgraph {name}");
            for (kind, chain) in [("script", &plan.script), ("speech", &plan.speech)] {
                let nodes: Vec<_> = chain.iter().map(|link| format!("{name}_{kind}_{link}[{link}]")).collect();
                let _ = writeln!(chart, "        {}", nodes.join(" --> "));
            }
            chart.push_str("    end\n");
        }
        chart
    }
}

fn step_json(status: Status, step: &Step) -> Value {
    json!({
        "step": step_name(status),
        "time_limit_s": step.time_limit.as_secs(),
        "usual_time_s": step.usual_time.as_secs(),
        "max_attempts": step.retry.max_attempts,
        "first_delay_s": step.retry.first_delay.as_secs(),
        "factor": step.retry.factor,
        "max_delay_s": step.retry.max_delay.as_secs(),
        "jitter": step.retry.jitter,
    })
}
