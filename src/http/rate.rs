//! How often somebody may ask: a learner, whoever brings no token that is good, and whoever asks for
//! what is public. Each has a bucket of a minute's requests, which fills up again evenly.
//!
//! What would surprise: a learner is known by the token and never pays for others at the same
//! address, where a whole school may sit. The memory is bounded: who has not asked for a minute is
//! forgotten, and when very many ask at once, so are some who have.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use poem::{PathPattern, Request, http::StatusCode};

use super::{error::Refusal, site};
use crate::clock::Clock;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// Parts of the memory, so that who asks hardly ever waits for another one.
const SHARDS: usize = 64;

/// Buckets in one generation of a part. There are two, so this bounds the memory to some megabytes.
const MOST: usize = 2048;

/// Who asks. Each kind of question has buckets of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Learner(i64),
    Stranger(IpAddr),
    Public(IpAddr),
}

/// The buckets that are not full, by when they will be, in microseconds since 1970.
#[derive(Default)]
struct Shard {
    young: HashMap<Who, i64>,
    old: HashMap<Who, i64>,
    began_at: i64,
}

impl Shard {
    /// Takes one request of `step` microseconds out of a bucket, or says for how long there is none.
    fn take(&mut self, who: Who, step: i64, now: i64) -> Result<(), i64> {
        if !(0..MINUTE).contains(&(now - self.began_at)) || self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
            self.began_at = now;
        }
        let full_at = self.young.get(&who).or_else(|| self.old.get(&who)).copied();
        // What is further away than a minute is from before the clock was set back.
        let full_at = full_at.filter(|at| (now..=now + MINUTE).contains(at)).unwrap_or(now) + step;
        if full_at > now + MINUTE {
            return Err(full_at - now - MINUTE);
        }
        self.young.insert(who, full_at);
        Ok(())
    }
}

/// Who has asked lately.
pub struct Rates {
    /// What one request costs, in microseconds; `None` without a limit.
    step: Option<i64>,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

impl Rates {
    /// With so many requests a minute for each; 0 is no limit.
    pub fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        let step = (per_minute > 0).then(|| MINUTE / i64::from(per_minute));
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { step, clock, hasher: RandomState::new(), shards }
    }

    /// Counts a request of a learner who is let in.
    ///
    /// # Errors
    /// [`Refusal::TooMany`].
    pub(super) fn check_learner(&self, user_id: i64) -> Result<(), Refusal> {
        self.check(Who::Learner(user_id))
    }

    /// Counts a request for what needs no token.
    ///
    /// # Errors
    /// [`Refusal::TooMany`].
    pub(super) fn check_public(&self, request: &Request) -> Result<(), Refusal> {
        self.check(Who::Public(neighbourhood(site::client(request))))
    }

    /// Counts somebody who is not known. A page that makes an answer of that refusal has to ask this;
    /// for those that do not, [`Rates::refused`] does.
    ///
    /// # Errors
    /// [`Refusal::TooMany`].
    pub(super) fn check_stranger(&self, client: IpAddr) -> Result<(), Refusal> {
        self.check(Who::Stranger(neighbourhood(client)))
    }

    /// Counts what was refused for want of a good token, and makes "too many" of it when it is.
    pub(super) fn refused(&self, client: IpAddr, error: poem::Error) -> poem::Error {
        if !error.is::<Refusal>() || error.status() != StatusCode::UNAUTHORIZED {
            return error;
        }
        let Err(refusal) = self.check_stranger(client) else { return error };
        let mut too_many = poem::Error::from(refusal);
        if let Some(pattern) = error.data::<PathPattern>() {
            too_many.set_data(pattern.clone());
        }
        too_many
    }

    fn check(&self, who: Who) -> Result<(), Refusal> {
        let Some(step) = self.step else { return Ok(()) };
        let now = self.clock.now().timestamp_micros();
        let place = self.hasher.hash_one(who) % self.shards.len() as u64;
        // Half a bucket does not exist: a panic elsewhere leaves the map whole.
        let mut shard = self.shards[place as usize].lock().unwrap_or_else(PoisonError::into_inner);
        shard.take(who, step, now).map_err(|wait| {
            let seconds = u64::try_from(wait).unwrap_or_default().div_ceil(1_000_000);
            Refusal::TooMany("That was a lot at once. Please wait a moment, then try again.", seconds)
        })
    }
}

/// All addresses that one customer of a network usually has.
fn neighbourhood(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
