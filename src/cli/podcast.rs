//! `podcast list` and `show`; what changes podcasts is in `verbs`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    args::{self, PodcastList, PodcastShow},
    context::Context,
    exit::{Advice, Exit},
    neighbours,
    output::{self, Side, Table},
    verbs,
};
use crate::{
    explain::Explanation,
    ops::situation,
    store::podcasts::{self, Filter, Row},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Podcast, context: Context) -> anyhow::Result<Exit> {
    match args {
        args::Podcast::List(list) => show_list(list, context).await,
        args::Podcast::Show(show) => show_one(show, context).await,
        args::Podcast::Requeue(requeue) => verbs::requeue(requeue, context).await,
        args::Podcast::Cancel(cancel) => verbs::cancel(cancel, context).await,
        args::Podcast::Regenerate(regenerate) => verbs::regenerate(regenerate, context).await,
    }
}

async fn show_list(args: PodcastList, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let filter = Filter {
        date: args.date,
        status: args.status,
        user_ids: args.user.map(|user| vec![user]),
        stuck: args.stuck,
        ..Filter::default()
    };
    let rows = podcasts::list(&store, &filter, i64::from(args.limit)).await?;
    let explained = match args.stuck {
        true => {
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            situation::of(&neighbours::desk(&context, &store)?, &ids).await?
        }
        false => BTreeMap::new(),
    };
    if context.json {
        let documents = rows.iter().map(|row| {
            let mut document = serde_json::to_value(row)?;
            if let Some(explanation) = explained.get(&row.id) {
                document["explanation"] = json!(explanation);
            }
            Ok(document)
        });
        output::json(&documents.collect::<Result<Vec<_>, serde_json::Error>>()?)?;
    } else {
        let mut table = Table::new([
            ("id", Side::Right),
            ("learner", Side::Right),
            ("date", Side::Left),
            ("status", Side::Left),
            ("length", Side::Right),
            ("what", Side::Left),
        ]);
        for row in &rows {
            let why = explained.get(&row.id).map(|explanation| explanation.sentence.as_str());
            let what = why.or(row.error_message.as_deref()).or(row.title.as_deref()).unwrap_or_default();
            table.row([
                row.id.to_string(),
                row.user_id.to_string(),
                row.date.to_string(),
                row.status.clone(),
                row.duration_seconds.map(output::minutes).unwrap_or_default(),
                what.to_owned(),
            ]);
        }
        output::line(table.to_string().trim_end())?;
    }
    let needs_operator = args.stuck && !rows.is_empty();
    Ok(if needs_operator { Exit::Attention } else { Exit::Done })
}

async fn show_one(args: PodcastShow, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    let pool = store.pool();
    let filter = Filter { ids: Some(vec![args.id]), ..Filter::default() };
    let Some(row) = podcasts::list(&store, &filter, 1).await?.pop() else {
        let mend = "`dailycast podcast list` shows those there are";
        return Err(Advice::failed(format!("there is no podcast {}", args.id), mend).into());
    };
    let events = podcasts::events(pool, row.id).await?;
    let calls = podcasts::calls(pool, row.id).await?;
    let explanation = situation::of_one(&neighbours::desk(&context, &store)?, row.id).await?;
    if context.json {
        let mut document = serde_json::to_value(&row)?;
        document["explanation"] = json!(explanation);
        document["events"] = json!(events);
        document["calls"] = json!(calls);
        output::json(&document)?;
        return Ok(Exit::Done);
    }
    if let Some(explanation) = &explanation {
        say(explanation)?;
    }
    describe(&row)?;
    let mut table =
        Table::new([("when (UTC)", Side::Left), ("event", Side::Left), ("took", Side::Right), ("what", Side::Left)]);
    for line in &events {
        let took = line.duration_ms.map(|ms| format!("{:.1} s", f64::from(ms) / 1000.0)).unwrap_or_default();
        let what = [line.provider.as_deref(), line.error_kind.as_deref(), line.detail.as_deref()];
        let what = what.into_iter().flatten().collect::<Vec<_>>().join(": ");
        table.row([line.at.format("%m-%d %H:%M:%S").to_string(), line.event.clone(), took, what]);
    }
    output::line(format!("\n{table}").trim_end())?;
    let mut table = Table::new([
        ("call", Side::Left),
        ("operation", Side::Left),
        ("took", Side::Right),
        ("cost", Side::Right),
        ("outcome", Side::Left),
    ]);
    for call in &calls {
        let took = format!("{:.1} s", f64::from(call.latency_ms) / 1000.0);
        let name = format!("{} {}", call.provider, call.model);
        let cost = output::dollars(call.cost_micro_usd);
        table.row([name, call.operation.clone(), took, cost, call.outcome.clone()]);
    }
    if !calls.is_empty() {
        output::line(format!("\n{table}").trim_end())?;
    }
    Ok(Exit::Done)
}

/// Where it stands, why, and what would help.
fn say(explanation: &Explanation) -> anyhow::Result<()> {
    output::line(&explanation.sentence)?;
    let utc = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    output::line(format!("  since {}", utc(explanation.since)))?;
    if let Some(how) = &explanation.mends {
        let at = explanation.mends_at.map(|at| format!("by itself at {}: ", utc(at))).unwrap_or_default();
        output::line(format!("  {at}{how}"))?;
    }
    if let Some(remedy) = &explanation.remedy {
        output::line(format!("  {}: {}", remedy.label, remedy.effect))?;
    }
    Ok(())
}

/// The row in words.
fn describe(row: &Row) -> anyhow::Result<()> {
    output::line(format!("podcast {} of learner {} for {}: {}", row.id, row.user_id, row.date, row.status))?;
    if let Some(title) = &row.title {
        let length = row.duration_seconds.map(|seconds| format!(", {}", output::minutes(seconds))).unwrap_or_default();
        let language = row.language.as_deref().unwrap_or("?");
        output::line(output::hanging(" ", &format!("{title} ({language}{length})")))?;
    }
    if let Some(url) = &row.audio_url {
        output::line(format!("  {url}"))?;
    }
    if let Some(message) = &row.error_message {
        output::line(output::hanging(" ", message))?;
    }
    if row.finished_at.is_none() {
        let state = match row.worker_id {
            Some(worker) => format!("worker {worker} is at it"),
            None => format!("due at {}", row.next_attempt_at.format("%Y-%m-%d %H:%M:%S UTC")),
        };
        output::line(format!("  attempt {}, {state}", row.attempt + 1))?;
    }
    Ok(())
}
