//! `learner erase`, `erasures` and `link`.
//!
//! The command asks for the erasure in the database and does its first pass at once. Whatever comes
//! in between, the worker that leads goes on with it, and looks once more when everything that was
//! under way has ended.

use rand::RngExt as _;
use serde_json::json;

use super::{
    args::{self, LearnerErase},
    context::Context,
    exit::{Advice, Exit},
    neighbours,
    output::{self, Side, Table},
};
use crate::{
    http::Settings,
    ops::{
        actor::Actor,
        audit,
        entrance::{self, Entrance},
    },
    step::upload,
    store::{Store, academy, chain, erasure, missed},
    worker::keeper::{self, Unfinished},
};

/// The most lines that are listed.
const MOST: i64 = 1_000;

/// Who asks here.
const OPERATOR: &str = "an operator at the command line";

/// Runs the command.
///
/// # Errors
/// What it could not do.
pub async fn run(args: args::Learner, context: Context) -> anyhow::Result<Exit> {
    let store = context.migrated_database().await?;
    match args {
        args::Learner::Erase(LearnerErase { missing: true, .. }) => erase_missing(&store, &context).await,
        args::Learner::Erase(erase) => erase_these(erase.ids, &store, &context).await,
        args::Learner::Erasures => show(&store, &context).await,
        args::Learner::Link(link) => let_in(link.id, &store, &context).await,
    }
}

/// Prints a link that lets a learner in once.
async fn let_in(user_id: i64, store: &Store, context: &Context) -> anyhow::Result<Exit> {
    let account = academy::account(store.pool(), user_id).await?.filter(|account| account.is_active);
    if account.is_none() {
        let mend = "name an active account of the academy";
        return Err(Advice::failed(format!("{user_id} is no active account of the academy"), mend).into());
    }
    let subject = format!("learner {user_id}");
    // Before, so that there is no link of which no line tells.
    audit::record(store.pool(), &Actor::at_the_command_line(), "entrance_add", &subject, "").await?;
    let key = rand::rng().random();
    let path = entrance::add(store.pool(), Entrance::Study, key, user_id, entrance::LIFE).await?;
    let url = format!("{}{path}", Settings::new(&context.config, context.config.http.listen).public_url);
    if context.json {
        let expires_in_s = entrance::LIFE.as_secs();
        output::json(&json!({ "url": url, "user_id": user_id, "expires_in_s": expires_in_s }))?;
    } else {
        output::line(&url)?;
    }
    Ok(Exit::Done)
}

async fn erase_missing(store: &Store, context: &Context) -> anyhow::Result<Exit> {
    let confirmed = missed::confirm_all(store.pool(), OPERATOR).await?;
    if context.json {
        output::json(&json!({ "confirmed": confirmed }))?;
    } else {
        output::line(format!("{confirmed} learners confirmed; the worker that leads erases them within minutes"))?;
    }
    Ok(Exit::Done)
}

async fn erase_these(ids: Vec<i64>, store: &Store, context: &Context) -> anyhow::Result<Exit> {
    let objects_of = neighbours::object_store(&context.config)?;
    let passes = erasure::ask(store.pool(), &ids, OPERATOR).await?;
    let learners = passes.len();
    let (mut podcasts, mut objects) = (0, 0);
    for pass in passes {
        let prefix = upload::prefix_of(pass.user_id);
        match keeper::erase(store, pass, objects_of.delete_below(&prefix)).await {
            Ok(passed) => {
                podcasts += passed.podcasts;
                objects += passed.objects;
            }
            Err(Unfinished::Database(error)) => return Err(error.into()),
            Err(error @ Unfinished::Storage(_)) => {
                let mend = "nothing is forgotten: the worker that leads deletes them as soon as the store lets it. The \
                            key needs s3:ListBucket on the bucket and s3:DeleteObject on its objects";
                return Err(Advice::failed(error.to_string(), mend).into());
            }
        }
    }
    // Asked after the fact: an academy that is away keeps nobody from being erased.
    let there = missed::still_there(store.pool(), &ids).await;
    if context.json {
        let there = there.as_ref().ok();
        output::json(
            &json!({ "learners": learners, "podcasts": podcasts, "objects": objects, "still_in_academy": there }),
        )?;
    } else {
        output::line(format!("{podcasts} podcasts and {objects} objects of {learners} learners erased"))?;
        output::line(format!(
            "  the worker that leads looks again after {} minutes, for what was under way",
            erasure::QUIET_MINUTES
        ))?;
        match &there {
            Ok(there) => {
                for id in there {
                    let what = format!(
                        "the academy still has learner {id}: as long as the account is active there, nights make new \
                         podcasts for it"
                    );
                    output::line(output::hanging(" ", &what))?;
                }
            }
            Err(error) => output::line(format!("  the academy could not be asked: {}", chain(error)))?,
        }
    }
    Ok(if there.is_ok_and(|there| there.is_empty()) { Exit::Done } else { Exit::Attention })
}

async fn show(store: &Store, context: &Context) -> anyhow::Result<Exit> {
    let (on_the_way, erased) = erasure::list(store.pool(), MOST).await?;
    if context.json {
        output::json(&json!({ "on_the_way": on_the_way, "erased": erased }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new([
        ("learner", Side::Right),
        ("missed (UTC)", Side::Left),
        ("looks", Side::Right),
        ("podcasts", Side::Right),
        ("objects", Side::Right),
        ("confirmed by", Side::Left),
    ]);
    for one in &on_the_way {
        table.row([
            one.user_id.to_string(),
            one.missed_at.format("%m-%d %H:%M:%S").to_string(),
            one.looks.to_string(),
            one.podcasts.to_string(),
            one.objects.to_string(),
            one.confirmed_by.clone().unwrap_or_else(|| "nobody yet".to_owned()),
        ]);
    }
    output::line(
        if on_the_way.is_empty() { "nobody is on the way out".to_owned() } else { table.to_string() }.trim_end(),
    )?;
    let mut table = Table::new([
        ("day (UTC)", Side::Left),
        ("learners", Side::Right),
        ("podcasts", Side::Right),
        ("objects", Side::Right),
    ]);
    for day in &erased {
        table.row([day.day.to_string(), day.learners.to_string(), day.podcasts.to_string(), day.objects.to_string()]);
    }
    if !erased.is_empty() {
        output::line(format!("\n{table}").trim_end())?;
    }
    Ok(Exit::Done)
}
