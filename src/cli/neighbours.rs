//! From settings to what a command works with: the store of episodes, the spool, who speaks, the
//! gate before the vendors, and how the worker works.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;

use super::{context::Context, exit::Advice, speakers, writers};
use crate::{
    clock::{Clock as _, SystemClock},
    config::{Config, LocalSpeech, LocalVoice, SpoolKind, installed_voice},
    ops::{self, Desk, providers::Chain, snapshot::Snapshots},
    provider::{
        gate::Gate,
        object_store::{
            CloudFront, ObjectStore,
            lifecycle::{self, Expiry, Obstacle},
            s3::{S3Store, Settings},
        },
        sign::SigningKey,
        spool::{Spool, disk::DiskSpool},
        tts::local::{Local, LocalVoices, NAME},
    },
    store::Store,
    worker::{
        self,
        fleet::{self, Fleet},
        host,
        scheduler::Schedule,
        spool::PostgresSpool,
        steps::{Neighbours, Steps},
    },
    workflow::{self, Limits, Workflow},
};

/// How often due podcasts are looked for when nobody tells of them.
const POLL: Duration = Duration::from_millis(500);

/// The longest wait for a connection to the store.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for a whole request, an upload among them.
const REQUEST: Duration = Duration::from_secs(60);

/// More than this of a key's file is not read, in bytes.
const LARGEST_KEY: u64 = 64 << 10;

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
/// As [`object_store`]; also when the key of CloudFront cannot sign.
pub fn bucket(config: &Config, missing: Missing) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let origin = Arc::new(s3(config, missing)?);
    let Some(cloudfront) = &config.storage.cloudfront else { return Ok(origin) };
    Ok(Arc::new(CloudFront {
        origin,
        domain: cloudfront.domain.clone(),
        key_pair_id: cloudfront.key_pair_id.clone(),
        key: signing_key(&cloudfront.private_key_file)?,
    }))
}

fn s3(config: &Config, missing: Missing) -> anyhow::Result<S3Store> {
    let s3 = &config.storage.s3;
    let (Some(access_key_id), Some(secret_access_key)) = (&s3.access_key_id, &s3.secret_access_key) else {
        let mend = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the keys of [storage.s3]";
        return Err(Advice::usage("there are no credentials for the store of episodes", mend).into());
    };
    Ok(S3Store::new(Settings {
        bucket: s3.bucket.clone(),
        region: s3.region.clone(),
        endpoint_url: s3.endpoint_url.clone(),
        force_path_style: s3.force_path_style,
        access_key_id: access_key_id.expose().to_owned(),
        secret_access_key: secret_access_key.expose().to_owned(),
        session_token: s3.session_token.as_ref().map(|token| token.expose().to_owned()),
        credentials_expire_at: s3.credentials_expire_at,
        create_bucket: missing == Missing::Make,
        connect_timeout: CONNECT,
        timeout: REQUEST,
    }))
}

/// The private key of CloudFront.
fn signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let what = format!("storage.cloudfront.private_key_file: {} is no key to sign with", file.display());
    let mend = "name the PEM file of the private key whose public half CloudFront has: RSA 2048 or ECDSA P-256";
    let read = || {
        let mut pem = Vec::new();
        std::fs::File::open(file)?.take(LARGEST_KEY).read_to_end(&mut pem)?;
        anyhow::Ok(SigningKey::from_pem(&pem)?)
    };
    read().context(Advice::usage(what, mend))
}

/// Makes sure that old episodes expire in the bucket, and says so. What stands against it is told
/// with its mend and stops nobody: episodes are made and heard without the rule, too. True when they
/// expire.
///
/// # Errors
/// As [`object_store`].
pub async fn expire_episodes(config: &Config) -> anyhow::Result<bool> {
    let days = config.storage.retention_days;
    match lifecycle::ensure(&s3(config, Missing::Tell)?, days).await {
        Ok(Expiry::Installed) => {
            tracing::info!(storage.retention_days = days, "the bucket lets old episodes expire now")
        }
        Ok(_) => {}
        Err(obstacle) => {
            tracing::warn!(
                error.kind = obstacle.failure.kind.as_str(),
                error.message = obstacle.failure.message,
                mend = obstacle.mend,
                "the bucket's rule that lets old episodes expire could not be made sure of"
            );
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether old episodes expire in the bucket, as `doctor` asks: changes nothing.
///
/// # Errors
/// As [`object_store`]; inside, what stands against knowing it.
pub async fn expiry(config: &Config) -> anyhow::Result<Result<Expiry, Obstacle>> {
    Ok(lifecycle::look(&s3(config, Missing::Tell)?, config.storage.retention_days).await)
}

/// The configured spool, opened.
///
/// # Errors
/// [`Advice`] when its directory cannot be used.
pub async fn spool(config: &Config, store: &Store) -> anyhow::Result<Arc<dyn Spool>> {
    if config.spool.kind == SpoolKind::Postgres {
        return Ok(Arc::new(PostgresSpool::new(store.clone(), config.spool.max_bytes)));
    }
    let (dir, max_bytes): (PathBuf, u64) = (config.spool.dir.clone(), config.spool.max_bytes);
    let what = format!("the spool {} cannot be used", dir.display());
    let opened = tokio::task::spawn_blocking(move || DiskSpool::open(&dir, max_bytes)).await?;
    let mend = "name a directory that can be written with spool.dir";
    Ok(Arc::new(opened.context(Advice::failed(what, mend))?))
}

/// What each provider may be asked for: what the workflow says, and the rates of the configuration
/// over it.
pub fn limits(config: &Config, workflow: &Workflow) -> BTreeMap<String, Limits> {
    let mut limits = workflow.limits().clone();
    let providers = &config.providers;
    for (name, writer) in
        [("openai", &providers.openai), ("gemini", &providers.gemini), ("anthropic", &providers.anthropic)]
    {
        if let (Some(limits), Some(rate)) = (limits.get_mut(name), writer.rate_per_minute) {
            *limits = limits.at_rate(rate.get());
        }
    }
    limits
}

/// Where operators sit.
///
/// # Errors
/// When the workflow cannot be read.
pub fn desk(context: &Context, store: &Store) -> anyhow::Result<Desk> {
    let (config, workflow) = (&context.config, context.workflow()?);
    Ok(Desk {
        store: store.clone(),
        schedule: schedule(config),
        limits: limits(config, &workflow),
        chains: chains(config, &workflow),
        paces: ops::situation::paces(&workflow),
        workflow: Arc::new(workflow),
        boards: Snapshots::default(),
        carrying: tokio::sync::Semaphore::new(1),
        ledgers: Snapshots::default(),
        stuck: Snapshots::default(),
        settings: ops::Settings::new(config),
        failures: Snapshots::resting(ops::failures::PAUSE),
    })
}

/// Who is asked in which order, of those that are set up. Whose settings cannot be used is left out:
/// a process that works says so.
fn chains(config: &Config, workflow: &Workflow) -> Vec<Chain> {
    let mut set_up = vec![workflow::TEMPLATE.to_owned()];
    set_up.extend(writers::of(config).unwrap_or_default().iter().map(|writer| writer.name().to_owned()));
    set_up.extend(speakers::of(config).unwrap_or_default().iter().map(|speaker| speaker.name().to_owned()));
    set_up.extend(config.providers.local_tts.enabled.then(|| "local".to_owned()));
    let mut chains: Vec<Chain> = Vec::new();
    for plan in workflow.plan_names() {
        let all = workflow.plan(plan);
        for (work, chain) in [("script", &all.script), ("speech", &all.speech)] {
            let providers: Vec<String> = chain.iter().filter(|name| set_up.contains(name)).cloned().collect();
            match chains.iter_mut().find(|known| known.work == work && known.providers == providers) {
                Some(known) => known.plans.push(plan.to_owned()),
                None => chains.push(Chain { work, plans: vec![plan.to_owned()], providers }),
            }
        }
    }
    chains
}

/// The gate of this process, which shares with the fleet from now on.
pub fn fleet(config: &Config, store: Store, workflow: &Workflow) -> Arc<Fleet> {
    let providers = &config.providers;
    let longest_call = providers.openai.timeout.max(providers.gemini.timeout).max(providers.anthropic.timeout);
    let settings = fleet::Settings {
        name: config.worker.id.clone().unwrap_or_else(host::host_name),
        limits: limits(config, workflow),
        micro_usd_per_night: config.budget.micro_usd_per_night,
        longest_call,
        turn: fleet::TURN,
    };
    Fleet::start(store, settings)
}

/// The steps with everybody they work with.
///
/// # Errors
/// [`Advice`] with exit code 2 when nobody can speak, or keys, store or spool cannot be used.
pub async fn steps(
    config: &Config,
    store: Store,
    mut workflow: Workflow,
    gate: Arc<dyn Gate>,
) -> anyhow::Result<Steps> {
    let speech = &config.providers.local_tts;
    let speakers = speakers::of(config)?;
    if speakers.is_empty() && !speech.enabled {
        let mend = "give polly, google_tts or azure_tts its key, or set providers.local_tts.enabled = true";
        return Err(Advice::usage("nobody can speak", mend).into());
    }
    if let Some(error) = speakers::skipped(config) {
        tracing::warn!(
            error.message = format!("{error:#}"),
            "google is left out: GOOGLE_APPLICATION_CREDENTIALS is no use"
        );
    }
    let writers = writers::of(config)?;
    writers::tell_of_models(&writers, &workflow, schedule(config).date(SystemClock.now()));
    let local = speech.enabled.then(|| Arc::new(local(speech)));
    if let Some(local) = &local {
        install(local, &mut workflow);
    }
    let neighbours = Neighbours {
        writers,
        speakers,
        local,
        tone: speech.voice == LocalVoice::Tone,
        spool: spool(config, &store).await?,
        object_store: object_store(config)?,
        storage_is_billed: config.storage.s3.endpoint_url.is_none(),
        gate,
    };
    Ok(Steps::new(store, workflow, neighbours))
}

/// The offline voice.
pub(super) fn local(speech: &LocalSpeech) -> Local {
    let tone = speech.voice == LocalVoice::Tone;
    let python_ja = || speech.python_ja.clone().or_else(|| installed_voice("voice-ja"));
    Local::new(LocalVoices {
        python: speech.python.clone().or_else(|| installed_voice("voice")),
        // What beeps must not depend on what a machine happens to have.
        python_ja: if tone { None } else { python_ja() },
        espeak: Some(speech.espeak.clone()),
        tone,
        ..LocalVoices::default()
    })
}

/// Lets learners hear the voices that not every machine has, where this one has them.
pub(super) fn install(local: &Local, workflow: &mut Workflow) {
    workflow.install_voices(NAME, |language, voice| local.speaks(voice, language));
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
        alerts: None,
    }
}
