//! Who is told of alerts, as the configuration says.

use std::sync::Arc;

use anyhow::Context as _;

use super::exit::Advice;
use crate::{
    alert::{self, rules::Limits},
    config::{Alerts, Config, Secret},
    provider::alert_sink::{
        AlertSink,
        mail::{Mail, Server},
        webhook::Webhook,
    },
};

/// What the worker watches for and whom it tells.
///
/// # Errors
/// As [`of`].
pub fn settings(config: &Config) -> anyhow::Result<alert::Settings> {
    let Alerts { failure_rate_running: running, failure_rate_night: night, .. } = config.alerts;
    let sinks = of(&config.alerts)?;
    if let Some(gap) = gap(&config.alerts) {
        tracing::warn!(error.message = gap, "no mail is sent");
    }
    Ok(alert::Settings { sinks, limits: Limits { running, night } })
}

/// Every sink. Nothing is asked yet.
///
/// # Errors
/// [`Advice`] with exit code 2 when a sink cannot be as the configuration says.
pub fn of(alerts: &Alerts) -> anyhow::Result<Vec<Arc<dyn AlertSink>>> {
    let mut sinks: Vec<Arc<dyn AlertSink>> = Vec::new();
    if let Some(address) = &alerts.webhook_url {
        let mend = "reinstall the certificates of this host";
        let webhook = Webhook::new(address.expose().to_owned());
        sinks.push(Arc::new(webhook.context(Advice::usage("alerts.webhook_url cannot be used", mend))?));
    }
    let Some((url, first)) = alerts.smtp_url.as_ref().zip(alerts.to.first()) else { return Ok(sinks) };
    let from = alerts.from.clone().unwrap_or_else(|| sender(url, first));
    let mend = "write it like smtps://user:password@host:465, with signs like @ and / in user and password as %40, %2F";
    let server = Server::new(url.expose(), &from).context(Advice::usage("alerts.smtp_url cannot be used", mend))?;
    for to in &alerts.to {
        let mail = Mail::new(server.clone(), to);
        let mend = "write addresses like \"ops@academy.example\"";
        sinks.push(Arc::new(mail.context(Advice::usage("alerts.to cannot be used", mend))?));
    }
    Ok(sinks)
}

/// What is half set, so that no mail is sent.
pub fn gap(alerts: &Alerts) -> Option<&'static str> {
    match (&alerts.smtp_url, alerts.to.is_empty()) {
        (Some(_), true) => Some("alerts.smtp_url is set, but alerts.to names nobody"),
        (None, false) => Some("alerts.to is set, but alerts.smtp_url is not"),
        _ => None,
    }
}

/// The user of the mail server if it is an address, else ours at the domain of the first who is told.
fn sender(url: &Secret, first: &str) -> String {
    let authority = url.expose().split("://").nth(1).and_then(|rest| rest.rsplit_once('@'));
    let user = authority.and_then(|(user, _)| user.split(':').next()).unwrap_or_default().replace("%40", "@");
    if user.contains('@') {
        return user;
    }
    format!("dailycast@{}", first.rsplit('@').next().unwrap_or_default())
}
