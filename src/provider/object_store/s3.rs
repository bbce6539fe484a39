//! Amazon S3, or a server that speaks its protocol, through the official client.
//!
//! The client never retries by itself: what is tried again, and when, is decided from the row.
//! Every object carries its SHA-256 as metadata, because an ETag is a plain MD5 only without
//! encryption and multipart. Servers other than Amazon's get no checksums that they did not ask
//! for; the signature covers the body anyway. An address signed with temporary credentials dies
//! with them, so none is signed for longer.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, HttpClient, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};
use aws_smithy_http_client::tls;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{ObjectStore, Reading, StoredObject, presign::Presigner};
use crate::{machine::FailureKind, podcast::Failure};

/// Browsers may keep an episode as long as a signed address is usually good for.
const CACHE_CONTROL: &str = "private, max-age=900";

/// Name of the metadata that tells whether an object is the same one.
const SHA256: &str = "sha256";

/// Tries of one put when others change the same key at the same moment (409).
const PUTS: u32 = 3;

/// The longest life of a presigned address: the rule of SigV4.
const LONGEST_TTL: TimeDelta = TimeDelta::days(7);

/// So long before temporary credentials end no address is signed with them: clocks disagree, and
/// an episode that has begun to play still asks for its rest.
const MARGIN: TimeDelta = TimeDelta::minutes(1);

/// The longest wait that a `Retry-After` of the store may impose.
const LONGEST_RETRY_AFTER: u64 = 60 * 60;

/// What a client needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Name of the bucket.
    pub bucket: String,
    /// Its region; servers other than Amazon's mostly do not care.
    pub region: String,
    /// Scheme, host and port of a server other than Amazon's.
    pub endpoint_url: Option<String>,
    /// The bucket goes into the path, not into the host name.
    pub force_path_style: bool,
    /// Name of the access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Comes with temporary credentials.
    pub session_token: Option<String>,
    /// When temporary credentials end; `None` for those that do not, or when it is not known.
    pub credentials_expire_at: Option<DateTime<Utc>>,
    /// Make the bucket when it is missing.
    pub create_bucket: bool,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a whole request.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    pub(super) client: Client,
    pub(super) settings: Settings,
    presigner: Arc<OnceCell<Presigner>>,
}

/// Why the client could not sign.
type Unsigned = Box<dyn std::error::Error + Send + Sync>;

impl S3Store {
    /// A client for the bucket; nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        Self::over(settings, aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
    }

    /// As [`S3Store::new`], over another HTTP client; a test reads there what Amazon would get.
    pub fn over(settings: Settings, http: impl HttpClient + 'static) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(settings.connect_timeout).operation_timeout(settings.timeout);
        let credentials = Credentials::new(
            settings.access_key_id.clone(),
            settings.secret_access_key.clone(),
            settings.session_token.clone(),
            None,
            "dailycast",
        );
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(credentials)
            .http_client(http)
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::disabled())
            .force_path_style(settings.force_path_style);
        if let Some(endpoint) = &settings.endpoint_url {
            config = config
                .endpoint_url(endpoint)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        Self { client: Client::from_conf(config.build()), settings, presigner: Arc::default() }
    }

    /// One put; `only_if_absent` answers 412 when the key is taken.
    async fn put(&self, key: &str, mp3: &Bytes, sha256: &str, only_if_absent: bool) -> Result<String, Refusal> {
        let put = self.client.put_object().bucket(&self.settings.bucket).key(key);
        let put = put.content_type("audio/mpeg").cache_control(CACHE_CONTROL).metadata(SHA256, sha256);
        let put = put.set_if_none_match(only_if_absent.then(|| "*".to_owned()));
        let answer = put.body(ByteStream::from(mp3.clone())).send().await.map_err(Refusal::from)?;
        Ok(unquoted(answer.e_tag()))
    }

    /// The ETag of the object under `key` when it is these bytes; `None` when it is another one,
    /// or gone again.
    async fn same(&self, key: &str, mp3: &Bytes, sha256: &str) -> Result<Option<String>, Refusal> {
        let head = match self.client.head_object().bucket(&self.settings.bucket).key(key).send().await {
            Ok(head) => head,
            Err(error) => {
                let refusal = Refusal::from(error);
                return if refusal.status == Some(404) { Ok(None) } else { Err(refusal) };
            }
        };
        let said = head.metadata().and_then(|metadata| metadata.get(SHA256));
        let length = head.content_length().and_then(|length| usize::try_from(length).ok());
        let is_same = said.is_some_and(|said| said == sha256) && length == Some(mp3.len());
        Ok(is_same.then(|| unquoted(head.e_tag())))
    }

    /// What signs addresses, after the client has told where the bucket is.
    async fn presigner(&self) -> Result<&Presigner, Unsigned> {
        let make = async || {
            let probe = "x";
            let span = PresigningConfig::expires_in(Duration::from_secs(1)).map_err(Unsigned::from)?;
            let get = self.client.get_object().bucket(&self.settings.bucket).key(probe);
            let signed = get.presigned(span).await.map_err(Unsigned::from)?;
            let address = signed.uri().split('?').next().unwrap_or_default();
            let base = address.strip_suffix(probe).unwrap_or(address).to_owned();
            Ok(Presigner::new(base, &self.settings))
        };
        self.presigner.get_or_try_init(make).await
    }

    fn stored(&self, key: &str, etag: String) -> StoredObject {
        StoredObject { etag, url: format!("s3://{}/{key}", self.settings.bucket) }
    }

    async fn make_bucket(&self) -> Result<(), Refusal> {
        // Amazon wants the region said everywhere but in its first one.
        let elsewhere = self.settings.endpoint_url.is_none() && self.settings.region != "us-east-1";
        let place = elsewhere.then(|| {
            let region = BucketLocationConstraint::from(self.settings.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let made = self.client.create_bucket().bucket(&self.settings.bucket).set_create_bucket_configuration(place);
        match made.send().await.map_err(Refusal::from) {
            Err(refusal) if refusal.code.as_deref() != Some("BucketAlreadyOwnedByYou") => Err(refusal),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    /// An ETag that is not the MD5 of the bytes may be that of an encrypted object, or a wrong answer:
    /// then the store is asked what it has.
    ///
    /// The key belongs to one podcast, and who puts holds its lease. So another object under it is
    /// an older recording of the same podcast, whose upload was never written down: it is replaced.
    async fn put_once(&self, key: &str, mp3: Bytes) -> Result<StoredObject, Failure> {
        let (sha256, md5) = (hex::encode(Sha256::digest(&mp3)), hex::encode(Md5::digest(&mp3)));
        let mut only_if_absent = true;
        let mut refused = None;
        for _ in 0..PUTS {
            match self.put(key, &mp3, &sha256, only_if_absent).await {
                Ok(etag) if etag == md5 => return Ok(self.stored(key, etag)),
                Ok(_) => {
                    let same = self.same(key, &mp3, &sha256).await.map_err(Refusal::into_failure)?;
                    return same.map(|etag| self.stored(key, etag)).ok_or_else(not_kept);
                }
                Err(refusal) if refusal.status == Some(412) => {
                    if let Some(etag) = self.same(key, &mp3, &sha256).await.map_err(Refusal::into_failure)? {
                        return Ok(self.stored(key, etag));
                    }
                    only_if_absent = false;
                }
                Err(refusal) if refusal.status == Some(409) => refused = Some(refusal),
                Err(refusal) => return Err(refusal.into_failure()),
            }
        }
        Err(refused.unwrap_or_default().into_failure())
    }

    async fn sign(&self, key: &str, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<String, Failure> {
        let cannot = |why: &dyn fmt::Display| Failure::new(FailureKind::KeyRefused, why.to_string()).at("s3");
        let last = self.signs_until().unwrap_or(until);
        if last <= now {
            return Err(cannot(&"the temporary credentials of storage.s3 have ended: give new ones"));
        }
        let end = until.min(now + LONGEST_TTL).min(last);
        // Whole seconds, as they stand in the address: its start and its length add up to its end.
        let seconds = u64::try_from(end.timestamp() - now.timestamp()).unwrap_or_default();
        Ok(self.presigner().await.map_err(|error| cannot(&error))?.address(key, now, seconds))
    }

    async fn read(&self, key: &str, part: Range<usize>) -> Result<Reading, Failure> {
        let last = part.end.saturating_sub(1);
        let get = self.client.get_object().bucket(&self.settings.bucket).key(key);
        let got = get.range(format!("bytes={}-{last}", part.start)).send().await;
        let got = got.map_err(Refusal::from).map_err(Refusal::into_failure)?;
        Ok(Box::new(got.body.into_async_read()))
    }

    fn signs_until(&self) -> Option<DateTime<Utc>> {
        self.settings.credentials_expire_at.map(|end| end - MARGIN)
    }

    /// One by one: a learner has few, and not every server deletes many at once.
    async fn delete_below(&self, prefix: &str) -> Result<u64, Failure> {
        let failed = |refusal: Refusal| refusal.into_failure();
        let mut deleted = 0;
        let mut pages =
            self.client.list_objects_v2().bucket(&self.settings.bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(Refusal::from).map_err(failed)?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                // A server that lists more than it was asked for must not cost others their episodes.
                if key.starts_with(prefix) {
                    let delete = self.client.delete_object().bucket(&self.settings.bucket).key(key);
                    delete.send().await.map_err(Refusal::from).map_err(failed)?;
                    deleted += 1;
                }
            }
        }
        Ok(deleted)
    }

    async fn ready(&self) -> Result<(), Failure> {
        let asked = self.client.head_bucket().bucket(&self.settings.bucket).send().await;
        match asked.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.status == Some(404) && self.settings.create_bucket => {
                self.make_bucket().await.map_err(Refusal::into_failure)
            }
            Err(refusal) if refusal.status == Some(404) => {
                let bucket = &self.settings.bucket;
                let message = format!("there is no bucket {bucket:?}: make it, or set storage.s3.bucket");
                Err(Failure::new(FailureKind::StorageUnavailable, message).at("s3"))
            }
            Err(refusal) => Err(refusal.into_failure()),
        }
    }
}

/// The longest code of an error, or name of a request, that is taken over.
const LONGEST_NAME: usize = 128;

/// Why a request did not succeed, without the words of the server, which may repeat a secret.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    timed_out: bool,
}

impl Refusal {
    fn kind(&self) -> FailureKind {
        match (self.status, self.code.as_deref()) {
            _ if self.timed_out => FailureKind::Timeout,
            // A clock that is wrong is set right, and no other key would help.
            (_, Some("RequestTimeTooSkewed")) => FailureKind::StorageUnavailable,
            // Credentials that ended come with status 400.
            (_, Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")) => FailureKind::KeyRefused,
            (Some(401 | 403), _) => FailureKind::KeyRefused,
            _ => FailureKind::StorageUnavailable,
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        let answer = match (self.status, &self.code) {
            _ if self.timed_out => "did not answer in time".to_owned(),
            (Some(status), Some(code)) => format!("answered {status} {code}"),
            (Some(status), None) => format!("answered {status}"),
            (None, _) => "could not be reached".to_owned(),
        };
        let request = self.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        let mut failure = Failure::new(self.kind(), format!("the object store {answer}{request}")).at("s3");
        failure.retry_after = self.retry_after;
        failure
    }
}

impl<E: ProvideErrorMetadata> From<SdkError<E>> for Refusal {
    fn from(error: SdkError<E>) -> Self {
        let timed_out = match &error {
            SdkError::TimeoutError(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_timeout(),
            _ => false,
        };
        let answer = error.raw_response();
        let retry_after = answer.and_then(|answer| answer.headers().get("retry-after")?.trim().parse().ok());
        Self {
            status: answer.map(|answer| answer.status().as_u16()),
            code: error.code().and_then(name),
            request_id: answer.and_then(|answer| name(answer.headers().request_id()?)),
            retry_after: retry_after.map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER))),
            timed_out,
        }
    }
}

/// A name of letters, digits and the usual signs between them; nothing else is taken over.
fn name(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=/+:".contains(&byte);
    ((1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.to_owned())
}

fn not_kept() -> Failure {
    let message = "the object store said that it took the episode, and does not have it";
    Failure::new(FailureKind::StorageUnavailable, message).at("s3")
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
