//! Records that lie in Arrow's columns: the same as the lines of JSON that such rows would be.
//!
//! As in `json.rs`, plain rows alone are taken. What a line would be too long or no UTF-8 for is strange.

use crate::record::{Field, Holds, Record, Slot};

/// Bytes of a line beside texts and names, for each column: marks, and the longest number.
const BESIDE_BYTES: usize = 40;
/// That a character may become in JSON, for each byte.
const ESCAPED_BYTES: usize = 6;

pub struct Columns<'a> {
    pub columns: Vec<Column<'a>>,
}

pub struct Column<'a> {
    pub name: &'a str,
    /// The place of the first row in what follows.
    pub start: usize,
    /// A bit for each row, set where it is not null; None: no row is null.
    pub there: Option<&'a [u8]>,
    pub data: Data<'a>,
}

pub enum Data<'a> {
    Null,
    Texts(Texts<'a>),
    Coded(Whole<'a>, Texts<'a>),
    Whole(Whole<'a>),
    Numbers(&'a [u8]),
    Flags(&'a [u8]),
}

/// Integers of so many bytes.
pub struct Whole<'a> {
    pub bytes: &'a [u8],
    pub size: usize,
    pub signed: bool,
}

impl Whole<'_> {
    /// None where there is none, or one too large.
    fn get(&self, at: usize) -> Option<i64> {
        match (self.size, self.signed) {
            (8, true) => own(self.bytes, at).map(i64::from_le_bytes),
            (4, true) => own(self.bytes, at).map(|own| i32::from_le_bytes(own).into()),
            (2, true) => own(self.bytes, at).map(|own| i16::from_le_bytes(own).into()),
            (1, true) => own(self.bytes, at).map(|own| i8::from_le_bytes(own).into()),
            (8, false) => own(self.bytes, at).and_then(|own| u64::from_le_bytes(own).try_into().ok()),
            (4, false) => own(self.bytes, at).map(|own| u32::from_le_bytes(own).into()),
            (2, false) => own(self.bytes, at).map(|own| u16::from_le_bytes(own).into()),
            (1, false) => own(self.bytes, at).map(|own| u8::from_le_bytes(own).into()),
            _ => None,
        }
    }
}

fn own<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at * N..at * N + N)?.try_into().ok()
}

pub struct Texts<'a> {
    pub start: usize,
    pub ends: Whole<'a>, // the first one is the start of the first text
    pub bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    fn get(&self, at: usize) -> Option<&'a str> {
        let end = |at| self.ends.get(self.start + at)?.try_into().ok();
        std::str::from_utf8(self.bytes.get(end(at)?..end(at + 1)?)?).ok()
    }

    fn len(&self) -> usize {
        (self.ends.bytes.len() / self.ends.size).saturating_sub(self.start + 1)
    }
}

/// A value, and the bytes of its text.
type Value<'a> = (Slot<'a>, usize);

/// Columns as fields of records.
pub struct Rows<'c, 'a> {
    columns: Vec<Bound<'c, 'a>>,
    /// Of a line beside its texts, at most.
    bytes: usize,
    /// A field that each record must have is no column.
    lacking: bool,
}

struct Bound<'c, 'a> {
    column: &'c Column<'a>,
    field: Option<(usize, &'static Field)>, // None: it is no field
    coded: Vec<Option<Value<'a>>>,          // by code
}

impl<'a> Columns<'a> {
    pub fn rows(&self, fields: &'static [Field]) -> Rows<'_, 'a> {
        let found = |name: &str| fields.iter().enumerate().find(|(_, field)| field.name == name);
        let bound = |column| Bound::new(column, found(column.name));
        let has = |field: &Field| self.columns.iter().any(|column| column.name == field.name);
        Rows {
            columns: self.columns.iter().map(bound).collect(),
            bytes: self.columns.iter().map(|column| column.name.len() * ESCAPED_BYTES + BESIDE_BYTES).sum(),
            lacking: fields.iter().any(|field| field.required && !has(field)),
        }
    }
}

impl<'a> Rows<'_, 'a> {
    /// Read one record into `into`, which must be clear.
    pub fn read(&self, row: u32, bytes_max: usize, into: &mut Record<'a>) -> Option<()> {
        if self.lacking {
            return None;
        }
        let mut bytes = self.bytes;
        for bound in &self.columns {
            let (slot, length) = bound.read(row as usize)?;
            bytes += length * ESCAPED_BYTES;
            if let Some((number, _)) = bound.field {
                into.slots[number] = slot;
            }
        }
        (bytes <= bytes_max).then_some(())
    }
}

impl<'c, 'a> Bound<'c, 'a> {
    fn new(column: &'c Column<'a>, field: Option<(usize, &'static Field)>) -> Self {
        let mut bound = Bound { column, field, coded: Vec::new() };
        if let Data::Coded(_, texts) = &column.data {
            bound.coded = (0..texts.len()).map(|code| bound.text(texts, code)).collect();
        }
        bound
    }

    fn read(&self, row: usize) -> Option<Value<'a>> {
        let at = self.column.start + row;
        let there = self.column.there.map_or(true, |bits| bit(bits, at) == Some(true));
        let field = self.field.map(|(_, field)| field);
        if !there || matches!(self.column.data, Data::Null) {
            return field.map_or(true, |field| !field.required).then_some((Slot::Absent, 0));
        }
        let slot = match &self.column.data {
            Data::Null => Slot::Absent,
            Data::Texts(texts) => return self.text(texts, row),
            Data::Coded(codes, _) => return self.coded.get(usize::try_from(codes.get(at)?).ok()?)?.clone(),
            Data::Whole(numbers) => match (numbers.get(at)?, field) {
                (number, Some(field)) => field.holds.integer(number)?,
                (..) => Slot::Right,
            },
            Data::Numbers(bytes) => {
                let number = f64::from_le_bytes(own(bytes, at)?);
                if !number.is_finite() {
                    return None;
                }
                field.map_or(Some(Slot::Right), |field| field.holds.number(number))?
            }
            Data::Flags(bits) => match (bit(bits, at)?, field.map(|field| &field.holds)) {
                (flag, Some(Holds::Flag)) => Slot::Flag(flag),
                (_, Some(_)) => return None,
                (_, None) => Slot::Right,
            },
        };
        Some((slot, 0))
    }

    fn text(&self, texts: &Texts<'a>, at: usize) -> Option<Value<'a>> {
        let text = texts.get(at)?;
        let slot = self.field.map_or(Some(Slot::Right), |(_, field)| field.holds.text(text))?;
        Some((slot, text.len()))
    }
}

fn bit(bits: &[u8], at: usize) -> Option<bool> {
    bits.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1)
}
