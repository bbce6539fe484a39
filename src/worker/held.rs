//! What this worker holds, as it knows itself: from the claim until the walk has come to rest. The
//! audit compares it with what the database says.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::machine::Lease;

/// The leases in hand; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashSet<Lease>>>);

/// A lease in hand; let go when this is dropped.
#[derive(Debug)]
pub struct InHand {
    held: Held,
    lease: Lease,
}

impl Held {
    /// Takes a lease in hand.
    pub fn take(&self, lease: Lease) -> InHand {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lease);
        InHand { held: self.clone(), lease }
    }

    /// Everything in hand.
    pub fn leases(&self) -> HashSet<Lease> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.held.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.lease);
    }
}
