//! Sections `storage`, `storage.s3` and `storage.cloudfront`.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    problem::Fault,
    reader::{Reader, days, seconds},
    secret::Secret,
    value::{bucket, host, moment, region, web},
};

/// Where episodes are kept.
#[derive(Debug, Clone)]
pub struct Storage {
    /// How long a signed address lives.
    pub url_ttl: Duration,
    /// Days after which episodes, rows and events go.
    pub retention_days: u32,
    /// The bucket.
    pub s3: S3,
    /// What stands in front of it; `None`: addresses are S3's own.
    pub cloudfront: Option<CloudFront>,
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Address of the store instead of AWS's own.
    pub endpoint_url: Option<String>,
    /// Whether the bucket is part of the path.
    pub force_path_style: bool,
    /// Id of the key.
    pub access_key_id: Option<Secret>,
    /// The key.
    pub secret_access_key: Option<Secret>,
    /// Token of temporary credentials.
    pub session_token: Option<Secret>,
    /// When temporary credentials end.
    pub credentials_expire_at: Option<DateTime<Utc>>,
}

/// A distribution in front of the bucket.
#[derive(Debug, Clone)]
pub struct CloudFront {
    /// Its domain.
    pub domain: String,
    /// Id of the public key that CloudFront knows.
    pub key_pair_id: String,
    /// File of the private key; it is there.
    pub private_key_file: PathBuf,
}

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut own = reader.section("storage");
        let url_ttl = own.duration("url_ttl", seconds(60)..=days(7));
        let retention_days = own.count("retention_days", 1..=3650);
        let s3 = S3::read(&mut reader.section("storage.s3"));
        let cloudfront = CloudFront::read(&mut reader.section("storage.cloudfront"));
        Some(Self { url_ttl: url_ttl?, retention_days: retention_days?, s3: s3?, cloudfront: cloudfront? })
    }
}

impl S3 {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let bucket = reader.parsed("bucket", bucket);
        let region = reader.parsed("region", region);
        let endpoint_url = reader.optional("endpoint_url", web);
        let force_path_style = reader.boolean("force_path_style");
        let access_key_id = reader.secret("access_key_id");
        let secret_access_key = reader.secret("secret_access_key");
        let session_token = reader.secret("session_token");
        let credentials_expire_at = reader.optional("credentials_expire_at", moment);
        reader.together(&["access_key_id", "secret_access_key"]);
        Some(Self {
            bucket: bucket?,
            region: region?,
            endpoint_url: endpoint_url?,
            force_path_style: force_path_style?,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token: session_token?,
            credentials_expire_at: credentials_expire_at?,
        })
    }
}

impl CloudFront {
    fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let domain = reader.optional("domain", host);
        let key_pair_id = reader.optional("key_pair_id", |text| match text {
            text if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(text.to_owned()),
            _ => Err(Fault::new("this is no id of a key", "copy the id of the public key, like \"K2JCJMDEHXQW5F\"")),
        });
        let private_key_file = reader.optional_file("private_key_file");
        reader.together(&["domain", "key_pair_id", "private_key_file"]);
        let (domain, key_pair_id, private_key_file) = (domain?, key_pair_id?, private_key_file?);
        let all = domain.zip(key_pair_id).zip(private_key_file);
        Some(all.map(|((domain, key_pair_id), private_key_file)| Self { domain, key_pair_id, private_key_file }))
    }
}
