//! Goes every way the model can take, shortest ways first.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    mem::{self, Discriminant},
};

use super::{
    action::{Action, Rules},
    possible::actions,
    properties::{EVERY_PODCAST_ENDS, broken},
    protocol::Next,
    state::{State, fingerprint},
};

/// What an exploration found.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    /// The kinds of actions that were taken.
    pub taken: HashSet<Discriminant<Action>>,
    /// The property that does not hold, and the shortest way there.
    pub broken: Option<(&'static str, Vec<Action>)>,
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// Every state that was met, by number: how it was reached first, and what surely follows.
#[derive(Default)]
struct Map {
    numbers: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    reached: Vec<(u32, Option<Action>)>,
    settled: Vec<u32>,
    sure: Vec<(u32, u32)>,
}

impl Map {
    /// The number of a state, and whether it is new.
    fn number(&mut self, state: &State, from: u32, action: Option<Action>) -> (u32, bool) {
        let next = self.reached.len() as u32;
        match self.numbers.entry(fingerprint(state)) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(unknown) => {
                unknown.insert(next);
                self.reached.push((from, action));
                if state.is_settled() {
                    self.settled.push(next);
                }
                (next, true)
            }
        }
    }

    fn way_to(&self, mut number: u32) -> Vec<Action> {
        let mut way = Vec::new();
        while let (from, Some(action)) = self.reached[number as usize] {
            way.push(action);
            number = from;
        }
        way.reverse();
        way
    }

    /// A state from which no sure steps lead to the end.
    fn stuck(&self) -> Option<u32> {
        let mut first = vec![0u32; self.reached.len() + 1];
        self.sure.iter().for_each(|(_, to)| first[*to as usize + 1] += 1);
        (1..first.len()).for_each(|at| first[at] += first[at - 1]);
        let (mut free, mut into) = (first.clone(), vec![0u32; self.sure.len()]);
        for (from, to) in &self.sure {
            into[free[*to as usize] as usize] = *from;
            free[*to as usize] += 1;
        }
        let mut ends = vec![false; self.reached.len()];
        let mut open = self.settled.clone();
        open.iter().for_each(|number| ends[*number as usize] = true);
        while let Some(number) = open.pop() {
            let number = number as usize;
            for from in &into[first[number] as usize..first[number + 1] as usize] {
                if !mem::replace(&mut ends[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        ends.iter().position(|ends| !ends).map(|number| number as u32)
    }
}

/// Explores everything that can follow from `start`.
pub fn explore(start: State, rules: &Rules) -> Found {
    let start = start.in_order();
    let mut map = Map::default();
    map.number(&start, 0, None);
    let (mut open, mut steps) = (VecDeque::from([start]), 0);
    let (mut number, mut taken) = (0, HashSet::new());
    while let Some(state) = open.pop_front() {
        for action in actions(&state, rules) {
            steps += 1;
            taken.insert(mem::discriminant(&action));
            let next = Next::of(&state, action, rules);
            if let Some(property) = broken(&state, &next.deeds, &next.state) {
                let mut way = map.way_to(number);
                way.push(action);
                return Found { states: map.reached.len(), steps, taken, broken: Some((property, way)) };
            }
            let after = next.state.in_order();
            let (to, is_new) = map.number(&after, number, Some(action));
            if action.is_sure() {
                map.sure.push((number, to));
            }
            if is_new {
                open.push_back(after);
            }
        }
        // States are taken in the order in which they were numbered.
        number += 1;
    }
    let broken = map.stuck().map(|number| (EVERY_PODCAST_ENDS, map.way_to(number)));
    Found { states: map.reached.len(), steps, taken, broken }
}
