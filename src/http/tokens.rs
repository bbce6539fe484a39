//! Who has which token, remembered for a short time: what a page asks for in one go is looked up
//! once.
//!
//! A token that was revoked, or whose learner was closed, stops working when its [`LIFE`] is over,
//! counted from before the look-up; nothing makes it longer, least of all a database that is away.
//! Only good news is kept. Kept is a hash, so that a dump of the memory opens no account. Whoever
//! asks for a token that is being looked up waits for that answer.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

/// How long an answer counts.
const LIFE: TimeDelta = TimeDelta::seconds(10);

/// Tokens in one generation. There are two, so this bounds the memory to some megabytes.
const MOST: usize = 32 << 10;

/// Gates in front of the database. Two tokens may share one; then one waits in vain.
const GATES: usize = 4096;

/// The longest wait for someone else's look-up.
const WAIT: Duration = Duration::from_secs(3);

/// What a token is known by.
type Key = [u8; 32];

/// The tokens that were looked up lately.
pub struct Tokens {
    known: Mutex<Known>,
    gates: Box<[tokio::sync::Mutex<()>]>,
}

/// Two generations: what is asked for again and again is looked up again every [`LIFE`] anyway, so
/// nothing has to move from one to the other.
#[derive(Default)]
struct Known {
    young: HashMap<Key, Owner>,
    old: HashMap<Key, Owner>,
    began_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy)]
struct Owner {
    user_id: i64,
    is_ageing: bool,
    asked_at: DateTime<Utc>,
}

impl Owner {
    /// A clock that was set back ends it, too.
    fn counts_at(self, now: DateTime<Utc>) -> bool {
        (TimeDelta::zero()..LIFE).contains(&(now - self.asked_at))
    }
}

impl Known {
    fn owner(&self, key: &Key, now: DateTime<Utc>) -> Option<Owner> {
        let owner = self.young.get(key).or_else(|| self.old.get(key))?;
        owner.counts_at(now).then_some(*owner)
    }

    fn insert(&mut self, key: Key, owner: Owner) {
        let is_over = self
            .began_at
            .is_none_or(|began| !Owner { user_id: 0, is_ageing: false, asked_at: began }.counts_at(owner.asked_at));
        if is_over || self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
            self.began_at = Some(owner.asked_at);
        }
        self.young.insert(key, owner);
    }
}

/// What is known of a token.
pub(super) enum Seen<'a> {
    /// It is this learner's.
    Known(i64),
    /// It has to be looked up, by whoever has this.
    Unknown(LookUp<'a>),
}

/// The right to look a token up. Others who have it wait until this is dropped.
pub(super) struct LookUp<'a> {
    tokens: &'a Tokens,
    key: Key,
    is_ageing: bool,
    asked_at: DateTime<Utc>,
    _gate: tokio::sync::MutexGuard<'a, ()>,
}

impl LookUp<'_> {
    /// What is looked up is a session that its use should prolong.
    pub fn ageing(self) -> Self {
        Self { is_ageing: true, ..self }
    }

    /// The token is good, and this learner's.
    pub fn found(self, user_id: i64) {
        let owner = Owner { user_id, is_ageing: self.is_ageing, asked_at: self.asked_at };
        self.tokens.known().insert(self.key, owner);
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { known: Mutex::default(), gates: (0..GATES).map(|_| tokio::sync::Mutex::default()).collect() }
    }
}

impl Tokens {
    /// What is known of `token` at the time that `now` tells; `None` when the look-up of someone
    /// else takes too long.
    pub(super) async fn look(&self, token: &str, now: impl Fn() -> DateTime<Utc>) -> Option<Seen<'_>> {
        let key: Key = Sha256::digest(token).into();
        let known = self.known().owner(&key, now());
        if let Some(owner) = known {
            return Some(Seen::Known(owner.user_id));
        }
        let place = usize::from(u16::from_le_bytes([key[0], key[1]])) % self.gates.len();
        let gate = tokio::time::timeout(WAIT, self.gates[place].lock()).await.ok()?;
        let asked_at = now();
        let known = self.known().owner(&key, asked_at);
        Some(match known {
            Some(owner) => Seen::Known(owner.user_id),
            None => Seen::Unknown(LookUp { tokens: self, key, is_ageing: false, asked_at, _gate: gate }),
        })
    }

    /// True for a session that its use should prolong, as far as is remembered.
    pub(super) fn is_ageing(&self, token: &str, now: DateTime<Utc>) -> bool {
        self.known().owner(&Sha256::digest(token).into(), now).is_some_and(|owner| owner.is_ageing)
    }

    /// Forgets whoever logged out.
    pub(super) fn forget(&self, token: &str) {
        let key: Key = Sha256::digest(token).into();
        let mut known = self.known();
        known.young.remove(&key);
        known.old.remove(&key);
    }

    /// The maps are whole after any panic: each use of them is one call.
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
