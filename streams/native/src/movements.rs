//! Scans and inspections: bytes to MOVEMENT rows.

use crate::batch::{each, Given, Texts};
use crate::fields::{inspection, scan, INSPECTION_FIELDS, SCAN_FIELDS};
use crate::record::Record;
use crate::refs::{event_ref, parcel_ref};
use crate::tables::{first_kinds, movement_row, NONE, PARCEL_BYTES};

/// What the plain records of a batch say, in order.
#[derive(Default)]
pub struct Movements {
    pub rows: Vec<u8>,
    pub parcels: Texts,
    /// Names of parcels whose reference is not, or may not be, their name; with the number of the row.
    pub names: Vec<(usize, String)>,
    pub strange: Vec<u32>,
    name: String, // of the parcel at hand
}

// Scans and inspections may be numbered by different systems: a seed of their own keeps equal ids apart.
const SCAN_SEED: u64 = 0;
const INSPECTION_SEED: u64 = 1;

pub fn scans(given: &Given<'_>, bytes_max: usize) -> Movements {
    let mut out = Movements::default();
    out.strange = each(given, given.numbers(), bytes_max, &SCAN_FIELDS, |_, record| {
        let row = out.add(record.text(scan::CARRIER_CODE), record.text(scan::WAYBILL_NO));
        movement_row::AT.set(row, record.integer(scan::SCANNED_AT));
        movement_row::ID.set(row, event_ref(record.text(scan::EVENT_ID), SCAN_SEED));
        movement_row::VALUE.set(row, record.integer_of(scan::WEIGHT_G).map_or(-1, |grams| grams as i32));
        movement_row::ADCODE.set(row, adcode(record.text(scan::FACILITY_ADCODE)));
        movement_row::KIND.set(row, record.code(scan::SCAN_TYPE));
        movement_row::RESULT.set(row, NONE);
        Some(())
    });
    out
}

pub fn inspections(given: &Given<'_>, bytes_max: usize) -> Movements {
    let mut out = Movements::default();
    out.strange = each(given, given.numbers(), bytes_max, &INSPECTION_FIELDS, |_, record| {
        let row = out.add(record.text(inspection::CARRIER_CODE), record.text(inspection::WAYBILL_NO));
        let started_at = record.integer(inspection::STARTED_AT);
        movement_row::AT.set(row, started_at);
        movement_row::ID.set(row, event_ref(record.text(inspection::EVENT_ID), INSPECTION_SEED));
        movement_row::VALUE.set(row, duration_ms(record, started_at));
        movement_row::ADCODE.set(row, adcode(record.text(inspection::FACILITY_ADCODE)));
        movement_row::KIND.set(row, first_kinds::INSPECTION + record.code(inspection::INSPECTION_TYPE));
        movement_row::RESULT.set(row, record.code(inspection::RESULT));
        Some(())
    });
    out
}

fn duration_ms(record: &Record<'_>, started_at: i64) -> i32 {
    let spent = record.integer(inspection::ENDED_AT) - started_at;
    spent.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// A code of six digits as a number.
pub fn adcode(digits: &str) -> i32 {
    digits.bytes().fold(0, |code, digit| code * 10 + i32::from(digit - b'0'))
}

impl Movements {
    /// A further row, with the reference of its parcel.
    fn add(&mut self, carrier: &str, number: &str) -> &mut [u8] {
        let start = self.rows.len();
        let before = self.parcels.bytes.len();
        parcel_ref(carrier, number, &mut self.name, &mut self.parcels.bytes);
        if self.parcels.bytes.len() - before == PARCEL_BYTES {
            self.names.push((start / movement_row::SIZE, self.name.clone()));
        }
        self.parcels.end();
        self.rows.resize(start + movement_row::SIZE, 0);
        &mut self.rows[start..]
    }
}
