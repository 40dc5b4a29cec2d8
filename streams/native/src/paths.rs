//! The movements of dossiers: a set by event id, in order of time. `streams.flow.fold.movements` is the reference.

use crate::tables::movement_row;

const SIZE: usize = movement_row::SIZE;

/// Where new movements belong: the number of the dossier, and the time, in order; with the number of the row.
pub fn in_order(owners: &[i64], rows: &[u8]) -> Vec<(i64, i64, usize)> {
    let times = rows.chunks_exact(SIZE).map(|row| movement_row::AT.get(row));
    let mut order: Vec<_> = owners.iter().zip(times).enumerate().map(|(i, (&owner, at))| (owner, at, i)).collect();
    order.sort_unstable();
    order
}

/// The movements of one dossier with `more`, which are in order of time; None where they tell nothing new.
pub fn merged<'a>(kept: &'a [u8], more: impl Iterator<Item = &'a [u8]> + Clone, rows_max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(kept.len() + 4 * SIZE);
    out.extend_from_slice(kept);
    let newer = more.clone().all(|row| {
        let last = out.chunks_exact(SIZE).last();
        let fits = last.map_or(true, |last| movement_row::AT.get(last) < movement_row::AT.get(row))
            && out.chunks_exact(SIZE).all(|each| movement_row::ID.get(each) != movement_row::ID.get(row))
            && out.len() < rows_max * SIZE;
        out.extend_from_slice(row);
        fits
    });
    if newer {
        return (out.len() > kept.len()).then_some(out);
    }
    // One row per id, the earliest; of all, the earliest.
    let mut rows: Vec<_> = kept.chunks_exact(SIZE).chain(more).collect();
    rows.sort_by_key(|row| (movement_row::ID.get(row), movement_row::AT.get(row)));
    rows.dedup_by_key(|row| movement_row::ID.get(row));
    rows.sort_unstable_by_key(|row| (movement_row::AT.get(row), movement_row::ID.get(row)));
    rows.truncate(rows_max);
    let found = rows.concat();
    (found != kept).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, id: u64) -> [u8; SIZE] {
        let mut row = [0; SIZE];
        movement_row::AT.set(&mut row, at);
        movement_row::ID.set(&mut row, id);
        row
    }

    #[test]
    fn a_set_by_id_in_order_of_time() {
        let kept = [row(1, 7), row(5, 2)].concat();
        let more = |rows: &[[u8; SIZE]]| merged(&kept, rows.iter().map(|row| row.as_slice()), 4);
        assert_eq!(more(&[row(6, 9)]), Some([row(1, 7), row(5, 2), row(6, 9)].concat()));
        assert_eq!(more(&[row(1, 7), row(9, 2)]), None);
        assert_eq!(more(&[row(0, 2)]), Some([row(0, 2), row(1, 7)].concat()));
        let many: Vec<_> = (6..10).map(|at| row(at, at as u64 + 100)).collect();
        assert_eq!(more(&many).map(|found| found.len()), Some(4 * SIZE));
    }
}
