//! From settings to the vendors that speak. One without its key is left out.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::exit::Advice;
use crate::{
    clock::SystemClock,
    config::{self, Config, Secret},
    provider::tts::{
        Speaker,
        azure::{self, Azure},
        google::{self, Google, Identity, ServiceAccount},
        polly::{self, Polly},
    },
};

/// The longest time of one call: minutes of speech are made in it.
const CALL: Duration = Duration::from_secs(60);

/// The largest file that may hold a service account, in bytes.
const MOST_ACCOUNT: u64 = 64 << 10;

/// Every vendor that has its key, in no order: the plans have it. See [`skipped`] for who is left out
/// though there is something like a key.
///
/// # Errors
/// [`Advice`] with exit code 2 when a key is there but cannot be used.
pub fn of(config: &Config) -> anyhow::Result<Vec<Arc<dyn Speaker>>> {
    let providers = &config.providers;
    let all = [polly(&providers.polly)?, google(&providers.google_tts)?, azure(&providers.azure_tts)?];
    Ok(all.into_iter().flatten().collect())
}

/// Why Google does not speak although GOOGLE_APPLICATION_CREDENTIALS is set, if that is so: people
/// set it for other programs, and to other kinds of credentials. Holds an [`Advice`].
pub fn skipped(config: &Config) -> Option<anyhow::Error> {
    let google = &config.providers.google_tts;
    let file = google.credentials_file.as_ref().filter(|_| google.is_borrowed && google.api_key.is_none())?;
    account(file).err()
}

fn polly(config: &config::Polly) -> anyhow::Result<Option<Arc<dyn Speaker>>> {
    let (Some(id), Some(key)) = (&config.access_key_id, &config.secret_access_key) else { return Ok(None) };
    let settings = polly::Settings {
        region: config.region.clone(),
        endpoint_url: config.endpoint_url.clone(),
        access_key_id: id.expose().to_owned(),
        secret_access_key: key.expose().to_owned(),
        session_token: config.session_token.as_ref().map(|token| token.expose().to_owned()),
        timeout: CALL,
    };
    Ok(Some(Arc::new(Polly::new(settings, Arc::new(SystemClock))?)))
}

fn google(config: &config::Google) -> anyhow::Result<Option<Arc<dyn Speaker>>> {
    let identity = match (&config.api_key, &config.credentials_file) {
        (Some(key), _) => Identity::ApiKey(key.expose().to_owned()),
        (None, Some(file)) => match account(file) {
            Err(_) if config.is_borrowed => return Ok(None),
            account => Identity::Account(account?),
        },
        (None, None) => return Ok(None),
    };
    let settings = google::Settings { identity, base_url: config.base_url.clone(), timeout: CALL };
    Ok(Some(Arc::new(Google::new(settings, Arc::new(SystemClock))?)))
}

fn azure(config: &config::Azure) -> anyhow::Result<Option<Arc<dyn Speaker>>> {
    let region = || config.region.as_deref().map(azure::Settings::base_of);
    let base_url = config.base_url.clone().or_else(region);
    let (Some(key), Some(base_url)) = (config.key.as_ref().map(Secret::expose), base_url) else { return Ok(None) };
    let settings = azure::Settings { key: key.to_owned(), base_url, timeout: CALL };
    Ok(Some(Arc::new(Azure::new(settings)?)))
}

fn account(file: &Path) -> anyhow::Result<ServiceAccount> {
    let what = format!("the service account of Google in {} cannot be used", file.display());
    let mend = "name the JSON key of a service account with providers.google_tts.credentials_file, or set api_key";
    let advice = || Advice::usage(what.clone(), mend);
    let length = std::fs::metadata(file).with_context(advice)?.len();
    if length > MOST_ACCOUNT {
        return Err(anyhow::anyhow!("it is longer than {MOST_ACCOUNT} bytes").context(advice()));
    }
    let json = std::fs::read(file).with_context(advice)?;
    ServiceAccount::from_json(&json).with_context(advice)
}
