//! `alert list`, `ack` and `test`.

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;

use super::{
    args::{self, AlertAck, AlertList},
    context::Context,
    exit::{Advice, Exit},
    neighbours,
    output::{self, Side, Table},
    sinks,
};
use crate::{
    clock::{Clock as _, SystemClock},
    ops,
    provider::alert_sink::Message,
    store::{
        alerts::{self, Alert},
        deliveries::{self, Delivery},
    },
};

/// The most alerts that are listed.
const MOST: i64 = 1_000;

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Alert, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Alert::List(list) => show(list, context).await,
        args::Alert::Ack(ack) => acknowledge(ack, context).await,
        args::Alert::Test => test(context).await,
    }
}

/// An alert with whom it was sent to.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    deliveries: Vec<&'a Delivery>,
}

/// Prints them. An operator is needed where nobody took note yet.
async fn show(args: AlertList, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let all = alerts::list(store.pool(), args.all, MOST).await?;
    let ids: Vec<i64> = all.iter().map(|alert| alert.id).collect();
    let deliveries = deliveries::of(store.pool(), &ids).await?;
    let of = |alert: &Alert| deliveries.iter().filter(|delivery| delivery.alert_id == alert.id).collect::<Vec<_>>();
    if context.json {
        output::json(&all.iter().map(|alert| Told { alert, deliveries: of(alert) }).collect::<Vec<_>>())?;
    } else if all.is_empty() {
        output::line("no alerts")?;
    } else {
        let mut table = Table::new([
            ("id", Side::Right),
            ("raised (UTC)", Side::Left),
            ("times", Side::Right),
            ("state", Side::Left),
            ("what", Side::Left),
        ]);
        for alert in &all {
            let told: Vec<String> = of(alert).into_iter().map(told).collect();
            let told = if told.is_empty() { String::new() } else { format!(" [{}]", told.join("; ")) };
            table.row([
                alert.id.to_string(),
                alert.raised_at.format("%m-%d %H:%M").to_string(),
                alert.times.to_string(),
                state(alert).to_owned(),
                format!("{} ({}): {}{told}", alert.kind, alert.subject, alert.message),
            ]);
        }
        output::line(table.to_string().trim_end())?;
    }
    Ok(if all.iter().any(|alert| state(alert) == "new") { Exit::Attention } else { Exit::Done })
}

/// What came of a delivery: `raised to webhook: sent 03:12`.
pub fn told(delivery: &Delivery) -> String {
    let Delivery { news, sink, tries, error, .. } = delivery;
    let why = error.as_deref().unwrap_or("not tried yet");
    match (delivery.sent_at, delivery.given_up_at) {
        (Some(at), _) => format!("{news} to {sink}: sent {}", at.format("%m-%d %H:%M")),
        (None, Some(_)) => format!("{news} to {sink}: given up, {why}"),
        (None, None) if *tries > 0 => format!("{news} to {sink}: tried {tries} times, {why}"),
        (None, None) => format!("{news} to {sink}: waits"),
    }
}

/// Sends a trial message to every sink, all at once.
async fn test(context: Context) -> anyhow::Result<Exit> {
    let sinks = sinks::of(&context.config.alerts)?;
    if sinks.is_empty() {
        let mend = "set alerts.webhook_url, or alerts.smtp_url and alerts.to";
        let gap = sinks::gap(&context.config.alerts).unwrap_or("nobody is told of alerts");
        return Err(Advice::usage(gap, mend).into());
    }
    let at = SystemClock.now();
    let message = Message {
        key: format!("test-{}", at.timestamp_millis()),
        follows: None,
        title: "test: nothing is wrong".to_owned(),
        text: "This is a trial message that an operator asked for. Alerts of dailycast will arrive like this."
            .to_owned(),
        at,
        facts: json!({ "state": "test" }),
    };
    let results = join_all(sinks.iter().map(|sink| sink.send(&message))).await;
    let all_well = results.iter().all(Result::is_ok);
    let told = || sinks.iter().zip(&results).map(|(sink, result)| (sink.name(), result.as_ref().err()));
    if context.json {
        let each = told().map(|(sink, failure)| {
            json!({ "sink": sink, "ok": failure.is_none(), "error": failure.map(|failure| &failure.message) })
        });
        output::json(&json!({ "ok": all_well, "sinks": each.collect::<Vec<_>>() }))?;
    } else {
        for (sink, failure) in told() {
            match failure {
                None => output::line(format!("{sink}: sent"))?,
                Some(failure) => output::line(format!("{sink}: not sent, {}", failure.message))?,
            }
        }
    }
    Ok(if all_well { Exit::Done } else { Exit::Attention })
}

fn state(alert: &Alert) -> &'static str {
    match (alert.resolved_at, alert.acknowledged_at) {
        (Some(_), _) => "over",
        (None, Some(_)) => "seen",
        (None, None) => "new",
    }
}

async fn acknowledge(args: AlertAck, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let (desk, actor) = (neighbours::desk(&context, &store)?, ops::actor::Actor::at_the_command_line());
    let mut seen = Vec::new();
    for id in args.ids.iter().copied() {
        if ops::alerts::acknowledge(&desk, &actor, id).await? {
            seen.push(id);
        }
    }
    let unknown: Vec<i64> = args.ids.into_iter().filter(|id| !seen.contains(id)).collect();
    if context.json {
        output::json(&json!({ "acknowledged": seen, "unknown": unknown }))?;
    } else {
        output::line(format!("took note of {}", seen.len()))?;
    }
    if let Some(id) = unknown.first() {
        let mend = "`dailycast alert list --all` shows those there are";
        return Err(Advice::failed(format!("there is no alert {id}"), mend).into());
    }
    Ok(Exit::Done)
}
