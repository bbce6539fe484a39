//! Who is told of alerts: whether they can be, and whether they were. Nothing is sent.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Report, told};
use crate::{
    cli::{alert, sinks},
    config::{self, Config},
    machine::FailureKind,
    podcast::Failure,
    store::{Store, deliveries},
};

/// The longest that one sink is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// Looks at the sinks; `online` asks them, too.
pub(super) async fn sinks(config: &Config, online: bool, report: &mut Report) {
    let sinks = match sinks::of(&config.alerts) {
        Ok(sinks) => sinks,
        Err(error) => return told(report, "alerts", &error),
    };
    if let Some(gap) = sinks::gap(&config.alerts) {
        report.bad("alerts", gap, "set alerts.smtp_url and alerts.to, or neither");
    }
    let webhook = config.alerts.webhook_url.as_ref();
    if webhook.is_some_and(|address| config::is_exposed(address.expose())) {
        let what = "the address of the webhook, which is its key, can be read on its way";
        report.bad("alerts", what, "begin alerts.webhook_url with https://");
    }
    if sinks.is_empty() {
        return report.good("alerts", "stored and shown; nobody is told");
    }
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name()).collect();
    report.good("alerts", format!("told to {}", names.join(", ")));
    if !online {
        return;
    }
    let late = || Failure::new(FailureKind::Timeout, "it did not answer in time");
    for (name, answer) in
        names.iter().zip(join_all(sinks.iter().map(|sink| tokio::time::timeout(PATIENCE, sink.reach()))).await)
    {
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok(what) => report.good("online", what),
            Err(failure) => {
                let mend = "correct it in [alerts]; `dailycast alert test` sends a trial message";
                report.bad("online", format!("{name}: {}", failure.message), mend);
            }
        }
    }
}

/// Tells what did not arrive.
pub(super) async fn deliveries(store: &Store, report: &mut Report) {
    // Without its tables there is nothing to tell; the check of the migrations says that.
    for delivery in deliveries::troubled(store.pool()).await.unwrap_or_default() {
        let what = format!("alert {}: {}", delivery.alert_id, alert::told(&delivery));
        report.bad("delivery", what, "correct it in [alerts]; `dailycast alert test` sends a trial message");
    }
}
