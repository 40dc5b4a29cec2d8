//! Shipments: bytes to SHIPMENT rows and tails. See `streams/flow/describe`.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

use crate::batch::{each, Given, Texts};
use crate::fields::{
    shipment, shipment_customer_type, shipment_direction, shipment_goods_form, shipment_sender_id_type, SHIPMENT_FIELDS,
};
use crate::goods::{Names, Said};
use crate::identity::{self, Document};
use crate::movements::adcode;
use crate::people;
use crate::record::Record;
use crate::refs::{is_plain_code, parcel_ref, text_ref};
use crate::tables::{flags, kinds, shipment_row, NONE};
use crate::tokens::Tokens;

const SEPARATOR: u8 = 0x1f; // between the strings of a tail
const NOT_GIVEN: i64 = -1;

/// What describing depends on besides the record, as `streams.flow.describe.Describer`.
pub struct Describer {
    pub ids: Tokens,
    pub phones: Tokens,
    pub names: Tokens,
    pub prefixes: Tokens,
    pub priority_origins: Vec<String>,
    pub priority_countries: Vec<String>,
    /// Of history that are kept.
    pub kinds: [bool; kinds::COUNT],
    /// Reference data are looked up.
    pub joins: bool,
    /// For each six-digit code, whether an identity number may begin with it, as `regions` says.
    pub regions: Vec<u8>,
    pub names_known: people::Lists,
}

/// What the plain records of a batch say, in the order of their numbers.
#[derive(Default)]
pub struct Uploads {
    pub numbers: Vec<u32>,
    pub rows: Vec<u8>,
    pub parcels: Texts,
    pub tails: Texts,
}

/// What came of reading a batch.
#[derive(Default)]
pub struct Read {
    pub uploads: Uploads,
    pub strange: Vec<u32>,
    /// Numbers of those whose goods names nobody has read yet, and these names.
    pub waiting: Vec<u32>,
    pub unknown: HashSet<String>,
}

impl Describer {
    /// Rows of those shipments; `known` says what their goods names do.
    pub fn read(&self, given: &Given<'_>, numbers: impl Iterator<Item = u32>, bytes_max: usize, known: &Names) -> Read {
        let mut out = Read::default();
        let mut name = String::new();
        out.strange = each(given, numbers, bytes_max, &SHIPMENT_FIELDS, |number, record| {
            let goods = record.text(shipment::GOODS_NAME);
            match known.get(goods) {
                Some(said) => {
                    let row = self.row(record, said)?;
                    out.uploads.add(number, record, row, &mut name);
                }
                None => {
                    out.waiting.push(number);
                    if !out.unknown.contains(goods) {
                        out.unknown.insert(goods.to_owned());
                    }
                }
            }
            Some(())
        });
        out
    }

    fn row(&self, record: &Record<'_>, goods: &Said) -> Option<Row> {
        if ![shipment::CARRIER_CODE, shipment::OUTLET_ID, shipment::COURIER_ID]
            .iter()
            .all(|&field| is_plain_code(record.text(field)))
        {
            return None;
        }
        let mut row = [0; shipment_row::SIZE];
        plain(&mut row, record);
        let sender = self.sender(record)?;
        let recipient = match record.text_of(shipment::RECIPIENT_PHONE) {
            Some(written) => people::mobile(written)?,
            None => None,
        };
        let recipient = recipient.map_or(0, |digits| self.phones.of(&[digits]));
        let class = declared_class(record).unwrap_or(goods.class);
        shipment_row::FLAGS.set(&mut row, sender.flags | goods.flags | self.place_flags(record));
        shipment_row::GOODS_CLASS.set(&mut row, class);
        shipment_row::SENDER_ID_FAULT.set(&mut row, sender.fault.unwrap_or(NONE));
        shipment_row::GOODS_TERM.set(&mut row, goods.term);
        shipment_row::GOODS_TRICK.set(&mut row, goods.trick);
        shipment_row::PERSON.set(&mut row, sender.person);
        shipment_row::SENDER.set(&mut row, if sender.person == 0 { sender.phone } else { sender.person });
        shipment_row::RECIPIENT.set(&mut row, recipient);
        self.entities(&mut row, record, &sender, recipient, goods);
        Some(row)
    }

    fn sender(&self, record: &Record<'_>) -> Option<Sender> {
        let mut sender = Sender::default();
        if let Some(written) = record.text_of(shipment::SENDER_ID_NO) {
            let picked_up_at = record.integer(shipment::PICKED_UP_AT);
            let number = identity::number(written, document(record), picked_up_at, &self.regions)?;
            sender.flags |= flags::SENDER_ID_GIVEN
                | when(number.masked, flags::SENDER_ID_MASKED)
                | when(number.valid.is_some(), flags::SENDER_ID_CHECKED)
                | when(number.valid == Some(true), flags::SENDER_ID_VALID);
            if !number.masked {
                sender.person = self.ids.of(&[&number.norm]);
            }
            sender.fault = number.fault;
            sender.prefix = number.prefix().map(str::to_owned);
        }
        if let Some(written) = record.text_of(shipment::SENDER_NAME) {
            let name = people::name(written, &self.names_known)?;
            sender.flags |= flags::SENDER_NAME_GIVEN
                | when(name.masked, flags::SENDER_NAME_MASKED)
                | when(name.placeholder, flags::SENDER_NAME_PLACEHOLDER);
            sender.name = (!name.masked && !name.placeholder).then_some(name.norm);
        }
        if let Some(written) = record.text_of(shipment::SENDER_PHONE) {
            sender.phone = people::mobile(written)?.map_or(0, |digits| self.phones.of(&[digits]));
        }
        Some(sender)
    }

    fn place_flags(&self, record: &Record<'_>) -> u16 {
        let origin = record.text(shipment::PICKUP_ADCODE);
        let country = record.text(shipment::DEST_COUNTRY);
        let lane = record.code(shipment::DIRECTION) == shipment_direction::EXPORT
            && self.priority_countries.iter().any(|each| each == country);
        when(record.flag(shipment::AGENT_SUBMITTED), flags::AGENT_SUBMITTED)
            | when(
                self.priority_origins.iter().any(|prefix| origin.starts_with(prefix.as_str())),
                flags::PRIORITY_ORIGIN,
            )
            | when(lane, flags::PRIORITY_LANE)
    }

    /// Who and what this upload is an observation of. History counts retail parcels only.
    fn entities(&self, row: &mut Row, record: &Record<'_>, sender: &Sender, recipient: u64, goods: &Said) {
        let carrier = record.text(shipment::CARRIER_CODE);
        let outlet = record.text(shipment::OUTLET_ID);
        let kept = |kind: usize| self.kinds[kind];
        if self.joins || kept(kinds::SENDER) {
            shipment_row::CARRIER.set(row, text_ref(carrier.as_bytes()) as u32);
            shipment_row::OUTLET.set(row, text_ref(outlet.as_bytes()));
        }
        let courier = if self.joins || kept(kinds::COURIER) {
            text_ref(format!("{carrier}:{}", record.text(shipment::COURIER_ID)).as_bytes())
        } else {
            0
        };
        shipment_row::COURIER.set(row, courier);
        if record.code(shipment::CUSTOMER_TYPE) != shipment_customer_type::RETAIL {
            return;
        }
        let mut entity = [0; kinds::COUNT];
        if kept(kinds::SENDER) {
            entity[kinds::SENDER] = sender.person;
            shipment_row::NAME.set(row, sender.name.as_ref().map_or(0, |name| self.names.of(&[name])));
        }
        if kept(kinds::PHONE) {
            entity[kinds::PHONE] = sender.phone;
        }
        if kept(kinds::RECIPIENT) {
            entity[kinds::RECIPIENT] = recipient;
        }
        if kept(kinds::COURIER) {
            entity[kinds::COURIER] = courier;
            let city = record.text_of(shipment::DEST_ADCODE).map_or("", |code| &code[..4]);
            let clone = format!("{}:{}:{city}", record.integer(shipment::WEIGHT_G), goods.norm);
            shipment_row::CLONE.set(row, text_ref(clone.as_bytes()));
        }
        if kept(kinds::OUTLET_PREFIX) {
            entity[kinds::OUTLET_PREFIX] =
                sender.prefix.as_ref().map_or(0, |prefix| self.prefixes.of(&[carrier, ":", outlet, ":", prefix]));
        }
        shipment_row::ENTITY.set(row, entity);
    }
}

impl Read {
    /// This, and what came of those that waited.
    pub fn with(self, later: Read) -> Read {
        let mut strange = self.strange;
        strange.extend(later.strange);
        strange.sort_unstable();
        Read { uploads: self.uploads.merged(&later.uploads), strange, ..Read::default() }
    }
}

type Row = [u8; shipment_row::SIZE];

/// What is said of the sender; tokens are 0 where there is none.
#[derive(Default)]
struct Sender {
    flags: u16,
    person: u64,
    phone: u64,
    name: Option<String>, // one that counts
    prefix: Option<String>,
    fault: Option<u8>,
}

/// The fields that go into the row as they are.
fn plain(row: &mut Row, record: &Record<'_>) {
    let picked_up_at = record.integer(shipment::PICKED_UP_AT);
    shipment_row::PICKED_UP_AT.set(row, picked_up_at);
    shipment_row::VERSION_AT.set(row, record.integer_of(shipment::RECORDED_AT).unwrap_or(picked_up_at));
    shipment_row::WEIGHT_G.set(row, record.integer(shipment::WEIGHT_G) as i32);
    shipment_row::PIECES.set(row, record.integer(shipment::PIECES) as i32);
    let value = record.integer_of(shipment::DECLARED_VALUE_FEN);
    shipment_row::DECLARED_VALUE_FEN.set(row, value.unwrap_or(NOT_GIVEN));
    shipment_row::FREIGHT_FEN.set(row, record.integer_of(shipment::FREIGHT_FEN).unwrap_or(NOT_GIVEN));
    shipment_row::PICKUP_ADCODE.set(row, adcode(record.text(shipment::PICKUP_ADCODE)));
    shipment_row::DEST_ADCODE.set(row, record.text_of(shipment::DEST_ADCODE).map_or(0, adcode));
    shipment_row::CUSTOMER_TYPE.set(row, record.code(shipment::CUSTOMER_TYPE));
    shipment_row::PICKUP_PLACE.set(row, record.code(shipment::PICKUP_PLACE));
    shipment_row::DIRECTION.set(row, record.code(shipment::DIRECTION));
    shipment_row::REALNAME_METHOD.set(row, record.code(shipment::REALNAME_METHOD));
    shipment_row::REALNAME_CHECK.set(row, record.code(shipment::REALNAME_CHECK));
    shipment_row::SENDER_ID_TYPE.set(row, record.code(shipment::SENDER_ID_TYPE));
    let country = record.text(shipment::DEST_COUNTRY).as_bytes();
    shipment_row::DEST_COUNTRY.set(row, [country[0], country[1]]);
}

fn document(record: &Record<'_>) -> Document {
    match record.code(shipment::SENDER_ID_TYPE) {
        shipment_sender_id_type::RESIDENT_ID => Document::Resident,
        shipment_sender_id_type::HMT_PERMIT => Document::Permit,
        _ => Document::Other,
    }
}

/// The goods class where one is declared.
fn declared_class(record: &Record<'_>) -> Option<u8> {
    let form = record.code(shipment::GOODS_FORM);
    (form != NONE && form != shipment_goods_form::UNKNOWN).then_some(form)
}

fn when(set: bool, flag: u16) -> u16 {
    if set {
        flag
    } else {
        0
    }
}

impl Uploads {
    /// Add a row, with the reference of its parcel, its tail, and the hash of all that it says.
    fn add(&mut self, number: u32, record: &Record<'_>, mut row: Row, name: &mut String) {
        let strings = [
            shipment::EVENT_ID,
            shipment::CARRIER_CODE,
            shipment::WAYBILL_NO,
            shipment::OUTLET_ID,
            shipment::COURIER_ID,
        ]
        .map(|field| record.text(field));
        let start = self.tails.bytes.len();
        for (place, string) in strings.iter().enumerate() {
            if place > 0 {
                self.tails.bytes.push(SEPARATOR);
            }
            self.tails.bytes.extend_from_slice(string.as_bytes());
        }
        let mut event = Xxh3::new();
        event.update(&row);
        event.update(&self.tails.bytes[start..]);
        shipment_row::EVENT.set(&mut row, event.digest());
        parcel_ref(strings[1], strings[2], name, &mut self.parcels.bytes);
        self.parcels.end();
        self.tails.end();
        self.rows.extend_from_slice(&row);
        self.numbers.push(number);
    }

    /// Both, in the order of their numbers.
    pub fn merged(&self, other: &Uploads) -> Uploads {
        let mut out = Uploads::default();
        let (mut ours, mut theirs) = (self.each().peekable(), other.each().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(our), Some(their)) if our.0 < their.0 => ours.next(),
                (_, Some(_)) => theirs.next(),
                _ => ours.next(),
            };
            let Some((number, row, parcel, tail)) = next else {
                return out;
            };
            out.numbers.push(number);
            out.rows.extend_from_slice(row);
            out.parcels.push(parcel);
            out.tails.push(tail);
        }
    }

    fn each(&self) -> impl Iterator<Item = (u32, &[u8], &[u8], &[u8])> {
        let rows = self.rows.chunks_exact(shipment_row::SIZE);
        let texts = self.parcels.iter().zip(self.tails.iter());
        self.numbers.iter().zip(rows).zip(texts).map(|((&number, row), (parcel, tail))| (number, row, parcel, tail))
    }
}
