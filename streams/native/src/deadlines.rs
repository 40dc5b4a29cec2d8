//! The next deadline of each parcel, and which comes first. `streams.flow.time.deadlines` is the reference.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::tables::PARCEL_BYTES;

const NEVER: i64 = i64::MAX;
const SLACK: usize = 4; // how much longer a queue may be than its parcels
const SLACK_ROWS: usize = 10_000;

/// The reference of a parcel, filled up with zeros: it holds none, and so they sort as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parcel([u8; PARCEL_BYTES]);

impl Parcel {
    /// None for what is too long.
    pub fn of(reference: &[u8]) -> Option<Self> {
        let mut filled = [0; PARCEL_BYTES];
        filled.get_mut(..reference.len())?.copy_from_slice(reference);
        Some(Parcel(filled))
    }

    pub fn reference(&self) -> &[u8] {
        let end = self.0.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &self.0[..end]
    }
}

pub type Waiting = Vec<(i64, Parcel)>;

/// Those of one partition.
#[derive(Default)]
pub struct Deadlines {
    at: HashMap<Parcel, i64>,
    // An entry stays when its deadline moves or goes; it is skipped when it comes up.
    queue: BinaryHeap<Reverse<(i64, Parcel)>>,
}

impl Deadlines {
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Note the next deadline of each parcel. Returns those that must not fire yet: new ones up to `passed`, or late.
    pub fn set(&mut self, given: impl Iterator<Item = (i64, Parcel)>, passed: i64, late: &HashSet<Parcel>) -> Waiting {
        let mut held = Vec::new();
        for (at, parcel) in given {
            if at == NEVER {
                self.at.remove(&parcel);
            } else if self.at.insert(parcel, at) != Some(at) {
                if at <= passed || late.contains(&parcel) {
                    held.push((at, parcel));
                } else {
                    self.queue.push(Reverse((at, parcel)));
                }
            }
        }
        if self.queue.len() > SLACK * self.at.len() + SLACK_ROWS {
            let stays: HashSet<_> =
                self.queue.drain().filter(|each| self.at.get(&each.0 .1) == Some(&each.0 .0)).collect();
            self.queue = stays.into_iter().collect();
        }
        held
    }

    /// Take out the deadlines up to `passed`, which must not fire yet; their parcels still have them.
    pub fn hold(&mut self, passed: i64) -> Waiting {
        let mut held = Vec::new();
        while self.behind(passed.saturating_add(1)) {
            held.extend(self.queue.pop().map(|Reverse(each)| each));
        }
        held
    }

    /// Let these fire, where they are still the deadlines of their parcels.
    pub fn release(&mut self, held: Waiting) {
        self.queue.extend(held.into_iter().filter(|(at, parcel)| self.at.get(parcel) == Some(at)).map(Reverse));
    }

    /// Whether one of them may have passed.
    pub fn behind(&self, event_time: i64) -> bool {
        self.queue.peek().is_some_and(|first| first.0 .0 < event_time)
    }

    /// Take out the parcels whose deadlines have passed, earliest first, `most` at most.
    pub fn due(&mut self, event_time: i64, most: usize) -> Vec<Parcel> {
        let mut out = Vec::new();
        while self.behind(event_time) && out.len() < most {
            let Some(Reverse((at, parcel))) = self.queue.pop() else { break };
            if self.at.get(&parcel) == Some(&at) {
                self.at.remove(&parcel);
                out.push(parcel);
            }
        }
        out
    }

    pub fn has(&self, parcel: &Parcel) -> bool {
        self.at.contains_key(parcel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_first_and_only_what_still_stands() {
        let parcel = |name: &[u8]| Parcel::of(name).unwrap();
        let (a, b, c) = (parcel(b"a"), parcel(b"b"), parcel(b"c"));
        let mut deadlines = Deadlines::default();
        let set = |deadlines: &mut Deadlines, given: &[(i64, Parcel)], passed| {
            deadlines.set(given.iter().copied(), passed, &HashSet::from([c]))
        };
        assert_eq!(set(&mut deadlines, &[(9, a), (5, b), (7, c)], 5).len(), 2);
        assert!(!deadlines.behind(9) && deadlines.behind(10));
        assert!(set(&mut deadlines, &[(8, a), (5, b)], 0).is_empty());
        deadlines.release(vec![(5, b), (6, c)]);
        let held = deadlines.hold(7);
        assert!(held == [(5, b)] && !deadlines.behind(8));
        deadlines.release(held);
        assert!(deadlines.due(100, 1) == [b] && deadlines.due(100, 9) == [a]);
        set(&mut deadlines, &[(NEVER, c)], 0);
        assert_eq!((deadlines.len(), c.reference(), Parcel::of(&[1; 33]).is_none()), (0, &b"c"[..], true));
    }
}
