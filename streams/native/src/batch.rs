//! A batch of values on its way to rows.

use std::panic::{catch_unwind, AssertUnwindSafe};

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

/// Read each value as a record of `fields` and give it to `plain`, which says whether it takes it. Returns the numbers
/// of the others: they are strange. What makes this library panic is strange too: then Python says what it is.
pub fn each<'a>(
    values: impl Values<'a>,
    bytes_max: usize,
    fields: &'static [Field],
    mut plain: impl FnMut(u32, &Record<'a>) -> Option<()>,
) -> Vec<u32> {
    let mut record = Record::new(fields);
    let mut strange = Vec::new();
    for (number, value) in values {
        let read = catch_unwind(AssertUnwindSafe(|| {
            record.clear();
            json::read(text(value?, bytes_max)?, fields, &mut record)?;
            plain(number, &record)
        }));
        if !matches!(read, Ok(Some(()))) {
            strange.push(number);
        }
    }
    strange
}

/// Values with their numbers.
pub trait Values<'a>: Iterator<Item = (u32, Option<&'a [u8]>)> {}

impl<'a, T: Iterator<Item = (u32, Option<&'a [u8]>)>> Values<'a> for T {}

/// All values of a batch.
pub fn numbered<'a: 'b, 'b>(values: &'b [Option<&'a [u8]>]) -> impl Values<'a> + 'b {
    (0..).zip(values.iter().copied())
}
