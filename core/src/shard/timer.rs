//! One instant per run.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::clock::Millis;

/// Keys in order of their instants.
#[derive(Debug)]
pub(super) struct Timer<K> {
    order: BTreeSet<(Millis, K)>,
    at: HashMap<K, Millis>,
}

impl<K> Default for Timer<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), at: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Timer<K> {
    pub(super) fn set(&mut self, key: K, at: Millis) {
        self.remove(&key);
        self.at.insert(key, at);
        self.order.insert((at, key));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.order.remove(&(at, *key));
        }
    }

    pub(super) fn pop_due(&mut self, now: Millis) -> Option<K> {
        let (at, key) = self.order.first().copied()?;
        (at <= now).then(|| {
            self.remove(&key);
            key
        })
    }

    pub(super) fn next(&self) -> Option<Millis> {
        self.order.first().map(|(at, _)| *at)
    }
}
