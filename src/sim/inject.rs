//! Which fault meets which call: dice that depend on the seed and the number of the call alone,
//! rate limits with refill, windows of time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    faults::{Effect, Faults, Rule},
    vendor::{Operation, Vendor},
};

/// What a vendor without a configured limit says its limit is, a minute.
const USUAL_LIMIT: u32 = 10_000;

/// Decides what happens to each call.
#[derive(Debug)]
pub(super) struct Injector {
    faults: Faults,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    calls: HashMap<(Vendor, Operation), u64>,
    /// Tokens left in each bucket, and when that was so.
    buckets: HashMap<Vendor, (f64, Instant)>,
    /// How often each rule struck.
    struck: Vec<u64>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    /// Which call of its kind it is, from 1.
    pub(super) number: u64,
    pub(super) latency: Duration,
    pub(super) effect: Effect,
    pub(super) allowance: Allowance,
}

/// How a call stands with the rate limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Calls a minute.
    pub(super) limit: u32,
    /// Calls that could be made now.
    pub(super) remaining: u32,
    /// Until the limit is whole again.
    pub(super) reset: Duration,
    /// This call was one too many; how long to wait.
    pub(super) wait: Option<Duration>,
}

impl Injector {
    pub(super) fn new(faults: Faults, now: Instant) -> Self {
        let state = State::new(&faults, now);
        Self { faults, state: Mutex::new(state) }
    }

    /// Begins anew: call 1, second 0, full buckets.
    pub(super) fn reset(&self, now: Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::new(&self.faults, now);
    }

    /// What happens to this call. `prompt` is what it asks for.
    pub(super) fn meet(&self, vendor: Vendor, operation: Operation, prompt: u64, now: Instant) -> Fate {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.calls.entry((vendor, operation)).or_default();
        *number += 1;
        let number = *number;
        let allowance = self.allow(&mut state, vendor, operation, now);
        let since = now.saturating_duration_since(state.started);
        let call = mix(self.faults.seed ^ mix(vendor as u64 * 8 + operation as u64) ^ mix(number));
        let mut effect = Effect::default();
        for ((rule, struck), place) in self.faults.rules.iter().zip(&mut state.struck).zip(0..) {
            let dice = if rule.by_prompt { mix(self.faults.seed ^ prompt) } else { call };
            let is_open = rule.most.is_none_or(|most| *struck < most);
            if is_open && rule.fits(vendor, operation, since) && chance(mix(dice ^ place)) < rule.share {
                *struck += 1;
                effect = rule.effect;
                break;
            }
        }
        let latency = self.faults.latency.of(operation).mul_f64(0.5 + chance(mix(call ^ 0xA5A5)));
        Fate { number, latency, effect, allowance }
    }

    fn allow(&self, state: &mut State, vendor: Vendor, operation: Operation, now: Instant) -> Allowance {
        let limit = self.faults.limits.iter().find(|limit| limit.vendor == vendor && operation != Operation::List);
        let Some(limit) = limit else {
            return Allowance { limit: USUAL_LIMIT, remaining: USUAL_LIMIT - 1, reset: Duration::ZERO, wait: None };
        };
        let burst = f64::from(limit.burst);
        let per_second = f64::from(limit.per_minute) / 60.0;
        let (left, at) = state.buckets.entry(vendor).or_insert((burst, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * per_second).min(burst);
        *at = now;
        let lacking = 1.0 - *left;
        let wait = (lacking > 0.0).then(|| Duration::from_secs_f64(lacking / per_second));
        if wait.is_none() {
            *left -= 1.0;
        }
        let reset = Duration::from_secs_f64((burst - *left) / per_second);
        Allowance { limit: limit.per_minute, remaining: left.max(0.0) as u32, reset, wait }
    }
}

impl State {
    fn new(faults: &Faults, now: Instant) -> Self {
        Self { started: now, calls: HashMap::new(), buckets: HashMap::new(), struck: vec![0; faults.rules.len()] }
    }
}

impl Rule {
    fn fits(&self, vendor: Vendor, operation: Operation, since: Duration) -> bool {
        self.vendor.is_none_or(|wanted| wanted == vendor)
            && self.operation.is_none_or(|wanted| wanted == operation)
            && since >= self.from
            && self.until.is_none_or(|until| since < until)
    }
}

/// A number that looks like chance (the end of splitmix64).
pub(super) const fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The number of a text (FNV-1a).
pub(super) fn number_of(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |number, byte| (number ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// From 0 to below 1.
fn chance(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
