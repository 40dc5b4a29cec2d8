//! Arrow's columns as Python has them: their buffers are read where they lie.
#![allow(unsafe_code)]

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

use crate::batch::Given;
use crate::columns::{Column, Columns, Data, Texts, Whole};

/// Bytes, as Arrow has them.
type Buffer = PyBuffer<i8>;

/// Form, place of the first value, and buffers: validity, then those of the form. A form is a letter and a size.
type Array = (String, usize, Vec<Option<Buffer>>);

/// Rows as values: they become lines only when they are asked for.
#[pyclass(frozen, sequence, name = "Columns")]
pub struct PyColumns {
    columns: Vec<(String, Array, Option<Array>)>,
    rows: usize,
    line: Py<PyAny>,
}

#[pymethods]
impl PyColumns {
    /// columns: name, values, and for codes what they stand for. line: takes a number, and gives the line of that row.
    #[new]
    fn new(columns: Vec<(String, Array, Option<Array>)>, rows: usize, line: Py<PyAny>) -> PyResult<Self> {
        let made = PyColumns { columns, rows, line };
        match made.columns() {
            Some(_) => Ok(made),
            None => Err(PyValueError::new_err("a form that is not known here")),
        }
    }

    fn __len__(&self) -> usize {
        self.rows
    }

    fn __getitem__<'py>(&self, py: Python<'py>, number: isize) -> PyResult<Bound<'py, PyAny>> {
        let place = if number < 0 { number.checked_add_unsigned(self.rows) } else { Some(number) };
        let place = place.and_then(|place| usize::try_from(place).ok()).filter(|&place| place < self.rows);
        self.line.bind(py).call1((place.ok_or_else(|| PyIndexError::new_err(number))?,))
    }
}

impl PyColumns {
    pub fn given(&self) -> Given<'_> {
        Given::Rows(self.columns().expect("forms that are known"), self.rows as u32)
    }

    /// None for a form that is not known.
    fn columns(&self) -> Option<Columns<'_>> {
        let columns = self.columns.iter().map(|(name, array, texts)| {
            let data = match texts {
                Some(texts) => Data::Coded(whole(array)?, texts_of(texts)?),
                None => data(array)?,
            };
            Some(Column { name, start: array.1, there: array.2.first()?.as_ref().map(bytes), data })
        });
        Some(Columns { columns: columns.collect::<Option<_>>()? })
    }
}

fn data(array: &Array) -> Option<Data<'_>> {
    Some(match array.0.as_str() {
        "null" => Data::Null,
        "flag" => Data::Flags(buffer(array, 1)),
        "f8" => Data::Numbers(buffer(array, 1)),
        "t4" | "t8" => Data::Texts(texts_of(array)?),
        _ => Data::Whole(whole(array)?),
    })
}

fn texts_of(array: &Array) -> Option<Texts<'_>> {
    Some(Texts { start: array.1, ends: whole(array)?, bytes: buffer(array, 2) })
}

/// The numbers of an array: its values, or where its texts end.
fn whole(array: &Array) -> Option<Whole<'_>> {
    let size = match array.0.get(1..)? {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        _ => return None,
    };
    Some(Whole { bytes: buffer(array, 1), size, signed: !array.0.starts_with('u') })
}

fn buffer(array: &Array, number: usize) -> &[u8] {
    array.2.get(number).and_then(Option::as_ref).map_or(&[], bytes)
}

fn bytes(buffer: &Buffer) -> &[u8] {
    if buffer.len_bytes() == 0 {
        return &[];
    }
    // SAFETY: the buffer is held as long as it is borrowed, is in one piece, and Arrow never changes what it holds.
    unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) }
}
