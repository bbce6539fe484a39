//! From settings to what a command works with: the store of episodes, the spool, who speaks, and
//! how the worker works.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::exit::Advice;
use crate::{
    config::{Config, LocalVoice, SpoolKind, installed_voice},
    provider::{
        gate,
        object_store::{
            ObjectStore,
            s3::{S3Store, Settings},
        },
        spool::{Spool, disk::DiskSpool},
        tts::local::{Local, LocalVoices},
    },
    store::Store,
    worker::{
        self, host,
        scheduler::Schedule,
        steps::{Neighbours, Steps},
    },
    workflow::Workflow,
};

/// How often due podcasts are looked for when nobody tells of them.
const POLL: Duration = Duration::from_millis(500);

/// The longest wait for a connection to the store.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for a whole request, an upload among them.
const REQUEST: Duration = Duration::from_secs(60);

/// What is done about a bucket that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made. Only the demo does so: elsewhere it is more likely a misspelt one.
    Make,
    /// It is told.
    Tell,
}

/// The configured store; nothing is asked yet.
///
/// # Errors
/// [`Advice`] with exit code 2 when there are no credentials.
pub fn object_store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    bucket(config, Missing::Tell)
}

/// As [`object_store`], with a say in what is done about a missing bucket.
///
/// # Errors
/// As [`object_store`].
pub fn bucket(config: &Config, missing: Missing) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let s3 = &config.storage.s3;
    let (Some(access_key_id), Some(secret_access_key)) = (&s3.access_key_id, &s3.secret_access_key) else {
        let mend = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the keys of [storage.s3]";
        return Err(Advice::usage("there are no credentials for the store of episodes", mend).into());
    };
    Ok(Arc::new(S3Store::new(Settings {
        bucket: s3.bucket.clone(),
        region: s3.region.clone(),
        endpoint_url: s3.endpoint_url.clone(),
        force_path_style: s3.force_path_style,
        access_key_id: access_key_id.expose().to_owned(),
        secret_access_key: secret_access_key.expose().to_owned(),
        session_token: s3.session_token.as_ref().map(|token| token.expose().to_owned()),
        create_bucket: missing == Missing::Make,
        connect_timeout: CONNECT,
        timeout: REQUEST,
    })))
}

/// The configured spool, opened.
///
/// # Errors
/// [`Advice`] when its directory cannot be used, or its kind is not in this version.
pub async fn spool(config: &Config) -> anyhow::Result<Arc<dyn Spool>> {
    if config.spool.kind == SpoolKind::Postgres {
        let mend = "set spool.kind = \"disk\", and for several hosts a shared folder as spool.dir";
        return Err(Advice::usage("a spool in Postgres is not there yet", mend).into());
    }
    let (dir, max_bytes): (PathBuf, u64) = (config.spool.dir.clone(), config.spool.max_bytes);
    let what = format!("the spool {} cannot be used", dir.display());
    let opened = tokio::task::spawn_blocking(move || DiskSpool::open(&dir, max_bytes)).await?;
    let mend = "name a directory that can be written with spool.dir";
    Ok(Arc::new(opened.context(Advice::failed(what, mend))?))
}

/// The steps with everybody they work with.
///
/// # Errors
/// [`Advice`] with exit code 2 when nobody can speak, or store and spool cannot be used.
pub async fn steps(config: &Config, store: Store, workflow: Workflow) -> anyhow::Result<Steps> {
    let speech = &config.providers.local_tts;
    if !speech.enabled {
        let mend = "set providers.local_tts.enabled = true; the vendors' voices are not in this version yet";
        return Err(Advice::usage("nobody can speak", mend).into());
    }
    let local = Local::new(LocalVoices {
        python: speech.python.clone().or_else(installed_voice),
        espeak: Some(speech.espeak.clone()),
        tone: speech.voice == LocalVoice::Tone,
        ..LocalVoices::default()
    });
    let neighbours = Neighbours {
        gate: Arc::new(gate::Open),
        writers: Vec::new(),
        speakers: Vec::new(),
        local: Some(Arc::new(local)),
        tone: speech.voice == LocalVoice::Tone,
        spool: spool(config).await?,
        object_store: object_store(config)?,
        storage_is_billed: config.storage.s3.endpoint_url.is_none(),
    };
    Ok(Steps::new(store, workflow, neighbours))
}

/// When nights start and end.
pub fn schedule(config: &Config) -> Schedule {
    let night = &config.night;
    Schedule {
        cron: night.cron.clone(),
        zone: night.time_zone,
        deadline: night.deadline,
        batch_size: night.batch_size,
        active_within: night.active_within,
    }
}

/// How the worker of this process works.
pub fn worker_settings(config: &Config, workflow: &Workflow) -> worker::Settings {
    worker::Settings {
        name: config.worker.id.clone().unwrap_or_else(host::host_name),
        concurrency: usize::try_from(config.worker.concurrency).unwrap_or(usize::MAX),
        lease: config.worker.lease,
        grace: config.worker.grace,
        poll: POLL,
        crash_limit: workflow.crash_limit,
        schedule: Some(schedule(config)),
        retention_days: i32::try_from(config.storage.retention_days).unwrap_or(i32::MAX),
    }
}
