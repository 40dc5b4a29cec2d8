//! The figures of declared measures about the observations of one history. `schemas.measures` says what they mean.

use std::collections::VecDeque;

/// What a measure is about its window.
#[derive(Clone, Copy, PartialEq)]
pub enum Figure {
    Count,
    Distinct,
    Sum,
    Min,
    Max,
    Span,
    Previous,
    Distance, // here: the place before; Python knows where places are
}

impl Figure {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "count" => Figure::Count,
            "distinct" => Figure::Distinct,
            "sum" => Figure::Sum,
            "min" => Figure::Min,
            "max" => Figure::Max,
            "span" => Figure::Span,
            "previous" => Figure::Previous,
            "distance" => Figure::Distance,
            _ => return None,
        })
    }
}

/// A field of an observation, and what its value is divided by.
#[derive(Clone, Copy)]
pub struct Attribute {
    pub field: Field,
    pub divisor: i64,
}

#[derive(Clone, Copy)]
pub enum Field {
    At,
    A,
    B,
    Place,
}

impl Field {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "at" => Field::At,
            "a" => Field::A,
            "b" => Field::B,
            "place" => Field::Place,
            _ => return None,
        })
    }
}

pub struct Measure {
    pub figure: Figure,
    pub window_ms: i64,
    pub over: Option<Attribute>,
    pub same: Option<Attribute>,
    pub earlier: bool,
}

/// What is kept of an observation.
#[derive(Clone, Copy)]
pub struct Observation {
    pub at: i64,
    pub a: u64,
    pub b: u64,
    pub place: i32,
    pub live: bool,
}

impl Attribute {
    /// The value; 0: not given.
    fn of(self, observation: &Observation) -> i64 {
        let value = match self.field {
            Field::At => observation.at,
            Field::A => observation.a as i64,
            Field::B => observation.b as i64,
            Field::Place => observation.place.into(),
        };
        value / self.divisor
    }
}

pub const NOTHING: i64 = -1; // no observation has a value; of places it is 0

/// One observation in the windows of a measure.
#[derive(Clone, Copy)]
struct Seen {
    at: i64,
    value: i64,
    counted: bool,
    number: usize,
}

/// Answers measures; what it needs for that it keeps from one history to the next.
#[derive(Default)]
pub struct Windows {
    seen: Vec<Seen>,
    grouped: Vec<(i64, Seen)>,
    starts: Vec<usize>,
    ranked: Vec<(i64, usize)>,
    changes: Vec<i64>,
}

impl Windows {
    /// The figure about each of these observations of one history, which are in order of time.
    pub fn figures(&mut self, measure: &Measure, observations: &[Observation], out: &mut Vec<i64>) {
        out.clear();
        out.resize(observations.len(), 0);
        let seen = observations.iter().enumerate().map(|(number, each)| {
            let value = measure.over.map_or(1, |over| over.of(each));
            Seen { at: each.at, value, counted: each.live && value != 0, number }
        });
        let Some(same) = measure.same else {
            self.seen.clear();
            self.seen.extend(seen);
            return self.answer(measure, out);
        };
        let mut grouped = std::mem::take(&mut self.grouped);
        grouped.clear();
        grouped.extend(seen.map(|each| (same.of(&observations[each.number]), each)));
        grouped.sort_unstable_by_key(|(value, each)| (*value, each.number));
        let mut rest = &grouped[..];
        while let Some((value, _)) = rest.first() {
            let (group, behind) = rest.split_at(rest.partition_point(|(other, _)| other <= value));
            self.seen.clear();
            self.seen.extend(group.iter().map(|(_, each)| *each));
            self.answer(measure, out);
            rest = behind;
        }
        self.grouped = grouped;
    }

    /// The figure about each of `seen`.
    fn answer(&mut self, measure: &Measure, out: &mut [i64]) {
        starts(self.seen.iter().map(|each| each.at), measure.window_ms, &mut self.starts);
        match measure.figure {
            Figure::Count => self.total(|each| i64::from(each.counted), measure.earlier, out),
            Figure::Sum => self.total(|each| if each.counted { each.value } else { 0 }, false, out),
            Figure::Distinct => self.distinct(out),
            Figure::Previous | Figure::Distance => self.previous(measure.figure == Figure::Distance, out),
            Figure::Max => self.largest(|value| value, |_, largest| largest, out),
            Figure::Min => self.largest(i64::wrapping_neg, |_, largest| largest.wrapping_neg(), out),
            Figure::Span => {
                self.largest(|value| value, |_, largest| largest, out);
                self.largest(i64::wrapping_neg, i64::wrapping_add, out);
            }
        }
    }

    fn total(&self, weight: impl Fn(&Seen) -> i64, earlier: bool, out: &mut [i64]) {
        let (mut sum, mut start) = (0_i64, 0);
        for (each, &first) in self.seen.iter().zip(&self.starts) {
            sum = sum.wrapping_add(weight(each));
            while start < first {
                sum = sum.wrapping_sub(weight(&self.seen[start]));
                start += 1;
            }
            out[each.number] = if earlier { sum - weight(each) } else { sum };
        }
    }

    /// A row counts for its value until the next row with that value, or until it leaves the windows.
    fn distinct(&mut self, out: &mut [i64]) {
        let Windows { seen, starts, ranked, changes, .. } = self;
        ranked.clear();
        ranked.extend(seen.iter().enumerate().filter(|(_, each)| each.counted).map(|(i, each)| (each.value, i)));
        ranked.sort_unstable();
        changes.clear();
        changes.resize(seen.len() + 1, 0);
        for (rank, &(value, i)) in ranked.iter().enumerate() {
            let again = ranked.get(rank + 1).filter(|next| next.0 == value).map_or(seen.len(), |next| next.1);
            changes[i] += 1;
            changes[again.min(starts.partition_point(|&start| start <= i))] -= 1;
        }
        let mut different = 0;
        for (each, change) in seen.iter().zip(changes) {
            different += *change;
            out[each.number] = different;
        }
    }

    fn previous(&self, place: bool, out: &mut [i64]) {
        let mut last: Option<usize> = None;
        for (i, each) in self.seen.iter().enumerate() {
            let before = last.filter(|&row| row >= self.starts[i]).map(|row| self.seen[row].value);
            out[each.number] = match before {
                Some(value) if place => value,
                Some(value) => each.value.wrapping_sub(value),
                None if place => 0,
                None => NOTHING,
            };
            last = if each.counted { Some(i) } else { last };
        }
    }

    /// `said` makes the figure of what stands in `out` and of the largest value by `order`.
    fn largest(&self, order: impl Fn(i64) -> i64, said: impl Fn(i64, i64) -> i64, out: &mut [i64]) {
        let mut falling: VecDeque<(usize, i64)> = VecDeque::new(); // what may yet be the largest
        for (i, each) in self.seen.iter().enumerate() {
            let value = order(each.value);
            while falling.front().is_some_and(|first| first.0 < self.starts[i]) {
                falling.pop_front();
            }
            if each.counted {
                while falling.back().is_some_and(|last| last.1 <= value) {
                    falling.pop_back();
                }
                falling.push_back((i, value));
            }
            out[each.number] = falling.front().map_or(NOTHING, |first| said(out[each.number], first.1));
        }
    }
}

/// Where the trailing window of each of these times begins: t - window < o <= t.
pub fn starts(times: impl Iterator<Item = i64> + Clone, window_ms: i64, out: &mut Vec<usize>) {
    out.clear();
    let (mut oldest, mut start) = (times.clone().peekable(), 0);
    for at in times {
        while oldest.next_if(|&old| old <= at - window_ms).is_some() {
            start += 1;
        }
        out.push(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_what_is_in_them() {
        let row = |at, a| Observation { at, a, b: 1, place: 440_111, live: true };
        let rows = [row(1, 5), row(3, 5), row(6, 2), row(6, 0)];
        let over = Some(Attribute { field: Field::A, divisor: 1 });
        let mut windows = Windows::default();
        let mut said = |figure, over, window_ms| {
            let mut out = Vec::new();
            let measure = Measure { figure, window_ms, over, same: None, earlier: false };
            windows.figures(&measure, &rows, &mut out);
            out
        };
        assert_eq!(said(Figure::Count, None, 3), [1, 2, 1, 2]);
        assert_eq!(said(Figure::Distinct, over, 4), [1, 1, 2, 2]);
        assert_eq!(said(Figure::Span, over, 4), [0, 0, 3, 3]);
        assert_eq!(said(Figure::Min, over, 1), [5, 5, 2, 2]);
        assert_eq!(said(Figure::Previous, over, 9), [NOTHING, 0, -3, -2]);
        assert_eq!(said(Figure::Distance, over, 3), [0, 5, 0, 2]);
    }
}
