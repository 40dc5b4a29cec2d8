//! Histories: merge observations into their buckets, and answer about every parcel whose facts may have changed.
//! `streams.flow.fold.histories` is the reference, and says why each step is as it is.

use std::ops::Range;

use crate::batch::Texts;
use crate::figures::{starts, Figure, Measure, Observation, Windows, NOTHING};
use crate::tables::{fact_row, observation_row, FORMAT, OBSERVED_BYTES, PARCEL_BYTES};

const KEY_BYTES: usize = 13;

/// What histories are kept of, and what is asked of them.
pub struct Histories {
    pub spans: Vec<i64>,                              // by kind, ms
    pub measures: Vec<Vec<(Measure, Option<usize>)>>, // by kind; with the place among the counts, if it has one
    pub rows_max: usize,                              // of a bucket
}

pub struct Bucket {
    pub partition: i64,
    pub key: [u8; KEY_BYTES],
    number: i64,
}

/// The buckets that observations need: each one's own and its neighbours.
pub struct Plan {
    pub buckets: Vec<Bucket>,
    order: Vec<usize>, // observations by history
    histories: Vec<History>,
}

struct History {
    kind: usize,
    observations: Range<usize>,
    buckets: Range<usize>,
}

/// What came of it.
#[derive(Default)]
pub struct Folded {
    pub facts: Vec<u8>,
    pub partitions: Vec<u8>, // of each fact, packed
    pub stored: Vec<usize>,  // buckets, with their values
    pub values: Texts,
    pub far: Far,
}

/// Facts that ask for a distance: their numbers, and both places; all packed.
#[derive(Default)]
pub struct Far {
    pub facts: Vec<u8>,
    pub before: Vec<u8>,
    pub here: Vec<u8>,
}

/// An observation, stored or new.
#[derive(Clone, Copy)]
struct Row<'a> {
    raw: &'a [u8],
    seen: Observation,
    event: u64,
    bucket: usize, // among those of its history
    changed: bool,
}

impl<'a> Row<'a> {
    fn new(raw: &'a [u8], bucket: usize, changed: bool) -> Self {
        let seen = Observation {
            at: observation_row::AT.get(raw),
            a: observation_row::A.get(raw),
            b: observation_row::B.get(raw),
            place: observation_row::PLACE.get(raw),
            live: observation_row::LIVE.get(raw) != 0,
        };
        Row { raw: &raw[..OBSERVED_BYTES], seen, event: observation_row::EVENT.get(raw), bucket, changed }
    }

    fn parcel(&self) -> [u8; PARCEL_BYTES] {
        observation_row::PARCEL.get(self.raw)
    }

    /// Of equal events the first row stays: superseded before live, stored before new.
    fn rank(&self) -> (i64, [u8; PARCEL_BYTES], u64, bool, bool) {
        (self.seen.at, self.parcel(), self.event, self.seen.live, self.changed)
    }

    fn same(&self, other: &Self) -> bool {
        self.event == other.event && self.seen.at == other.seen.at && self.parcel() == other.parcel()
    }
}

impl Histories {
    /// The buckets to look up for packed observations. partitions: those of the histories.
    pub fn plan(&self, observations: &[u8], partitions: &[i64]) -> Plan {
        let mut heads: Vec<_> = observations.chunks_exact(observation_row::SIZE).zip(partitions).enumerate().collect();
        heads.sort_by_cached_key(|(i, (raw, &partition))| {
            let (kind, entity) = (observation_row::KIND.get(raw), observation_row::ENTITY.get(raw));
            (partition, kind, entity, self.number(raw), *i)
        });
        let mut plan = Plan { buckets: Vec::new(), order: Vec::with_capacity(heads.len()), histories: Vec::new() };
        let mut last = None;
        for (i, (raw, &partition)) in heads {
            let (kind, entity) = (observation_row::KIND.get(raw), observation_row::ENTITY.get(raw));
            let (at, begun) = (plan.order.len(), plan.buckets.len());
            if last != Some((partition, kind, entity)) {
                last = Some((partition, kind, entity));
                plan.histories.push(History { kind: kind.into(), observations: at..at, buckets: begun..begun });
            }
            let Some(history) = plan.histories.last_mut() else { continue };
            let own = self.number(raw);
            for number in own - 1..=own + 1 {
                let known = plan.buckets[history.buckets.clone()].last().map_or(i64::MIN, |bucket| bucket.number);
                if number > known {
                    plan.buckets.push(Bucket { partition, key: key(kind, entity, number), number });
                    history.buckets.end += 1;
                }
            }
            plan.order.push(i);
            history.observations.end += 1;
        }
        plan
    }

    /// Merge observations into the values of the buckets of their plan.
    pub fn merge(&self, plan: &Plan, observations: &[u8], values: &[Option<&[u8]>]) -> Folded {
        let mut out = Folded::default();
        let mut rows = Vec::new();
        let mut answers = Answers { histories: self, windows: Windows::default(), figures: Vec::new() };
        for history in &plan.histories {
            let buckets = &plan.buckets[history.buckets.clone()];
            let stored = &values[history.buckets.clone()];
            rows.clear();
            for (bucket, value) in stored.iter().enumerate() {
                let kept = value.and_then(|value| value.get(1..)).unwrap_or_default();
                rows.extend(kept.chunks_exact(OBSERVED_BYTES).map(|raw| Row::new(raw, bucket, false)));
            }
            let size = observation_row::SIZE;
            for &i in &plan.order[history.observations.clone()] {
                let raw = &observations[i * size..(i + 1) * size];
                let number = self.number(raw);
                rows.push(Row::new(raw, buckets.partition_point(|bucket| bucket.number < number), true));
            }
            rows.sort_by(|a, b| a.seen.at.cmp(&b.seen.at).then_with(|| a.rank().cmp(&b.rank())));
            rows.dedup_by(|row, before| row.same(before));
            let filled = self.store(history, buckets, stored, &rows, &mut out);
            answers.give(history.kind, &rows, &filled, &mut out);
        }
        out
    }

    /// Store the newest rows of each changed bucket. Returns how each bucket is filled.
    fn store(
        &self,
        history: &History,
        buckets: &[Bucket],
        stored: &[Option<&[u8]>],
        rows: &[Row<'_>],
        out: &mut Folded,
    ) -> Vec<Filled> {
        let mut filled: Vec<Filled> = Vec::with_capacity(buckets.len());
        let mut start = 0;
        for (number, bucket) in buckets.iter().enumerate() {
            let mine = rows[start..].iter().take_while(|row| row.bucket == number).count();
            let end = start + mine;
            if rows[start..end].iter().any(|row| row.changed) {
                out.stored.push(history.buckets.start + number);
                out.values.bytes.push(FORMAT);
                let kept = &rows[end - mine.min(self.rows_max)..end];
                kept.iter().for_each(|row| out.values.bytes.extend_from_slice(row.raw));
                out.values.end();
            }
            let lengths = stored[number].map_or(0, |value| value.len().saturating_sub(1) / OBSERVED_BYTES);
            let (full, was_full) = (mine >= self.rows_max, lengths >= self.rows_max);
            let before = filled.last().filter(|_| buckets[number - 1].number + 1 == bucket.number);
            let (near, was_near) = before.map_or((false, false), |before| (before.full, before.was_full));
            let (reached, again) = (full || near, (full || near) && !(was_full || was_near));
            filled.push(Filled { end, full, was_full, reached, again });
            start = end;
        }
        filled
    }

    fn number(&self, raw: &[u8]) -> i64 {
        let span = self.spans[usize::from(observation_row::KIND.get(raw))];
        let phase = observation_row::ENTITY.get(raw) % span as u64;
        (observation_row::AT.get(raw) + phase as i64).div_euclid(span)
    }
}

struct Filled {
    end: usize, // of its rows
    full: bool,
    was_full: bool,
    reached: bool, // its windows may reach rows that a full bucket has lost
    again: bool,   // since just now
}

fn key(kind: u8, entity: u64, number: i64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[0] = kind;
    key[1..9].copy_from_slice(&entity.to_be_bytes());
    key[9..].copy_from_slice(&(number as u32).to_be_bytes());
    key
}

struct Answers<'a> {
    histories: &'a Histories,
    windows: Windows,
    figures: Vec<i64>,
}

impl Answers<'_> {
    /// The facts of every row that has changed, and of every row whose window holds a stored change.
    fn give(&mut self, kind: usize, rows: &[Row<'_>], filled: &[Filled], out: &mut Folded) {
        let mut lo = Vec::new();
        starts(rows.iter().map(|row| row.seen.at), self.histories.spans[kind], &mut lo);
        let stays = |i: usize| rows[i].changed && filled[rows[i].bucket].end - 1 - i < self.histories.rows_max;
        let (mut start, mut staying, mut superseded) = (0, 0, 0_u32);
        let mut facts = Vec::new(); // number of the row, and how much is known of it
        for (i, row) in rows.iter().enumerate() {
            staying += u32::from(stays(i));
            superseded += u32::from(!row.seen.live);
            while start < lo[i] {
                staying -= u32::from(stays(start));
                superseded -= u32::from(!rows[start].seen.live);
                start += 1;
            }
            let bucket = &filled[row.bucket];
            if row.changed || bucket.again || staying > 0 {
                facts.push((i, (i + 1 - start) as u32 + superseded + u32::from(bucket.reached)));
            }
        }
        let (Some(&(first, _)), Some(&(last, _))) = (facts.first(), facts.last()) else { return };
        let begun = out.facts.len() / fact_row::SIZE;
        for &(i, known) in &facts {
            let row = &rows[i];
            out.partitions.extend_from_slice(&observation_row::PARTITION.get(row.raw).to_le_bytes());
            let at = out.facts.len();
            out.facts.resize(at + fact_row::SIZE, 0);
            let fact = &mut out.facts[at..];
            fact_row::PARCEL.set(fact, row.parcel());
            fact_row::EVENT.set(fact, row.event);
            fact_row::KNOWN.set(fact, known);
            fact_row::PREVIOUS_KM.set(fact, f64::NAN);
            fact_row::PREVIOUS_MS.set(fact, NOTHING);
            fact_row::KIND.set(fact, kind as u8);
            fact_row::SATURATED.set(fact, u8::from(filled[row.bucket].reached));
        }
        let oldest = lo[first]; // no window begins before
        let seen: Vec<_> = rows[oldest..=last].iter().map(|row| row.seen).collect();
        for (measure, place) in &self.histories.measures[kind] {
            self.windows.figures(measure, &seen, &mut self.figures);
            for (number, &(i, _)) in facts.iter().enumerate() {
                let figure = self.figures[i - oldest];
                let at = (begun + number) * fact_row::SIZE;
                let fact = &mut out.facts[at..at + fact_row::SIZE];
                match place {
                    Some(place) => {
                        let mut counts = fact_row::COUNTS.get(fact);
                        counts[*place] = figure as u32;
                        fact_row::COUNTS.set(fact, counts);
                    }
                    None if measure.figure != Figure::Distance => fact_row::PREVIOUS_MS.set(fact, figure),
                    None if figure != 0 => {
                        out.far.facts.extend_from_slice(&((begun + number) as u32).to_le_bytes());
                        out.far.before.extend_from_slice(&(figure as i32).to_le_bytes());
                        out.far.here.extend_from_slice(&rows[i].seen.place.to_le_bytes());
                    }
                    None => {}
                }
            }
        }
    }
}
