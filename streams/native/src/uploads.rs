//! Uploads into dossiers, and the observations of those that are valid now. `streams.flow.fold.uploads` is the reference.

use std::cell::Cell;
use std::collections::HashSet;

use crate::tables::{flags, head_row, kinds, observation_row, shipment_row, PARCEL_BYTES};

const APART: u64 = 0x9E37_79B9_7F4A_7C15;
const UPLOAD_AT: usize = head_row::SIZE - shipment_row::SIZE; // a head ends with the fields of the valid upload

/// Packed rows, one behind the other, that may be written.
pub type Cells<'a> = &'a [Cell<u8>];

/// What to do with uploads: rows that are the first of their parcels, and rows that must be compared with others.
#[derive(Default)]
pub struct Sorted {
    pub first: Vec<usize>,
    pub careful: Vec<usize>,
}

/// Sort packed SHIPMENT rows; those that only repeat are left out. owners: the dossier of each.
pub fn sorted(heads: Cells<'_>, owners: &[i64], rows: &[u8]) -> Sorted {
    let mut seen = HashSet::with_capacity(owners.len());
    let mut fresh = Vec::with_capacity(owners.len()); // with whether the dossier has an upload
    let mut uploads = vec![0_u32; heads.len() / head_row::SIZE];
    for (i, (&owner, row)) in owners.iter().zip(rows.chunks_exact(shipment_row::SIZE)).enumerate() {
        let head = head(heads, owner);
        let event = shipment_row::EVENT.get(row);
        let present = head_row::PRESENT.load(head) == 1;
        if seen.insert(event ^ (owner as u64) << 40) && !(present && head_row::EVENT.load(head) == event) {
            uploads[owner as usize] += 1;
            fresh.push((i, present));
        }
    }
    let mut out = Sorted::default();
    for (i, present) in fresh {
        let careful = present || uploads[owners[i] as usize] > 1;
        if careful { &mut out.careful } else { &mut out.first }.push(i);
    }
    out
}

/// Make an upload the valid one of a dossier.
pub fn stand(heads: Cells<'_>, owner: i64, row: &[u8]) {
    let head = head(heads, owner);
    head[UPLOAD_AT..].iter().zip(row).for_each(|(cell, &byte)| cell.set(byte));
    head_row::PRESENT.save(head, 1);
}

pub fn head(heads: Cells<'_>, owner: i64) -> Cells<'_> {
    let start = owner as usize * head_row::SIZE;
    &heads[start..start + head_row::SIZE]
}

/// OBSERVATION rows by kind: one for each entity of an upload.
#[derive(Default)]
pub struct Observed([Vec<u8>; kinds::COUNT]);

impl Observed {
    /// Of a valid upload.
    pub fn add(&mut self, row: &[u8], partition: u16, parcel: &[u8]) {
        let mut name = [0; PARCEL_BYTES];
        name.iter_mut().zip(parcel).for_each(|(into, &byte)| *into = byte);
        let person = shipment_row::PERSON.get(row);
        for (kind, &entity) in shipment_row::ENTITY.get(row).iter().enumerate().filter(|(_, &entity)| entity != 0) {
            let out = &mut self.0[kind];
            let start = out.len();
            out.resize(start + observation_row::SIZE, 0);
            let into = &mut out[start..];
            observation_row::KIND.set(into, kind as u8);
            observation_row::LIVE.set(into, 1);
            observation_row::ENTITY.set(into, entity);
            observation_row::EVENT.set(into, shipment_row::EVENT.get(row));
            observation_row::AT.set(into, shipment_row::PICKED_UP_AT.get(row));
            observation_row::PARTITION.set(into, partition);
            observation_row::PARCEL.set(into, name);
            observation_row::PLACE.set(into, shipment_row::PICKUP_ADCODE.get(row));
            let from_priority = shipment_row::FLAGS.get(row) & flags::PRIORITY_ORIGIN != 0;
            let carrier = u64::from(shipment_row::CARRIER.get(row)).wrapping_mul(APART);
            let (a, b) = match kind {
                kinds::SENDER => (shipment_row::NAME.get(row), shipment_row::OUTLET.get(row) ^ carrier),
                kinds::RECIPIENT if !from_priority => (0, 0),
                kinds::COURIER => (person, shipment_row::CLONE.get(row)),
                _ => (person, 0),
            };
            observation_row::A.set(into, a);
            observation_row::B.set(into, b);
        }
    }

    /// All of them, those of the first kind first.
    pub fn rows(&self) -> Vec<u8> {
        self.0.concat()
    }
}
