//! Reference records of the kinds that rules read: bytes to rows of the table. See `streams/flow/reference/reading.py`.

use crate::batch::{each, Given};
use crate::fields::{courier, enterprise, outlet, COURIER_FIELDS, ENTERPRISE_FIELDS, OUTLET_FIELDS};
use crate::identity::{self, Document, CHINA_TIME_MS, DAY_MS};
use crate::movements::adcode;
use crate::people;
use crate::record::Record;
use crate::refs::{code_ref, is_plain_code, text_ref};
use crate::shipments::Describer;
use crate::tables::{courier_row, enterprise_row, outlet_row};

const ALWAYS: i64 = i64::MIN;
const NEVER: i64 = i64::MAX;

/// Packed rows of one kind, and the numbers of the values that they are of.
#[derive(Default)]
pub struct Rows {
    pub numbers: Vec<u32>,
    pub rows: Vec<u8>,
}

#[derive(Default)]
pub struct Reference {
    pub enterprises: Rows,
    /// Of each enterprise, the prefixes of the places that it may serve.
    pub areas: Vec<Vec<String>>,
    pub outlets: Rows,
    pub couriers: Rows,
    pub strange: Vec<u32>,
}

impl Describer {
    /// Rows of reference records; what is of another kind is strange.
    pub fn reference(&self, given: &Given<'_>, bytes_max: usize) -> Reference {
        let Reference { mut enterprises, mut areas, mut outlets, mut couriers, .. } = Reference::default();
        let strange = each(given, given.numbers(), bytes_max, &COURIER_FIELDS, |number, record| {
            couriers.add(number, self.courier(record)?);
            Some(())
        });
        let strange = each(given, strange.into_iter(), bytes_max, &OUTLET_FIELDS, |number, record| {
            outlets.add(number, outlet_of(record)?);
            Some(())
        });
        let strange = each(given, strange.into_iter(), bytes_max, &ENTERPRISE_FIELDS, |number, record| {
            enterprises.add(number, enterprise_of(record)?);
            areas.push(record.texts(enterprise::LICENCE_ADCODES).iter().map(ToString::to_string).collect());
            Some(())
        });
        Reference { enterprises, areas, outlets, couriers, strange }
    }

    fn courier(&self, record: &Record<'_>) -> Option<[u8; courier_row::SIZE]> {
        let mut row = [0; courier_row::SIZE];
        let carrier = record.text(courier::CARRIER_CODE);
        let name = format!("{carrier}:{}", record.text(courier::COURIER_ID));
        if !is_plain_code(&name) {
            return None;
        }
        courier_row::KEY.set(&mut row, key("courier", record.text(courier::ID)));
        courier_row::CARRIER.set(&mut row, text_ref(carrier.as_bytes()) & u64::from(u32::MAX));
        courier_row::COURIER.set(&mut row, text_ref(name.as_bytes()));
        courier_row::LEFT.set(&mut row, record.integer_of(courier::LEFT_AT).unwrap_or(NEVER));
        // As a sender's are, so that they are the same token.
        if let Some(written) = record.text_of(courier::ID_NO) {
            let number = identity::number(written, Document::Other, 0, &self.regions)?;
            courier_row::PERSON.set(&mut row, if number.masked { 0 } else { self.ids.of(&[&number.norm]) });
        }
        if let Some(written) = record.text_of(courier::PHONE) {
            let digits = people::mobile(written)?;
            courier_row::PHONE.set(&mut row, digits.map_or(0, |digits| self.phones.of(&[digits])));
        }
        Some(row)
    }
}

fn outlet_of(record: &Record<'_>) -> Option<[u8; outlet_row::SIZE]> {
    let mut row = [0; outlet_row::SIZE];
    outlet_row::KEY.set(&mut row, key("outlet", record.text(outlet::ID)));
    outlet_row::OUTLET.set(&mut row, code_ref(record.text(outlet::OUTLET_ID))?);
    outlet_row::ENTERPRISE.set(&mut row, code_ref(record.text(outlet::ENTERPRISE_ID))?);
    outlet_row::ADCODE.set(&mut row, adcode(record.text(outlet::ADCODE)));
    Some(row)
}

fn enterprise_of(record: &Record<'_>) -> Option<[u8; enterprise_row::SIZE]> {
    let mut row = [0; enterprise_row::SIZE];
    let licence_no = record.text_of(enterprise::LICENCE_NO).unwrap_or("");
    enterprise_row::KEY.set(&mut row, key("enterprise", record.text(enterprise::ID)));
    enterprise_row::ENTERPRISE.set(&mut row, code_ref(record.text(enterprise::ENTERPRISE_ID))?);
    enterprise_row::SINCE.set(&mut row, record.integer_of(enterprise::LICENCE_FROM).unwrap_or(ALWAYS));
    enterprise_row::UNTIL.set(&mut row, record.integer_of(enterprise::LICENCE_TO).map_or(NEVER, until));
    let licensed = licence_no.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if !licensed && !licence_no.is_empty() {
        return None; // signs that may all be invisible
    }
    enterprise_row::LICENSED.set(&mut row, licensed);
    enterprise_row::SCOPES.set(&mut row, record.codes(enterprise::LICENCE_SCOPES) as u8);
    Some(row)
}

/// The first instant at which a licence holds no longer: a midnight in China stands for the day that it begins.
fn until(licence_to: i64) -> i64 {
    if (licence_to + CHINA_TIME_MS) % DAY_MS == 0 {
        licence_to + DAY_MS
    } else {
        licence_to
    }
}

fn key(kind: &str, id: &str) -> u64 {
    text_ref(format!("{kind}:{id}").as_bytes())
}

impl Rows {
    fn add<const SIZE: usize>(&mut self, number: u32, row: [u8; SIZE]) {
        self.numbers.push(number);
        self.rows.extend_from_slice(&row);
    }
}
