//! From settings to the neighbours that a command works with: the store of episodes and the spool.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::exit::Advice;
use crate::{
    config::{Config, SpoolKind},
    provider::{
        object_store::{
            ObjectStore,
            s3::{S3Store, Settings},
        },
        spool::{Spool, disk::DiskSpool},
    },
};

/// The longest wait for a connection to the store.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for a whole request, an upload among them.
const REQUEST: Duration = Duration::from_secs(60);

/// The configured bucket; nothing is asked yet. Made when it is missing only where the address of
/// the store is our own choice: on Amazon a missing bucket is more likely a misspelt one.
///
/// # Errors
/// [`Advice`] with exit code 2 when there are no credentials.
pub fn object_store(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
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
        create_bucket: s3.endpoint_url.is_some(),
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
