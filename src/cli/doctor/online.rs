//! `doctor --online`: what the providers themselves say. Nothing that is asked here costs anything.

use std::time::Duration;

use chrono::NaiveDate;
use futures_util::future::join_all;

use super::{Report, voices};
use crate::{
    config::Config,
    machine::FailureKind,
    podcast::Failure,
    provider::llm::OfferedModel,
    workflow::{ModelChoice, Workflow},
};

/// The longest that one provider is waited for, with all pages of its list.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks every writer that has a key for its models, all at once.
pub(super) async fn writers(config: &Config, workflow: &Workflow, today: NaiveDate, report: &mut Report) {
    let writers = match crate::cli::writers::of(config) {
        Ok(writers) => writers,
        Err(error) => return report.bad("writers", format!("{error:#}"), "reinstall the certificates of this host"),
    };
    let answers = join_all(writers.iter().map(|writer| tokio::time::timeout(PATIENCE, writer.models()))).await;
    for (writer, answer) in writers.iter().zip(answers) {
        let provider = writer.name();
        let late = || Failure::new(FailureKind::Timeout, format!("{provider} did not list its models in time"));
        match (answer.unwrap_or_else(|_| Err(late())), workflow.model(provider, today)) {
            (Ok(offered), Some(choice)) => {
                report.good("online", format!("{provider} accepts the key"));
                models(provider, &choice, &offered, report);
            }
            (Ok(_), None) => report.good("online", format!("{provider} accepts the key, no model is asked of it")),
            (Err(failure), _) => report.bad("online", failure.message, mend(provider, failure.kind)),
        }
    }
}

/// Asks every speaker that has a key for its voices.
pub(super) async fn speakers(config: &Config, workflow: &Workflow, report: &mut Report) {
    match voices::check(config, workflow).await {
        Ok(all) => {
            for found in all {
                let what = format!("{}: {}", found.provider, found.what);
                match found.mend {
                    None => report.good("online", what),
                    Some(mend) => report.bad("online", what, mend),
                }
            }
        }
        Err(error) => report.bad("online", format!("{error:#}"), "correct the key that it names"),
    }
}

fn mend(provider: &str, kind: FailureKind) -> String {
    match kind {
        FailureKind::KeyRefused => format!("correct providers.{provider}.api_key, or leave it out"),
        FailureKind::OutOfCredit => "add credit or raise the limit at the provider".to_owned(),
        FailureKind::RateLimited => "ask again later".to_owned(),
        _ => format!("check providers.{provider}.base_url and the way there"),
    }
}

/// Compares the model of today and its successor with what the provider has.
fn models(provider: &str, choice: &ModelChoice, offered: &[OfferedModel], report: &mut Report) {
    let setting = format!("providers.{provider}.model or models.toml");
    let Some(today) = find(offered, &choice.id) else {
        let what = format!("{provider} has no model {}", choice.id);
        return report.bad("online", what, format!("name another one in {setting}"));
    };
    report.good("online", format!("{provider} has {}, today's model", choice.id));
    if let Some(successor) = &choice.successor {
        match find(offered, successor) {
            Some(_) => report.good("online", format!("{provider} has {successor}, which follows it")),
            None => {
                let what = format!("{provider} has no model {successor}, which is to follow {}", choice.id);
                report.bad("online", what, "name another successor in models.toml");
            }
        }
    }
    match (today.ends_on, choice.retires_on) {
        (Some(ends_on), retires_on) if retires_on.is_none_or(|known| known > ends_on) => {
            let what = format!("{provider} ends {} on {ends_on}, which models.toml does not know", choice.id);
            report.bad("online", what, format!("set its retires_on to {ends_on}, with a successor"));
        }
        (Some(ends_on), _) => report.good("online", format!("{provider} ends {} on {ends_on}, as known", choice.id)),
        (None, _) => {}
    }
}

/// The model of this name, or the one that the name stands for: a dated one, or the latest.
fn find<'o>(offered: &'o [OfferedModel], id: &str) -> Option<&'o OfferedModel> {
    let stands_for = |found: &str| {
        found.strip_prefix(id).is_some_and(|rest| {
            rest.is_empty()
                || rest == ":latest"
                || rest.strip_prefix('-').is_some_and(|date| {
                    date.len() >= 8 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
                })
        })
    };
    let exact = offered.iter().find(|model| model.id == id);
    exact.or_else(|| offered.iter().find(|model| stands_for(&model.id)))
}
