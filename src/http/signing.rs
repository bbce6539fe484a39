//! Temporary addresses of ours: an audio element sends no token, so the address itself is the
//! proof, for one episode and for a short time. The same secret makes the keys in links that learners
//! give away, and what the forms of a session carry.
//!
//! Times of signed addresses come from windows: within one, all answers name the same end, so that
//! an answer may be cached by number and end of its window.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt as _;
use sha2::Sha256;

use crate::store::links::{Link, LinkHash};

/// The secret that signs; its `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// From a secret; 32 random bytes are right.
    pub fn new(secret: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC (RFC 2104) takes a key of any length")]
        Self(Hmac::new_from_slice(secret).expect("a key of any length"))
    }

    fn message(&self, episode: i64, expires: i64) -> Hmac<Sha256> {
        self.0.clone().chain_update(format!("dailycast audio {episode} {expires}"))
    }

    /// The signature of an episode's audio until `expires` (seconds since 1970), 64 hex digits.
    pub fn sign(&self, episode: i64, expires: i64) -> String {
        hex::encode(self.message(episode, expires).finalize().into_bytes())
    }

    /// The key in a link to `what` (`feed`, `share`) that was made from a seed: 40 hex digits. The seed is kept,
    /// the key is not; with another secret the same seed gives another key.
    pub fn link_key(&self, what: &'static str, seed: &[u8]) -> String {
        let message = self.0.clone().chain_update(format!("dailycast {what} ")).chain_update(seed);
        hex::encode(&message.finalize().into_bytes()[..20])
    }

    /// The link to `what` that is made from a seed, as it is kept.
    pub(super) fn link(&self, what: &'static str, seed: Vec<u8>) -> Link {
        let key_hash = link_hash(what, &self.link_key(what, &seed)).to_vec();
        Link { seed, key_hash }
    }

    /// A new link to `what`.
    pub(super) fn fresh_link(&self, what: &'static str) -> Link {
        self.link(what, rand::rng().random::<[u8; 16]>().to_vec())
    }

    fn form(&self, session: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update("dailycast form ").chain_update(session)
    }

    /// What the forms of a session carry, 64 hex digits.
    pub fn sign_form(&self, session: &[u8]) -> String {
        hex::encode(self.form(session).finalize().into_bytes())
    }

    /// True for what [`SigningKey::sign_form`] makes of this session. Takes the same time whatever is
    /// wrong with it.
    pub fn is_form_of(&self, session: &[u8], signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|bytes| self.form(session).verify_slice(&bytes).is_ok())
    }

    /// True when the signature is ours. Takes the same time whatever is wrong with it.
    pub fn is_ours(&self, episode: i64, expires: i64, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|bytes| self.message(episode, expires).verify_slice(&bytes).is_ok())
    }
}

/// What is kept of the key in a link, and found by it.
pub(super) fn link_hash(what: &str, key: &str) -> LinkHash {
    use sha2::Digest as _;
    Sha256::digest(format!("{what} {key}")).into()
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// A span of time in which all signed addresses end together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Its number since 1970.
    pub number: i64,
    /// When what is signed in it ends: at least half of the lifetime from now, at most all of it;
    /// sooner when what signs ends sooner.
    pub expires: DateTime<Utc>,
}

impl Window {
    /// The window of `now` for addresses that live at most `lifetime`, signed with something that
    /// ends at `last`. After that end it is no bound any more: nothing can be signed with it.
    pub fn at(now: DateTime<Utc>, lifetime: Duration, last: Option<DateTime<Utc>>) -> Self {
        let length = i64::try_from(lifetime.as_secs() / 2).unwrap_or(i64::MAX).max(1);
        let number = now.timestamp().div_euclid(length);
        let end = number.saturating_add(2).saturating_mul(length);
        let expires = DateTime::from_timestamp(end, 0).unwrap_or(now);
        let expires = last.filter(|last| *last > now).map_or(expires, |last| expires.min(last));
        Self { number, expires }
    }
}
