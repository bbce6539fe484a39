//! Addresses of S3 that carry their own proof (SigV4 in the query). The official client makes the
//! same ones, a test compares them, at many times the cost: it walks through its whole machinery of
//! a request, and a page of a learner has two addresses.
//!
//! Which host a bucket has, and whether the bucket is in the path, is the client's knowledge: it
//! signs once, and what it put before the key is taken over.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::path;

/// The algorithm's name in address and signature.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The key of a day, by the day's name.
type DayKey = (String, [u8; 32]);

/// Signs addresses of one bucket.
pub(super) struct Presigner {
    /// What comes before the key of an object: scheme, host, and perhaps the bucket.
    base: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    /// Derived from the secret by four hashes, for a day.
    day_key: Mutex<Option<DayKey>>,
}

impl fmt::Debug for Presigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presigner").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Presigner {
    /// With the bucket's address, up to where keys begin.
    pub fn new(base: String, settings: &super::s3::Settings) -> Self {
        Self {
            base,
            region: settings.region.clone(),
            access_key_id: settings.access_key_id.clone(),
            secret_access_key: settings.secret_access_key.clone(),
            session_token: settings.session_token.clone(),
            day_key: Mutex::default(),
        }
    }

    /// The address under which anyone may read `key`, for so many seconds from `start`.
    pub fn address(&self, key: &str, start: DateTime<Utc>, seconds: u64) -> String {
        let time = start.format("%Y%m%dT%H%M%SZ").to_string();
        let day = &time[..8];
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let credential = encoded(&format!("{}/{scope}", self.access_key_id));
        let token = self.session_token.as_deref().map(encoded);
        let token = token.map(|token| format!("&X-Amz-Security-Token={token}")).unwrap_or_default();
        // In the order of the names, as they are signed.
        let query = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={time}&X-Amz-Expires={seconds}{token}\
             &X-Amz-SignedHeaders=host&x-id=GetObject"
        );
        let address = format!("{}{}", self.base, path(key));
        let (host, place) = host_and_path(&address);
        let request = format!("GET\n{place}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let digest = hex::encode(Sha256::digest(request));
        let signature = hmac(&self.key_of(day), &format!("{ALGORITHM}\n{time}\n{scope}\n{digest}"));
        format!("{address}?{query}&X-Amz-Signature={}", hex::encode(signature))
    }

    fn key_of(&self, day: &str) -> [u8; 32] {
        let mut kept = self.day_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, key)) = kept.as_ref()
            && of == day
        {
            return *key;
        }
        let secret = format!("AWS4{}", self.secret_access_key);
        let parts = [day, &self.region, "s3", "aws4_request"];
        let key = parts.iter().fold(None, |key: Option<[u8; 32]>, part| {
            Some(hmac(key.as_ref().map_or(secret.as_bytes(), |key| key), part))
        });
        let key = key.unwrap_or_default();
        *kept = Some((day.to_owned(), key));
        key
    }
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC (RFC 2104) takes a key of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}

/// `https://host:1/a/b` as `host:1` and `/a/b`. The port that a scheme has anyway is left out, as
/// browsers leave it out of the header that is signed.
fn host_and_path(address: &str) -> (&str, &str) {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let (host, place) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    (host.strip_suffix(usual).unwrap_or(host), place)
}

/// A text as a value of a query: also its slashes are encoded.
fn encoded(text: &str) -> String {
    path(text).replace('/', "%2F")
}
