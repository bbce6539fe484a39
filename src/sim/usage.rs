//! What the vendors would write on their bills: the simulator's own count, to compare ours with.
//!
//! What was billed is counted twice over. `input_tokens`, `output_tokens` and `characters` are
//! those of answers that went out whole, so that a client can know them. What a vendor has worked
//! for and the client cannot know, because it hung up, or the answer broke or cannot be read, is
//! in `lost`. Errors, and pages of somebody between, cost nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::vendor::{Operation, Vendor};

/// Units of one answer, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Billed {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written, thoughts among them.
    pub output_tokens: u64,
    /// Characters spoken, as the vendor counts them.
    pub characters: u64,
}

/// One vendor's count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Requests that came.
    pub calls: u64,
    /// The same by what was asked for.
    pub by_operation: BTreeMap<Operation, u64>,
    /// Requests answered with 200.
    pub ok: u64,
    /// Answers begun, by status. A client that went before is in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Billed, and the client knows.
    #[serde(flatten)]
    pub billed: Billed,
    /// Billed, and the client cannot know.
    pub lost: Billed,
    /// Requests whose units were lost.
    pub lost_calls: u64,
}

/// The count of every vendor that was called.
#[derive(Debug, Default)]
pub(super) struct Usage(Mutex<BTreeMap<Vendor, Count>>);

impl Usage {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Vendor, Count>> {
        // Numbers are whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came.
    pub(super) fn arrives(&self, vendor: Vendor, operation: Operation) {
        let mut counts = self.counts();
        let count = counts.entry(vendor).or_default();
        count.calls += 1;
        *count.by_operation.entry(operation).or_default() += 1;
    }

    /// An answer begins.
    pub(super) fn answers(&self, vendor: Vendor, status: u16) {
        let mut counts = self.counts();
        let count = counts.entry(vendor).or_default();
        count.ok += u64::from(status == 200);
        *count.by_status.entry(status).or_default() += 1;
    }

    /// All counts.
    pub(super) fn all(&self) -> BTreeMap<Vendor, Count> {
        self.counts().clone()
    }

    /// Begins from nothing.
    pub(super) fn reset(&self) {
        self.counts().clear();
    }
}

/// What an answer costs, on its way to the bill. Dropped unsettled, it is lost.
pub(super) struct Charge {
    usage: Arc<Usage>,
    vendor: Vendor,
    billed: Billed,
    /// Whether a client that gets the whole answer can read what it costs.
    is_told: bool,
}

impl Charge {
    pub(super) fn new(usage: Arc<Usage>, vendor: Vendor, billed: Billed, is_told: bool) -> Self {
        Self { usage, vendor, billed, is_told }
    }

    /// The whole answer went out.
    pub(super) fn settle(mut self) {
        if self.is_told {
            let billed = std::mem::take(&mut self.billed);
            let mut counts = self.usage.counts();
            counts.entry(self.vendor).or_default().billed.add(billed);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.billed != Billed::default() {
            let mut counts = self.usage.counts();
            let count = counts.entry(self.vendor).or_default();
            count.lost.add(self.billed);
            count.lost_calls += 1;
        }
    }
}

impl Billed {
    fn add(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.characters += other.characters;
    }
}
