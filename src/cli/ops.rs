//! `ops link`: a link that lets somebody in once, for whoever has this command line and no token at
//! hand.

use anyhow::Context as _;
use rand::RngExt as _;
use serde_json::json;

use super::{
    args,
    context::Context,
    exit::{Advice, Exit},
    output,
};
use crate::{
    http::Settings,
    ops::{
        actor::{Actor, Role},
        audit,
        entrance::{self, Entrance},
    },
    store::{Store, academy},
};

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Ops, context: Context) -> anyhow::Result<Exit> {
    let args::Ops::Link(link) = args;
    let store = context.migrated_database().await?;
    let who = whom(&store, &link).await?;
    let user_id = who.user_id.context("staff has a number")?;
    // Before, so that there is no link of which no line tells.
    audit::record(store.pool(), &Actor::at_the_command_line(), "entrance_add", &who.name, "").await?;
    let path = entrance::add(store.pool(), Entrance::Ops, rand::rng().random(), user_id, entrance::LIFE).await?;
    let base = Settings::new(&context.config, context.config.http.listen).public_url;
    let url = format!("{base}{path}");
    let minutes = entrance::LIFE.as_secs() / 60;
    if context.json {
        output::json(&json!({ "url": url, "user_id": user_id, "role": who.role, "expires_in_s": minutes * 60 }))?;
    } else {
        output::line(&url)?;
        let may = if who.role == Role::Operator { "look and change things" } else { "look" };
        eprintln!("lets {} in once within {minutes} minutes, who may {may}", who.name);
    }
    Ok(Exit::Done)
}

/// Whom the link is for: staff of the academy.
async fn whom(store: &Store, link: &args::OpsLink) -> anyhow::Result<Actor> {
    let user_id = match link.user {
        Some(user_id) => Some(user_id),
        None => academy::some_staff(store.pool(), !link.viewer).await?,
    };
    let Some(user_id) = user_id else {
        let what = if link.viewer { "staff that is no superuser" } else { "superuser" };
        let mend = "name an account of the staff with --user";
        return Err(Advice::failed(format!("the academy has no {what}"), mend).into());
    };
    let account = academy::account(store.pool(), user_id).await?.filter(|account| account.is_active);
    let actor = account.and_then(|account| Actor::staff(user_id, account.is_staff, account.is_superuser));
    actor.ok_or_else(|| {
        let mend = "make the account staff in the academy's administration";
        Advice::failed(format!("user {user_id} is no active staff of the academy"), mend).into()
    })
}
