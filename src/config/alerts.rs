//! Section `alerts`.

use super::{problem::Fault, reader::Reader, secret::Secret};

/// Who is told when something goes wrong.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Gets Slack-compatible JSON.
    pub webhook_url: Option<Secret>,
    /// Mail server.
    pub smtp_url: Option<Secret>,
    /// Who gets the mail.
    pub to: Vec<String>,
    /// Share of failures that raises an alert while a night runs, 0 to 1.
    pub failure_rate_running: f64,
    /// Share of failures that raises an alert at its end, 0 to 1.
    pub failure_rate_night: f64,
}

impl Alerts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let webhook_url = reader.secret_address("webhook_url", &["https://", "http://"]);
        let smtp_url = reader.secret_address("smtp_url", &["smtps://", "smtp://"]);
        let to = reader.texts("to", |text| {
            if !text.contains('@') || text.contains(char::is_whitespace) {
                return Err(Fault::new("a member is no mail address", "write addresses like \"ops@academy.example\""));
            }
            Ok(text.to_owned())
        });
        let failure_rate_running = reader.share("failure_rate_running");
        let failure_rate_night = reader.share("failure_rate_night");
        Some(Self {
            webhook_url: webhook_url?,
            smtp_url: smtp_url?,
            to: to?,
            failure_rate_running: failure_rate_running?,
            failure_rate_night: failure_rate_night?,
        })
    }
}
