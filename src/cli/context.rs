//! What every command knows: the settings, and how to reach the database.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

use super::exit::Advice;
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    store::{self, Address, Store},
    workflow::Workflow,
};

/// The host of OpenAI's own API.
const OPENAI: &str = "://api.openai.com";

/// How often a process that waits for its database asks for it.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What every command knows.
#[derive(Debug)]
pub struct Context {
    /// All settings.
    pub config: Config,
    /// The directory of `--workflows`.
    pub workflows: Option<PathBuf>,
    /// Print JSON.
    pub json: bool,
}

impl Context {
    /// The configured database, reached and answering. Waits for it as long as `database.wait`
    /// says.
    ///
    /// # Errors
    /// [`Advice`] with exit code 2 when no database is configured or it does not answer in time.
    pub async fn database(&self) -> anyhow::Result<Store> {
        let Some(url) = &self.config.database.url else {
            let mend = "set DATABASE_URL, or database.url in dailycast.toml: postgres://user:password@host/database";
            return Err(Advice::usage("no database is configured", mend).into());
        };
        self.database_at(url.expose()).await
    }

    /// As [`Context::database`], at the level of this program.
    ///
    /// # Errors
    /// As [`Context::database`]; also when migrations are missing.
    pub async fn migrated_database(&self) -> anyhow::Result<Store> {
        let store = self.database().await?;
        if !store::level(store.pool()).await?.is_enough() {
            let what = "the database is older than this program";
            return Err(Advice::usage(what, "run `dailycast migrate`").into());
        }
        Ok(store)
    }

    /// As [`Context::database`], for a database that was found otherwise.
    ///
    /// # Errors
    /// As [`Context::database`].
    pub async fn database_at(&self, url: &str) -> anyhow::Result<Store> {
        let store = Store::new(&Address {
            url: url.to_owned(),
            academy_schema: self.config.academy.schema.clone(),
            max_connections: self.config.database.max_connections,
        })
        .context(Advice::usage(
            "database.url cannot be used",
            "write it like postgres://user:password@host/database",
        ))?;
        let until = SystemClock.now() + self.config.database.wait;
        let mut is_told = false;
        loop {
            let error = match store.reach().await {
                Ok(()) => return Ok(store),
                Err(error) => error,
            };
            if !error.is_passing() || SystemClock.now() >= until {
                let mend = "start it or correct database.url; database.wait lets a process wait for it";
                return Err(anyhow::Error::new(error).context(Advice::usage("the database does not answer", mend)));
            }
            if !is_told {
                is_told = true;
                tracing::warn!(error = store::chain(&error), "the database is away, waiting for it");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The workflow in force, with what the settings prefer.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn workflow(&self) -> anyhow::Result<Workflow> {
        let mut workflow = match &self.workflows {
            Some(dir) => Workflow::load(dir)?,
            None => Workflow::builtin()?,
        };
        let providers = &self.config.providers;
        let writers =
            [("openai", &providers.openai), ("gemini", &providers.gemini), ("anthropic", &providers.anthropic)];
        for (name, model) in writers.into_iter().filter_map(|(name, writer)| Some((name, writer.model.as_ref()?))) {
            workflow.prefer_model(name, model);
        }
        // OpenAI's protocol at another address, with a model that OpenAI does not have: a server of
        // one's own.
        let openai = &providers.openai;
        let is_own = |model: &String| !openai.base_url.contains(OPENAI) && !workflow.lists_model("openai", model);
        if openai.model.as_ref().is_some_and(is_own) {
            workflow.bill_nothing("openai");
        }
        if let Some(engine) = &providers.polly.engine {
            workflow.prefer_engine("polly", engine);
        }
        Ok(workflow)
    }
}
