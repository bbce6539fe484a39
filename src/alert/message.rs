//! What is sent of an alert.

use serde_json::json;

use crate::{provider::alert_sink::Message, store::deliveries::Due};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 120;

/// The message that a sink is due. One that was not told before its end is told once, with its end.
pub fn of(due: &Due) -> Message {
    let alert = &due.alert;
    let over = alert.resolved_at.filter(|_| due.tells_resolved);
    let state = if over.is_some() { "resolved" } else { "raised" };
    // With its time: another database, or one that was made anew, counts from 1, too.
    let key = |state: &str| format!("alert-{}-{}-{state}", alert.id, alert.raised_at.timestamp());
    let utc = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
    let mut text = match over {
        None => alert.message.clone(),
        Some(at) if due.tells_raised => {
            format!("Over since {} and not told before. Raised {}: {}", utc(at), utc(alert.raised_at), alert.message)
        }
        Some(at) => format!("Over since {}. It was: {}", utc(at), alert.message),
    };
    if over.is_none() {
        text.push_str(&format!(
            "\nSince {}. `dailycast alert ack {}` takes note of it; its end is told.",
            utc(alert.raised_at),
            alert.id
        ));
    }
    let lead = if over.is_some() { "over" } else { "alert" };
    let title = format!("{lead}: {} ({})", alert.kind.replace('_', " "), alert.subject);
    Message {
        key: key(state),
        follows: (over.is_some() && !due.tells_raised).then(|| key("raised")),
        title: title.chars().take(LONGEST_TITLE).collect(),
        text,
        at: due.now,
        facts: json!({
            "key": key(state),
            "alert_id": alert.id,
            "state": state,
            "kind": alert.kind,
            "subject": alert.subject,
            "message": alert.message,
            "times": alert.times,
            "raised_at": alert.raised_at,
            "resolved_at": over,
        }),
    }
}
