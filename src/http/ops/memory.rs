//! What the door remembers: whom it let in lately, and who tries to log in too often. The learners'
//! log-in counts its tries here too, apart: whatever happens there keeps no operator out.
//!
//! As with learners' tokens (`http/tokens.rs`) an answer of the academy counts for a short time, from
//! before it was asked, and only good news is kept, by hashes. So a page that keeps itself up to date
//! does not ask with every look, and somebody who was dismissed is out within seconds.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ops::{actor::Actor, entrance::Entrance};

/// How long an answer counts.
const LIFE: TimeDelta = TimeDelta::seconds(10);

/// The most people that are remembered; more are asked for each time.
const MOST_PEOPLE: usize = 1_000;

/// Log-ins that one client may try in [`SPELL`] without getting in.
const MOST_TRIES: u32 = 10;

/// The time in which tries are counted.
const SPELL: TimeDelta = TimeDelta::seconds(60);

/// The most clients whose tries are counted.
const MOST_CLIENTS: usize = 4_096;

/// The most pages that are kept up to date at a time. Each costs a look a second.
const MOST_STREAMS: usize = 64;

/// What somebody is known by: a hash of what proves it.
pub(super) type Key = [u8; 32];

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Who it is.
    pub actor: Actor,
    /// The session should be prolonged.
    pub is_ageing: bool,
    /// When that was asked.
    pub asked_at: DateTime<Utc>,
}

/// What the door of the operators' side remembers.
#[derive(Debug)]
pub struct Door {
    people: Mutex<HashMap<Key, Known>>,
    ops: Clients,
    study: Clients,
    streams: Arc<Semaphore>,
}

/// Who tried to log in lately.
type Clients = Mutex<HashMap<IpAddr, Tries>>;

impl Default for Door {
    fn default() -> Self {
        let streams = Arc::new(Semaphore::new(MOST_STREAMS));
        Self { people: Mutex::default(), ops: Mutex::default(), study: Mutex::default(), streams }
    }
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    since: DateTime<Utc>,
    count: u32,
}

/// A clock that was set back ends it, too.
fn counts(since: DateTime<Utc>, life: TimeDelta, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..life).contains(&(now - since))
}

/// The maps are whole after any panic: each use of them is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    /// A place among the pages that are kept up to date, held until it is dropped; `None` when all
    /// are taken.
    pub(super) fn stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Who was let in with this a moment ago.
    pub(super) fn known(&self, key: &Key, now: DateTime<Utc>) -> Option<Known> {
        locked(&self.people).get(key).filter(|known| counts(known.asked_at, LIFE, now)).cloned()
    }

    /// Remembers somebody who is let in.
    pub(super) fn remember(&self, key: Key, known: Known) {
        let mut people = locked(&self.people);
        if people.len() >= MOST_PEOPLE {
            people.retain(|_, other| counts(other.asked_at, LIFE, known.asked_at));
        }
        if people.len() < MOST_PEOPLE {
            people.insert(key, known);
        }
    }

    /// Forgets somebody who left.
    pub(super) fn forget(&self, key: &Key) {
        locked(&self.people).remove(key);
    }

    fn clients(&self, entrance: Entrance) -> MutexGuard<'_, HashMap<IpAddr, Tries>> {
        locked(match entrance {
            Entrance::Ops => &self.ops,
            Entrance::Study => &self.study,
        })
    }

    /// Counts a try to log in at one of the two sides.
    ///
    /// # Errors
    /// The seconds after which the client may try again.
    pub(in crate::http) fn try_to_log_in(
        &self,
        entrance: Entrance,
        client: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<(), u64> {
        let mut clients = self.clients(entrance);
        if clients.len() >= MOST_CLIENTS {
            clients.retain(|_, tries| counts(tries.since, SPELL, now));
        }
        // So many at once are no people: nobody is let in by guessing a token, but the memory stays small.
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let tries = clients.entry(network(client)).or_insert(Tries { since: now, count: 0 });
        if !counts(tries.since, SPELL, now) {
            *tries = Tries { since: now, count: 0 };
        }
        if tries.count >= MOST_TRIES {
            let left = tries.since + SPELL - now;
            return Err(u64::try_from(left.num_seconds()).unwrap_or_default() + 1);
        }
        tries.count += 1;
        Ok(())
    }

    /// The client got in: its tries at that side do not count.
    pub(in crate::http) fn got_in(&self, entrance: Entrance, client: IpAddr) {
        self.clients(entrance).remove(&network(client));
    }
}

/// One who has an address of IPv6 has all of its network.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}
