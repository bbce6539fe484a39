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
    /// Who the mail is from; not set: the user of the mail server, or `dailycast` at the domain of the
    /// first who gets it.
    pub from: Option<String>,
    /// Share of failures that raises an alert while a night runs, 0 to 1.
    pub failure_rate_running: f64,
    /// Share of failures that raises an alert at its end, 0 to 1.
    pub failure_rate_night: f64,
}

impl Alerts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let webhook_url = reader.secret_address("webhook_url", &["https://", "http://"]);
        let smtp_url = reader.secret_address("smtp_url", &["smtps://", "smtp://"]);
        let to = reader.texts("to", |text| mail_address(text, "a member is no mail address"));
        let from = reader.optional("from", |text| mail_address(text, "this is no mail address"));
        let failure_rate_running = reader.share("failure_rate_running");
        let failure_rate_night = reader.share("failure_rate_night");
        Some(Self {
            webhook_url: webhook_url?,
            smtp_url: smtp_url?,
            to: to?,
            from: from?,
            failure_rate_running: failure_rate_running?,
            failure_rate_night: failure_rate_night?,
        })
    }
}

fn mail_address(text: &str, what: &str) -> Result<String, Fault> {
    let is_one = |(user, domain): (&str, &str)| !user.is_empty() && !domain.is_empty() && !domain.contains('@');
    if !text.split_once('@').is_some_and(is_one)
        || text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    {
        return Err(Fault::new(what, "write addresses like \"ops@academy.example\""));
    }
    Ok(text.to_owned())
}
