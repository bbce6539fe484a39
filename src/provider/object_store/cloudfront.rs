//! CloudFront in front of the bucket: episodes are put into S3 and heard by addresses that
//! CloudFront checks, with a canned policy.
//!
//! What would surprise: the policy is signed byte for byte as CloudFront writes it again from the
//! address, so it is no JSON that a library may lay out; and the address of the policy is the
//! encoded one that is asked for, without the parameters of the signature. The signature is over
//! SHA-256, which the address has to say, since CloudFront takes SHA-1 otherwise. No session ends
//! these addresses: the key pair does not expire.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{ObjectStore, Reading, StoredObject, path};
use crate::{machine::FailureKind, podcast::Failure, provider::sign::SigningKey};

/// A distribution whose origin is the bucket.
pub struct CloudFront {
    /// Where episodes are put.
    pub origin: Arc<dyn ObjectStore>,
    /// Its domain, like `d111.cloudfront.net`.
    pub domain: String,
    /// Id of the public key in the distribution's key group.
    pub key_pair_id: String,
    /// The private key that belongs to it.
    pub key: SigningKey,
}

/// The canned policy of an address, to the byte.
pub fn canned_policy(address: &str, expires: i64) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{address}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

/// Base64 that needs no encoding in an address: CloudFront's own replacements.
fn address_safe(bytes: &[u8]) -> String {
    let replaced = |letter| match letter {
        '+' => '-',
        '=' => '_',
        '/' => '~',
        letter => letter,
    };
    BASE64_STANDARD.encode(bytes).chars().map(replaced).collect()
}

#[async_trait]
impl ObjectStore for CloudFront {
    async fn put_once(&self, key: &str, mp3: Bytes) -> Result<StoredObject, Failure> {
        self.origin.put_once(key, mp3).await
    }

    async fn sign(&self, key: &str, _now: DateTime<Utc>, until: DateTime<Utc>) -> Result<String, Failure> {
        let address = format!("https://{}/{}", self.domain, path(key));
        let expires = until.timestamp();
        let refused = |error| Failure::new(FailureKind::KeyRefused, format!("{error}")).at("cloudfront");
        let signature = self.key.sign(canned_policy(&address, expires).as_bytes()).map_err(refused)?;
        let (signature, key_pair_id) = (address_safe(&signature), &self.key_pair_id);
        Ok(format!("{address}?Expires={expires}&Signature={signature}&Key-Pair-Id={key_pair_id}&Hash-Algorithm=SHA256"))
    }

    async fn read(&self, key: &str, part: Range<usize>) -> Result<Reading, Failure> {
        self.origin.read(key, part).await
    }

    /// What CloudFront itself still keeps it gives only to who has an address that was signed before,
    /// and forgets within the `Cache-Control` of the objects.
    async fn delete_below(&self, prefix: &str) -> Result<u64, Failure> {
        self.origin.delete_below(prefix).await
    }

    async fn ready(&self) -> Result<(), Failure> {
        self.origin.ready().await
    }
}
