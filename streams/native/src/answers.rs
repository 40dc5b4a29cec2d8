//! Facts into dossiers. `streams.flow.fold.parcels` is the reference.

use crate::tables::{fact_row, head_row, kinds};
use crate::uploads::{head, Cells};

/// Where the counts of a kind of history begin in a head, and how many there are.
pub type Counts = (usize, usize);

/// What came of facts: dossiers that have changed, and facts about uploads that others superseded.
#[derive(Default)]
pub struct Answered {
    pub changed: Vec<i64>,
    pub superseded: Vec<usize>,
}

/// Fold packed FACT rows into the heads of dossiers. Of several of a kind the one that counts most is the newest.
pub fn fold(heads: Cells<'_>, owners: &[i64], rows: &[u8], counts: &[Counts]) -> Answered {
    let row = |i: usize| &rows[i * fact_row::SIZE..(i + 1) * fact_row::SIZE];
    let mut order: Vec<_> =
        (0..owners.len()).map(|i| (fact_row::KIND.get(row(i)), fact_row::KNOWN.get(row(i)), i)).collect();
    order.sort_unstable();
    let mut out = Answered::default();
    // The newest first: after it, older ones of its kind tell nothing new.
    for &(kind, known, i) in order.iter().rev() {
        let (head, fact, kind) = (head(heads, owners[i]), row(i), usize::from(kind));
        let before = head_row::KNOWN.load(head).get(kind).copied();
        if current(head, fact) && before.is_some_and(|before| known > before) {
            take(head, fact, kind, counts);
            out.changed.push(owners[i]);
        }
    }
    let past = order.iter().map(|each| each.2);
    out.superseded.extend(past.filter(|&i| {
        let head = head(heads, owners[i]);
        !current(head, row(i)) && head_row::VERSIONS.load(head) > 0
    }));
    out
}

fn current(head: Cells<'_>, fact: &[u8]) -> bool {
    head_row::PRESENT.load(head) == 1 && head_row::EVENT.load(head) == fact_row::EVENT.get(fact)
}

fn take(head: Cells<'_>, fact: &[u8], kind: usize, counts: &[Counts]) {
    let mut known = head_row::KNOWN.load(head);
    known[kind] = fact_row::KNOWN.get(fact);
    head_row::KNOWN.save(head, known);
    let saturated = head_row::SATURATED.load(head) | fact_row::SATURATED.get(fact);
    head_row::SATURATED.save(head, saturated);
    let (start, length) = counts[kind];
    let bytes = fact_row::COUNTS.get(fact).map(u32::to_le_bytes);
    let bytes = bytes.iter().take(length).flatten();
    head[start..].iter().zip(bytes).for_each(|(cell, &byte)| cell.set(byte));
    if kind == kinds::SENDER {
        head_row::PREVIOUS_KM.save(head, fact_row::PREVIOUS_KM.get(fact));
        head_row::PREVIOUS_MS.save(head, fact_row::PREVIOUS_MS.get(fact));
    }
}
