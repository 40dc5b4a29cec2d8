//! A batch of values on its way to rows.

use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::columns::Columns;
use crate::json;
use crate::record::{Field, Record};

const FRAME_MAGIC: u8 = 0; // Confluent's JSON Schema framing: this byte, then four of schema id
const FRAME_BYTES: usize = 5;

/// Texts one behind the other.
#[derive(Default)]
pub struct Texts {
    pub bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// What was put into `bytes` since the last call is one text.
    pub fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.end();
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| &self.bytes[start..end])
    }
}

/// The JSON text of a message value, without its frame; None for what is too long, empty or not UTF-8.
pub fn text(value: &[u8], bytes_max: usize) -> Option<&str> {
    if value.len() > bytes_max {
        return None;
    }
    let text = if value.first() == Some(&FRAME_MAGIC) { value.get(FRAME_BYTES..)? } else { value };
    std::str::from_utf8(text).ok()
}

/// What records are read from: values, each a text, or rows.
pub enum Given<'a> {
    Values(Vec<Option<&'a [u8]>>),
    Rows(Columns<'a>, u32),
}

impl Given<'_> {
    /// The numbers of all.
    pub fn numbers(&self) -> Range<u32> {
        match self {
            Given::Values(values) => 0..values.len() as u32,
            Given::Rows(_, count) => 0..*count,
        }
    }
}

/// Read those of these numbers as records of `fields` and give each to `plain`, which says whether it takes it. Returns
/// the numbers of the others: they are strange. What makes this library panic is strange too: then Python says what it
/// is.
pub fn each<'a>(
    given: &Given<'a>,
    numbers: impl Iterator<Item = u32>,
    bytes_max: usize,
    fields: &'static [Field],
    mut plain: impl FnMut(u32, &Record<'a>) -> Option<()>,
) -> Vec<u32> {
    match given {
        Given::Values(values) => strange(numbers, fields, |number, record| {
            json::read(text(values[number as usize]?, bytes_max)?, fields, record)?;
            plain(number, record)
        }),
        Given::Rows(columns, _) => {
            let rows = columns.rows(fields);
            strange(numbers, fields, |number, record| {
                rows.read(number, bytes_max, record)?;
                plain(number, record)
            })
        }
    }
}

/// The numbers that `read` does not take; it gets an empty record for each.
fn strange<'a>(
    numbers: impl Iterator<Item = u32>,
    fields: &'static [Field],
    mut read: impl FnMut(u32, &mut Record<'a>) -> Option<()>,
) -> Vec<u32> {
    let mut record = Record::new(fields);
    let mut left = Vec::new();
    for number in numbers {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            record.clear();
            read(number, &mut record)
        }));
        if !matches!(taken, Ok(Some(()))) {
            left.push(number);
        }
    }
    left
}
