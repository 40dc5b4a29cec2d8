//! What is in memory of a partition: its hot set, and what epochs change. `streams.state.memory` is the reference.
//!
//! A key or a value is one piece of memory, which the hot set and all deltas share.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub type Shared = Arc<[u8]>;

const OBJECTS_BYTES: usize = 150; // of a key and a value, as the reference counts them

/// The newest values, with a bound: when the newer half is full, the older half is dropped.
#[derive(Default)]
pub struct Hot {
    half: usize,
    size: usize,
    new: Map<Shared>,
    old: Map<Shared>,
}

impl Hot {
    pub fn len(&self) -> usize {
        self.new.len() + self.old.len()
    }

    /// Hold at most so much from the next `put` on.
    pub fn bound(&mut self, bytes_max: usize) {
        self.half = bytes_max / 2;
    }

    pub fn get(&self, key: &[u8]) -> Option<&Shared> {
        self.new.get(key).or_else(|| self.old.get(key))
    }

    /// Set values; true if older ones had to be dropped.
    pub fn put(&mut self, pairs: impl Iterator<Item = (Shared, Shared)>) -> bool {
        for (key, value) in pairs {
            self.size += value.len();
            match self.new.entry(key) {
                Entry::Occupied(mut there) => self.size -= there.insert(value).len(),
                Entry::Vacant(place) => {
                    self.size += place.key().len() + OBJECTS_BYTES;
                    place.insert(value);
                }
            }
        }
        if self.size < self.half {
            return false;
        }
        let dropped = !self.old.is_empty();
        self.old = std::mem::take(&mut self.new);
        self.size = 0;
        dropped
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.old.remove(key);
        if let Some(value) = self.new.remove(key) {
            self.size -= key.len() + value.len() + OBJECTS_BYTES;
        }
    }
}

/// What an epoch changes in a partition, in the order in which keys were changed first.
#[derive(Default)]
pub struct Changes {
    places: Map<usize>,
    rows: Vec<Change>,
}

/// A key and its value; None: it is deleted.
pub type Change = (Shared, Option<Shared>);

impl Changes {
    pub fn rows(&self) -> &[Change] {
        &self.rows
    }

    /// All of it, by key.
    pub fn in_order(&self) -> Vec<Change> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        rows
    }

    /// What it says of a key; None: nothing.
    pub fn get(&self, key: &[u8]) -> Option<&Option<Shared>> {
        self.places.get(key).map(|&place| &self.rows[place].1)
    }

    pub fn set(&mut self, key: Shared, value: Option<Shared>) {
        match self.places.entry(key) {
            Entry::Occupied(there) => self.rows[*there.get()].1 = value,
            Entry::Vacant(place) => {
                self.rows.push((place.key().clone(), value));
                place.insert(self.rows.len() - 1);
            }
        }
    }

    /// Those behind `after`, up to `last`, and before `before`.
    pub fn between<'a>(
        &'a self,
        after: &'a [u8],
        last: &'a [u8],
        before: &'a [u8],
    ) -> impl Iterator<Item = &'a Change> {
        self.rows.iter().filter(move |(key, _)| after < &key[..] && &key[..] <= last && &key[..] < before)
    }

    pub fn merge(&mut self, newer: &Self) {
        newer.rows.iter().for_each(|(key, value)| self.set(key.clone(), value.clone()));
    }
}

type Map<V> = HashMap<Shared, V, Seed>;

/// Keys come from outside, so how they are hashed is not known there.
struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Seed(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seed {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash(self.0)
    }
}

struct Hash(u64);

impl Hasher for Hash {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, _length: usize) {} // of a key, whose bytes follow

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(text: &str) -> Shared {
        text.as_bytes().into()
    }

    #[test]
    fn the_newer_half_stays() {
        let mut hot = Hot::default();
        hot.bound(2 * (2 * OBJECTS_BYTES + 4));
        assert!(!hot.put([(shared("a"), shared("1"))].into_iter()));
        assert!(!hot.put([(shared("b"), shared("1"))].into_iter()), "full, but there is no older half");
        assert_eq!(hot.get(b"a"), Some(&shared("1")));
        assert!(hot.put([(shared("c"), shared("1")), (shared("a"), shared("2"))].into_iter()));
        assert_eq!((hot.len(), hot.get(b"b")), (2, None));
        hot.remove(b"c");
        assert_eq!((hot.get(b"a"), hot.get(b"c")), (Some(&shared("2")), None));
    }

    #[test]
    fn a_change_keeps_its_place() {
        let mut changes = Changes::default();
        for (key, value) in [("b", Some("1")), ("a", None), ("b", Some("2"))] {
            changes.set(shared(key), value.map(shared));
        }
        let mut merged = Changes::default();
        merged.set(shared("a"), Some(shared("1")));
        merged.merge(&changes);
        assert_eq!(changes.rows(), [(shared("b"), Some(shared("2"))), (shared("a"), None)]);
        assert_eq!(merged.rows(), [(shared("a"), None), (shared("b"), Some(shared("2")))]);
        assert_eq!(changes.in_order(), [(shared("a"), None), (shared("b"), Some(shared("2")))]);
        assert_eq!(merged.between(b"a", b"z", b"c").count(), 1);
    }
}
