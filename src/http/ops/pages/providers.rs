//! `GET /ops/providers`: who writes and speaks, and whether they get calls. Opening and closing them.

use std::time::Duration;

use serde::Serialize;

use crate::{
    explain::Tone,
    http::{
        error::Refusal,
        ops::{
            deed::{Done, Sent},
            sheet::{Sheet, Visit},
        },
    },
    ops::{
        providers::{self, Chain, Shown},
        reason,
    },
};

/// For how long a breaker can be opened: as it is written, and in seconds; none is until it is closed.
const TIMES: [(&str, Option<u64>); 4] = [("15m", Some(900)), ("1h", Some(3_600)), ("8h", Some(28_800)), ("", None)];

#[derive(Serialize)]
struct Page<'p> {
    tone: Tone,
    sentence: String,
    providers: Vec<Shown>,
    chains: &'p [Chain],
}

/// Shows them.
pub(in crate::http::ops) async fn show(visit: Visit) -> Result<Sheet, Refusal> {
    let desk = &visit.app.desk;
    let providers = providers::list(desk, visit.app.clock.now()).await.map_err(|error| Refusal::database(&error))?;
    let (tone, sentence) = providers::summary(&providers);
    Ok(Sheet::new("providers", "Providers", &Page { tone, sentence, providers, chains: &desk.chains }))
}

/// `POST /ops/providers/{name}/open`: `for` is a time, none is until it is closed; `reason` is free.
pub(in crate::http::ops) async fn open(visit: Visit, sent: Sent) -> Result<Done, Refusal> {
    let asked = sent.get("for").unwrap_or_default();
    let (_, seconds) = TIMES
        .into_iter()
        .find(|(name, _)| *name == asked)
        .ok_or(Refusal::Parameter("for", "Say 15m, 1h or 8h, or nothing: until it is closed."))?;
    let reason = reason::read(sent.get("reason").unwrap_or_default());
    let reason = reason.map_err(|what| Refusal::Parameter("reason", what))?;
    let (name, time) = (visit.part("name").unwrap_or_default(), seconds.map(Duration::from_secs));
    let done = providers::open(&visit.app.desk, &visit.actor, name, time, reason).await;
    if !done.map_err(|error| Refusal::database(&error))? {
        return Err(Refusal::NotFound);
    }
    let end = if asked.is_empty() { "until it is closed".to_owned() } else { format!("for {asked}") };
    done_with(&visit, name, format!("{name} gets no more calls {end}.")).await
}

/// `POST /ops/providers/{name}/close`.
pub(in crate::http::ops) async fn close(visit: Visit, _sent: Sent) -> Result<Done, Refusal> {
    let name = visit.part("name").unwrap_or_default();
    let done = providers::close(&visit.app.desk, &visit.actor, name).await;
    let said = match done.map_err(|error| Refusal::database(&error))? {
        None => return Err(Refusal::NotFound),
        Some(closed) if closed.has_moved => format!("{name} gets calls again{}.", closed.words()),
        Some(_) => format!("{name} gets calls; nothing was to be done."),
    };
    done_with(&visit, name, said).await
}

/// What is answered: for programs the provider as it is now.
async fn done_with(visit: &Visit, name: &str, said: String) -> Result<Done, Refusal> {
    let all = providers::list(&visit.app.desk, visit.app.clock.now()).await;
    let all = all.map_err(|error| Refusal::database(&error))?;
    let data = serde_json::to_value(all.iter().find(|shown| shown.provider.provider == name)).unwrap_or_default();
    Ok(Done::new("/ops/providers", said, data))
}
