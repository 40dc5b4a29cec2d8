//! What is folded into dossiers, as Python sees it here.

use std::collections::HashMap;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList};

use crate::deadlines::Parcel;
use crate::tables::{fact_row, head_row, movement_row, shipment_row};
use crate::timing::{numbers, parcel};
use crate::uploads::{self, Cells, Observed};
use crate::{answers, paths};

/// The place of each parcel among the dossiers, in the order in which parcels are first asked for.
#[pyclass(name = "Places")]
pub struct PyPlaces {
    #[pyo3(get)]
    partitions: Py<PyList>,
    #[pyo3(get)]
    parcels: Py<PyList>,
    of: HashMap<(i64, Parcel), i64>,
}

#[pymethods]
impl PyPlaces {
    #[new]
    fn new(py: Python<'_>) -> Self {
        PyPlaces { partitions: PyList::empty(py).unbind(), parcels: PyList::empty(py).unbind(), of: HashMap::new() }
    }

    /// The places of these parcels, packed; a new one for each that has none.
    fn find<'py>(
        &mut self,
        py: Python<'py>,
        partitions: Vec<i64>,
        parcels: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if partitions.len() != parcels.len() {
            return Err(PyValueError::new_err("partitions: not one for each parcel"));
        }
        self.of.reserve(partitions.len());
        let mut places = Vec::with_capacity(8 * partitions.len());
        for (partition, reference) in partitions.into_iter().zip(parcels) {
            let next = self.of.len() as i64;
            let place = *self.of.entry((partition, parcel(&reference)?)).or_insert(next);
            if place == next {
                self.partitions.bind(py).append(partition)?;
                self.parcels.bind(py).append(reference)?;
            }
            places.extend_from_slice(&place.to_le_bytes());
        }
        Ok(PyBytes::new(py, &places))
    }
}

/// Fold packed MOVEMENT rows into the movements that dossiers keep, at most `rows_max` each. owners: the dossier of each
/// row, packed. Returns the dossiers that have others now, and how many; both packed.
#[pyfunction]
pub fn fold_movements<'py>(
    py: Python<'py>,
    kept: &Bound<'py, PyList>,
    owners: &[u8],
    rows: &[u8],
    rows_max: usize,
) -> PyResult<[Bound<'py, PyBytes>; 2]> {
    let owners: Vec<_> = numbers(owners).collect();
    let order = py.detach(|| paths::in_order(&owners, rows));
    let (mut changed, mut lengths) = (Vec::new(), Vec::new());
    let mut rest = &order[..];
    while let Some(&(owner, ..)) = rest.first() {
        let (mine, behind) = rest.split_at(rest.partition_point(|each| each.0 <= owner));
        rest = behind;
        let held = kept.get_item(owner as usize)?.cast_into::<PyBytes>()?;
        let size = movement_row::SIZE;
        let more = mine.iter().map(|&(.., row)| &rows[row * size..(row + 1) * size]);
        if let Some(found) = paths::merged(held.as_bytes(), more, rows_max) {
            kept.set_item(owner as usize, PyBytes::new(py, &found))?;
            changed.extend_from_slice(&owner.to_le_bytes());
            lengths.extend_from_slice(&((found.len() / size) as u16).to_le_bytes());
        }
    }
    Ok([changed, lengths].map(|packed| PyBytes::new(py, &packed)))
}

/// Fold first uploads of parcels (packed SHIPMENT rows, with their tails) into heads, and drop repetitions. owners: the
/// dossier of each, packed. Returns the dossiers that have one now, packed, their OBSERVATION rows, and the numbers of the
/// rows that must be compared with others.
#[pyfunction]
#[pyo3(signature = (heads, tails, *, partitions, parcels, owners, rows, tails_of))]
#[allow(clippy::too_many_arguments)] // named, most of them
pub fn fold_uploads<'py>(
    py: Python<'py>,
    heads: PyBuffer<u8>,
    tails: &Bound<'py, PyList>,
    partitions: &Bound<'py, PyList>,
    parcels: &Bound<'py, PyList>,
    owners: &[u8],
    rows: &[u8],
    tails_of: &Bound<'py, PyList>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyByteArray>, Vec<usize>)> {
    let (heads, owners): (_, Vec<_>) = (cells(py, &heads)?, numbers(owners).collect());
    checked(heads, &owners, rows.len() / shipment_row::SIZE)?;
    let found = uploads::sorted(heads, &owners, rows);
    let (mut into, mut observed) = (Vec::with_capacity(8 * found.first.len()), Observed::default());
    for i in found.first {
        let (owner, row) = (owners[i], &rows[i * shipment_row::SIZE..(i + 1) * shipment_row::SIZE]);
        uploads::stand(heads, owner, row);
        tails.set_item(owner as usize, tails_of.get_item(i)?)?;
        let reference = parcels.get_item(owner as usize)?.cast_into::<PyBytes>()?;
        observed.add(row, partitions.get_item(owner as usize)?.extract()?, reference.as_bytes());
        into.extend_from_slice(&owner.to_le_bytes());
    }
    Ok((PyBytes::new(py, &into), PyByteArray::new(py, &observed.rows()), found.careful))
}

/// Fold packed FACT rows into heads. owners: the dossier of each, packed. counts: where a head has those of each kind, and
/// how many. Returns the dossiers that have changed, packed, and the numbers of facts about superseded uploads.
#[pyfunction]
pub fn fold_answers<'py>(
    py: Python<'py>,
    heads: PyBuffer<u8>,
    owners: &[u8],
    rows: &[u8],
    counts: Vec<answers::Counts>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<usize>)> {
    let (heads, owners): (_, Vec<_>) = (cells(py, &heads)?, numbers(owners).collect());
    checked(heads, &owners, rows.len() / fact_row::SIZE)?;
    let found = answers::fold(heads, &owners, rows, &counts);
    let changed: Vec<u8> = found.changed.iter().flat_map(|owner| owner.to_le_bytes()).collect();
    Ok((PyBytes::new(py, &changed), found.superseded))
}

/// Add `sign` to the columns of the bits that are set, each in its row. numbers: rows of as many as a number has bits.
/// rows, bits: packed.
#[pyfunction]
pub fn add_bits(py: Python<'_>, numbers: PyBuffer<i32>, rows: &[u8], bits: &[u8], sign: i32) -> PyResult<()> {
    let cells = numbers.as_mut_slice(py).ok_or_else(|| PyValueError::new_err("numbers: cannot be written"))?;
    for (row, bits) in self::numbers(rows).zip(bits.chunks_exact(4)) {
        let mut bits = bits.try_into().map_or(0, u32::from_le_bytes);
        let row = cells
            .get(row as usize * BITS..(row as usize + 1) * BITS)
            .ok_or_else(|| PyValueError::new_err("rows: there is no such row"))?;
        while bits != 0 {
            let cell = &row[bits.trailing_zeros() as usize];
            cell.set(cell.get().wrapping_add(sign));
            bits &= bits - 1;
        }
    }
    Ok(())
}

const BITS: usize = u32::BITS as usize;

fn cells<'a>(py: Python<'a>, heads: &'a PyBuffer<u8>) -> PyResult<Cells<'a>> {
    heads.as_mut_slice(py).ok_or_else(|| PyValueError::new_err("heads: cannot be written"))
}

/// That each row has an owner, and each owner a head.
fn checked(heads: Cells<'_>, owners: &[i64], rows: usize) -> PyResult<()> {
    let held = (heads.len() / head_row::SIZE) as i64;
    if owners.len() == rows && owners.iter().all(|owner| (0..held).contains(owner)) {
        return Ok(());
    }
    Err(PyValueError::new_err("owners: not a dossier for each row"))
}
