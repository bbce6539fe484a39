//! The webhook: JSON as Slack's incoming webhooks take it, which Mattermost, Discord (with `/slack`
//! behind its address) and others take, too.
//!
//! `text` is for people. `metadata` is Slack's own place for facts that machines read
//! (`event_type`, `event_payload`); who does not know it leaves it alone. The address is the secret:
//! whoever knows it can write, so it is in no error.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{AlertSink, Message};
use crate::{
    machine::FailureKind,
    podcast::Failure,
    provider::http::{Caller, Error},
};

/// Its name.
pub const NAME: &str = "webhook";

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// An address that takes messages.
pub struct Webhook {
    address: String,
    caller: Caller,
}

impl Webhook {
    /// A webhook at this address.
    ///
    /// # Errors
    /// [`Error`] when TLS or the client cannot be set up.
    pub fn new(address: String) -> Result<Self, Error> {
        Ok(Self { address, caller: Caller::new(NAME, TIMEOUT)? })
    }
}

#[async_trait]
impl AlertSink for Webhook {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> &'static str {
        NAME
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let body = json!({
            "text": format!("*{}*\n{}", escaped(&message.title), escaped(&message.text)),
            "metadata": { "event_type": "dailycast_alert", "event_payload": message.facts },
        });
        let request = self.caller.post(&self.address).header("content-type", "application/json");
        let request = request.header("idempotency-key", &message.key).body(body.to_string());
        // Its status says it all: a body that is cut, or has no end, takes nothing of it back.
        let answer = self.caller.tell(request).await?;
        let kind = match answer.status {
            200..=299 => return Ok(()),
            429 => FailureKind::RateLimited,
            401 | 403 => FailureKind::KeyRefused,
            408 | 425 => FailureKind::Timeout,
            // Gone (404, 410), moved (3xx: no redirect is followed), or not as it wants it.
            300..=499 => FailureKind::BadRequest,
            _ => FailureKind::Unavailable,
        };
        let mut failure = Failure::new(kind, format!("the webhook answered {}", answer.status)).at(NAME);
        failure.retry_after = answer.retry_after();
        Err(failure)
    }

    async fn reach(&self) -> Result<String, Failure> {
        // Whatever it says to a mere look: only a message shows whether it takes one.
        let answer = self.caller.tell(self.caller.get(&self.address)).await?;
        Ok(format!("the webhook can be reached (it answers {} to a look)", answer.status))
    }
}

/// As Slack wants text: no word of it becomes a link or calls a whole channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
